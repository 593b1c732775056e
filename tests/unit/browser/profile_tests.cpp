// The table of settings: that it does no harm, hangs together, and says what is passed and why.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/profile.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>

using namespace everpool;
using namespace everpool::browser;

namespace {

std::string small_letters(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

/// Parts of names that take away a wall between pages, or between a page and the system.
constexpr std::string_view forbidden[] = {
    "sandbox", // --no-sandbox, --disable-gpu-sandbox, MOZ_DISABLE_CONTENT_SANDBOX ...
    "web-security",
    "site-isolation",
    "siteisolation",
    "isolateorigins",
    "isolate-origins",
    "single-process",
    "no-zygote",
    "in-process-gpu",
    "process-per-site",
    "insecure",
    "certificate",
    "allow-origins",
    "allow-file-access",
    "disable-features",
    "disable-blink-features",
    "machinelearningneuralnetwork,", // one feature at a time, so that none hides behind it
    "security.",
    "fission.",
    "privacy.",
    "network.cors",
    "network.http.",
    "dom.security",
    "unsafely",
};

template <class Visitor>
void for_each_case(Visitor visit) {
    for (const BrowserType browser : browser_types)
        for (const BrowserFailureCategory category : browser_failure_categories)
            for (const ModelFamily family :
                 {ModelFamily::text, ModelFamily::vision, ModelFamily::audio,
                  ModelFamily::multimodal, ModelFamily::unknown})
                for (const std::uint32_t attempt : {0U, 1U, 2U, 3U, ~0U})
                    visit(browser, category, family, attempt);
}

} // namespace

// The house's promise: what a worker runs is as shut in as in a user's browser, after failures too.
TEST_CASE("no entry weakens the sandbox or web security, used or not") {
    for (const ProfileEntry& entry : profile_entries) {
        CAPTURE(entry.name, entry.value);
        for (const std::string_view part : forbidden) {
            CHECK(small_letters(entry.name).find(part) == std::string::npos);
            CHECK(small_letters(entry.value).find(part) == std::string::npos);
        }
    }
}

TEST_CASE("what takes away the walls between processes is never passed") {
    for_each_case([](auto... with) {
        for (const auto& [name, value] : adjusted_settings(with...).preferences)
            CHECK(name.find("browser.tabs.remote") == std::string::npos);
    });
}

TEST_CASE("each entry has the form that its browser reads") {
    for (const ProfileEntry& entry : profile_entries) {
        CAPTURE(entry.name, entry.value);
        const bool is_switch = entry.name.starts_with("--");
        CHECK(is_switch == (entry.engine == BrowserEngine::chromium));
        CHECK(entry.name.find_first_of("= \"\\\n") == std::string_view::npos);
        CHECK(entry.value.find_first_of(" \"\\\n") == std::string_view::npos);
        if (!is_switch) CHECK_FALSE(entry.value.empty());
        CHECK_FALSE(entry.effect.empty());
        CHECK(entry.attempt_from >= 1);
        CHECK((entry.category || entry.family));
        if (entry.state == SettingState::effective || entry.state == SettingState::present)
            CHECK(entry.replaced_by.empty());
    }
}

// Of two with the same name a browser takes the last one.
TEST_CASE("no browser gets a setting twice, nor one that it is started with anyway") {
    for_each_case([](BrowserType browser, auto... with) {
        const AdjustedSettings settings = adjusted_settings(browser, with...);
        std::set<std::string> names;
        for (const std::string& argument : settings.arguments) {
            const std::string name = argument.substr(0, argument.find('='));
            CAPTURE(argument);
            CHECK(names.insert(name).second);
            for (const std::string_view flag : chromium_flags)
                CHECK(flag.substr(0, flag.find('=')) != name);
        }
        for (const auto& preference : settings.preferences) {
            CAPTURE(preference.first);
            CHECK(names.insert(preference.first).second);
            for (const auto& known : firefox_preferences) // what undoes one of them is another
                CHECK((known.first != preference.first || known.second != preference.second));
        }
        const bool is_firefox = browser == BrowserType::firefox;
        if (is_firefox) CHECK(settings.arguments.empty());
        else CHECK(settings.preferences.empty());
    });
}

TEST_CASE("a setting that replaces another one is in the table or in those of every worker") {
    for (const ProfileEntry& entry : profile_entries) {
        const bool is_setting = entry.replaced_by.starts_with("--") ||
                                entry.replaced_by.find('.') != std::string_view::npos;
        if (!is_setting) continue;
        CAPTURE(entry.name, entry.replaced_by);
        const auto setting = entry.replaced_by.substr(0, entry.replaced_by.find('='));
        CHECK(std::any_of(std::begin(profile_entries), std::end(profile_entries),
                          [&](const ProfileEntry& candidate) {
                              return candidate.engine == entry.engine &&
                                     candidate.name == setting &&
                                     (is_passed(candidate) || is_always_set(candidate));
                          }));
    }
}

TEST_CASE("what is said to be always set is set to that value") {
    for (const ProfileEntry& entry : profile_entries) {
        if (!is_always_set(entry) || entry.state == SettingState::gone) continue;
        CAPTURE(entry.name, entry.value);
        const std::string flag = entry.value.empty()
                                     ? std::string(entry.name)
                                     : std::string(entry.name) + '=' + std::string(entry.value);
        const bool is_flag = std::find(std::begin(chromium_flags), std::end(chromium_flags),
                                       flag) != std::end(chromium_flags);
        const bool is_preference = std::any_of(
            std::begin(firefox_preferences), std::end(firefox_preferences), [&](const auto& known) {
                return known.first == entry.name && known.second == entry.value;
            });
        CHECK((is_flag || is_preference));
    }
}

TEST_CASE("settings go by the failure and by the family") {
    using enum BrowserFailureCategory;
    CHECK(adjusted_settings(BrowserType::chrome, resource, ModelFamily::text, 1).arguments ==
          std::vector<std::string>{"--disable-gpu-rasterization", "--disable-gpu-vsync"});
    CHECK(
        adjusted_settings(BrowserType::edge, unknown, ModelFamily::vision, 1).arguments ==
        std::vector<std::string>{"--enable-zero-copy", "--enable-gpu-memory-buffer-video-frames"});
    CHECK(adjusted_settings(BrowserType::firefox, webgpu, ModelFamily::audio, 1) ==
          AdjustedSettings{{}, {{"gfx.webrender.software", "true"}}});
    CHECK(adjusted_settings(BrowserType::webkit, webgpu, ModelFamily::text, 1).is_empty());
}

TEST_CASE("the second attempt does all that the first did, and more where there is more") {
    using enum BrowserFailureCategory;
    CHECK(adjusted_settings(BrowserType::chromium, webgpu, ModelFamily::text, 1).is_empty());
    CHECK(adjusted_settings(BrowserType::chromium, webgpu, ModelFamily::text, 2).arguments ==
          std::vector<std::string>{"--use-webgpu-adapter=swiftshader"});
    for_each_case([](auto browser, auto category, auto family, std::uint32_t attempt) {
        if (attempt == 0 || attempt == ~0U) return;
        const auto before = adjusted_settings(browser, category, family, attempt);
        const auto after = adjusted_settings(browser, category, family, attempt + 1);
        for (const std::string& argument : before.arguments)
            CHECK(std::count(after.arguments.begin(), after.arguments.end(), argument) == 1);
        for (const auto& preference : before.preferences)
            CHECK(std::count(after.preferences.begin(), after.preferences.end(), preference) == 1);
    });
}

TEST_CASE("the explanation tells what is set, what is not, and why") {
    const std::string text = explain_settings(BrowserType::firefox, BrowserFailureCategory::webgpu,
                                              ModelFamily::audio, 1);
    CAPTURE(text);
    for (const char* line :
         {"firefox, webgpu failure, audio model, attempt 1 (checked: Firefox ESR 153.7.0)\n",
          "  set      gfx.webrender.software=true: ", "  always   dom.webgpu.enabled=true: ",
          "  gone     dom.webgpu.unsafe=true: ", "; instead: gfx.webgpu.ignore-blocklist\n",
          "  refused  gfx.webrender.all=false: "})
        CHECK(text.find(line) != std::string::npos);
    CHECK(explain_settings(BrowserType::webkit, BrowserFailureCategory::crash, ModelFamily::text, 1)
              .find("nothing to adjust") != std::string::npos);
}
