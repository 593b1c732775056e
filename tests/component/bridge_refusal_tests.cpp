// Who and what the bridge turns away, and that it goes on serving the others.
// SPDX-License-Identifier: BSL-1.0
#include "bridge_scene.hpp"

#include <cstring>

// One test asks for memory that cannot be had. The sanitizers' own answer is to end the program.
// NOLINTBEGIN(bugprone-reserved-identifier): the names are theirs
extern "C" const char* __asan_default_options();
extern "C" const char* __tsan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
// NOLINTEND(bugprone-reserved-identifier)

namespace everpool::test {
namespace {

std::string data_of(const std::string& page) { return page + "data"; }

/// Nothing that happened before has hurt another worker.
void check_still_serves(BridgeHost& host) {
    const std::string page = host.admit(99);
    WebSocketClient client = greet(host, page, Channel::data);
    REQUIRE_FALSE(host.send(99, Channel::data, ping(7)));
    CHECK(std::get<wire::Ping>(client.read_message()).sequence == 7);
    client.send(pong(7));
    const auto told = host.next();
    REQUIRE(told);
    CHECK(std::get<wire::Pong>(told->message).sequence == 7);
}

TEST_CASE("a wrong token opens nothing and is counted") {
    BridgeHost host;
    std::string page = host.admit(0);
    page[10] = page[10] == '0' ? '1' : '0';
    CHECK(http_ask(host.port(), {.target = page}).status == 403);
    CHECK(WebSocketClient(host.port(), {.path = data_of(page)}).status() == 403);
    CHECK(http_ask(host.port(), {.target = "/w/"}).status == 403);
    CHECK(http_ask(host.port(), {.target = "/w//"}).status == 403);
    CHECK(http_ask(host.port(), {.target = "/w/" + std::string(64, 'a') + "/models/mlp"}).status ==
          403);
    CHECK(host.stats().refused_token == 5);
    CHECK(host.stats().upgrades == 0);
    check_still_serves(host);
}

TEST_CASE("a token without the slash behind it is no page") {
    BridgeHost host;
    std::string page = host.admit(0);
    page.pop_back();
    CHECK(http_ask(host.port(), {.target = page}).status == 403);
}

TEST_CASE("an upgrade from a foreign origin, or from none, is refused and counted") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::string localhost = "http://localhost:" + std::to_string(host.port());
    for (const std::string& origin :
         {std::string("http://evil.example"), std::string("null"), std::string(), localhost,
          "http://127.0.0.1:" + std::to_string(host.port() ^ 1)}) {
        CAPTURE(origin);
        WebSocketClient client(host.port(), {.path = data_of(page), .origin = origin});
        CHECK(client.status() == 403);
    }
    CHECK(host.stats().refused_origin == 5);
    check_still_serves(host);
}

TEST_CASE("a foreign Host is misdirected, whatever is asked for") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::string port = std::to_string(host.port());
    for (const std::string& name :
         {"evil.example:" + port, "localhost:" + port, std::string("127.0.0.1"),
          "127.0.0.1:" + port + ".", "127.0.0.1:1" + port}) {
        CAPTURE(name);
        CHECK(http_ask(host.port(), {.target = page, .host = name}).status == 421);
    }
    WebSocketClient client(host.port(), {.path = data_of(page), .host = "evil.example:" + port});
    CHECK(client.status() == 421);
    CHECK(host.stats().refused_host == 6);
    check_still_serves(host);
}

TEST_CASE("two Hosts, or none, are no Host") {
    BridgeHost host;
    const std::string authority = "127.0.0.1:" + std::to_string(host.port());
    CHECK(http_ask(host.port(), {.target = "/", .fields = {{"Host", authority}}}).status == 421);
    CHECK(HttpClient(host.port()).ask_raw("GET / HTTP/1.1\r\n\r\n").status == 421);
    CHECK(host.stats().refused_host == 2);
}

TEST_CASE("an upgrade without the subprotocol is refused and counted") {
    BridgeHost host;
    const std::string page = host.admit(0);
    for (const char* subprotocol : {"", "everpool.v2", "EVERPOOL.V1", "everpool.v1x"}) {
        WebSocketClient client(host.port(), {.path = data_of(page), .subprotocol = subprotocol});
        CHECK(client.status() == 400);
    }
    CHECK(host.stats().refused_subprotocol == 4);
    WebSocketClient listed(host.port(),
                           {.path = data_of(page), .subprotocol = "other, everpool.v1"});
    CHECK(listed.status() == 101);
    CHECK(listed.field("sec-websocket-protocol") == "everpool.v1");
    check_still_serves(host);
}

TEST_CASE("compression is offered and not taken") {
    BridgeHost host;
    WebSocketClient client(host.port(), {.path = data_of(host.admit(0)), .offers_deflate = true});
    CHECK(client.status() == 101);
    CHECK(client.field("sec-websocket-extensions").empty());
}

TEST_CASE("a socket's path asked for as a file wants an upgrade; a file's path takes none") {
    BridgeHost host;
    const std::string page = host.admit(0);
    CHECK(http_ask(host.port(), {.target = data_of(page)}).status == 426);
    CHECK(WebSocketClient(host.port(), {.path = "/everpool/page.js"}).status() == 404);
    CHECK(WebSocketClient(host.port(), {.path = page}).status() == 404);
    CHECK(WebSocketClient(host.port(), {.path = page + "other"}).status() == 404);
}

/// Sends these bytes as a message after a good hello: what is the close code?
unsigned close_code_for(BridgeHost& host, const Bytes& message) {
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    client.send(message);
    const unsigned code = client.read_close_code();
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::closed);
    CHECK(told->ec == Errc::protocol_error);
    CHECK(host.send(0, Channel::data, ping(1)) == Errc::worker_lost);
    return code;
}

TEST_CASE("a garbage frame ends its connection, is counted, and hurts nobody else") {
    BridgeHost host;
    CHECK(close_code_for(host, Bytes(100, std::byte{0xa5})) == 1002);
    CHECK(close_code_for(host, {}) == 1002);
    Bytes wrong_magic = encoded(pong(1));
    wrong_magic[0] = std::byte{'X'};
    CHECK(close_code_for(host, wrong_magic) == 1002);
    CHECK(host.stats().frames_malformed == 3);
    check_still_serves(host);
}

TEST_CASE("a truncated message ends its connection at whatever byte it was cut") {
    BridgeHost host;
    const Bytes whole = encoded(with_tensor<wire::RunResult>(1, 10));
    unsigned count = 0;
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += 7, ++count) {
        CAPTURE(bytes);
        CHECK(close_code_for(
                  host, Bytes(whole.begin(), whole.begin() + static_cast<long>(bytes))) == 1002);
    }
    CHECK(host.stats().frames_malformed == count);
}

TEST_CASE("a header that announces more than there is is malformed, however large") {
    BridgeHost host;
    Bytes lying = encoded(with_tensor<wire::RunResult>(1, 100'000));
    for (const std::uint32_t announced : {0xffffffffU, 0x7fffffffU, 200'000U, 0U}) {
        std::memcpy(lying.data() + 8, &announced, 4);
        CHECK(close_code_for(host, lying) == 1002);
    }
    CHECK(host.stats().frames_malformed == 4);
}

TEST_CASE("a frame above the limit is refused by its announcement alone") {
    auto config = bridge_config_for_tests;
    config.frame_bytes_max = 1 << 20;
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    // A masked binary frame of 2^40 bytes, of which none follows.
    client.send_raw(Bytes{std::byte{0x82},
                          std::byte{0xff},
                          {},
                          {},
                          std::byte{1},
                          {},
                          {},
                          {},
                          {},
                          {},
                          {},
                          {},
                          {},
                          {}});
    CHECK(client.read_close_code() == 1009);
    const auto told = host.next();
    REQUIRE(told);
    CHECK(told->what == What::closed);
    CHECK(told->ec == Errc::protocol_error);
    CHECK(host.stats().frames_too_large == 1);
    check_still_serves(host);
}

TEST_CASE("a message that grows above the limit in small frames is refused as well") {
    auto config = bridge_config_for_tests;
    config.frame_bytes_max = 100'000;
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    client.send_fragmented(Bytes(120'000, std::byte{1}), 1000);
    CHECK(client.read_close_code() == 1009);
    CHECK(host.next()->ec == Errc::protocol_error);
    CHECK(host.stats().frames_too_large == 1);
}

TEST_CASE("who has not said hello yet may not send more than a hello") {
    BridgeHost host;
    const std::string page = host.admit(0);
    WebSocketClient silent(host.port(), {.path = data_of(page)});
    silent.send_fragmented(Bytes((2 << 20), std::byte{1}), 1 << 16);
    CHECK(silent.read_close_code() == 1009);

    WebSocketClient greeted = greet(host, page, Channel::data);
    greeted.send(with_tensor<wire::RunResult>(1, 2 << 20));
    CHECK(host.next()->what == What::message);
    CHECK(counted(host, &io::BridgeStats::frames_too_large, 1) == 1);
    CHECK(host.is_quiet());
}

TEST_CASE("a message that there is no memory for ends its connection, not the host") {
    // Within the limit, and beyond what any process can address: the allocation fails for certain.
    auto config = bridge_config_for_tests;
    config.frame_bytes_max = config.write_queue_bytes_max = 1ULL << 50;
    BridgeHost host(config);
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    Bytes frame{std::byte{0x82}, std::byte{0xff}}; // binary, masked, eight bytes of length
    constexpr std::uint64_t announced = 1ULL << 49;
    for (int shift = 56; shift >= 0; shift -= 8)
        frame.push_back(static_cast<std::byte>(announced >> shift & 0xff));
    frame.resize(frame.size() + 100); // the mask, and a little of the message
    client.send_raw(frame);
    CHECK(client.read_close_code() == 1009);
    CHECK(host.next()->ec == Errc::protocol_error);
    CHECK(host.stats().frames_too_large == 1);
    check_still_serves(host);
}

TEST_CASE("a text message is malformed") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    client.send_text("{\"hello\":1}");
    CHECK(client.read_close_code() == 1003);
    CHECK(host.next()->ec == Errc::protocol_error);
    CHECK(host.stats().frames_malformed == 1);
    check_still_serves(host);
}

TEST_CASE("broken WebSocket framing is malformed") {
    BridgeHost host;
    WebSocketClient client = greet(host, host.admit(0), Channel::data);
    client.send_raw(Bytes{std::byte{0x82}, std::byte{0x01}, std::byte{0}}); // a client must mask
    CHECK(client.read_close_code() == 1002);
    CHECK(host.next()->ec == Errc::protocol_error);
    CHECK(host.stats().frames_malformed == 1);
}

TEST_CASE("a connection that says nothing is closed in time and never mentioned") {
    auto config = bridge_config_for_tests;
    config.hello_timeout = std::chrono::milliseconds(50);
    BridgeHost host(config);
    WebSocketClient client(host.port(), {.path = data_of(host.admit(0))});
    CHECK(client.read_close_code() == 1008);
    CHECK(host.stats().hellos_missing == 1);
    CHECK(host.is_quiet());
    check_still_serves(host);
}

TEST_CASE("the time limit of the hello does not touch those that said it") {
    auto config = bridge_config_for_tests;
    config.hello_timeout = std::chrono::milliseconds(100);
    BridgeHost host(config);
    WebSocketClient greeted = greet(host, host.admit(0), Channel::data);
    WebSocketClient silent(host.port(), {.path = data_of(host.admit(1))});
    CHECK(silent.read_close_code() == 1008); // now the other's time is up as well
    greeted.send(pong(1));
    CHECK(host.next()->what == What::message);
}

/// Says this first: what is the close code?
unsigned close_code_for_hello(BridgeHost& host, const std::string& page,
                              const wire::Message& first) {
    WebSocketClient client(host.port(), {.path = data_of(page)});
    client.send(first);
    return client.read_close_code();
}

TEST_CASE("the first message must be the hello of the path's worker and role") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::string other = host.admit(1);
    CHECK(close_code_for_hello(host, page, pong(1)) == 1008);
    CHECK(close_code_for_hello(host, page, hello_of(Channel::control, token_in(page))) == 1008);
    CHECK(close_code_for_hello(host, page, hello_of(Channel::data, token_in(other))) == 1008);
    CHECK(close_code_for_hello(host, page, hello_of(Channel::data, "")) == 1008);
    CHECK(host.stats().frames_unexpected == 4);
    CHECK(host.stats().refused_token == 2);
    CHECK(host.is_quiet());
    check_still_serves(host);
}

TEST_CASE("what only the host may say is unexpected from a page") {
    BridgeHost host;
    CHECK(close_code_for(host, encoded(ping(1))) == 1008);
    CHECK(close_code_for(host, encoded(with_tensor<wire::Run>(1, 8))) == 1008);
    CHECK(close_code_for(host, encoded(hello_of(Channel::data, "again"))) == 1008);
    CHECK(host.stats().frames_unexpected == 3);

    WebSocketClient control = greet(host, host.admit(1), Channel::control);
    control.send(with_tensor<wire::RunResult>(1, 8));
    CHECK(control.read_close_code() == 1008);
    CHECK(host.next()->ec == Errc::protocol_error);
    check_still_serves(host);
}

} // namespace
} // namespace everpool::test
