// What is shown of recoveries; how they are counted is tested of core::RecoveryHistory.
// SPDX-License-Identifier: BSL-1.0
#include "facade/recovery_desk.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <vector>

using namespace std::chrono_literals;
using namespace everpool;
using everpool::facade::RecoveryDesk;
using What = core::Notice::What;

namespace {

struct SnapshotScene {
    boost::asio::io_context context{};
    RecoveryDesk desk{context.get_executor()};
    TimePoint now{1h};

    SnapshotScene() {
        desk.open({.worker_count = 1,
                   .strategy = RecoveryStrategy::custom,
                   .model_families = {ModelFamily::vision}},
                  1, "mine", FaultToleranceLevel::medium);
        begin_life();
        say(What::worker_ready);
    }
    void say(What what, ModelId model = ModelId::none()) {
        desk.on(core::Notice{.what = what,
                             .worker = WorkerId{0},
                             .cause = core::LossCause::page_crashed,
                             .rung = RecoveryRung::reload_page,
                             .model = model},
                BrowserType::firefox, now);
    }
    void begin_life() {
        say(What::worker_starting);
        say(What::model_ready, ModelId{0});
    }
};

} // namespace

TEST_CASE("a recovery is shown by strategy, rung, browser, family of models and kind of failure") {
    SnapshotScene scene;
    scene.say(What::worker_lost);
    scene.begin_life();
    CHECK(scene.desk.read().under_way.size() == 1);
    scene.now += 300ms;
    scene.say(What::worker_ready);

    const RecoverySnapshot shown = scene.desk.read();
    const RecoveryCount once{.attempts = 1, .successes = 1, .total = 300ms, .longest = 300ms};
    CHECK(shown.strategy == "mine");
    CHECK(shown.total == once);
    CHECK(shown.of(RecoveryStrategy::custom) == once);
    CHECK(shown.of(RecoveryRung::reload_page) == once);
    CHECK(shown.of(BrowserType::firefox) == once);
    CHECK(shown.of(ModelFamily::vision) == once);
    CHECK(shown.of(BrowserFailureCategory::crash) == once);
    CHECK(shown.of(RecoveryStrategy::progressive) == RecoveryCount{});
    CHECK(shown.of(ModelFamily::text) == RecoveryCount{});
    REQUIRE(shown.last.size() == 1);
    CHECK(shown.last.front().families == std::vector{ModelFamily::vision});
    CHECK(shown.last.front().text() == "page_crashed: reload_page ok after 300 ms");
}

// A model that is ready does not make its worker ready, nor one that is ready unready.
TEST_CASE("a browser counts as ready from its worker's readiness until its loss") {
    SnapshotScene scene;
    CHECK(scene.desk.read().browsers_ready == 1);
    scene.say(What::model_ready, ModelId{0});
    scene.say(What::request_redispatched);
    scene.say(What::worker_lost);
    CHECK(scene.desk.read().browsers_ready == 0);
    scene.begin_life();
    CHECK(scene.desk.read().browsers_ready == 0);
    scene.say(What::worker_ready);
    scene.say(What::model_ready, ModelId{0});
    CHECK(scene.desk.read().browsers_ready == 1);
    CHECK(scene.desk.read().browsers_total == 1);
}
