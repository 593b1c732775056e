// SPDX-License-Identifier: BSL-1.0
//
// Variables become the JSON object that says the same, and that is read like any other.
#include "everpool/config_source.hpp"
#include "everpool/error.hpp"
#include "facade/config_check.hpp"
#include "facade/config_document.hpp"
#include "facade/config_paths.hpp"
#include "facade/config_reader.hpp"
#include "facade/nearest_name.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

extern char** environ;

namespace everpool {

namespace json = boost::json;
using facade::ConfigPath;
using facade::TextForm;

namespace {

constexpr std::string_view variable_prefix = "EVERPOOL_";
constexpr std::size_t name_bytes_shown = 100;

/// What tests and benchmarks of this library listen to. Some of it looks like a member misspelt.
constexpr std::array<std::string_view, 4> names_of_tests{"EVERPOOL_WEBNN_BROWSER", "EVERPOOL_SEEDS",
                                                         "EVERPOOL_STATE_SEEDS", "EVERPOOL_KILLS"};
constexpr std::array<std::string_view, 3> prefixes_of_tests{"EVERPOOL_BENCH_", "EVERPOOL_FUZZ_",
                                                            "EVERPOOL_TEST_"};

bool is_of_tests(std::string_view name) {
    return std::ranges::find(names_of_tests, name) != names_of_tests.end() ||
           std::ranges::any_of(prefixes_of_tests,
                               [&](std::string_view one) { return name.starts_with(one); });
}

json::string_view json_text(std::string_view text) noexcept { return {text.data(), text.size()}; }

std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
    return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

json::array words_of(std::string_view text) {
    json::array out;
    if (trimmed(text).empty()) return out;
    for (;;) {
        const std::size_t comma = text.find(',');
        out.emplace_back(json_text(trimmed(text.substr(0, comma))));
        if (comma == text.npos) return out;
        text.remove_prefix(comma + 1);
    }
}

/// A number, true, false or null; anything else is a word, and refused as that.
json::value scalar_of(std::string_view text) {
    boost::system::error_code ec;
    json::value value = json::parse(json_text(text), ec);
    if (ec || value.is_structured()) return json::string(json_text(text));
    return value;
}

json::value value_of(const ConfigPath& path, const std::string& name, std::string_view text) {
    const auto parsed = [&] { return facade::parse_config(text, name, path.name); };
    switch (path.form) {
    case TextForm::word:
        if (path.is_optional && text == "null") return nullptr;
        return json::string(json_text(text));
    case TextForm::json:
    case TextForm::bytes: return scalar_of(text);
    case TextForm::words: return trimmed(text).starts_with('[') ? parsed() : words_of(text);
    case TextForm::list: return trimmed(text).empty() ? json::value(json::array()) : parsed();
    case TextForm::group:
        facade::refuse_config(path.name, fmt::format("set member by member ({}__...)", name),
                              "given as a whole");
    case TextForm::program: break;
    }
    return nullptr; // refused by who reads it
}

/// Puts it where its path says.
void insert(json::object& root, std::string_view path, json::value value) {
    json::object* object = &root;
    for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.')) {
        json::value& inner = (*object)[json_text(path.substr(0, dot))];
        if (!inner.is_object()) inner.emplace_object();
        object = &inner.get_object();
        path.remove_prefix(dot + 1);
    }
    (*object)[json_text(path)] = std::move(value);
}

/// Throws if a member's name was meant by it.
void check_stranger(std::string_view name, const std::vector<std::string>& known) {
    if (is_of_tests(name)) return;
    const std::vector<std::string_view> candidates(known.begin(), known.end());
    // What all of them have is no evidence.
    std::vector<std::string_view> tails = candidates;
    for (std::string_view& one : tails) one.remove_prefix(variable_prefix.size());
    // A member of a group, without the group.
    const std::string_view tail = name.substr(variable_prefix.size());
    const auto whole = std::ranges::find_if(tails, [&](std::string_view one) {
        return one.size() > tail.size() + 2 && one.ends_with(tail) &&
               one.substr(0, one.size() - tail.size()).ends_with("__");
    });
    const bool is_inside = std::ranges::any_of(candidates, [&](std::string_view one) {
        return name.starts_with(one) && name.substr(one.size()).starts_with("__");
    });
    const std::string_view nearest =
        whole != tails.end() ? *whole : facade::nearest_name(tail, tails);
    if (nearest.empty() && !is_inside) return;
    throw std::invalid_argument(fmt::format(
        "{} is no member's{}", escape_remote_text(name, name_bytes_shown),
        nearest.empty() ? "" : fmt::format("; did you mean {}{}?", variable_prefix, nearest)));
}

} // namespace

ResourcePoolConfig config_from_variables(const std::map<std::string, std::string>& variables,
                                         ResourcePoolConfig base) {
    const std::vector<ConfigPath> paths = facade::config_paths();
    std::vector<std::string> known;
    for (const ConfigPath& path : paths) known.push_back(path.variable());
    json::object root;
    for (const auto& [name, text] : variables) {
        if (!name.starts_with(variable_prefix)) continue;
        const auto found = std::ranges::find(known, name);
        if (found == known.end()) {
            check_stranger(name, known);
            continue;
        }
        if (text.size() > config_bytes_max)
            throw std::invalid_argument(
                fmt::format("{} has more than {} bytes", name, config_bytes_max));
        const ConfigPath& path = paths[static_cast<std::size_t>(found - known.begin())];
        insert(root, path.name, value_of(path, name, text));
    }
    facade::read_config(root, base);
    facade::check_config(base);
    return base;
}

ResourcePoolConfig config_from_environment(ResourcePoolConfig base) {
    std::map<std::string, std::string> variables;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == text.npos || !text.starts_with(variable_prefix)) continue;
        // The first one counts, as for getenv(3).
        variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return config_from_variables(variables, std::move(base));
}

} // namespace everpool
