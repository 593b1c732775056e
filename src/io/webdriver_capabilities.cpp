// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_capabilities.hpp"

#include "everpool/browser/firefox_preferences.hpp"
#include "io/chromium.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <string>
#include <vector>

namespace everpool::io {

namespace json = boost::json;

namespace {

json::array list_of(const std::vector<std::string>& texts) {
    json::array out;
    for (const std::string& text : texts) out.emplace_back(text);
    return out;
}

void add_binary(json::object& options, const BrowserSpec& spec) {
    if (!spec.executable.empty()) options["binary"] = spec.executable.string();
}

json::object chromium_options(const BrowserSpec& spec) {
    std::vector<std::string> arguments = chromium_command_line(spec, {});
    // The driver has a channel of its own, and makes a profile in its TMPDIR. With one of ours
    // chromedriver 156 waits for ever.
    std::erase_if(arguments, [](const std::string& argument) {
        return argument == "--remote-debugging-pipe" || argument.starts_with("--user-data-dir=");
    });
    json::object out{{"args", list_of(arguments)}};
    add_binary(out, spec);
    return out;
}

json::object firefox_options(const BrowserSpec& spec) {
    json::array arguments{"-headless"};
    for (const std::string& argument : spec.extra_arguments) arguments.emplace_back(argument);
    json::object preferences;
    for (const auto& [name, value] : browser::firefox_preferences)
        preferences[json::string_view(name.data(), name.size())] =
            json::parse({value.data(), value.size()});
    for (const auto& [name, value] : spec.extra_preferences) { // checked to be such values
        json::error_code ec;
        json::value parsed = json::parse(value, ec);
        if (!ec) preferences[name] = std::move(parsed);
    }
    json::object out{{"args", std::move(arguments)}, {"prefs", std::move(preferences)}};
    add_binary(out, spec);
    return out;
}

json::object webkit_options(const BrowserSpec& spec) {
    json::array arguments{"--automation"};
    for (const std::string& argument : spec.extra_arguments) arguments.emplace_back(argument);
    json::object out{{"args", std::move(arguments)}};
    add_binary(out, spec);
    return out;
}

void add_engine(json::object& all, const BrowserSpec& spec) {
    switch (spec.type) {
    case BrowserType::firefox:
        all["browserName"] = "firefox";
        all["moz:firefoxOptions"] = firefox_options(spec);
        return;
    case BrowserType::webkit:
        // Safari takes no such thing, and WebKitGTK finds its browser without a name for it.
        if (!spec.executable.empty()) all["webkitgtk:browserOptions"] = webkit_options(spec);
        return;
    case BrowserType::edge:
        all["browserName"] = "MicrosoftEdge";
        all["ms:edgeOptions"] = chromium_options(spec);
        return;
    case BrowserType::chrome:
    case BrowserType::chromium: break;
    }
    all["browserName"] = "chrome"; // chromedriver calls every Chromium so
    all["goog:chromeOptions"] = chromium_options(spec);
}

constexpr const char* bidi_word = "webSocketUrl";

/// The host's alternatives; one that asks for nothing, if it has none.
json::array take_alternatives(json::object& more) {
    json::array out;
    if (const json::value* list = more.if_contains("firstMatch"); list != nullptr)
        if (const json::array* alternatives = list->if_array())
            for (const json::value& one : *alternatives)
                if (one.is_object()) out.push_back(one);
    more.erase("firstMatch");
    if (out.empty()) out.emplace_back(json::object());
    return out;
}

/// Moves what is in `always` and in one of them as well, into each of them.
void move_shared(json::object& always, json::array& alternatives) {
    const json::object all = always;
    for (const auto& [key, ours] : all) {
        bool is_shared = false;
        for (const json::value& one : alternatives)
            is_shared = is_shared || one.get_object().contains(key);
        if (!is_shared) continue;
        for (json::value& one : alternatives) {
            json::object whole{{key, ours}};
            if (const json::value* theirs = one.get_object().if_contains(key))
                merge_capabilities(whole, {{key, *theirs}});
            one.get_object()[key] = whole.at(key);
        }
        always.erase(key);
    }
}

/// False means no to us; to a driver it is no word.
bool is_refused(json::object& capabilities) {
    const json::value* said = capabilities.if_contains(bidi_word);
    if (said == nullptr || *said != false) return false;
    capabilities.erase(bidi_word);
    return true;
}

/// Each of them twice, unless the host has said what it wants.
json::array each_with_bidi_first(const json::array& alternatives) {
    json::array out;
    for (const json::value& one : alternatives) {
        json::object plain = one.get_object();
        const bool has_said = plain.contains(bidi_word);
        (void)is_refused(plain);
        if (!has_said) {
            json::object with_bidi = plain;
            with_bidi[bidi_word] = true;
            out.emplace_back(std::move(with_bidi));
        }
        out.emplace_back(std::move(plain));
    }
    return out;
}

} // namespace

void merge_capabilities(json::object& all, const json::object& more) {
    for (const auto& [key, value] : more) {
        json::value* here = all.if_contains(key);
        if (here != nullptr && here->is_object() && value.is_object())
            merge_capabilities(here->get_object(), value.get_object());
        else if (here != nullptr && here->is_array() && value.is_array())
            for (const json::value& one : value.get_array()) here->get_array().push_back(one);
        else all[key] = value;
    }
}

json::object webdriver_capabilities(const BrowserSpec& spec,
                                    std::chrono::milliseconds script_timeout) {
    json::object all{
        // A navigation is complete when it was accepted: whether the page works, its own
        // connections tell.
        {"pageLoadStrategy", "none"},
        {"timeouts", {{"script", script_timeout.count()}, {"implicit", 0}}},
    };
    add_engine(all, spec);
    json::error_code ec;
    json::value parsed = json::parse(spec.webdriver.capabilities_json, ec);
    json::object more = !ec && parsed.is_object() ? std::move(parsed.get_object()) : json::object();
    json::array alternatives = take_alternatives(more);
    if (const json::value* always = more.if_contains("alwaysMatch"); always != nullptr) {
        if (always->is_object()) merge_capabilities(all, always->get_object());
        more.erase("alwaysMatch");
    }
    merge_capabilities(all, more);
    const bool is_open = !is_refused(all) && !all.contains(bidi_word);
    move_shared(all, alternatives);
    if (is_open) alternatives = each_with_bidi_first(alternatives);
    for (json::value& one : alternatives) (void)is_refused(one.get_object());
    return {{"alwaysMatch", std::move(all)}, {"firstMatch", std::move(alternatives)}};
}

std::optional<json::object> without_bidi(json::object capabilities) {
    json::value* list = capabilities.if_contains("firstMatch");
    json::array* alternatives = list == nullptr ? nullptr : list->if_array();
    if (alternatives == nullptr) return std::nullopt;
    json::array plain;
    for (const json::value& one : *alternatives)
        if (!one.is_object() || !one.get_object().contains(bidi_word)) plain.push_back(one);
    if (plain.empty() || plain.size() == alternatives->size()) return std::nullopt;
    *alternatives = std::move(plain);
    return capabilities;
}

} // namespace everpool::io
