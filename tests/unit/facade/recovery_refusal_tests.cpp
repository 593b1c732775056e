// Whoever is let wait for a recovery must hear of its end: so nobody is, where there will be none.
// SPDX-License-Identifier: BSL-1.0
#include "facade/recovery_refusal.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace everpool;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

constexpr WorkerId lone{0};

/// The core of a pool of one browser, which has been started.
class RefusalScene {
public:
    RefusalScene() { send(Start{}); }

    void send(const Event& event) { core_.on(event, now_, actions_); }
    void make_ready() { send(WorkerConnected{lone, generation()}); }
    void break_invariant() { core_.on_broken("found by a driver", now_, actions_); }
    [[nodiscard]] Generation generation() const { return core_.worker(lone).generation; }
    [[nodiscard]] WorkerState state() const { return core_.worker(lone).state; }
    [[nodiscard]] Errc refusal(WorkerId worker = lone) const {
        return facade::refusal_of_recovery(core_, worker);
    }

private:
    static CoreConfig config() {
        CoreConfig out;
        out.worker_browsers = {BrowserType::chromium};
        out.rival_count = 1;
        return out;
    }

    TimePoint now_{1h};
    Actions actions_;
    PoolCore core_{config(), 1};
};

} // namespace

TEST_CASE("a recovery is waited for as long as its worker may become ready") {
    RefusalScene scene;
    CHECK(scene.state() == WorkerState::starting);
    CHECK(scene.refusal() == Errc::ok);
    scene.make_ready();
    CHECK(scene.state() == WorkerState::ready);
    CHECK(scene.refusal() == Errc::ok);
    scene.send(WorkerLost{lone, scene.generation(), LossCause::process_exited});
    CHECK(scene.state() != WorkerState::ready);
    CHECK(scene.refusal() == Errc::ok);
}

TEST_CASE("nobody waits for a worker that has been given up") {
    RefusalScene scene;
    scene.send(WorkerStartFailed{lone, scene.generation(), Errc::browser_not_found, true});
    CHECK(scene.state() == WorkerState::failed);
    CHECK(scene.refusal() == Errc::no_worker_available);
}

TEST_CASE("nobody waits for a worker that is stopped, or is about to be") {
    RefusalScene scene;
    scene.make_ready();
    scene.send(Stop{});
    CHECK(scene.state() == WorkerState::stopping);
    CHECK(scene.refusal() == Errc::no_worker_available);
    scene.send(WorkerStopped{lone, scene.generation()});
    CHECK(scene.state() == WorkerState::stopped);
    CHECK(scene.refusal() == Errc::no_worker_available);
}

TEST_CASE("nobody waits for a slot in which no browser is wanted") {
    const RefusalScene scene;
    CHECK(scene.refusal(WorkerId{1}) == Errc::no_worker_available);
}

// A broken pool goes on running for its host, which has not stopped it; its workers do not.
TEST_CASE("a broken pool refuses to recover, before and after its workers are gone") {
    RefusalScene scene;
    scene.make_ready();
    scene.break_invariant();
    CHECK(scene.state() == WorkerState::stopping);
    CHECK(scene.refusal() == Errc::internal_error);
    scene.send(WorkerStopped{lone, scene.generation()});
    CHECK(scene.state() == WorkerState::stopped);
    CHECK(scene.refusal() == Errc::internal_error);
}
