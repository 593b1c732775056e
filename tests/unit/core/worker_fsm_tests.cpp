// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/worker_fsm.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;
using State = WorkerFsm::State;

namespace {

struct WorkerRig {
    TimePoint now{1h};
    Prng prng{1};
    ProgressiveRecoveryManager strategy;
    RungStatistics statistics;
    WorkerFsm fsm;

    explicit WorkerRig(std::uint32_t model_count = 0, std::uint32_t restart_count_max = 10)
        : WorkerRig(config(model_count, restart_count_max)) {}
    explicit WorkerRig(const CoreConfig& config) : fsm(config, 0, strategy, statistics) {}

    static CoreConfig config(std::uint32_t model_count, std::uint32_t restart_count_max) {
        CoreConfig out;
        out.model_count = model_count;
        out.restart_count_max = restart_count_max;
        return out;
    }
    NextWorkerStep lose(LossCause cause) { return fsm.on_lost(cause, now, prng); }
    /// Waits until a delayed restart is due.
    void restart() {
        if (fsm.state() != State::waiting) return;
        now = fsm.deadline();
        REQUIRE(fsm.on_time(now) == NextWorkerStep::launch);
    }
};

} // namespace

TEST_CASE("models are loaded and warmed up one after the other before a worker is ready") {
    WorkerRig rig(2);
    CHECK(rig.fsm.start(rig.now) == NextWorkerStep::launch);
    CHECK(rig.fsm.generation() == Generation{1});
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::load_model);
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == NextWorkerStep::warm_up_model);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{0}, rig.now) == NextWorkerStep::load_model);
    CHECK_FALSE(rig.fsm.serves(ModelId{0})); // not before it is ready as a whole
    CHECK(rig.fsm.model() == ModelId{1});
    CHECK(rig.fsm.on_model_loaded(ModelId{1}) == NextWorkerStep::warm_up_model);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{1}, rig.now) == NextWorkerStep::serve);
    CHECK(rig.fsm.serves(ModelId{0}));
    CHECK(rig.fsm.serves(ModelId{1}));
    CHECK(rig.fsm.serves(ModelId::none()));
    CHECK(rig.fsm.deadline() == never);
}

TEST_CASE("a worker that rejects a model is ready for the others, and stays so in later lives") {
    WorkerRig rig(2);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.on_model_rejected(ModelId{0}, rig.now) == NextWorkerStep::load_model);
    (void)rig.fsm.on_model_loaded(ModelId{1});
    CHECK(rig.fsm.on_model_warmed_up(ModelId{1}, rig.now) == NextWorkerStep::serve);
    CHECK_FALSE(rig.fsm.serves(ModelId{0}));
    CHECK(rig.fsm.serves(ModelId{1}));

    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::load_model);
    CHECK(rig.fsm.model() == ModelId{1}); // the rejected one is not tried again
    CHECK(rig.fsm.has_rejected(ModelId{0}));
}

TEST_CASE("a browser is started in the place of another one after a pause, a page at once") {
    CoreConfig config;
    config.launch_pause = 50ms;
    config.restart_healthy_after = 0s; // every recovery is the first
    WorkerRig rig(config);
    CHECK(rig.fsm.start(rig.now) == NextWorkerStep::launch); // the first one takes nobody's place
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);

    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.deadline() == rig.now + 50ms);
    CHECK(rig.fsm.on_time(rig.now + 49ms) == NextWorkerStep::nothing);
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::nothing); // of the same end
    CHECK(rig.fsm.on_time(rig.now + 50ms) == NextWorkerStep::launch);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);

    // The page is heard of first.
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch);
    rig.now += 5ms;
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
    CHECK(rig.fsm.deadline() == rig.now + 50ms);
    CHECK(rig.fsm.on_time(rig.now + 50ms) == NextWorkerStep::launch);
}

TEST_CASE("a launch need not wait longer than its delay if nobody is disturbed") {
    CoreConfig config;
    config.launch_pause = 50ms;
    config.restart_healthy_after = 0s;
    WorkerRig rig(config);
    CHECK_FALSE(rig.fsm.end_launch_pause(rig.now));
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK_FALSE(rig.fsm.end_launch_pause(rig.now));
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.end_launch_pause(rig.now + 10ms));
    CHECK(rig.fsm.deadline() == rig.now + 10ms);
    CHECK_FALSE(rig.fsm.end_launch_pause(rig.now + 10ms)); // there is none any more
    CHECK(rig.fsm.on_time(rig.now + 10ms) == NextWorkerStep::launch);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);

    // The page is heard of first, and is being reloaded.
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch);
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.end_launch_pause(rig.now));
    CHECK(rig.fsm.on_time(rig.now) == NextWorkerStep::launch);
}

TEST_CASE("the end of the pause does not shorten a restart's own delay") {
    CoreConfig config;
    config.launch_pause = 50ms;
    config.restart_delay_min = config.restart_delay_max = 10s;
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::process_exited); // the first one has no delay
    (void)rig.fsm.on_time(rig.fsm.deadline());
    bool was_long = false;
    for (int i = 0; i < 20 && !was_long; ++i) { // it is drawn
        (void)rig.fsm.on_connected(rig.now);
        REQUIRE(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
        const TimePoint due = rig.fsm.deadline();
        was_long = due > rig.now + 50ms;
        if (was_long) CHECK_FALSE(rig.fsm.end_launch_pause(rig.now));
        if (was_long) CHECK(rig.fsm.deadline() == due);
        rig.now = due;
        (void)rig.fsm.on_time(due);
    }
    CHECK(was_long);
}

TEST_CASE("a worker that is stopped in the pause before its launch is not launched") {
    CoreConfig config;
    config.launch_pause = 50ms;
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.stop() == NextWorkerStep::close);
    CHECK(rig.fsm.on_time(rig.now + 1h) == NextWorkerStep::nothing);
    CHECK(rig.fsm.state() == State::stopping);
}

TEST_CASE("answers about models that were not asked for are unexpected") {
    WorkerRig rig(2);
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == NextWorkerStep::unexpected);
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_model_rejected(ModelId{0}, rig.now) == NextWorkerStep::unexpected);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{0}, rig.now) ==
          NextWorkerStep::unexpected); // not loaded yet
    CHECK(rig.fsm.on_model_loaded(ModelId{1}) == NextWorkerStep::unexpected);
    CHECK(rig.fsm.on_model_loaded(ModelId{7}) == NextWorkerStep::unexpected);
    (void)rig.fsm.on_model_loaded(ModelId{0});
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == NextWorkerStep::unexpected); // twice
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::unexpected);
}

// Its shaders run in the browser process: nothing less can be killed for one that never ends.
TEST_CASE("an endless shader costs a browser without a GPU process the browser") {
    const BrowserType browser = GENERATE(BrowserType::firefox, BrowserType::webkit);
    CAPTURE(name_of(browser));
    CoreConfig config = WorkerRig::config(0, 10);
    config.worker_browsers = {browser};
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    REQUIRE(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    CHECK(rig.lose(LossCause::gpu_hung) == NextWorkerStep::launch);
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
}

TEST_CASE("a loss is cured by the smallest rung that can cure its cause") {
    const auto [cause, rung] = GENERATE(table<LossCause, RecoveryRung>({
        {LossCause::device_lost, RecoveryRung::replace_compute},
        {LossCause::context_lost, RecoveryRung::recreate_device},
        {LossCause::compute_hung, RecoveryRung::replace_compute},
        {LossCause::gpu_hung, RecoveryRung::replace_compute},
        {LossCause::wrong_answer, RecoveryRung::replace_compute},
        {LossCause::slow, RecoveryRung::new_page},
        {LossCause::page_crashed, RecoveryRung::reload_page},
        {LossCause::connection_closed, RecoveryRung::reload_page},
        {LossCause::network_hung, RecoveryRung::reload_page},
        {LossCause::unresponsive, RecoveryRung::reload_page},
        {LossCause::software_adapter, RecoveryRung::reload_page},
        {LossCause::memory_exhausted, RecoveryRung::reload_page},
        {LossCause::protocol_error, RecoveryRung::reload_page},
        {LossCause::page_hung, RecoveryRung::new_page},
        {LossCause::process_exited, RecoveryRung::restart_browser},
        {LossCause::browser_hung, RecoveryRung::restart_browser},
        {LossCause::start_timed_out, RecoveryRung::restart_browser},
    }));
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    REQUIRE(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    CHECK(rig.lose(cause) == NextWorkerStep::launch); // the first time at once
    CHECK(rig.fsm.rung() == rung);
    CHECK(rig.fsm.generation() == Generation{2});
    CHECK(rig.fsm.last_cause() == cause);
}

TEST_CASE("failing again before it was ready climbs rung by rung") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::device_lost);
    REQUIRE(rig.fsm.rung() == RecoveryRung::replace_compute);
    // Not larger than what is being tried: a failure of that attempt.
    CHECK(rig.lose(LossCause::device_lost) == NextWorkerStep::nothing); // a delay
    CHECK(rig.fsm.rung() == RecoveryRung::reload_page);
    for (const RecoveryRung rung :
         {RecoveryRung::new_page, RecoveryRung::restart_browser, RecoveryRung::restart_browser,
          RecoveryRung::restart_adjusted,
          RecoveryRung::restart_browser}) { // nothing else is there: from the browser on again
        rig.restart();
        (void)rig.lose(LossCause::device_lost);
        CHECK(rig.fsm.rung() == rung);
    }
    CHECK(rig.fsm.form().adjustment == 2); // the first set for a lost GPU is empty
    rig.restart();
    REQUIRE(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    (void)rig.lose(LossCause::device_lost); // it was ready: the ladder begins below again
    CHECK(rig.fsm.rung() == RecoveryRung::replace_compute);
}

TEST_CASE("a rung that keeps the browser has less time than a start") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.deadline() == rig.now + 30s);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::page_crashed);
    CHECK(rig.fsm.deadline() == rig.now + 15s);
}

TEST_CASE("every rung has a time and tries of its own, within what is configured") {
    for (const RecoveryRung rung : recovery_rungs) {
        INFO(name_of(rung));
        CHECK(budget_of(rung).time_percent > 0);
        CHECK(budget_of(rung).time_percent <= 100);
        CHECK(budget_of(rung).tries > 0);
    }
    CHECK(budget_of(RecoveryRung::restart_browser).tries == 2);
    CHECK(budget_of(RecoveryRung::ping).time_percent < 100);
}

TEST_CASE("a browser that does not come back is replaced by others, in the order given") {
    CoreConfig config = WorkerRig::config(0, 20);
    config.worker_browsers = {BrowserType::chromium};
    config.worker_alternatives = {{{.type = BrowserType::firefox},
                                   {.type = BrowserType::chromium},
                                   {.type = BrowserType::edge}}};
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    struct Stage {
        RecoveryRung rung;
        std::uint8_t browser;
    };
    std::vector<Stage> stages;
    for (int i = 0; i < 4; ++i) { // for a crash there is nothing to adjust
        (void)rig.lose(LossCause::process_exited);
        rig.restart();
        stages.push_back({rig.fsm.rung(), rig.fsm.form().browser});
    }
    CHECK(stages[0].rung == RecoveryRung::restart_browser);
    CHECK(stages[1].rung == RecoveryRung::restart_browser);
    CHECK(stages[1].browser == 0);
    CHECK(stages[2].rung == RecoveryRung::other_browser);
    CHECK(stages[2].browser == 2);
    CHECK(stages[3].rung == RecoveryRung::other_type);
    CHECK(stages[3].browser == 3); // the next one in turn that is no chromium
    CHECK(rig.fsm.browser() == BrowserType::edge);

    REQUIRE(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    rig.now += 59s;
    (void)rig.lose(LossCause::process_exited);
    rig.restart();
    CHECK(rig.fsm.browser() == BrowserType::edge); // it broke too soon to try the old one again
    REQUIRE(rig.fsm.on_connected(rig.now) == NextWorkerStep::serve);
    rig.now += 60s;
    (void)rig.lose(LossCause::process_exited);
    CHECK(rig.fsm.browser() == BrowserType::chromium);
    CHECK(rig.fsm.form() == WorkerForm{});
}

TEST_CASE("a browser that is not there at all is replaced, not given up, if there is another") {
    CoreConfig config = WorkerRig::config(0, 10);
    config.worker_alternatives.assign(1, {{.type = BrowserType::firefox}});
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    NextWorkerStep step = NextWorkerStep::nothing;
    for (int i = 0; i < 9 && rig.fsm.browser() != BrowserType::firefox; ++i) {
        step = rig.fsm.on_start_failed(Errc::browser_not_found, true, rig.now, rig.prng);
        REQUIRE(step != NextWorkerStep::give_up);
        rig.restart();
    }
    CHECK(rig.fsm.browser() == BrowserType::firefox);
}

TEST_CASE("another provider is turned to when there is one, and models are asked for anew") {
    CoreConfig config = WorkerRig::config(1, 20);
    config.provider_count_max = 3;
    WorkerRig rig(config);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.fsm.on_model_rejected(ModelId{0}, rig.now);
    REQUIRE(rig.fsm.has_rejected(ModelId{0}));
    for (int i = 0; i < 10 && rig.fsm.form().provider_turns == 0; ++i) {
        (void)rig.lose(LossCause::process_exited);
        rig.restart();
    }
    CHECK(rig.fsm.rung() == RecoveryRung::other_provider);
    CHECK(rig.fsm.form().provider_turns == 1);
    CHECK_FALSE(rig.fsm.has_rejected(ModelId{0}));
}

TEST_CASE("what a recovery has tried can be read while it goes on") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::page_crashed);
    rig.now += 40ms;
    (void)rig.lose(LossCause::page_crashed);
    REQUIRE(rig.fsm.ladder().tried().size() == 1);
    CHECK(rig.fsm.ladder().tried()[0] ==
          RecoveryStep{RecoveryRung::reload_page, Errc::browser_launch_failed, 40ms});
    rig.restart();
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.ladder().tried().empty()); // it is ready
    const auto& record = rig.statistics.record_of(BrowserFailureCategory::crash,
                                                  BrowserType::chromium, RecoveryRung::new_page);
    CHECK(record.attempts == 1);
    CHECK(record.successes == 1);
}

TEST_CASE(
    "a rung that always helps, but slowly, is not given up for a larger one nobody has measured") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    for (int i = 0; i < 40; ++i) {
        rig.now += 1h;
        (void)rig.lose(LossCause::page_hung);
        CHECK(rig.fsm.rung() == RecoveryRung::new_page);
        rig.now += 3s; // a restart is believed to take 1.2 s on a machine where this takes 0.5 s
        (void)rig.fsm.on_connected(rig.now);
    }
}

TEST_CASE("a rung that never helps is passed over once there is evidence, and tried now and then") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    std::vector<RecoveryRung> first;
    for (int i = 0; i < 40; ++i) {
        rig.now += 1h;
        (void)rig.lose(LossCause::page_crashed);
        first.push_back(rig.fsm.rung());
        while (rig.fsm.state() != State::ready) {
            rig.restart();
            if (rig.fsm.rung() == RecoveryRung::reload_page) { // never works here, and takes 2 s
                rig.now += 2s;
                (void)rig.lose(LossCause::page_crashed);
            } else {
                rig.now += 100ms;
                (void)rig.fsm.on_connected(rig.now);
            }
        }
    }
    const auto tried = std::count(first.begin(), first.end(), RecoveryRung::reload_page);
    CHECK(first.front() == RecoveryRung::reload_page);
    CHECK(first.back() == RecoveryRung::new_page);
    CHECK(tried >= 6); // five to learn it, one in sixteen to unlearn it
    CHECK(tried <= 9);
}

TEST_CASE("what a step's failure says is evidence on what the recovery is of") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.failure() == LossCause::start_timed_out); // it has never been ready before
    rig.now += 1h;
    (void)rig.lose(LossCause::gpu_hung);
    REQUIRE(rig.fsm.rung() == RecoveryRung::replace_compute);
    (void)rig.lose(LossCause::start_timed_out);
    CHECK(rig.fsm.last_cause() == LossCause::start_timed_out);
    CHECK(rig.fsm.failure() == LossCause::gpu_hung);
    rig.restart();
    rig.now += 1s;
    (void)rig.fsm.on_connected(rig.now);
    const auto of = [&](BrowserFailureCategory what, RecoveryRung rung) {
        return rig.statistics.record_of(what, BrowserType::chromium, rung);
    };
    CHECK(of(BrowserFailureCategory::webgpu, RecoveryRung::replace_compute).attempts == 1);
    CHECK(of(BrowserFailureCategory::webgpu, RecoveryRung::restart_browser).successes == 1);
    CHECK(of(BrowserFailureCategory::launch, RecoveryRung::replace_compute).attempts == 0);
    CHECK(of(BrowserFailureCategory::launch, RecoveryRung::restart_browser).attempts == 0);
}

TEST_CASE("settings are adjusted to what is recovered from, and stay so") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    rig.now += 1h;
    (void)rig.lose(LossCause::memory_exhausted);
    while (rig.fsm.rung() != RecoveryRung::restart_adjusted) {
        rig.restart();
        (void)rig.lose(LossCause::start_timed_out);
    }
    rig.restart();
    CHECK(rig.fsm.form().adjustment == 2);
    CHECK(rig.fsm.form().adjusted_for == BrowserFailureCategory::memory);
    (void)rig.fsm.on_connected(rig.now);
    rig.now += 1s;
    (void)rig.lose(LossCause::page_crashed);
    rig.restart();
    CHECK(rig.fsm.form().adjusted_for == BrowserFailureCategory::memory);
}

TEST_CASE("a larger sign of a failure is what is recovered from") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::connection_closed);
    CHECK(rig.fsm.failure() == LossCause::connection_closed);
    (void)rig.lose(LossCause::process_exited);
    CHECK(rig.fsm.failure() == LossCause::process_exited);
}

// A killed browser: its sockets close first, the exit of the process is noticed a little later.
TEST_CASE("a larger sign of the same failure restarts at once, at its level, uncounted") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    REQUIRE(rig.lose(LossCause::connection_closed) == NextWorkerStep::launch);
    REQUIRE(rig.fsm.rung() == RecoveryRung::reload_page);
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::launch);
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
    CHECK(rig.fsm.failed_starts() == 0);
    CHECK(rig.fsm.generation() == Generation{3});
}

TEST_CASE("while it waits for its restart, a larger sign only raises the level") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::device_lost);
    (void)rig.lose(LossCause::device_lost);
    REQUIRE(rig.fsm.state() == State::waiting);
    REQUIRE(rig.fsm.rung() == RecoveryRung::reload_page);
    const TimePoint due = rig.fsm.deadline();
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::nothing);
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
    CHECK(rig.lose(LossCause::device_lost) == NextWorkerStep::nothing);
    CHECK(rig.fsm.rung() == RecoveryRung::restart_browser);
    CHECK(rig.fsm.deadline() == due);
}

TEST_CASE("a start that takes too long is overdue") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.deadline() == rig.now + 30s);
    CHECK_FALSE(rig.fsm.is_start_overdue(rig.now + 30s - 1ns));
    CHECK(rig.fsm.is_start_overdue(rig.now + 30s));
}

TEST_CASE("time for which the host stood still does not count as part of a start") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    rig.fsm.on_host_late(1h, rig.now + 1h + 5s);
    CHECK_FALSE(rig.fsm.is_start_overdue(rig.now + 1h + 30s - 1ns));
    CHECK(rig.fsm.is_start_overdue(rig.now + 1h + 30s));
}

TEST_CASE("a restart that became due while the host stood still is due now") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.lose(LossCause::process_exited);
    (void)rig.lose(LossCause::process_exited);
    REQUIRE(rig.fsm.state() == State::waiting);
    rig.now += 1h;
    rig.fsm.on_host_late(59min, rig.now);
    CHECK(rig.fsm.deadline() == rig.now);
    CHECK(rig.fsm.on_time(rig.now) == NextWorkerStep::launch);
}

TEST_CASE("a worker is given up after its last failed start in a row") {
    WorkerRig rig(0, 3);
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_start_failed(Errc::browser_launch_failed, false, rig.now, rig.prng) ==
          NextWorkerStep::launch);
    (void)rig.fsm.on_start_failed(Errc::browser_launch_failed, false, rig.now, rig.prng);
    rig.restart();
    REQUIRE(rig.fsm.on_connected(rig.now) ==
            NextWorkerStep::serve); // ready once: the row begins anew
    for (int i = 0; i < 3; ++i) {
        (void)rig.lose(LossCause::process_exited);
        rig.restart();
        REQUIRE(rig.fsm.state() == State::launching);
    }
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::give_up);
    CHECK(rig.fsm.state() == State::failed);
    CHECK_FALSE(rig.fsm.is_hopeful());
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::unexpected);
}

TEST_CASE("a permanent failure gives up at once") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_start_failed(Errc::browser_not_found, true, rig.now, rig.prng) ==
          NextWorkerStep::give_up);
    CHECK(rig.fsm.last_start_error() == Errc::browser_not_found);
}

TEST_CASE("a crash after each start slows down, a healthy spell starts over") {
    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch);
    Duration longest{};
    for (int i = 0; i < 30; ++i) {
        (void)rig.fsm.on_connected(rig.now);
        (void)rig.lose(LossCause::page_crashed);
        if (rig.fsm.state() == State::waiting)
            longest = std::max(longest, rig.fsm.deadline() - rig.now);
        rig.restart();
    }
    CHECK(longest > 5s);
    CHECK(longest <= 10s);
    (void)rig.fsm.on_connected(rig.now);
    rig.now += 60s;
    CHECK(rig.lose(LossCause::page_crashed) == NextWorkerStep::launch); // at once again
}

TEST_CASE("a worker can be stopped in every state, and nothing wakes it afterwards") {
    WorkerRig idle;
    CHECK(idle.fsm.stop() == NextWorkerStep::nothing);
    CHECK(idle.fsm.state() == State::stopped);

    WorkerRig rig;
    (void)rig.fsm.start(rig.now);
    SECTION("launching") {}
    SECTION("ready") { (void)rig.fsm.on_connected(rig.now); }
    SECTION("waiting") {
        (void)rig.lose(LossCause::process_exited);
        (void)rig.lose(LossCause::process_exited);
        REQUIRE(rig.fsm.state() == State::waiting);
    }
    CHECK(rig.fsm.stop() == NextWorkerStep::close);
    CHECK(rig.fsm.deadline() == never);
    CHECK(rig.fsm.on_connected(rig.now) == NextWorkerStep::unexpected);
    CHECK(rig.lose(LossCause::process_exited) == NextWorkerStep::unexpected);
    CHECK(rig.fsm.on_start_failed(Errc::browser_launch_failed, true, rig.now, rig.prng) ==
          NextWorkerStep::unexpected);
    CHECK(rig.fsm.on_stopped() == NextWorkerStep::nothing);
    CHECK(rig.fsm.state() == State::stopped);
    CHECK(rig.fsm.on_stopped() == NextWorkerStep::unexpected);
    CHECK(rig.fsm.start(rig.now) == NextWorkerStep::unexpected);
}
