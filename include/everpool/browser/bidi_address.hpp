// Everpool browser: where a driver's WebDriver BiDi is, as far as we believe it.
// SPDX-License-Identifier: BSL-1.0
//
// The capability webSocketUrl is remote text, and must not send us anywhere: we connect to the
// endpoint's own host only, in the clear as to the endpoint itself. A grid in containers names the
// address that it has among themselves, which is often out of reach, but answers under the same
// path at its own door; so of another host only the path is taken. The port counts only of a driver
// that was started here: behind geckodriver it is Firefox that listens. An endpoint at our loopback
// may be the end of a tunnel, and the port that it names one of ours.
#pragma once

#include "everpool/browser/webdriver_endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace everpool::browser {

struct BidiAddress {
    std::string host{"127.0.0.1"}; ///< a name or an address; IPv6 without its brackets
    std::uint16_t port{0};
    std::string target{"/session"}; ///< what the WebSocket's request asks for

    friend bool operator==(const BidiAddress&, const BidiAddress&) = default;
};

namespace detail {

constexpr bool is_loopback(std::string_view host) noexcept {
    return host == "127.0.0.1" || host == "localhost" || host == "::1";
}

} // namespace detail

/// Where to connect to for the `text` that this endpoint has answered; `is_ours`: the driver there
/// was started here. Empty if it is no plain WebSocket address with a path.
[[nodiscard]] inline std::optional<BidiAddress>
bidi_address_from(std::string_view text, const WebDriverEndpoint& from, bool is_ours) {
    constexpr std::string_view scheme = "ws://";
    if (!text.starts_with(scheme)) return std::nullopt;
    text.remove_prefix(scheme.size());
    const auto told = webdriver_endpoint_from("http://" + std::string(text));
    if (!told || told->path.empty()) return std::nullopt;
    const bool is_same_host = told->host == from.host ||
                              (detail::is_loopback(told->host) && detail::is_loopback(from.host));
    return BidiAddress{from.host, is_ours && is_same_host ? told->port : from.port, told->path};
}

} // namespace everpool::browser
