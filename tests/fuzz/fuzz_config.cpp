// A pool's configuration, as JSON and as variables: NAME=VALUE, separated by NULs.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/config_source.hpp"
#include "everpool/utf8.hpp"
#include "facade/config_check.hpp"
#include "fuzz.hpp"
#include "unit/facade/config_texts.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using namespace everpool;
using fuzz::require;
using Source = std::function<ResourcePoolConfig(const ResourcePoolConfig&)>;

void check_message(std::string_view message) {
    require(message.size() < 4096, "a message is bounded");
    require(is_utf8(message), "a message is UTF-8");
    require(std::all_of(message.begin(), message.end(),
                        [](unsigned char c) { return c >= 0x20 && c != 0x7f; }),
            "a message has no control characters");
}

/// Empty if it was refused.
std::optional<ResourcePoolConfig> read(const Source& source, const ResourcePoolConfig& base) {
    try {
        return source(base);
    } catch (const std::invalid_argument& error) {
        check_message(error.what());
        return std::nullopt;
    }
}

void check(const Source& source) {
    const auto config = read(source, {});
    if (!config) return;
    facade::check_config(*config); // throws, and the fuzzer sees it
    const auto again = read(source, *config);
    require(again.has_value(), "what was taken is taken again");
    require(tests::is_same(*config, *again), "and says the same of what it made");
}

std::map<std::string, std::string> variables_of(std::string_view text) {
    std::map<std::string, std::string> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\0'), text.size());
        const std::string_view entry = text.substr(0, end);
        const std::size_t equals = std::min(entry.find('='), entry.size());
        out.emplace(entry.substr(0, equals), entry.substr(std::min(equals + 1, entry.size())));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    check([&](const ResourcePoolConfig& base) { return config_from_json(text, base); });
    const auto variables = variables_of(text);
    check([&](const ResourcePoolConfig& base) { return config_from_variables(variables, base); });
    return 0;
}
