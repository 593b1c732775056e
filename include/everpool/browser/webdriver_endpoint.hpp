// Everpool browser: where a WebDriver listens, taken apart.
// SPDX-License-Identifier: BSL-1.0
//
// "http://127.0.0.1:9515" (a driver), "http://grid:4444/wd/hub" (an old Selenium Grid). No user and
// password, since they would be sent in the clear, and no https, since this library has no TLS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace everpool::browser {

struct WebDriverEndpoint {
    std::string host{"127.0.0.1"}; ///< a name or an address; IPv6 without its brackets
    std::uint16_t port{80};
    std::string path{}; ///< what stands before "/session": empty, or with a slash first only

    friend bool operator==(const WebDriverEndpoint&, const WebDriverEndpoint&) = default;
};

namespace detail {

constexpr bool is_host_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}
constexpr bool is_v6_character(char c) noexcept {
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
           c == '.';
}
/// What a path may hold that is written into the first line of a request as it is.
constexpr bool is_path_character(char c) noexcept {
    return is_host_character(c) || c == '/' || c == '~' || c == '%' || c == '+' || c == ':' ||
           c == '@' || c == '=';
}

template <class IsAllowed>
constexpr bool consists_of(std::string_view text, IsAllowed is_allowed) noexcept {
    for (const char c : text)
        if (!is_allowed(c)) return false;
    return !text.empty();
}

constexpr std::optional<std::uint16_t> port_from(std::string_view digits) noexcept {
    std::uint32_t value = 0;
    if (digits.empty() || digits.size() > 5) return std::nullopt;
    for (const char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (value == 0 || value > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

} // namespace detail

/// Empty if it is no such address.
[[nodiscard]] inline std::optional<WebDriverEndpoint>
webdriver_endpoint_from(std::string_view text) {
    constexpr std::string_view scheme = "http://";
    constexpr std::size_t bytes_max = 1024;
    if (!text.starts_with(scheme) || text.size() > bytes_max) return std::nullopt;
    text.remove_prefix(scheme.size());
    const std::size_t slash = text.find('/');
    std::string_view place = text.substr(0, slash);
    std::string_view path = slash == std::string_view::npos ? "" : text.substr(slash);
    while (path.ends_with('/')) path.remove_suffix(1);
    if (!path.empty() && !detail::consists_of(path, detail::is_path_character)) return std::nullopt;

    WebDriverEndpoint out;
    out.path = path;
    std::string_view port;
    if (place.starts_with('[')) {
        const std::size_t end = place.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        out.host = place.substr(1, end - 1);
        port = place.substr(end + 1);
        if (!detail::consists_of(out.host, detail::is_v6_character)) return std::nullopt;
    } else {
        const std::size_t colon = place.find(':');
        out.host = place.substr(0, colon);
        port = colon == std::string_view::npos ? "" : place.substr(colon);
        if (!detail::consists_of(out.host, detail::is_host_character)) return std::nullopt;
    }
    if (port.empty()) return out;
    if (port.front() != ':') return std::nullopt;
    const auto number = detail::port_from(port.substr(1));
    if (!number) return std::nullopt;
    out.port = *number;
    return out;
}

} // namespace everpool::browser
