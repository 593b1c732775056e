// A driver that offers WebDriver BiDi, or seems to: what is offered is used, what fails is done
// without, and what is remote leads nowhere but to the endpoint.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_capabilities.hpp"
#include "io/webdriver_pages.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/scripted_bidi.hpp"
#include "support/scripted_driver.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Asked = ScriptedDriver::Asked;
using Reply = ScriptedDriver::Reply;

namespace {

constexpr const char* no_such_thread = R"({"realms":[]})";

/// A driver with one page, "w-1", and a BiDi that may or may not be offered.
struct Scene {
    ~Scene() { pages->forget(); }

    void begin(const std::string& offered) {
        offer = offered;
        pages->begin(io::webdriver_capabilities(BrowserSpec{}, 1s), 10s,
                     [this](error_code ec, auto&&...) { result = ec; });
        CHECK_FALSE(wait());
        pages->open("http://x/", [this](error_code ec, auto&&...) { result = ec; });
        CHECK_FALSE(wait());
        driver.asked.clear();
        bidi.asked.clear();
    }
    void begin_with_bidi() {
        begin('"' + bidi.address() + '"');
        REQUIRE(pages->has_bidi());
    }

    Reply answer(const Asked& asked) {
        const auto is = [&](const char* verb, const char* end) {
            return asked.verb == verb && asked.target.ends_with(end);
        };
        if (is("POST", "/session")) {
            if (is_old && asked.body.find("webSocketUrl") != std::string::npos)
                return ScriptedDriver::error("invalid argument", "what is webSocketUrl?", 400);
            return ScriptedDriver::value(R"({"sessionId":"s-1","capabilities":{)" +
                                         (offer.empty() ? "" : R"("webSocketUrl":)" + offer) +
                                         "}}");
        }
        if (asked.target == "/session/s-1/se/bidi")
            return ScriptedDriver::error("unknown command", "no", 404);
        if (is("GET", "/window")) return ScriptedDriver::value("\"w-1\"");
        if (is_hung) return ScriptedDriver::silence();
        if (is("GET", "/window/handles")) return ScriptedDriver::value(R"(["w-1"])");
        if (is_crashed && is("POST", "/execute/sync"))
            return ScriptedDriver::error("unknown error", "tab crashed", 500);
        return ScriptedDriver::value("null");
    }

    std::optional<std::string> answer_bidi(const ScriptedBidi::Asked& asked) const {
        if (asked.method == silent_about || silent_about == "*") return std::nullopt;
        if (asked.method == "script.getRealms") return realms;
        return "{}";
    }

    /// Of what was asked last.
    error_code wait() {
        REQUIRE(tests::run_until(context, [&] { return result.has_value(); }));
        return *std::exchange(result, std::nullopt);
    }
    io::Browser::Handler asking() {
        return [this](error_code ec, const Diagnostics&) { result = ec; };
    }
    error_code ask_page() {
        pages->ask_page("w-1", asking());
        return wait();
    }
    error_code ask_browser() {
        pages->ask_browser(asking());
        return wait();
    }
    error_code execute(io::PageThread thread) {
        pages->execute("w-1", thread, "mine()", asking());
        return wait();
    }
    [[nodiscard]] bool was_asked_classic(std::string_view end) const {
        return std::ranges::any_of(driver.asked,
                                   [&](const Asked& one) { return one.target.ends_with(end); });
    }

    std::string offer; ///< JSON
    bool is_old{false}, is_hung{false}, is_crashed{false};
    std::string silent_about, realms{R"({"realms":[{"realm":"r-1"},{"realm":"r-2"}]})"};
    std::optional<error_code> result;
    std::vector<std::string> lost;

    boost::asio::io_context context{1};
    ScriptedDriver driver{context, [this](const Asked& asked) { return answer(asked); }};
    ScriptedBidi bidi{context, [this](const auto& asked) { return answer_bidi(asked); }};
    std::shared_ptr<io::WebDriverPages> pages = std::make_shared<io::WebDriverPages>(
        io::WebDriverClient::make(context.get_executor(), driver.endpoint(), 2s),
        [this](const io::PageId& page, const std::string& reason) {
            lost.push_back(page + ": " + reason);
        },
        true);
};

} // namespace

TEST_CASE("where BiDi is offered, questions are answered while the driver's commands hang") {
    Scene scene;
    scene.begin_with_bidi();
    scene.is_hung = true;
    CHECK_FALSE(scene.ask_page());
    CHECK_FALSE(scene.ask_browser());
    CHECK(scene.driver.asked.empty());
    CHECK(scene.bidi.has_been_asked("browsingContext.getTree"));
}

TEST_CASE("over BiDi a script reaches the thread that it is for, after a question to it") {
    Scene scene;
    scene.begin_with_bidi();
    CHECK_FALSE(scene.execute(io::PageThread::compute));
    REQUIRE(tests::run_until(scene.context, [&] { return scene.bidi.asked.size() == 3; }));
    CHECK(scene.bidi.asked[0].params.at("type") == "dedicated-worker");
    CHECK(scene.bidi.asked[1].params.at("expression") == "1");
    CHECK(scene.bidi.asked[2].params.at("target").at("realm") == "r-2");
    CHECK(scene.bidi.asked[2].params.at("expression").as_string().find("mine()") !=
          std::string::npos);

    scene.realms = no_such_thread;
    CHECK(scene.execute(io::PageThread::compute) == Errc::worker_lost);
    CHECK(scene.driver.asked.empty());
    CHECK_FALSE(scene.execute(io::PageThread::main)); // WebDriver can do that alone
    CHECK(scene.was_asked_classic("/execute/sync"));
}

TEST_CASE("a page that ends by itself is an event over BiDi, and told once") {
    Scene scene;
    scene.begin_with_bidi();
    for (const char* context : {"w-9", "w-1", "w-1"})
        scene.bidi.say(R"({"type":"event","method":"browsingContext.contextDestroyed","params":)"
                       R"({"context":")" +
                       std::string(context) + "\"}}");
    CHECK_FALSE(scene.ask_browser()); // after these
    CHECK(scene.lost == std::vector<std::string>{"w-1: closed by itself"});
}

// chromedriver says for ever that it crashed.
TEST_CASE("a page that was loaded anew after its crash is lost only if BiDi finds it dead too") {
    Scene scene;
    scene.begin_with_bidi();
    scene.is_crashed = true;
    scene.pages->examine();
    REQUIRE(tests::run_until(scene.context, [&] { return scene.lost.size() == 1; }));
    CHECK(scene.lost[0].find("tab crashed") != std::string::npos);
    CHECK_FALSE(scene.bidi.has_been_asked("script.evaluate")); // there is no doubt yet
    scene.pages->navigate("w-1", "http://x/", scene.asking());
    CHECK_FALSE(scene.wait());

    scene.pages->examine();
    REQUIRE(tests::run_until(scene.context,
                             [&] { return scene.bidi.has_been_asked("script.evaluate"); }));
    CHECK_FALSE(scene.ask_page()); // and the answer before this one has come
    CHECK(scene.lost.size() == 1);

    scene.silent_about = "script.evaluate";
    scene.pages->examine();
    REQUIRE(tests::run_until(scene.context, [&] { return scene.lost.size() == 2; }));
}

TEST_CASE("a page that is silent over BiDi is not asked again where it would block the driver") {
    Scene scene;
    scene.begin_with_bidi();
    scene.silent_about = "script.evaluate";
    CHECK(scene.ask_page() == Errc::worker_unresponsive);
    CHECK_FALSE(scene.ask_browser());
    CHECK(scene.pages->has_bidi());
    CHECK(scene.driver.asked.empty());
}

TEST_CASE("a driver without BiDi, or with an address that is none, is used as it is") {
    const std::string offered =
        GENERATE(as<std::string>(), "", "null", "true", "7", "{}", "\"\"", "\"nonsense\"",
                 "\"ws://\"", "\"ws://127.0.0.1\"", "\"wss://127.0.0.1/session/s-1\"",
                 R"("ws://127.0.0.1/a\r\nX: y")", R"("ws://a@127.0.0.1/b")");
    CAPTURE(offered);
    Scene scene;
    scene.begin(offered);
    CHECK_FALSE(scene.pages->has_bidi());
    CHECK_FALSE(scene.ask_page());
    CHECK_FALSE(scene.ask_browser());
    CHECK(scene.was_asked_classic("/execute/sync"));
    CHECK(scene.was_asked_classic("/window/handles"));
    CHECK(scene.execute(io::PageThread::compute) == Errc::unknown_operation);
    CHECK(scene.bidi.connections == 0);
}

TEST_CASE("an address at another host is asked for at the endpoint itself, and nowhere else") {
    Scene scene;
    scene.offer = R"("ws://192.0.2.1:)" + std::to_string(scene.driver.endpoint().port) +
                  R"(/session/s-1/se/bidi")";
    scene.pages->begin({}, 10s, [&](error_code ec, auto&&...) { scene.result = ec; });
    CHECK_FALSE(scene.wait());
    CHECK(scene.was_asked_classic("/session/s-1/se/bidi")); // and has refused
    CHECK_FALSE(scene.pages->has_bidi());
    CHECK_FALSE(scene.ask_browser());
}

TEST_CASE("nobody at the address, or nobody who speaks, leaves WebDriver alone") {
    Scene scene;
    const std::string address = '"' + scene.bidi.address() + '"';
    const bool is_silent = GENERATE(false, true);
    CAPTURE(is_silent);
    if (is_silent) scene.silent_about = "*";
    else scene.bidi.stop_listening();
    scene.begin(address);
    CHECK_FALSE(scene.pages->has_bidi());
    CHECK_FALSE(scene.ask_page());
    CHECK(scene.was_asked_classic("/execute/sync"));
}

TEST_CASE("what waits for a connection that breaks is asked of WebDriver, and so is all later") {
    Scene scene;
    scene.begin_with_bidi();
    scene.silent_about = "*";
    const bool is_page = GENERATE(false, true);
    CAPTURE(is_page);
    if (is_page) scene.pages->ask_page("w-1", scene.asking());
    else scene.pages->ask_browser(scene.asking());
    REQUIRE(tests::run_until(scene.context, [&] { return !scene.bidi.asked.empty(); }));
    scene.bidi.hang_up();
    CHECK_FALSE(scene.wait());
    CHECK_FALSE(scene.pages->has_bidi());
    CHECK_FALSE(scene.ask_page());
    CHECK_FALSE(scene.ask_browser());
    CHECK(scene.bidi.connections == 1);
    CHECK(scene.execute(io::PageThread::compute) == Errc::unknown_operation);
}

// In chromedriver's browser no new page and no new thread would begin any more.
TEST_CASE("a BiDi that keeps silent is a silent browser, even while WebDriver answers") {
    Scene scene;
    scene.begin_with_bidi();
    scene.silent_about = "*";
    CHECK(scene.ask_browser() == Errc::worker_unresponsive);
    CHECK(scene.driver.asked.empty());
    scene.silent_about.clear();
    CHECK_FALSE(scene.ask_browser());
}

TEST_CASE("rubbish over BiDi is passed over, and an error is no answer") {
    Scene scene;
    scene.begin_with_bidi();
    for (const char* text :
         {"", "null", "[", "{}", R"({"type":7})", R"({"type":"event"})",
          R"({"type":"event","method":"browsingContext.contextDestroyed","params":7})",
          R"({"type":"event","method":"browsingContext.contextDestroyed","params":{"context":[]}})",
          R"({"type":"success","id":"1","result":{}})", R"({"type":"success","id":99,"result":7})",
          R"({"type":"error","id":null,"error":"x"})"})
        scene.bidi.say(text);
    CHECK_FALSE(scene.ask_page());
    for (const char* realms : {"7", "{}", R"({"realms":7})", R"({"realms":[]})",
                               R"({"realms":[7]})", R"({"realms":[{"realm":7}]})"}) {
        CAPTURE(realms);
        scene.realms = realms;
        CHECK(scene.execute(io::PageThread::compute) == Errc::worker_lost);
    }
    CHECK(scene.pages->has_bidi());
    CHECK(scene.lost.empty());
}

TEST_CASE("a driver that is too old to know the word is asked again without it") {
    Scene scene;
    scene.is_old = true;
    scene.begin("");
    CHECK_FALSE(scene.ask_page());
}

TEST_CASE("what waits for BiDi is cut off with the rest") {
    Scene scene;
    scene.begin_with_bidi();
    scene.silent_about = "*";
    scene.pages->ask_page("w-1", scene.asking());
    REQUIRE(tests::run_until(scene.context, [&] { return !scene.bidi.asked.empty(); }));
    SECTION("with an answer") {
        scene.pages->cut(Errc::worker_lost);
        CHECK(scene.wait() == Errc::worker_lost);
    }
    SECTION("without a word") {
        scene.pages->forget();
        scene.context.run_for(20ms);
        CHECK_FALSE(scene.result);
    }
}

TEST_CASE("a session that is cut off while its BiDi is connecting has begun for nobody") {
    Scene scene;
    scene.silent_about = "*";
    scene.offer = '"' + scene.bidi.address() + '"';
    scene.pages->begin({}, 10s, [&](error_code ec, auto&&...) { scene.result = ec; });
    REQUIRE(tests::run_until(scene.context, [&] { return !scene.bidi.asked.empty(); }));
    scene.pages->cut(Errc::worker_lost);
    CHECK(scene.wait() == Errc::worker_lost);
}
