// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/recovery_history.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <initializer_list>
#include <vector>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;
using What = Notice::What;

namespace {

constexpr WorkerId w0{0}, w1{1};
constexpr ModelId bert{0}, t5{1}, vit{2};

struct Scene {
    TimePoint now{1h};
    BrowserType browser{BrowserType::chromium};
    RecoveryHistory history{
        {.worker_count = 2,
         .strategy = RecoveryStrategy::failover,
         .model_families = {ModelFamily::text, ModelFamily::text, ModelFamily::vision}},
        3};

    LossCause failure{LossCause::start_timed_out}; ///< what a start is to cure

    void say(What what, WorkerId worker = w0, LossCause cause = {},
             RecoveryRung rung = RecoveryRung::restart_browser) {
        if (what == What::worker_lost && worker == w0 && history.under_way(w0) == nullptr)
            failure = cause;
        if (what == What::worker_starting) cause = failure;
        history.on(Notice{.what = what, .worker = worker, .cause = cause, .rung = rung}, browser,
                   now);
    }
    void start() {
        say(What::worker_starting);
        say(What::worker_ready);
    }
    void begin_life(std::initializer_list<ModelId> models, WorkerId worker = w0) {
        say(What::worker_starting, worker);
        for (const ModelId model : models)
            history.on(Notice{.what = What::model_ready, .worker = worker, .model = model}, browser,
                       now);
    }
    void recover(LossCause cause, RecoveryRung rung, Duration took) {
        say(What::worker_lost, w0, cause);
        say(What::worker_starting, w0, cause, rung);
        now += took;
        say(What::worker_ready);
    }
};

} // namespace

TEST_CASE("the first start of a worker is no recovery") {
    Scene scene;
    scene.start();
    CHECK(scene.history.ended().empty());
    CHECK(scene.history.under_way(w0) == nullptr);
    CHECK(scene.history.total() == RecoveryCount{});
}

TEST_CASE("a recovery is written down as a path of rungs, with their times") {
    Scene scene;
    scene.start();
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    scene.say(What::worker_starting, w0, {}, RecoveryRung::reload_page);
    scene.now += 2s;
    REQUIRE(scene.history.under_way(w0) != nullptr);
    CHECK(scene.history.under_way(w0)->text() == "page_crashed: reload_page under way");
    scene.say(What::worker_lost, w0, LossCause::connection_closed); // of the same recovery
    scene.now += 100ms;                                             // the delay
    scene.say(What::worker_starting, w0, {}, RecoveryRung::new_page);
    scene.now += 310ms;
    scene.say(What::worker_ready);
    REQUIRE(scene.history.ended().size() == 1);
    const RecoveryRecord& record = scene.history.ended().front();
    CHECK(record.text() ==
          "page_crashed: reload_page failed after 2000 ms, new_page ok after 310 ms");
    CHECK(record.took == 2410ms);
    CHECK(record.outcome == RecoveryOutcome::recovered);
    CHECK(record.category == BrowserFailureCategory::crash);
    CHECK(scene.history.of(RecoveryRung::reload_page).failures() == 1);
    CHECK(scene.history.of(RecoveryRung::new_page).success_rate() == 1);
    CHECK(scene.history.of(BrowserFailureCategory::crash).average() == 2410ms);
    CHECK(scene.history.of(BrowserType::chromium).longest == 2410ms);
}

TEST_CASE("a worker that is given up, or stopped meanwhile, ends its recovery as a failure") {
    Scene scene;
    scene.start();
    const What end = GENERATE(What::worker_failed, What::worker_stopped);
    scene.say(What::worker_lost, w0, LossCause::process_exited);
    scene.say(What::worker_starting);
    scene.now += 1s;
    scene.say(end);
    CHECK(scene.history.ended().back().outcome == RecoveryOutcome::given_up);
    CHECK(scene.history.total().attempts == 1);
    CHECK(scene.history.total().success_rate() == 0);
}

TEST_CASE("a first start that fails is a recovery from its second try on") {
    Scene scene;
    scene.say(What::worker_starting);
    scene.now += 1s;
    scene.say(What::worker_starting);
    scene.now += 1s;
    scene.say(What::worker_ready);
    REQUIRE(scene.history.ended().size() == 1);
    CHECK(scene.history.ended().front().category == BrowserFailureCategory::launch);
}

TEST_CASE("another browser afterwards is told, and the failure is charged to the one that failed") {
    Scene scene;
    scene.start();
    scene.say(What::worker_lost, w0, LossCause::process_exited);
    scene.browser = BrowserType::firefox;
    scene.say(What::worker_starting, w0, {}, RecoveryRung::other_type);
    scene.say(What::worker_ready);
    const RecoveryRecord& record = scene.history.ended().front();
    CHECK(record.browser == BrowserType::chromium);
    CHECK(record.browser_afterwards == BrowserType::firefox);
    CHECK(scene.history.of(BrowserType::firefox).attempts == 0);
}

TEST_CASE("recoveries are counted for the pool's strategy and for no other") {
    Scene scene;
    scene.start();
    scene.recover(LossCause::page_crashed, RecoveryRung::reload_page, 300ms);
    scene.say(What::worker_lost, w0, LossCause::process_exited);
    scene.say(What::worker_failed);
    for (const RecoveryStrategy strategy : recovery_strategies) {
        CAPTURE(name_of(strategy));
        const bool is_its_own = strategy == RecoveryStrategy::failover;
        CHECK(scene.history.of(strategy) == (is_its_own ? scene.history.total() : RecoveryCount{}));
    }
    CHECK(scene.history.of(RecoveryStrategy::failover).success_rate() == 0.5);
    CHECK(scene.history.of(RecoveryStrategy::failover).longest == 300ms);
}

TEST_CASE("a recovery counts once for each family of the models that the worker served") {
    Scene scene;
    scene.begin_life({bert, t5, vit});
    scene.say(What::worker_ready);
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    scene.now += 100ms;
    scene.begin_life({bert, vit}); // of this life t5 was rejected, and text is left all the same
    scene.say(What::worker_ready);
    CHECK(scene.history.ended().back().families ==
          std::vector{ModelFamily::text, ModelFamily::vision});
    const RecoveryCount once{.attempts = 1, .successes = 1, .total = 100ms, .longest = 100ms};
    CHECK(scene.history.of(ModelFamily::text) == once); // though there are two such models
    CHECK(scene.history.of(ModelFamily::vision) == once);
    CHECK(scene.history.of(ModelFamily::audio) == RecoveryCount{});
}

TEST_CASE("what a worker rejected, or had loaded in a life that was never ready, does not count") {
    Scene scene;
    scene.begin_life({vit});
    scene.say(What::worker_ready);
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    scene.begin_life({bert}); // this life ends before it is ready
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    CHECK(scene.history.under_way(w0)->families == std::vector{ModelFamily::vision});
    scene.begin_life({t5});
    scene.say(What::worker_ready);
    CHECK(scene.history.of(ModelFamily::vision).attempts == 1);
    CHECK(scene.history.of(ModelFamily::text).attempts == 0);
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    CHECK(scene.history.under_way(w0)->families == std::vector{ModelFamily::text});
}

// A first start that fails has served nothing yet, and yet there are models that wait for it.
TEST_CASE("a worker that was never ready is recovered for all models that it is to serve") {
    Scene scene;
    scene.begin_life({bert});
    scene.say(What::worker_lost, w0, LossCause::start_timed_out);
    scene.say(What::worker_failed);
    CHECK(scene.history.of(ModelFamily::text).failures() == 1);
    CHECK(scene.history.of(ModelFamily::vision).failures() == 1);
    CHECK(scene.history.of(ModelFamily::multimodal).failures() == 0);
}

TEST_CASE("the models of one worker are not another's, and those of nobody are ignored") {
    Scene scene;
    scene.begin_life({vit});
    scene.begin_life({bert, ModelId{3}, ModelId::none()}, w1);
    scene.begin_life({vit}, WorkerId{2});
    scene.say(What::worker_ready, w1);
    scene.say(What::worker_ready, w0);
    scene.say(What::worker_lost, w0, LossCause::page_crashed);
    scene.say(What::worker_lost, w1, LossCause::page_crashed);
    CHECK(scene.history.under_way(w0)->families == std::vector{ModelFamily::vision});
    CHECK(scene.history.under_way(w1)->families == std::vector{ModelFamily::text});
}

TEST_CASE("only the last recoveries are kept whole, all are counted") {
    Scene scene;
    scene.start();
    for (int i = 1; i <= 10; ++i)
        scene.recover(LossCause::device_lost, RecoveryRung::replace_compute, i * 1ms);
    CHECK(scene.history.ended().size() == 3);
    CHECK(scene.history.ended().front().took == 8ms);
    CHECK(scene.history.total().successes == 10);
}

TEST_CASE("recoveries of different workers do not mix, and notices of none are ignored") {
    Scene scene;
    scene.start();
    scene.say(What::worker_starting, w1);
    scene.say(What::worker_lost, w0, LossCause::device_lost);
    scene.say(What::worker_lost, w1, LossCause::page_crashed);
    scene.say(What::worker_lost, WorkerId::none(), LossCause::page_crashed);
    CHECK(scene.history.under_way(w0)->cause == "device_lost");
    CHECK(scene.history.under_way(w1)->cause == "page_crashed");
}

TEST_CASE("of a parallel recovery the path tells who tried what, and who was first") {
    Scene scene;
    scene.start();
    const WorkerId rival = w1;
    scene.say(What::worker_lost, w0, LossCause::page_hung);
    scene.say(What::worker_starting, w0, {}, RecoveryRung::new_page);
    scene.now += 10ms;
    const auto say = [&](What what, WorkerId worker, WorkerId other, RecoveryRung rung) {
        scene.history.on(Notice{.what = what, .worker = worker, .other = other, .rung = rung},
                         scene.browser, scene.now);
    };
    say(What::worker_starting, rival, w0, RecoveryRung::restart_browser);
    scene.now += 200ms;
    say(What::worker_lost, rival, w0, {});
    say(What::worker_starting, rival, w0, RecoveryRung::restart_browser);
    scene.now += 700ms;
    CHECK(scene.history.under_way(rival) == nullptr);
    SECTION("the rival") {
        say(What::worker_replaced, w0, rival, RecoveryRung::restart_browser);
        say(What::worker_ready, rival, WorkerId::none(), RecoveryRung::restart_browser);
        say(What::worker_stopped, w0, WorkerId::none(), {});
        REQUIRE(scene.history.ended().size() == 1);
        const RecoveryRecord& record = scene.history.ended().front();
        CHECK(record.text() == "page_hung: new_page cancelled after 910 ms, "
                               "restart_browser by worker 1 failed after 200 ms, "
                               "restart_browser by worker 1 ok after 700 ms");
        CHECK(record.replaced_by == rival);
        CHECK(scene.history.of(RecoveryRung::new_page).attempts == 0); // neither helped nor failed
        CHECK(record.outcome == RecoveryOutcome::recovered);
    }
    SECTION("the worker itself") {
        scene.say(What::worker_ready);
        REQUIRE(scene.history.ended().size() == 1);
        CHECK(scene.history.ended().front().text() ==
              "page_hung: new_page ok after 910 ms, "
              "restart_browser by worker 1 failed after 200 ms, "
              "restart_browser by worker 1 cancelled after 700 ms");
        CHECK(scene.history.ended().front().replaced_by.is_none());
    }
    CHECK(scene.history.of(RecoveryRung::restart_browser).attempts >= 1);
    CHECK(scene.history.total().successes == 1);
}

TEST_CASE("a recovery is of what its starts are to cure, also if that was seen a little later") {
    Scene scene;
    scene.start();
    scene.say(What::worker_lost, w0, LossCause::connection_closed);
    scene.say(What::worker_starting, w0, {}, RecoveryRung::reload_page);
    CHECK(scene.history.under_way(w0)->category == BrowserFailureCategory::connection);
    scene.say(What::worker_lost, w0, LossCause::process_exited);
    scene.failure = LossCause::process_exited;
    scene.say(What::worker_starting);
    scene.say(What::worker_ready);
    REQUIRE(scene.history.ended().size() == 1);
    CHECK(scene.history.ended().front().category == BrowserFailureCategory::crash);
    CHECK(scene.history.ended().front().cause == "process_exited");
}
