// Tests: what a worker page says to the bridge.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/wire/message.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace everpool::test {

/// The token in "/w/<token>/".
inline std::string token_in(std::string_view page) {
    return std::string(page.substr(3, page.find('/', 3) - 3));
}

inline wire::Message hello_of(wire::Channel channel, std::string token) {
    wire::Hello hello;
    hello.role = channel;
    hello.token = std::move(token);
    hello.realm = 1;
    hello.engine_name = "test";
    if (channel == wire::Channel::data) hello.capabilities.emplace();
    return hello;
}

inline wire::Message ping(std::uint64_t sequence) { return wire::Ping{sequence}; }
inline wire::Message pong(std::uint64_t sequence) { return wire::Pong{sequence}; }

} // namespace everpool::test
