// Commands to a browser: each is answered, late, or cut off, and exactly once.
// SPDX-License-Identifier: BSL-1.0
#include "io/pending_commands.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace everpool;
using namespace std::chrono_literals;
using io::PendingCommands;

namespace {

struct CommandScene {
    struct Done {
        std::string command;
        error_code ec;
        Diagnostics diagnostics;
        boost::json::value result;
    };
    explicit CommandScene(std::chrono::milliseconds timeout = 10s)
        : commands(std::make_shared<PendingCommands>(context.get_executor(), timeout)) {}

    std::uint64_t add(const char* method) {
        return commands->add(method, [this, method](error_code ec, Diagnostics diagnostics,
                                                    const boost::json::value& result) {
            done.push_back({method, ec, std::move(diagnostics), result});
        });
    }

    boost::asio::io_context context;
    std::shared_ptr<PendingCommands> commands;
    std::vector<Done> done;
};

} // namespace

TEST_CASE("an answer goes to the command with its number, and to no other") {
    CommandScene scene;
    const auto first = scene.add("first");
    const auto second = scene.add("second");
    CHECK(first != second);
    CHECK(scene.commands->complete(second, {{"x", 1}}));
    REQUIRE(scene.done.size() == 1);
    CHECK(scene.done[0].command == "second");
    CHECK_FALSE(scene.done[0].ec);
    CHECK(scene.done[0].result.at("x") == 1);
    CHECK_FALSE(scene.commands->complete(second, {})); // a second answer has no taker
    CHECK_FALSE(scene.commands->complete(999, {}));
    CHECK(scene.done.size() == 1);
}

TEST_CASE("a refusal carries the engine's words, apart from ours and escaped") {
    CommandScene scene;
    scene.commands->fail(scene.add("Page.navigate"), Errc::browser_launch_failed, "was refused",
                         "no\nsuch \x1b[31mpage");
    REQUIRE(scene.done.size() == 1);
    CHECK(scene.done[0].ec == Errc::browser_launch_failed);
    CHECK(scene.done[0].diagnostics.message == "the browser command Page.navigate was refused");
    CHECK(scene.done[0].diagnostics.remote_text.find("such") != std::string::npos);
    CHECK(scene.done[0].diagnostics.remote_text.find('\n') == std::string::npos);
    CHECK(scene.done[0].diagnostics.remote_text.find('\x1b') == std::string::npos);
}

TEST_CASE(
    "a command that is not answered in time is unresponsive, and its late answer is dropped") {
    CommandScene scene(1ms);
    const auto id = scene.add("slow");
    scene.context.run();
    REQUIRE(scene.done.size() == 1);
    CHECK(scene.done[0].ec == Errc::worker_unresponsive);
    CHECK(scene.done[0].diagnostics.message == "the browser command slow was not answered in time");
    CHECK_FALSE(scene.commands->complete(id, {}));
}

TEST_CASE("an answered command's time limit does not keep the event loop") {
    CommandScene scene(1h);
    CHECK(scene.commands->complete(scene.add("quick"), {}));
    scene.context.run(); // returns, because nothing is waited for
    CHECK(scene.done.size() == 1);
}

TEST_CASE("when the channel goes, all that wait are told, in order, with the cause") {
    CommandScene scene;
    (void)scene.add("first");
    (void)scene.add("second");
    scene.commands->fail_all(Errc::protocol_error);
    REQUIRE(scene.done.size() == 2);
    CHECK(scene.done[0].command == "first");
    for (const CommandScene::Done& done : scene.done) {
        CHECK(done.ec == Errc::worker_lost);
        CHECK(done.diagnostics.last_cause == Errc::protocol_error);
    }
    CHECK(scene.done[1].diagnostics.message == "the browser command second was cut off");
    scene.commands->fail_all(Errc::protocol_error);
    CHECK(scene.done.size() == 2);
}

// A handler that asks again each time would otherwise be answered for ever.
TEST_CASE("a command that is added while the others are cut off is not cut off with them") {
    CommandScene scene;
    (void)scene.commands->add("first", [&](error_code, Diagnostics, const boost::json::value&) {
        (void)scene.add("again");
    });
    scene.commands->fail_all(Errc::worker_lost);
    CHECK(scene.done.empty());
}

TEST_CASE("a handler may drop the commands it belongs to") {
    CommandScene scene;
    int called = 0;
    const auto drop = [&](error_code, Diagnostics, const boost::json::value&) {
        ++called;
        scene.commands.reset();
    };
    (void)scene.commands->add("first", drop);
    (void)scene.commands->add("second", drop);
    scene.commands->fail_all(Errc::worker_lost);
    CHECK(called == 2);
}

TEST_CASE("forgotten commands call nobody") {
    CommandScene scene(1ms);
    const auto id = scene.add("first");
    scene.commands->clear();
    CHECK_FALSE(scene.commands->complete(id, {}));
    scene.context.run();
    CHECK(scene.done.empty());
}
