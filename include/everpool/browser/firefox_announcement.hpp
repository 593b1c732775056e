// Everpool browser: the line by which Firefox tells where it listens for WebDriver BiDi.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

namespace everpool::browser {

/// The loopback port that `line` of Firefox's standard error announces; nothing if it is another
/// line or the port is none. Firefox started with `--remote-debugging-port 0` chooses the port
/// itself.
[[nodiscard]] inline std::optional<std::uint16_t> announced_port(std::string_view line) noexcept {
    constexpr std::string_view announcement = "WebDriver BiDi listening on ws://127.0.0.1:";
    const std::size_t at = line.find(announcement);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view digits = line.substr(at + announcement.size());
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || port == 0) return std::nullopt;
    return port;
}

} // namespace everpool::browser
