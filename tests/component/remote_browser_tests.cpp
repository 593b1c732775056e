// The end of a session at somebody else's endpoint: a session that nobody ends holds a place there
// for as long as the endpoint cares, and a browser with it.
// SPDX-License-Identifier: BSL-1.0
#include "io/browser.hpp"
#include "io/webdriver_client.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/scripted_driver.hpp"
#include "support/temporary_directory.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Asked = ScriptedDriver::Asked;
using Reply = ScriptedDriver::Reply;

namespace {

Reply session_begun() {
    return ScriptedDriver::value(R"({"sessionId":"s-1","capabilities":{"browserVersion":"1.2"}})");
}
bool is_beginning(const Asked& asked) { return asked.verb == "POST" && asked.target == "/session"; }
bool is_end(const Asked& asked) { return asked.verb == "DELETE" && asked.target == "/session/s-1"; }

/// Answers all but what the test calls `slow`.
struct Scene final : io::BrowserListener {
    using Slow = bool (*)(const Asked&);

    explicit Scene(Slow slow, std::chrono::milliseconds close_grace = 30s)
        : driver(context, [slow](const Asked& asked) {
              if (slow(asked)) return ScriptedDriver::silence();
              if (is_beginning(asked)) return session_begun();
              return ScriptedDriver::value(asked.verb == "GET" ? "\"w-1\"" : "null");
          }) {
        io::BrowserOptions options;
        options.spec.type = BrowserType::chromium;
        options.spec.webdriver.endpoint =
            "http://127.0.0.1:" + std::to_string(driver.endpoint().port);
        options.directory = directory.path;
        options.launch_timeout = 200ms;
        options.close_grace = close_grace;
        browser = io::make_browser(context.get_executor(), std::move(options), *this);
    }
    void on_browser_exited(int) override { FAIL("there is no process"); }
    void on_page_crashed(const io::PageId&, const std::string&) override { FAIL("no page"); }

    template <class Condition>
    void run_until(Condition is_true) {
        REQUIRE(tests::run_until(context, is_true));
    }
    error_code launch() {
        std::optional<error_code> launched;
        browser->async_launch([&](error_code ec, const Diagnostics&) { launched = ec; });
        run_until([&] { return launched.has_value() && !driver.asked.empty(); });
        return *launched;
    }
    /// As a worker's driver does it: the browser belongs to the handler from now on.
    /// Whether that is still there, the answer tells.
    std::weak_ptr<io::Browser> close_and_let_go() {
        const std::shared_ptr<io::Browser> owner = std::move(browser);
        owner->async_close(false, [this, owner](error_code, const Diagnostics&) { ++closed; });
        return owner;
    }
    [[nodiscard]] bool was_asked_to_end() const {
        return !driver.asked.empty() && is_end(driver.asked.back());
    }

    boost::asio::io_context context{1};
    TemporaryDirectory directory;
    ScriptedDriver driver;
    std::unique_ptr<io::Browser> browser;
    int closed{0};
};

} // namespace

TEST_CASE("a session that comes after its launch has been given up is ended") {
    Scene scene(is_beginning);
    CHECK(scene.launch() == Errc::browser_launch_failed);
    scene.driver.answer_late(1, session_begun());
    scene.run_until([&] { return scene.was_asked_to_end(); });
    const auto owner = scene.close_and_let_go();
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.closed == 1);
    CHECK(scene.driver.asked.size() == 2); // it is not ended twice
}

TEST_CASE("a close waits for a session that is late, and ends it") {
    Scene scene(is_beginning);
    CHECK(scene.launch() == Errc::browser_launch_failed);
    const auto owner = scene.close_and_let_go();
    scene.context.run_for(10ms);
    CHECK(scene.closed == 0);
    scene.driver.answer_late(1, session_begun());
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.closed == 1);
    CHECK(scene.was_asked_to_end());
}

TEST_CASE("a session that is later than the close's grace is ended all the same") {
    Scene scene(is_beginning, 50ms);
    CHECK(scene.launch() == Errc::browser_launch_failed);
    const auto owner = scene.close_and_let_go();
    scene.run_until([&] { return scene.closed == 1; });
    CHECK_FALSE(owner.expired());
    CHECK(scene.driver.asked.size() == 1);
    scene.driver.answer_late(1, session_begun());
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.was_asked_to_end());
    CHECK(scene.closed == 1);
}

TEST_CASE("what is late and no session leaves nothing to be ended") {
    const auto late =
        GENERATE(as<Reply>(), ScriptedDriver::error("session not created", "no room", 500),
                 ScriptedDriver::value(R"({"sessionId":"../x","capabilities":{}})"),
                 Reply{.bytes = "no HTTP at all\r\n\r\n", .closes_after = true},
                 Reply{.bytes = {}, .closes_after = true});
    Scene scene(is_beginning);
    CHECK(scene.launch() == Errc::browser_launch_failed);
    const auto owner = scene.close_and_let_go();
    scene.driver.answer_late(1, late);
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.closed == 1);
    CHECK(scene.driver.asked.size() == 1);
}

// A host whose event loop is to end does not wait a minute for a session that may never come.
TEST_CASE("who destroys a browser whose session is late is not kept waiting") {
    Scene scene(is_beginning, 50ms);
    CHECK(scene.launch() == Errc::browser_launch_failed);
    const bool is_closed = GENERATE(false, true);
    CAPTURE(is_closed);
    std::shared_ptr<io::Browser> browser = std::move(scene.browser);
    if (is_closed) {
        browser->async_close(true, [&](error_code, const Diagnostics&) { ++scene.closed; });
        scene.run_until([&] { return scene.closed == 1; });
    }
    browser.reset();
    scene.driver.stop_listening();
    scene.context.restart();
    scene.context.run_for(20s);
    CHECK(scene.context.stopped()); // there was nothing left to do
}

TEST_CASE("an end that is not answered in the close's grace does not hold up the close") {
    Scene scene(is_end, 50ms);
    CHECK_FALSE(scene.launch());
    const auto owner = scene.close_and_let_go();
    scene.run_until([&] { return scene.closed == 1; });
    CHECK_FALSE(owner.expired());
    REQUIRE(scene.was_asked_to_end());
    const std::size_t count = scene.driver.asked.size();
    scene.driver.answer_late(scene.driver.asked.back().connection, ScriptedDriver::value("null"));
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.driver.asked.size() == count); // nor is it asked for twice
}

TEST_CASE("a command that hangs does not hold up the end of its session") {
    Scene scene([](const Asked& asked) { return asked.target.ends_with("/url"); });
    CHECK_FALSE(scene.launch());
    std::optional<error_code> opened;
    scene.browser->async_open_page("http://x/",
                                   [&](error_code ec, Diagnostics, io::PageId) { opened = ec; });
    scene.run_until([&] { return scene.driver.asked.back().target.ends_with("/url"); });
    const auto owner = scene.close_and_let_go();
    scene.run_until([&] { return owner.expired(); });
    CHECK(scene.was_asked_to_end());
    CHECK(scene.closed == 1);
    CHECK(opened == Errc::worker_lost);
}

TEST_CASE("a late session is not waited for beyond the limit") {
    boost::asio::io_context context{1};
    ScriptedDriver driver(context, [](const Asked&) { return ScriptedDriver::silence(); });
    const auto client = io::WebDriverClient::make(context.get_executor(), driver.endpoint(), 10s,
                                                  {.patience = 50ms});
    bool has_parted = false;
    client->new_session({}, 200ms, [&](error_code ec, const Diagnostics& why, auto&&...) {
        CHECK(ec == Errc::worker_unresponsive);
        CHECK(why.message.find("was not answered in time") != std::string::npos);
        CHECK(client->awaits_session());
        client->leave(Errc::worker_lost, [&] { has_parted = true; });
        CHECK_FALSE(has_parted); // never inside
    });
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!has_parted && context.run_one_until(deadline) != 0) {}
    CHECK(has_parted);
    CHECK_FALSE(client->awaits_session());
    CHECK(driver.asked.size() <= 1);
    client->forget();
}
