// Messages through the bridge: order, size, memory, backpressure.
// SPDX-License-Identifier: BSL-1.0
#include "bridge_scene.hpp"

#include <algorithm>

namespace everpool::test {
namespace {

TEST_CASE("messages of all sizes arrive in the order in which they were sent") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    // Around every border: WebSocket length fields, copying, batches, pieces of a gathering write.
    const std::vector<std::size_t> sizes = {
        0,      1,      7,      8,      60,     100,    125, 126,     1000,      16'000,
        16'384, 16'400, 40'000, 65'535, 65'536, 70'000, 1,   300'000, 2'000'000, 3};
    std::vector<wire::Message> sent;
    for (std::uint64_t round = 0; round < 10; ++round)
        for (const std::size_t size : sizes)
            sent.push_back(with_tensor<wire::Run>(sent.size() + 1, size));
    host.with([&](io::Bridge& bridge) {
        for (const wire::Message& message : sent)
            REQUIRE_FALSE(bridge.send(WorkerId{0}, Channel::data, message));
    });
    for (const wire::Message& expected : sent) {
        const wire::Message got = client.read_message();
        REQUIRE(std::get<wire::Run>(got).id == std::get<wire::Run>(expected).id);
        REQUIRE(same_tensors<wire::Run>(got, expected));
    }
    CHECK(host.stats().frames_sent == sent.size());
}

TEST_CASE("tensors from a page arrive bit for bit, in one frame or in many") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    const std::size_t frame_bytes = GENERATE(std::size_t{1} << 30, 131'072, 1000);
    std::uint64_t id = 0;
    constexpr std::size_t sizes[] = {0,    1,    1400,    1500,      2000,
                                     2048, 4096, 100'000, 1'000'000, 3'333'333};
    for (const std::size_t size : sizes) {
        const auto sent = with_tensor<wire::RunResult>(++id, size);
        client.send_fragmented(encoded(sent), frame_bytes);
        const auto told = host.next();
        REQUIRE(told);
        REQUIRE(told->what == What::message);
        CHECK(same_tensors<wire::RunResult>(told->message, sent));
        for (const Tensor& tensor : std::get<wire::RunResult>(told->message).tensors)
            CHECK(reinterpret_cast<std::uintptr_t>(tensor.data.bytes.data()) % 8 == 0);
    }
    CHECK(host.stats().frames_received == id + 1);
}

TEST_CASE("small messages that come in one packet are all told, in order") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    constexpr std::uint64_t count = 2000;
    for (std::uint64_t i = 0; i < count; ++i) client.send(pong(i));
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto told = host.next();
        REQUIRE(told);
        REQUIRE(std::get<wire::Pong>(told->message).sequence == i);
    }
}

TEST_CASE("results that are kept stay what they were while others arrive") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    std::vector<wire::Message> sent, kept;
    for (std::uint64_t id = 1; id <= 40; ++id) {
        sent.push_back(with_tensor<wire::RunResult>(id, id % 3 == 0 ? 200'000 : 64));
        client.send(sent.back());
        kept.push_back(host.next()->message);
    }
    for (std::size_t i = 0; i < sent.size(); ++i)
        CHECK(same_tensors<wire::RunResult>(kept[i], sent[i]));
}

TEST_CASE("the memory of dropped results is used again") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    const auto sent = with_tensor<wire::RunResult>(1, 4 << 20);
    const Bytes bytes = encoded(sent);
    client.send_fragmented(bytes, 131'072);
    CHECK(same_tensors<wire::RunResult>(host.next()->message, sent)); // dropped at once
    const auto before = host.receive_buffers();
    for (int i = 0; i < 20; ++i) {
        client.send_fragmented(bytes, 131'072);
        CHECK(same_tensors<wire::RunResult>(host.next()->message, sent));
    }
    const auto after = host.receive_buffers();
    CHECK(after.reused - before.reused >= 20);
    // One more may be needed while the last result is on its way back from the test's thread.
    CHECK(after.allocated - before.allocated <= 2);
}

TEST_CASE("results outlive the bridge they came through") {
    wire::Message kept;
    const auto sent = with_tensor<wire::RunResult>(1, 1 << 20);
    {
        BridgeHost host;
        WebSocketClient client = greet(host, host.admit(0), Channel::data);
        client.send(sent);
        kept = host.next()->message;
    }
    CHECK(same_tensors<wire::RunResult>(kept, sent));
}

TEST_CASE("what a worker does not take is refused at the limit, and taken again below it") {
    auto config = bridge_config_for_tests;
    config.frame_bytes_max = 4 << 20;
    config.write_queue_bytes_max = 20 << 20;
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data); // does not read for now
    const auto message = with_tensor<wire::Run>(1, 1 << 20);
    std::size_t taken = 0;
    error_code ec;
    while (!(ec = host.send(0, Channel::data, message))) REQUIRE(++taken < 200);
    CHECK(ec == Errc::queue_full);
    CHECK(taken >= 19); // the kernel took some besides
    CHECK(host.stats().sends_refused == 1);
    CHECK(host.stats().frames_sent == taken);

    for (std::size_t i = 0; i < taken; ++i)
        REQUIRE(same_tensors<wire::Run>(client.read_message(), message));
    CHECK_FALSE(host.send(0, Channel::data, ping(9)));
    CHECK(std::get<wire::Ping>(client.read_message()).sequence == 9);
}

TEST_CASE("a message above the frame limit, or one that contradicts itself, is not sent") {
    auto config = bridge_config_for_tests;
    config.frame_bytes_max = 1 << 20;
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    CHECK(host.send(0, Channel::data, with_tensor<wire::Run>(1, 1 << 20)) ==
          Errc::message_too_large);
    auto contradiction = with_tensor<wire::Run>(2, 64);
    std::get<wire::Run>(contradiction).tensors.front().shape = {65};
    CHECK(host.send(0, Channel::data, contradiction) == Errc::invalid_request);
    CHECK(host.stats().sends_refused == 2);
    REQUIRE_FALSE(host.send(0, Channel::data, ping(3)));
    CHECK(std::get<wire::Ping>(client.read_message()).sequence == 3);
}

TEST_CASE("a worker that is revoked while it does not read is gone in time") {
    auto config = bridge_config_for_tests;
    config.close_timeout = std::chrono::milliseconds(50);
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    REQUIRE_FALSE(host.send(0, Channel::data, with_tensor<wire::Run>(1, 60 << 20)));
    host.with([](io::Bridge& bridge) { bridge.revoke(WorkerId{0}); });
    // The host's destructor waits for the bridge's last handler: without the time limit, for ever.
    CHECK(host.is_quiet());
}

TEST_CASE("protocol pings are answered between large messages") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    const auto message = with_tensor<wire::Run>(1, 8 << 20);
    REQUIRE_FALSE(host.send(0, Channel::data, message));
    client.send_raw(Bytes{std::byte{0x89}, std::byte{0x80}, {}, {}, {}, {}}); // ping, masked, empty
    REQUIRE_FALSE(host.send(0, Channel::data, message));
    CHECK(same_tensors<wire::Run>(client.read_message(), message));
    CHECK(same_tensors<wire::Run>(client.read_message(), message));
}

} // namespace
} // namespace everpool::test
