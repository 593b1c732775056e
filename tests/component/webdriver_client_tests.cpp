// The WebDriver client against a driver that behaves, and against one that does not.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_client.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/scripted_driver.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using io::WebDriverClient;
using Asked = ScriptedDriver::Asked;
using Reply = ScriptedDriver::Reply;

namespace {

const std::string session_begun =
    R"({"sessionId":"s-1","capabilities":{"browserName":"b","browserVersion":"1.2"}})";

/// Answers the first command with a session, and the rest as the test says.
struct Scene {
    struct Done {
        error_code ec;
        Diagnostics diagnostics;
        std::string value;
    };

    explicit Scene(ScriptedDriver::Script then, std::chrono::milliseconds timeout = 10s,
                   io::WebDriverLimits limits = {})
        : driver(context,
                 [then = std::move(then)](const Asked& asked) {
                     const bool begins = asked.verb == "POST" && asked.target == "/session";
                     return begins ? ScriptedDriver::value(session_begun) : then(asked);
                 }),
          client(
              WebDriverClient::make(context.get_executor(), driver.endpoint(), timeout, limits)) {}
    ~Scene() { client->forget(); }

    WebDriverClient::Handler into(std::optional<Done>& done) {
        return [&done](error_code ec, Diagnostics diagnostics, const boost::json::value& value) {
            REQUIRE_FALSE(done); // once
            done = Done{ec, std::move(diagnostics), boost::json::serialize(value)};
        };
    }
    /// Runs one command to its end.
    template <class Command>
    Done run(Command command) {
        std::optional<Done> done;
        command(*client, into(done));
        CHECK_FALSE(done); // never inside
        run_until([&] { return done.has_value(); });
        return *done;
    }
    Done begin() {
        return run([](WebDriverClient& c, auto handler) { c.new_session({}, 10s, handler); });
    }
    Done navigate() {
        return run([](WebDriverClient& c, auto handler) { c.navigate("http://x/", handler); });
    }
    template <class Condition>
    void run_until(Condition is_true) {
        REQUIRE(tests::run_until(context, is_true));
    }

    boost::asio::io_context context{1};
    ScriptedDriver driver;
    std::shared_ptr<WebDriverClient> client;
};

Reply null_value(const Asked&) { return ScriptedDriver::value("null"); }

bool mentions(const Scene::Done& done, const std::string& words) {
    INFO(done.diagnostics.text());
    return done.diagnostics.text().find(words) != std::string::npos;
}

} // namespace

TEST_CASE(
    "commands go out as the specification writes them, all but the last over one connection") {
    Scene scene(null_value);
    const auto begun = scene.run([](WebDriverClient& c, auto handler) {
        c.new_session({{"alwaysMatch", {{"browserName", "b"}}}}, 10s, handler);
    });
    CHECK_FALSE(begun.ec);
    CHECK(begun.value == R"({"browserName":"b","browserVersion":"1.2"})");
    CHECK(scene.client->has_session());
    const std::vector<std::function<void(WebDriverClient&, WebDriverClient::Handler)>> commands{
        [](auto& c, auto handler) { c.navigate("http://127.0.0.1/", handler); },
        [](auto& c, auto handler) { c.execute_sync("return 1", 1s, handler); },
        [](auto& c, auto handler) { c.window(handler); },
        [](auto& c, auto handler) { c.window_handles(1s, handler); },
        [](auto& c, auto handler) { c.new_window(handler); },
        [](auto& c, auto handler) { c.switch_to_window("w-1", handler); },
        [](auto& c, auto handler) { c.close_window(handler); },
        [](auto& c, auto handler) { c.delete_session(handler); },
    };
    for (const auto& command : commands) CHECK_FALSE(scene.run(command).ec);
    std::vector<std::string> lines;
    for (const Asked& asked : scene.driver.asked)
        lines.push_back(asked.verb + ' ' + asked.target + ' ' + asked.body);
    const std::vector<std::string> expected{
        R"(POST /session {"capabilities":{"alwaysMatch":{"browserName":"b"}}})",
        R"(POST /session/s-1/url {"url":"http://127.0.0.1/"})",
        R"(POST /session/s-1/execute/sync {"script":"return 1","args":[]})",
        "GET /session/s-1/window ",
        "GET /session/s-1/window/handles ",
        R"(POST /session/s-1/window/new {"type":"window"})",
        R"(POST /session/s-1/window {"handle":"w-1"})",
        "DELETE /session/s-1/window ",
        "DELETE /session/s-1 ",
    };
    CHECK(lines == expected);
    for (const Asked& asked : scene.driver.asked) {
        CHECK(asked.connection == (&asked == &scene.driver.asked.back() ? 2 : 1));
        CHECK(asked.host == "127.0.0.1:" + std::to_string(scene.driver.endpoint().port));
    }
    CHECK_FALSE(scene.client->has_session());
}

TEST_CASE("the path of an endpoint stands before every command") {
    boost::asio::io_context context{1};
    ScriptedDriver driver(context, null_value);
    auto endpoint = driver.endpoint();
    endpoint.path = "/wd/hub";
    const auto client = WebDriverClient::make(context.get_executor(), endpoint, 10s);
    bool is_done = false;
    client->new_session({}, 10s, [&](auto&&...) { is_done = true; });
    while (!is_done && context.run_one() != 0) {}
    CHECK(driver.asked.at(0).target == "/wd/hub/session");
    client->forget();
}

TEST_CASE("one command at a time: the next is sent when the one before it is answered") {
    int under_way = 0;
    Scene scene([&](const Asked&) {
        CHECK(++under_way == 1);
        return ScriptedDriver::silence();
    });
    REQUIRE_FALSE(scene.begin().ec);
    int done = 0;
    for (int i = 0; i < 5; ++i)
        scene.client->navigate("http://x/" + std::to_string(i),
                               [&](error_code ec, auto&&...) { done += ec ? 0 : 1; });
    for (int i = 0; i < 5; ++i) {
        scene.run_until([&] { return under_way == 1; });
        scene.context.run_for(10ms); // time for the next one to come too early
        CHECK(done == i);
        --under_way;
        scene.driver.answer_late(scene.driver.asked.back().connection, null_value({}));
    }
    scene.run_until([&] { return done == 5; });
    for (int i = 0; i < 5; ++i)
        CHECK(scene.driver.asked.at(static_cast<std::size_t>(i) + 1).body ==
              R"({"url":"http://x/)" + std::to_string(i) + "\"}");
}

TEST_CASE("a question does not wait behind a command that hangs") {
    Scene scene([](const Asked& asked) {
        return asked.target.ends_with("/url") ? ScriptedDriver::silence()
                                              : ScriptedDriver::value(R"(["w"])");
    });
    REQUIRE_FALSE(scene.begin().ec);
    std::optional<Scene::Done> hanging;
    scene.client->navigate("http://x/", scene.into(hanging));
    const auto answered = scene.run([](WebDriverClient& c, auto handler) {
        c.window_handles(10s, handler, WebDriverClient::Lane::browser_questions);
    });
    CHECK(answered.value == R"(["w"])");
    CHECK_FALSE(hanging);
    scene.client->close(Errc::worker_lost);
    REQUIRE(hanging);
    CHECK(hanging->ec == Errc::worker_lost);
}

TEST_CASE("what a driver refuses keeps its words, bounded and escaped") {
    struct Case {
        const char* error;
        int status;
        Errc code;
    };
    const Case each = GENERATE(Case{"no such window", 404, Errc::worker_lost},
                               Case{"timeout", 500, Errc::worker_unresponsive},
                               Case{"script timeout", 500, Errc::worker_unresponsive},
                               Case{"unknown error", 500, Errc::browser_launch_failed},
                               Case{"something of its own", 400, Errc::browser_launch_failed});
    Scene scene([&](const Asked&) {
        return ScriptedDriver::error(each.error, "a\\tb" + std::string(5000, 'x'), each.status);
    });
    REQUIRE_FALSE(scene.begin().ec);
    const auto done = scene.navigate();
    CHECK(done.ec == each.code);
    CHECK(mentions(done, "the WebDriver command POST /session/s-1/url was refused"));
    CHECK(done.diagnostics.remote_text.starts_with(std::string(each.error) + ": a\\tbxxx"));
    CHECK(done.diagnostics.remote_text.size() <= 1024);
    CHECK(scene.client->has_session());
}

TEST_CASE("a session that is gone is not asked for again, and its end is remembered") {
    Scene scene([](const Asked&) {
        return ScriptedDriver::error("invalid session id",
                                     "session deleted because of page crash or hang.", 404);
    });
    REQUIRE_FALSE(scene.begin().ec);
    CHECK(scene.navigate().ec == Errc::worker_lost);
    CHECK_FALSE(scene.client->has_session());
    const std::size_t count = scene.driver.asked.size();
    const auto done = scene.navigate();
    CHECK(done.ec == Errc::worker_lost);
    CHECK(mentions(done, "has no session to go to"));
    CHECK(mentions(done, "page crash or hang"));
    CHECK(scene.driver.asked.size() == count);
    CHECK_FALSE(scene.begin().ec); // a new one can be had
}

TEST_CASE("an answer that is no WebDriver's is told as that") {
    const auto bytes =
        GENERATE(as<std::string>(), "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nrubbish",
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
                 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                 "HTTP/1.1 500 No\r\nContent-Length: 14\r\n\r\n{\"value\":null}",
                 "HTTP/1.1 404 No\r\nContent-Length: 22\r\n\r\n{\"value\":{\"error\":false}}",
                 "HTTP/1.1 302 Elsewhere\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n",
                 "no HTTP at all\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n");
    CAPTURE(bytes);
    Scene scene([&](const Asked&) { return Reply{.bytes = bytes}; });
    REQUIRE_FALSE(scene.begin().ec);
    const auto done = scene.navigate();
    CHECK(done.ec == Errc::protocol_error);
    CHECK(mentions(done, "/session/s-1/url"));
}

TEST_CASE("an answer nested without end is refused") {
    const std::string deep(100'000, '[');
    Scene scene([&](const Asked&) { return ScriptedDriver::answer("{\"value\":" + deep); });
    REQUIRE_FALSE(scene.begin().ec);
    CHECK(scene.navigate().ec == Errc::protocol_error);
}

TEST_CASE("an answer beyond the limit is refused, and the next command finds a new connection") {
    const bool is_announced = GENERATE(true, false);
    const std::string large = "{\"value\":\"" + std::string(2000, 'x') + "\"}";
    int count = 0;
    Scene scene(
        [&](const Asked&) {
            if (++count > 1) return ScriptedDriver::value("null");
            if (is_announced) return ScriptedDriver::answer(large);
            return Reply{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "800\r\n" +
                                  std::string(2048, 'x') + "\r\n"};
        },
        10s, {.answer_bytes_max = 1000});
    REQUIRE_FALSE(scene.begin().ec);
    const auto done = scene.navigate();
    CHECK(done.ec == Errc::message_too_large);
    CHECK(mentions(done, "larger answer than is allowed"));
    CHECK_FALSE(scene.navigate().ec);
    CHECK(scene.driver.asked.back().connection == 2);
}

TEST_CASE("a header without end is refused") {
    Scene scene([](const Asked&) {
        return Reply{.bytes = "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')};
    });
    REQUIRE_FALSE(scene.begin().ec);
    CHECK(scene.navigate().ec == Errc::message_too_large);
}

TEST_CASE("a command that is never answered ends in time, and the next one is not its victim") {
    int count = 0;
    Scene scene(
        [&](const Asked&) {
            return ++count == 1 ? ScriptedDriver::silence() : ScriptedDriver::value("null");
        },
        2s); // the second one's as well, whatever else the machine does
    REQUIRE_FALSE(scene.begin().ec);
    std::optional<Scene::Done> first, second;
    scene.client->navigate("http://x/1", scene.into(first));
    scene.client->navigate("http://x/2", scene.into(second));
    scene.run_until([&] { return second.has_value(); });
    CHECK(first->ec == Errc::worker_unresponsive);
    CHECK(mentions(*first, "was not answered in time"));
    CHECK_FALSE(second->ec);
    CHECK(scene.driver.asked.back().connection == 2);
}

TEST_CASE("a driver that hangs up midway is told as lost") {
    const auto bytes = GENERATE(as<std::string>(), "HTTP/1.1 200 OK\r\nContent-Le",
                                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"value\":");
    Scene scene([&](const Asked&) { return Reply{.bytes = bytes, .closes_after = true}; });
    REQUIRE_FALSE(scene.begin().ec);
    const auto done = scene.navigate();
    CHECK(done.ec == Errc::worker_lost);
    CHECK(mentions(done, "was cut off"));
}

TEST_CASE("a kept connection that the driver has closed meanwhile costs nothing") {
    Scene scene([](const Asked&) {
        Reply reply = ScriptedDriver::value("null"); // without "Connection: close"
        reply.closes_after = true;
        return reply;
    });
    REQUIRE_FALSE(scene.begin().ec);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(scene.navigate().ec);
    CHECK(scene.driver.asked.size() == 4);
}

TEST_CASE("a driver that hangs up on every request is not asked for ever") {
    Scene scene([](const Asked&) { return Reply{.bytes = {}, .closes_after = true}; });
    REQUIRE_FALSE(scene.begin().ec);
    CHECK(scene.navigate().ec == Errc::worker_lost);
    CHECK(scene.driver.asked.size() == 3); // the session, and the command on two connections
}

TEST_CASE("where nobody listens a command fails at once") {
    Scene scene(null_value);
    scene.driver.stop_listening();
    const auto done = scene.begin();
    CHECK(done.ec == Errc::worker_lost);
    CHECK(mentions(done, "finds nobody there"));
    CHECK(done.diagnostics.last_cause);
}

TEST_CASE("a session's name that could leave its place in the path is refused") {
    const auto name = GENERATE(as<std::string>(), "", "..", "a/b", "a?b", "a b", "a\\r\\nX: y");
    boost::asio::io_context context{1};
    ScriptedDriver driver(context, [&](const Asked&) {
        return ScriptedDriver::value(R"({"sessionId":")" + name + R"(","capabilities":{}})");
    });
    const auto client = WebDriverClient::make(context.get_executor(), driver.endpoint(), 10s);
    std::optional<error_code> done;
    client->new_session({}, 10s, [&](error_code ec, auto&&...) { done = ec; });
    while (!done && context.run_one() != 0) {}
    CHECK(done == Errc::protocol_error);
    CHECK_FALSE(client->has_session());
    client->forget();
}

TEST_CASE("a queue that is full refuses the newest, and nobody is called after forget") {
    Scene scene([](const Asked&) { return ScriptedDriver::silence(); }, 10s,
                {.queue_count_max = 2});
    REQUIRE_FALSE(scene.begin().ec);
    int called = 0;
    for (int i = 0; i < 2; ++i)
        scene.client->navigate("http://x/", [&](error_code, auto&&...) { ++called; });
    CHECK(scene.navigate().ec == Errc::queue_full);
    scene.client->forget();
    tests::settle(scene.context);
    CHECK(called == 0);
}

TEST_CASE("a host that goes ends its session without waiting for an answer") {
    const auto state = GENERATE(as<std::string>(), "idle", "closed by the driver", "hanging");
    CAPTURE(state);
    Scene scene([&](const Asked& asked) {
        Reply reply = asked.target.ends_with("/url") && state == "hanging"
                          ? ScriptedDriver::silence()
                          : null_value(asked);
        reply.closes_after = state == "closed by the driver";
        return reply;
    });
    REQUIRE_FALSE(scene.begin().ec);
    scene.client->navigate("http://x/", [](auto&&...) {});
    scene.run_until([&] { return scene.driver.asked.size() == 2; });
    scene.context.run_for(10ms);
    scene.client->abandon_session(); // writes and returns though nobody reads yet
    scene.client->forget();
    CHECK_FALSE(scene.client->has_session());
    scene.run_until([&] { return scene.driver.asked.size() == 3; });
    CHECK(scene.driver.asked[2].verb == "DELETE");
    CHECK(scene.driver.asked[2].target == "/session/s-1");
    CHECK(scene.driver.asked[2].connection == (state == "idle" ? 1 : 2));
}
