// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/worker_fsm.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;
using State = WorkerFsm::State;
using Step = NextWorkerStep;

namespace {

struct Rig {
    TimePoint now{1h};
    Prng prng{1};
    WorkerFsm fsm;

    explicit Rig(std::uint32_t model_count = 0, std::uint32_t restart_count_max = 10)
        : fsm(config(model_count, restart_count_max)) {}

    static CoreConfig config(std::uint32_t model_count, std::uint32_t restart_count_max) {
        CoreConfig out;
        out.model_count = model_count;
        out.restart_count_max = restart_count_max;
        return out;
    }
    Step lose(LossCause cause) { return fsm.on_lost(cause, now, prng); }
    /// Waits until a delayed restart is due.
    void restart() {
        if (fsm.state() != State::waiting) return;
        now = fsm.deadline();
        REQUIRE(fsm.on_time(now) == Step::launch);
    }
};

} // namespace

TEST_CASE("models are loaded and warmed up one after the other before a worker is ready") {
    Rig rig(2);
    CHECK(rig.fsm.start(rig.now) == Step::launch);
    CHECK(rig.fsm.generation() == Generation{1});
    CHECK(rig.fsm.level() == RestartLevel::process);
    CHECK(rig.fsm.on_connected(rig.now) == Step::load_model);
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == Step::warm_up_model);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{0}, rig.now) == Step::load_model);
    CHECK_FALSE(rig.fsm.serves(ModelId{0})); // not before it is ready as a whole
    CHECK(rig.fsm.model() == ModelId{1});
    CHECK(rig.fsm.on_model_loaded(ModelId{1}) == Step::warm_up_model);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{1}, rig.now) == Step::serve);
    CHECK(rig.fsm.serves(ModelId{0}));
    CHECK(rig.fsm.serves(ModelId{1}));
    CHECK(rig.fsm.serves(ModelId::none()));
    CHECK(rig.fsm.deadline() == never);
}

TEST_CASE("a worker that rejects a model is ready for the others, and stays so in later lives") {
    Rig rig(2);
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.on_model_rejected(ModelId{0}, rig.now) == Step::load_model);
    (void)rig.fsm.on_model_loaded(ModelId{1});
    CHECK(rig.fsm.on_model_warmed_up(ModelId{1}, rig.now) == Step::serve);
    CHECK_FALSE(rig.fsm.serves(ModelId{0}));
    CHECK(rig.fsm.serves(ModelId{1}));

    CHECK(rig.lose(LossCause::page_crashed) == Step::launch);
    CHECK(rig.fsm.on_connected(rig.now) == Step::load_model);
    CHECK(rig.fsm.model() == ModelId{1}); // the rejected one is not tried again
    CHECK(rig.fsm.has_rejected(ModelId{0}));
}

TEST_CASE("answers about models that were not asked for are unexpected") {
    Rig rig(2);
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == Step::unexpected);
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_model_rejected(ModelId{0}, rig.now) == Step::unexpected);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.fsm.on_model_warmed_up(ModelId{0}, rig.now) == Step::unexpected); // not loaded yet
    CHECK(rig.fsm.on_model_loaded(ModelId{1}) == Step::unexpected);
    CHECK(rig.fsm.on_model_loaded(ModelId{7}) == Step::unexpected);
    (void)rig.fsm.on_model_loaded(ModelId{0});
    CHECK(rig.fsm.on_model_loaded(ModelId{0}) == Step::unexpected); // twice
    CHECK(rig.fsm.on_connected(rig.now) == Step::unexpected);
}

TEST_CASE("a loss is cured at the level of its cause") {
    const auto [cause, level] = GENERATE(table<LossCause, RestartLevel>({
        {LossCause::device_lost, RestartLevel::compute},
        {LossCause::page_crashed, RestartLevel::page},
        {LossCause::connection_closed, RestartLevel::page},
        {LossCause::unresponsive, RestartLevel::page},
        {LossCause::protocol_error, RestartLevel::page},
        {LossCause::process_exited, RestartLevel::process},
        {LossCause::start_timed_out, RestartLevel::process},
    }));
    Rig rig;
    (void)rig.fsm.start(rig.now);
    REQUIRE(rig.fsm.on_connected(rig.now) == Step::serve);
    CHECK(rig.lose(cause) == Step::launch); // the first time at once
    CHECK(rig.fsm.level() == level);
    CHECK(rig.fsm.generation() == Generation{2});
    CHECK(rig.fsm.last_cause() == cause);
}

TEST_CASE("failing again before it was ready escalates one level at a time") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::device_lost);
    REQUIRE(rig.fsm.level() == RestartLevel::compute);
    // Not larger than what is being tried: a failure of that attempt.
    CHECK(rig.lose(LossCause::device_lost) == Step::nothing); // a delay
    CHECK(rig.fsm.level() == RestartLevel::page);
    rig.restart();
    (void)rig.lose(LossCause::page_crashed);
    CHECK(rig.fsm.level() == RestartLevel::process);
    rig.restart();
    (void)rig.lose(LossCause::page_crashed);
    CHECK(rig.fsm.level() == RestartLevel::process);
    rig.restart();
    REQUIRE(rig.fsm.on_connected(rig.now) == Step::serve);
    (void)rig.lose(LossCause::device_lost); // it was ready: the ladder begins below again
    CHECK(rig.fsm.level() == RestartLevel::compute);
}

// A killed browser: its sockets close first, the exit of the process is noticed a little later.
TEST_CASE("a larger sign of the same failure restarts at once, at its level, uncounted") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    REQUIRE(rig.lose(LossCause::connection_closed) == Step::launch);
    REQUIRE(rig.fsm.level() == RestartLevel::page);
    CHECK(rig.lose(LossCause::process_exited) == Step::launch);
    CHECK(rig.fsm.level() == RestartLevel::process);
    CHECK(rig.fsm.failed_starts() == 0);
    CHECK(rig.fsm.generation() == Generation{3});
}

TEST_CASE("while it waits for its restart, a larger sign only raises the level") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    (void)rig.lose(LossCause::device_lost);
    (void)rig.lose(LossCause::device_lost);
    REQUIRE(rig.fsm.state() == State::waiting);
    REQUIRE(rig.fsm.level() == RestartLevel::page);
    const TimePoint due = rig.fsm.deadline();
    CHECK(rig.lose(LossCause::process_exited) == Step::nothing);
    CHECK(rig.fsm.level() == RestartLevel::process);
    CHECK(rig.lose(LossCause::device_lost) == Step::nothing);
    CHECK(rig.fsm.level() == RestartLevel::process);
    CHECK(rig.fsm.deadline() == due);
}

TEST_CASE("a start that takes too long is overdue") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.deadline() == rig.now + 30s);
    CHECK_FALSE(rig.fsm.is_start_overdue(rig.now + 30s - 1ns));
    CHECK(rig.fsm.is_start_overdue(rig.now + 30s));
}

TEST_CASE("time for which the host stood still does not count as part of a start") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    rig.fsm.on_host_late(1h, rig.now + 1h + 5s);
    CHECK_FALSE(rig.fsm.is_start_overdue(rig.now + 1h + 30s - 1ns));
    CHECK(rig.fsm.is_start_overdue(rig.now + 1h + 30s));
}

TEST_CASE("a restart that became due while the host stood still is due now") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.lose(LossCause::process_exited);
    (void)rig.lose(LossCause::process_exited);
    REQUIRE(rig.fsm.state() == State::waiting);
    rig.now += 1h;
    rig.fsm.on_host_late(59min, rig.now);
    CHECK(rig.fsm.deadline() == rig.now);
    CHECK(rig.fsm.on_time(rig.now) == Step::launch);
}

TEST_CASE("a worker is given up after its last failed start in a row") {
    Rig rig(0, 3);
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_start_failed(Errc::browser_launch_failed, false, rig.now, rig.prng) ==
          Step::launch);
    (void)rig.fsm.on_start_failed(Errc::browser_launch_failed, false, rig.now, rig.prng);
    rig.restart();
    REQUIRE(rig.fsm.on_connected(rig.now) == Step::serve); // ready once: the row begins anew
    for (int i = 0; i < 3; ++i) {
        (void)rig.lose(LossCause::process_exited);
        rig.restart();
        REQUIRE(rig.fsm.state() == State::launching);
    }
    CHECK(rig.lose(LossCause::process_exited) == Step::give_up);
    CHECK(rig.fsm.state() == State::failed);
    CHECK_FALSE(rig.fsm.is_hopeful());
    CHECK(rig.lose(LossCause::process_exited) == Step::unexpected);
}

TEST_CASE("a permanent failure gives up at once") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    CHECK(rig.fsm.on_start_failed(Errc::browser_not_found, true, rig.now, rig.prng) ==
          Step::give_up);
    CHECK(rig.fsm.last_start_error() == Errc::browser_not_found);
}

TEST_CASE("a crash after each start slows down, a healthy spell starts over") {
    Rig rig;
    (void)rig.fsm.start(rig.now);
    (void)rig.fsm.on_connected(rig.now);
    CHECK(rig.lose(LossCause::page_crashed) == Step::launch);
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
    CHECK(rig.lose(LossCause::page_crashed) == Step::launch); // at once again
}

TEST_CASE("a worker can be stopped in every state, and nothing wakes it afterwards") {
    Rig idle;
    CHECK(idle.fsm.stop() == Step::nothing);
    CHECK(idle.fsm.state() == State::stopped);

    Rig rig;
    (void)rig.fsm.start(rig.now);
    SECTION("launching") {}
    SECTION("ready") { (void)rig.fsm.on_connected(rig.now); }
    SECTION("waiting") {
        (void)rig.lose(LossCause::process_exited);
        (void)rig.lose(LossCause::process_exited);
        REQUIRE(rig.fsm.state() == State::waiting);
    }
    CHECK(rig.fsm.stop() == Step::close);
    CHECK(rig.fsm.deadline() == never);
    CHECK(rig.fsm.on_connected(rig.now) == Step::unexpected);
    CHECK(rig.lose(LossCause::process_exited) == Step::unexpected);
    CHECK(rig.fsm.on_start_failed(Errc::browser_launch_failed, true, rig.now, rig.prng) ==
          Step::unexpected);
    CHECK(rig.fsm.on_stopped() == Step::nothing);
    CHECK(rig.fsm.state() == State::stopped);
    CHECK(rig.fsm.on_stopped() == Step::unexpected);
    CHECK(rig.fsm.start(rig.now) == Step::unexpected);
}
