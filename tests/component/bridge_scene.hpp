// Tests: a bridge with a worker that has said hello.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/bridge_client.hpp"
#include "support/bridge_host.hpp"
#include "support/bridge_messages.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace everpool::test {

using What = BridgeHost::Told::What;
using wire::Channel;

/// Connects and says hello, and waits until the host was told.
inline WebSocketClient greet(BridgeHost& host, const std::string& page, Channel channel) {
    WebSocketClient client(host.port(), {.path = page + std::string(wire::name_of(channel))});
    REQUIRE(client.status() == 101);
    client.send(hello_of(channel, token_in(page)));
    const auto told = host.next();
    REQUIRE(told);
    REQUIRE(told->what == What::hello);
    REQUIRE(told->channel == channel);
    return client;
}

/// How often has this been counted? A client may see its connection end a moment before the bridge
/// counts why, so `expected` is waited for.
inline std::uint64_t counted(BridgeHost& host, io::StrandCounter io::BridgeStats::*counter,
                             std::uint64_t expected) {
    for (int round = 0; round < 1000 && host.stats().*counter < expected; ++round)
        (void)host.is_quiet(); // each time the bridge does what it has to do
    return host.stats().*counter;
}

/// A message with one tensor of this many bytes, each of which says where it is.
template <class MessageType>
wire::Message with_tensor(std::uint64_t id, std::size_t bytes) {
    std::vector<std::uint8_t> elements(bytes);
    for (std::size_t i = 0; i < bytes; ++i)
        elements[i] = static_cast<std::uint8_t>((i * 2654435761U + id) >> 13);
    MessageType message;
    message.id = id;
    if constexpr (std::is_same_v<MessageType, wire::Run>) message.operation = "echo";
    message.tensors.push_back(
        Tensor::of("x", {static_cast<std::int64_t>(bytes)}, std::move(elements)));
    return message;
}

template <class MessageType>
bool same_tensors(const wire::Message& left, const wire::Message& right) {
    const auto& a = std::get<MessageType>(left).tensors;
    const auto& b = std::get<MessageType>(right).tensors;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) {
        return x.name == y.name && x.dtype == y.dtype && x.shape == y.shape &&
               std::ranges::equal(x.data.bytes, y.data.bytes);
    });
}

} // namespace everpool::test
