// How connections, workers and the bridge itself come and go.
// SPDX-License-Identifier: BSL-1.0
#include "bridge_scene.hpp"

namespace everpool::test {
namespace {

TEST_CASE("a hello is told with the worker, the generation and the channel it belongs to") {
    BridgeHost host;
    const std::string page = host.admit(3, 17);
    WebSocketClient client(host.port(), {.path = page + "control"});
    client.send(hello_of(Channel::control, token_in(page)));
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::hello);
    CHECK(told->worker == WorkerId{3});
    CHECK(told->generation == Generation{17});
    CHECK(told->channel == Channel::control);
    CHECK(std::get<wire::Hello>(told->message).engine_name == "test");
}

TEST_CASE("every admission has a token of its own and ends the one before") {
    BridgeHost host;
    const std::string first = host.admit(0, 1);
    WebSocketClient old = greet(host, first, Channel::data);
    const std::string second = host.admit(0, 2);
    CHECK(first != second);
    CHECK(old.read_close_code() == 1001);
    CHECK(http_ask(host.port(), {.target = first}).status == 403);
    const WebSocketClient renewed = greet(host, second, Channel::data);
    CHECK(host.is_quiet()); // nothing about the old one
}

TEST_CASE("a second connection replaces the first, which is not mentioned any more") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient first = greet(host, page, Channel::data);
    WebSocketClient control = greet(host, page, Channel::control);
    WebSocketClient second = greet(host, page, Channel::data);
    CHECK(first.read_close_code() == 1001);
    CHECK(host.stats().connections_replaced == 1);
    REQUIRE_FALSE(host.send(0, Channel::data, ping(5)));
    CHECK(std::get<wire::Ping>(second.read_message()).sequence == 5);
    control.send(pong(1));
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::message);
    CHECK(told->channel == Channel::control);
    CHECK(host.is_quiet());
}

TEST_CASE("a replaced connection that does not go by itself is cut off in time") {
    auto config = bridge_config_for_tests;
    config.close_timeout = std::chrono::milliseconds(50);
    BridgeHost host(config);
    const std::string page = host.admit(0);
    WebSocketClient first = greet(host, page, Channel::data);
    const WebSocketClient second = greet(host, page, Channel::data);
    // `first` answers the close frame only when it reads, which it does after the time limit: it
    // gets the close frame and the end of the connection behind it.
    CHECK(first.read_close_code() == 1001);
}

TEST_CASE("an upgrade that has not said hello yet replaces nobody") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient first = greet(host, page, Channel::data);
    const WebSocketClient second(host.port(), {.path = page + "data"});
    first.send(pong(1));
    CHECK(host.next()->what == What::message);
    CHECK(host.stats().connections_replaced == 0);
}

TEST_CASE("promotion drops the data connection silently and keeps control, under the new number") {
    BridgeHost host;
    const std::string page = host.admit(0, 1);
    WebSocketClient control = greet(host, page, Channel::control);
    WebSocketClient data = greet(host, page, Channel::data);
    WebSocketClient late(host.port(),
                         {.path = page + "data"}); // the old compute thread's, too late
    host.with([](io::Bridge& bridge) { bridge.promote(WorkerId{0}, Generation{2}); });
    CHECK(data.read_close_code() == 1001);
    CHECK(late.read_close_code() == 1001);
    CHECK(host.send(0, Channel::data, ping(1)) == Errc::worker_lost);

    REQUIRE_FALSE(host.send(0, Channel::control, ping(2)));
    CHECK(std::get<wire::Ping>(control.read_message()).sequence == 2);
    control.send(pong(2));
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::message);
    CHECK(told->generation == Generation{2});

    WebSocketClient renewed(host.port(), {.path = page + "data"}); // the token is still good
    renewed.send(hello_of(Channel::data, token_in(page)));
    CHECK(host.next()->generation == Generation{2});
    CHECK(host.is_quiet());
}

TEST_CASE("renewal keeps both connections, under the new number") {
    BridgeHost host;
    const std::string page = host.admit(0, 1);
    const WebSocketClient control = greet(host, page, Channel::control);
    WebSocketClient data = greet(host, page, Channel::data);
    host.with([](io::Bridge& bridge) { bridge.renew(WorkerId{0}, Generation{2}); });
    REQUIRE_FALSE(host.send(0, Channel::data, ping(2)));
    CHECK(std::get<wire::Ping>(data.read_message()).sequence == 2);
    data.send(pong(2));
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::message);
    CHECK(told->generation == Generation{2});
    CHECK(host.is_quiet());
}

// The client has the handshake's answer before the bridge's own write of it completes, so the
// dismissal may come in between. Many rounds, because only the kernel knows when it does.
TEST_CASE("a connection that is dismissed in the moment of its opening is still told so") {
    BridgeHost host;
    const std::string page = host.admit(0, 1);
    for (std::uint64_t round = 2; round < 200; ++round) {
        WebSocketClient client(host.port(), {.path = page + "data"});
        host.with([&](io::Bridge& bridge) { bridge.promote(WorkerId{0}, Generation{round}); });
        REQUIRE(client.read_close_code() == 1001);
    }
    CHECK(host.is_quiet());
}

TEST_CASE("a revoked worker's connections end silently and its token opens nothing") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient control = greet(host, page, Channel::control);
    WebSocketClient data = greet(host, page, Channel::data);
    host.with([](io::Bridge& bridge) { bridge.revoke(WorkerId{0}); });
    CHECK(control.read_close_code() == 1001);
    CHECK(data.read_close_code() == 1001);
    CHECK(http_ask(host.port(), {.target = page}).status == 403);
    CHECK(WebSocketClient(host.port(), {.path = page + "data"}).status() == 403);
    CHECK(host.send(0, Channel::data, ping(1)) == Errc::worker_lost);
    CHECK(host.stats().sends_refused == 1);
    CHECK(host.is_quiet());
}

TEST_CASE("promoting, renewing or revoking a worker that is not there does nothing") {
    BridgeHost host;
    host.with([](io::Bridge& bridge) {
        bridge.promote(WorkerId{5}, Generation{2});
        bridge.renew(WorkerId{5}, Generation{2});
        bridge.revoke(WorkerId{5});
    });
    CHECK(host.send(5, Channel::data, ping(1)) == Errc::worker_lost);
}

TEST_CASE("a connection that closes properly, or just goes, is told once") {
    BridgeHost host;
    const std::string page = host.admit(0, 4);
    const bool says_goodbye = GENERATE(true, false);
    WebSocketClient client = greet(host, page, Channel::data);
    if (says_goodbye) client.close();
    else client.drop();
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::closed);
    CHECK(told->generation == Generation{4});
    CHECK(told->ec);
    CHECK(told->ec != Errc::protocol_error);
    CHECK(told->close_code == (says_goodbye ? 1000 : 1006));
    CHECK(host.is_quiet());
    CHECK(host.send(0, Channel::data, ping(1)) == Errc::worker_lost);
    const WebSocketClient again = greet(host, page, Channel::data); // may come back
}

TEST_CASE("the listener may revoke, admit and send inside its callbacks") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient client = greet(host, page, Channel::data);
    std::string next_page;
    host.on_next([&](io::Bridge& bridge) {
        CHECK_FALSE(bridge.send(WorkerId{0}, Channel::data, ping(1)));
        next_page = bridge.admit(WorkerId{0}, Generation{2});
    });
    client.send(pong(1));
    CHECK(host.next()->what == What::message);
    CHECK(client.read_close_code() == 1001);
    const WebSocketClient renewed = greet(host, page_path(next_page), Channel::data);
}

TEST_CASE("nothing is told after the bridge was destroyed, and all its connections end") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient control = greet(host, page, Channel::control);
    WebSocketClient silent(host.port(), {.path = page + "data"});
    HttpClient idle(host.port());
    CHECK(idle.ask({.target = "/nothing"}).status == 404);
    host.destroy_bridge();
    CHECK(control.read_close_code() == 1006);
    CHECK(silent.read_close_code() == 1006);
    CHECK_THROWS(idle.ask({.target = "/nothing"}));
    CHECK_THROWS(HttpClient(host.port()));
    CHECK(host.is_quiet());
}

TEST_CASE("the bridge may be destroyed inside a callback of its own") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient client = greet(host, page, Channel::data);
    host.destroy_bridge_in_next_callback();
    client.send(pong(1));
    client.send(pong(2));
    CHECK(host.next()->what == What::message);
    CHECK(client.read_close_code() == 1006);
    CHECK(host.is_quiet());
}

TEST_CASE("the bridge may be destroyed while a large message is on its way out") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const WebSocketClient client = greet(host, page, Channel::data); // and does not read
    REQUIRE_FALSE(host.send(0, Channel::data, with_tensor<wire::Run>(1, 30 << 20)));
    host.destroy_bridge();
    CHECK(host.is_quiet());
}

TEST_CASE("a configuration that cannot work is refused by the member's name") {
    auto config = bridge_config_for_tests;
    config.write_queue_bytes_max = config.frame_bytes_max - 1;
    CHECK_THROWS_WITH(BridgeHost(config),
                      "BridgeConfig::write_queue_bytes_max must be >= frame_bytes_max");
}

} // namespace
} // namespace everpool::test
