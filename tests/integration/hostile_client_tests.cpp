// A hostile program on the same machine attacks the bridge of a pool that is at work: it is refused
// and counted, and every inference meanwhile is answered rightly.
// SPDX-License-Identifier: BSL-1.0
//
// The port is no secret (snapshot() tells it, and so does /proc/net/tcp). The token is one; here an
// operation module gives it away, as a careless or bought one could: its own address contains it.
// So the attacks are tried with the worst that an attacker can know.
#include "support/all_models.hpp"
#include "support/bridge_client.hpp"
#include "support/bridge_messages.hpp"
#include "support/busy_customer.hpp"
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"

#include <boost/json/parse.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using test::Bytes;
using test::HttpClient;
using test::WebSocketClient;
using wire::Channel;
using Bridge = ResourcePoolSnapshot::Bridge;

namespace {

/// A pool of one browser, a customer who keeps it busy, and what the attacker knows.
class Scene {
public:
    Scene() : test_(config()) {
        test_.start();
        customer_.emplace(test_, samples_of("mlp"));
        port = test_.pool().snapshot().port;
        page = stolen_page();
    }
    ~Scene() {
        customer_.reset();
        test_.stop();
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    using Counter = std::uint64_t Bridge::*;

    [[nodiscard]] Bridge counted() { return test_.pool().snapshot().bridge; }
    /// A fault is counted a moment after its connection was closed, so it is waited for, by asking
    /// the bridge for something else.
    std::uint64_t counted(Counter counter, std::uint64_t expected) {
        for (int round = 0; round < 1000 && counted().*counter < expected; ++round)
            CHECK(test::http_ask(port, {.target = "/everpool/page.js"}).status == 200);
        return counted().*counter;
    }
    [[nodiscard]] PoolUnderTest& pool_test() { return test_; }

    /// The path of the worker's page, with its token, as of now.
    std::string stolen_page() {
        Request request;
        request.operation = "leak";
        const Answer answer = test_.run(request);
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        const std::string url(boost::json::parse(answer.result.info).at("url").as_string().c_str());
        const std::size_t begin = url.find("/w/");
        return url.substr(begin, url.find('/', begin + 3) + 1 - begin);
    }

    void check_serves() {
        const bool is_served = customer_->is_served();
        INFO(customer_->trouble());
        CHECK(is_served);
    }

    /// With the right token, Host, Origin and subprotocol; has not said hello.
    [[nodiscard]] WebSocketClient intruder() const {
        WebSocketClient client(port, {.path = page + "data"});
        REQUIRE(client.status() == 101);
        return client;
    }

    std::uint16_t port{0};
    std::string page;

private:
    ResourcePoolConfig config() {
        ResourcePoolConfig config;
        config.models = {spec_of(samples_of("mlp"), ModelFamily::text)};
        config.modules = {leak_.spec()};
        config.frame_bytes_max = 4 << 20;
        return config;
    }

    ModuleFile leak_{"leak", "export const run = () => ({ info: { url: import.meta.url } });\n"};
    PoolUnderTest test_;
    std::optional<BusyCustomer> customer_;
};

Bytes bytes_of(std::initializer_list<unsigned> values) {
    Bytes out;
    for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
    return out;
}

} // namespace

TEST_CASE("who comes with the wrong token, Origin, Host or protocol stays outside") {
    Scene scene;
    std::string wrong = scene.page;
    wrong[5] = wrong[5] == '0' ? '1' : '0';
    const std::string data = scene.page + "data";

    CHECK(test::http_ask(scene.port, {.target = wrong}).status == 403);
    CHECK(WebSocketClient(scene.port, {.path = wrong + "data"}).status() == 403);
    CHECK(scene.counted(&Bridge::refused_token, 2) == 2);
    scene.check_serves();

    CHECK(WebSocketClient(scene.port, {.path = data, .origin = "http://evil.example"}).status() ==
          403);
    CHECK(WebSocketClient(scene.port, {.path = data, .origin = ""}).status() == 403);
    CHECK(scene.counted(&Bridge::refused_origin, 2) == 2);
    scene.check_serves();

    const std::string rebound = "evil.example:" + std::to_string(scene.port);
    CHECK(test::http_ask(scene.port, {.target = scene.page, .host = rebound}).status == 421);
    CHECK(WebSocketClient(scene.port, {.path = data, .host = rebound}).status() == 421);
    CHECK(scene.counted(&Bridge::refused_host, 2) == 2);
    scene.check_serves();

    CHECK(WebSocketClient(scene.port, {.path = data, .subprotocol = "chat"}).status() == 400);
    CHECK(scene.counted(&Bridge::refused_subprotocol, 1) == 1);

    CHECK(HttpClient(scene.port).ask_raw("\x16\x03\x01\x02\xff rubbish \xfe\r\n\r\n").status ==
          400);
    CHECK(HttpClient(scene.port).ask_raw("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x')).status ==
          431);
    CHECK(scene.counted(&Bridge::requests_malformed, 2) == 2);
    scene.check_serves();
}

TEST_CASE("who comes in with a stolen token and breaks the protocol is thrown out alone") {
    Scene scene;
    const wire::Message hello = test::hello_of(Channel::data, test::token_in(scene.page));

    SECTION("an oversized frame") {
        auto client = scene.intruder();
        // Masked, binary, 2^40 bytes, none of which follows.
        client.send_raw(bytes_of({0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
        CHECK(client.read_close_code() == 1009);
        CHECK(scene.counted(&Bridge::frames_too_large, 1) == 1);
    }
    SECTION("a message without end") {
        auto client = scene.intruder();
        client.send_fragmented(Bytes(2 << 20, std::byte{0x20}), 1 << 16);
        CHECK(client.read_close_code() == 1009);
        CHECK(scene.counted(&Bridge::frames_too_large, 1) == 1);
    }
    SECTION("a garbage frame") {
        auto client = scene.intruder();
        client.send(Bytes(1000, std::byte{0xa5}));
        CHECK(client.read_close_code() == 1002);
        CHECK(scene.counted(&Bridge::frames_malformed, 1) == 1);
    }
    SECTION("a truncated header") {
        const Bytes whole = test::encoded(hello);
        auto client = scene.intruder();
        client.send(std::span(whole).first(whole.size() / 2)); // of the message's own header
        CHECK(client.read_close_code() == 1002);
        auto shorter = scene.intruder();
        shorter.send(std::span(whole).first(7)); // of the fixed prefix
        CHECK(shorter.read_close_code() == 1002);
        CHECK(scene.counted(&Bridge::frames_malformed, 2) == 2);
    }
    SECTION("a frame that is not masked") {
        auto client = scene.intruder();
        client.send_raw(bytes_of({0x82, 0x01, 0x00}));
        CHECK(client.read_close_code() == 1002);
        CHECK(scene.counted(&Bridge::frames_malformed, 1) == 1);
    }
    SECTION("another first message than hello, a hello for another role, with another token") {
        for (const wire::Message& first :
             {test::pong(1), test::hello_of(Channel::control, test::token_in(scene.page)),
              test::hello_of(Channel::data, std::string(64, 'a'))}) {
            auto client = scene.intruder();
            client.send(first);
            CHECK(client.read_close_code() == 1008);
        }
        CHECK(scene.counted(&Bridge::frames_unexpected, 3) == 3);
        CHECK(scene.counted(&Bridge::refused_token, 1) == 1);
    }
    SECTION("a hello that is begun and never ends") {
        auto client = scene.intruder();
        // The first fragment of a message, without an end.
        client.send_raw(bytes_of({0x02, 0x84, 0, 0, 0, 0, 'E', 'V', 'E', 'R'}));
        scene.check_serves();
        CHECK(client.read_close_code() == 1008); // when the time for the hello is up
        CHECK(scene.counted(&Bridge::hellos_missing, 1) == 1);
    }
    scene.check_serves();
    CHECK(scene.counted().connections_replaced == 0);
    CHECK(scene.pool_test().count_of(PoolEvent::Kind::worker_lost) == 0);
}

TEST_CASE("half requests that take all places cost no inference, and give the places back") {
    Scene scene;
    // More than the bridge lets in at a time; the others are in the backlog.
    std::deque<HttpClient> crowd;
    for (int i = 0; i < 280; ++i)
        crowd.emplace_back(scene.port).write_raw("GET /everpool/page.js HTTP/1.1\r\nHost:");
    scene.check_serves();
    CHECK(crowd.front().is_ended_within(60s));
    scene.check_serves();
    for (HttpClient& client : crowd) CHECK(client.is_ended_within(60s));
    CHECK(scene.counted(&Bridge::requests_unfinished, 280) == 280);
    scene.check_serves();
}

TEST_CASE("a thief who takes a worker's place with its token costs one restart and gets nothing") {
    Scene scene;
    WebSocketClient thief = scene.intruder();
    thief.send(test::hello_of(Channel::data, test::token_in(scene.page)));
    // Not one request, and the door is closed: 1001, the worker is somebody else now.
    const test::WebSocketReading reading = thief.read();
    CHECK_FALSE(reading.is_message);
    CHECK(reading.close_code == 1001);
    scene.check_serves();
    CHECK(scene.counted(&Bridge::connections_replaced, 1) == 1);
    CHECK(scene.pool_test().count_of(PoolEvent::Kind::worker_lost) == 1);

    // A used token opens nothing.
    CHECK(test::http_ask(scene.port, {.target = scene.page}).status == 403);
    CHECK(WebSocketClient(scene.port, {.path = scene.page + "data"}).status() == 403);
    CHECK(scene.counted(&Bridge::refused_token, 2) == 2);
    CHECK(scene.stolen_page() != scene.page);
    scene.check_serves();
}
