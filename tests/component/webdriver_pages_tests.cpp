// Several pages of one WebDriver session, which has one current window: each is asked in its own.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_pages.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/scripted_driver.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Asked = ScriptedDriver::Asked;
using Reply = ScriptedDriver::Reply;

namespace {

/// A driver with windows, and two pages in them: "w-1", and "w-2", which is the current window.
struct Scene {
    Scene() {
        pages->begin({}, 10s, [this](error_code ec, auto&&...) { count(ec); });
        wait_for(1);
        for (int i = 0; i < 2; ++i)
            pages->open("http://x/", [this](error_code ec, auto&&...) { count(ec); });
        wait_for(2);
        REQUIRE(window == "w-2");
        driver.asked.clear();
    }
    ~Scene() { pages->forget(); }

    Reply answer(const Asked& asked) {
        const auto is = [&](const char* verb, const char* end) {
            return asked.verb == verb && asked.target.ends_with(end);
        };
        if (is("POST", "/session"))
            return ScriptedDriver::value(R"({"sessionId":"s-1","capabilities":{}})");
        if (is("GET", "/window")) return ScriptedDriver::value("\"w-1\"");
        if (is("POST", "/window/new")) return ScriptedDriver::value(R"({"handle":"w-2"})");
        if (is("POST", "/window"))
            window = boost::json::parse(asked.body).at("handle").as_string().c_str();
        if (is("POST", "/execute/sync")) {
            scripts.push_back({window, asked.body});
            if (is_slow && is_slow(asked)) return ScriptedDriver::silence();
        }
        return ScriptedDriver::value("null");
    }

    void count(error_code ec) {
        CHECK_FALSE(ec);
        ++done;
    }
    io::Browser::Handler counting() {
        return [this](error_code ec, const Diagnostics&) { count(ec); };
    }
    io::Browser::Handler losing() {
        return
            [this](error_code ec, const Diagnostics&) { lost += ec == Errc::worker_lost ? 1 : 0; };
    }
    template <class Condition>
    void run_until(Condition is_true) {
        REQUIRE(tests::run_until(context, is_true));
    }
    void wait_for(int how_many) {
        run_until([&] { return done == how_many; });
        done = 0;
    }

    struct Script {
        std::string window, body;
    };
    boost::asio::io_context context{1};
    std::string window{"w-1"};
    std::vector<Script> scripts; ///< and the window in which each of them ran
    std::function<bool(const Asked&)> is_slow;
    int done{0}, lost{0};
    ScriptedDriver driver{context, [this](const Asked& asked) { return answer(asked); }};
    std::shared_ptr<io::WebDriverPages> pages = std::make_shared<io::WebDriverPages>(
        io::WebDriverClient::make(context.get_executor(), driver.endpoint(), 10s),
        [](auto&&...) { FAIL("no page is lost"); }, false);
};

} // namespace

TEST_CASE("no window is switched to while a page is asked something") {
    Scene scene;
    scene.is_slow = [](const Asked&) { return true; };
    scene.pages->ask_page("w-2", scene.counting());
    scene.pages->navigate("w-1", "http://y/", scene.counting());
    scene.run_until([&] { return !scene.driver.asked.empty(); });
    scene.context.run_for(10ms); // time for the switch to come too early
    REQUIRE(scene.driver.asked.size() == 1);
    CHECK(scene.driver.asked[0].target == "/session/s-1/execute/sync");
    scene.driver.answer_late(scene.driver.asked[0].connection, ScriptedDriver::value("1"));
    scene.wait_for(2);
    REQUIRE(scene.driver.asked.size() == 3);
    CHECK(scene.driver.asked[1].body == R"({"handle":"w-1"})");
    CHECK(scene.driver.asked[2].body == R"({"url":"http://y/"})");
}

TEST_CASE("an operation that waits for its window is not overtaken by more questions") {
    Scene scene;
    scene.is_slow = [&](const Asked&) { return scene.scripts.size() == 1; };
    scene.pages->ask_page("w-2", scene.counting());
    scene.pages->navigate("w-1", "http://y/", scene.counting());
    scene.pages->execute("w-2", io::PageThread::main, "0", scene.counting());
    scene.run_until([&] { return !scene.driver.asked.empty(); });
    scene.driver.answer_late(scene.driver.asked[0].connection, ScriptedDriver::value("1"));
    scene.wait_for(3);
    scene.run_until([&] { return scene.scripts.size() == 3; }); // the last does not answer for it
    CHECK(scene.driver.asked[2].body == R"({"url":"http://y/"})");
    CHECK(scene.scripts[1].window == "w-2");
}

TEST_CASE("a page that never answers holds its window for the time of a question only") {
    Scene scene;
    scene.is_slow = [](const Asked&) { return true; };
    bool has_failed = false;
    scene.pages->ask_page("w-2", [&](error_code ec, const Diagnostics&) {
        has_failed = ec == Errc::worker_unresponsive;
    });
    scene.pages->navigate("w-1", "http://y/", scene.counting());
    scene.wait_for(1);
    CHECK(has_failed);
}

TEST_CASE("a page is not asked again before it has answered, and then for all who have asked") {
    Scene scene;
    scene.is_slow = [&](const Asked&) { return scene.scripts.size() == 1; };
    for (int i = 0; i < 5; ++i) scene.pages->ask_page("w-2", scene.counting());
    scene.run_until([&] { return !scene.driver.asked.empty(); });
    scene.driver.answer_late(scene.driver.asked[0].connection, ScriptedDriver::value("1"));
    scene.wait_for(5);
    CHECK(scene.scripts.size() == 2);
}

TEST_CASE("no script begins in a window that is being closed") {
    Scene scene;
    scene.is_slow = [](const Asked&) { return true; };
    int answered = 0;
    scene.pages->ask_page("w-2", [&](auto&&...) { ++answered; });
    scene.pages->ask_page("w-2", scene.losing()); // to be asked when the first has answered
    scene.pages->execute("w-2", io::PageThread::main, "0", scene.losing()); // waits in its lane
    scene.run_until([&] { return scene.scripts.size() == 1; });
    scene.pages->close("w-2", scene.counting());
    scene.pages->ask_page("w-2", scene.losing());
    scene.driver.answer_late(scene.driver.asked[0].connection, ScriptedDriver::value("1"));
    scene.wait_for(1);
    scene.run_until([&] { return scene.lost == 3; });
    CHECK(answered == 1);
    CHECK(scene.scripts.size() == 1);
    // What the browser answers in its turn comes between.
    REQUIRE(scene.driver.asked.size() == 3);
    CHECK(scene.driver.asked[1].target == "/session/s-1/window/handles");
    CHECK(scene.driver.asked[2].verb == "DELETE");
}

TEST_CASE("every script runs in the page that it is for") {
    Scene scene;
    constexpr int rounds = 20;
    for (int i = 0; i < rounds; ++i) {
        for (const char* page : {"w-2", "w-1", "w-1"})
            scene.pages->execute(page, io::PageThread::main, std::string("'") + page + "'",
                                 scene.counting());
        scene.pages->ask_page("w-2", scene.counting());
        scene.context.run_for(1ms); // they begin from one window, and from the other
    }
    scene.wait_for(rounds * 4);
    int others = 0; // than those that ask for a sign of life
    scene.run_until([&] {
        others = static_cast<int>(std::ranges::count_if(scene.scripts, [](const auto& script) {
            return script.body.find("'w-") != std::string::npos;
        }));
        return others == rounds * 3;
    });
    for (const auto& [window, body] : scene.scripts) {
        if (body.find("'w-") == std::string::npos) continue;
        CHECK(body.find('\'' + window + '\'') != std::string::npos);
    }
}

TEST_CASE("an operation that waits for its window is cut off with the rest") {
    Scene scene;
    scene.is_slow = [](const Asked&) { return true; };
    scene.pages->ask_page("w-2", scene.losing());
    scene.pages->navigate("w-1", "http://y/", scene.losing());
    scene.run_until([&] { return !scene.driver.asked.empty(); });
    scene.pages->cut(Errc::worker_lost);
    scene.run_until([&] { return scene.lost == 2; });
}
