// SPDX-License-Identifier: BSL-1.0
#include "io/websocket_outbox.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

/// An outbox and the other end of its socket.
struct OutboxScene {
    asio::io_context context;
    tcp::socket peer{context};
    std::shared_ptr<WebSocketOutbox> outbox;

    explicit OutboxScene(std::uint64_t bytes_max = 64 << 20) {
        tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
        peer.connect(acceptor.local_endpoint());
        outbox = std::make_shared<WebSocketOutbox>(WebSocketOutbox::Socket(acceptor.accept()),
                                                   bytes_max);
    }

    error_code push(std::string_view text, std::shared_ptr<const void> owner = nullptr) {
        const std::vector<asio::const_buffer> parts = {asio::buffer(text.data(), 1),
                                                       asio::buffer(text.substr(1))};
        WebSocketOutbox::Owners owners{std::move(owner)};
        return outbox->push_message(parts, owners);
    }

    /// Runs the outbox and reads this much on the other end.
    std::string read(std::size_t bytes) {
        std::string text(bytes, '\0');
        bool is_done = false;
        asio::async_read(peer, asio::buffer(text), [&](error_code ec, std::size_t) {
            CHECK_FALSE(ec);
            is_done = true;
        });
        context.restart();
        while (!is_done && context.run_one() != 0) {}
        CHECK(is_done);
        return text;
    }

    void drain() {
        context.restart();
        context.run();
    }
};

TEST_CASE("a message is framed as the standard says, at every length") {
    OutboxScene scene;
    const auto header = [&](std::size_t bytes) {
        const std::string text(bytes, 'x');
        REQUIRE_FALSE(scene.push(text));
        const std::size_t header_bytes = bytes < 126 ? 2 : bytes < 65'536 ? 4 : 10;
        const std::string got = scene.read(header_bytes + bytes);
        CHECK(got.substr(header_bytes) == text);
        return got.substr(0, header_bytes);
    };
    using namespace std::string_literals;
    CHECK(header(1) == "\x82\x01"s);
    CHECK(header(125) == "\x82\x7d"s);
    CHECK(header(126) == "\x82\x7e\x00\x7e"s);
    CHECK(header(65'535) == "\x82\x7e\xff\xff"s);
    CHECK(header(65'536) == "\x82\x7f\0\0\0\0\0\x01\0\0"s);
}

TEST_CASE("a burst of small messages goes out in two writes") {
    OutboxScene scene;
    for (int i = 0; i < 500; ++i) REQUIRE_FALSE(scene.push("0123456789"));
    CHECK(scene.read(500 * 12).substr(0, 12) == "\x82\x0a"
                                                "0123456789");
    scene.drain();
    CHECK(scene.outbox->writes() == 2);
    CHECK(scene.outbox->bytes_queued() == 0);
}

TEST_CASE("a large message is not copied and keeps its owner until it is out") {
    OutboxScene scene;
    auto owner = std::make_shared<std::string>(8 << 20, 'L');
    REQUIRE_FALSE(scene.push(*owner, owner));
    CHECK(owner.use_count() == 2);
    REQUIRE_FALSE(scene.push("small"));
    const std::string got = scene.read(10 + owner->size() + 2 + 5);
    CHECK(got.substr(10, owner->size()) == *owner);
    CHECK(got.substr(10 + owner->size() + 2) == "small");
    scene.drain();
    CHECK(owner.use_count() == 1);
}

TEST_CASE("a small message's owner is not kept") {
    OutboxScene scene;
    auto owner = std::make_shared<std::string>("payload");
    REQUIRE_FALSE(scene.push(*owner, owner));
    CHECK(owner.use_count() == 1);
}

TEST_CASE("beyond its limit the outbox refuses, and nothing of the message is sent") {
    OutboxScene scene(1000);
    CHECK(scene.push(std::string(1001, 'x')) == Errc::queue_full);
    CHECK_FALSE(scene.push(std::string(900, 'a')));
    CHECK(scene.push(std::string(900, 'b')) == Errc::queue_full);
    CHECK(scene.read(904).find('b') == std::string::npos);
    scene.drain();
    CHECK_FALSE(scene.push(std::string(900, 'c')));
    CHECK(scene.read(904).find('c') != std::string::npos);
}

TEST_CASE("after stop() what was not begun is forgotten, and Beast's frame still goes out") {
    OutboxScene scene;
    REQUIRE_FALSE(scene.push("begun")); // written at once
    REQUIRE_FALSE(scene.push("not begun"));
    scene.outbox->stop();
    CHECK(scene.push("too late") == Errc::worker_lost);
    bool is_written = false;
    scene.outbox->async_push_frame(std::vector<std::byte>(4, std::byte{0x88}),
                                   [&](error_code ec, std::size_t bytes) {
                                       CHECK_FALSE(ec);
                                       CHECK(bytes == 4);
                                       is_written = true;
                                   });
    bool is_finished = false;
    scene.outbox->async_finish([&](error_code ec) {
        CHECK_FALSE(ec);
        is_finished = true;
    });
    CHECK_FALSE(is_written);
    CHECK(scene.read(7 + 4) == "\x82\x05"
                               "begun\x88\x88\x88\x88");
    scene.drain();
    CHECK(is_written);
    CHECK(is_finished);
    char more = 0;
    error_code ec;
    scene.peer.read_some(asio::buffer(&more, 1), ec);
    CHECK(ec == asio::error::eof);
}

TEST_CASE("a failed write closes the socket, is remembered, and ends what waits") {
    OutboxScene scene;
    scene.peer.set_option(asio::socket_base::linger(true, 0));
    auto owner = std::make_shared<std::string>(32 << 20, 'L');
    REQUIRE_FALSE(scene.push(*owner, owner));
    error_code frame_ec;
    scene.outbox->async_push_frame(std::vector<std::byte>(2),
                                   [&](error_code ec, std::size_t) { frame_ec = ec; });
    scene.peer.close(); // resets
    scene.drain();
    CHECK(scene.outbox->failure());
    CHECK(frame_ec == scene.outbox->failure());
    CHECK_FALSE(scene.outbox->socket().is_open());
    CHECK(owner.use_count() == 1);
    CHECK(scene.push("more") == Errc::worker_lost);
}

} // namespace
} // namespace everpool::io
