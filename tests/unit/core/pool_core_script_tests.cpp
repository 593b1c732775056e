// PoolCore: the happy path written once as a script, replayed with a failure at each step.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <functional>
#include <map>
#include <string>

using namespace everpool;
using namespace everpool::core;

namespace {

/// Answers for the workers as a healthy one would, and keeps account of what callers are told.
struct Script {
    CoreRig rig;
    std::map<std::uint64_t, std::vector<Errc>> completions;
    std::vector<Errc> start_codes;
    int granted{0}, ended{0}, drained{0}, stopped{0};
    std::vector<Action> inbox; ///< actions that have not been performed

    Script() : rig(config()) {}

    static CoreConfig config() {
        CoreConfig out = CoreRig::workers(2);
        out.model_count = 1;
        out.max_in_flight_per_worker = 2;
        return out;
    }

    void take(const Actions& actions) {
        for (const Action& action : actions) inbox.push_back(action);
    }

    /// Performs everything that is asked for until nothing is left.
    void settle() {
        while (!inbox.empty()) {
            const Action action = inbox.front();
            inbox.erase(inbox.begin());
            std::visit([this](const auto& one) { perform(one); }, action);
        }
    }

    void perform(const StartWorker& a) { take(rig.send(WorkerConnected{a.worker, a.generation})); }
    void perform(const StopWorker& a) { take(rig.send(WorkerStopped{a.worker, a.generation})); }
    void perform(const LoadModel& a) {
        take(rig.send(ModelLoaded{a.worker, a.generation, a.model}));
    }
    void perform(const WarmUpModel& a) {
        take(rig.send(ModelWarmedUp{a.worker, a.generation, a.model}));
    }
    void perform(const Dispatch& a) { take(rig.reply(a)); }
    void perform(const SendCancel&) {}
    void perform(const SendPing& a) {
        take(rig.send(PongArrived{a.worker, a.generation, a.channel, a.sequence}));
    }
    void perform(const CountVotes& a) {
        take(rig.send(VotesCounted{a.request, VoteVerdict::agreed, a.attempts[0], ~0U}));
    }
    void perform(const Complete& a) { completions[a.request.value].push_back(a.code); }
    void perform(const LeaseGranted&) { ++granted; }
    void perform(const LeaseEnded&) { ++ended; }
    void perform(const AskControl&) {} // answered by the rig
    void perform(const StartFinished& a) { start_codes.push_back(a.code); }
    void perform(const DrainFinished&) { ++drained; }
    void perform(const StopFinished&) { ++stopped; }
    void perform(const Notice&) {}

    /// The story. `disturb` is called before each step, which is after the actions of the last one
    /// have been handed over and before they are performed.
    void run(const std::function<void(Script&, int)>& disturb) {
        int step = 0;
        const auto next = [&](const Event& event) {
            take(rig.send(event));
            disturb(*this, step++);
            settle();
            take(rig.pass_alive(2s)); // delayed restarts
            settle();
        };
        const TimePoint deadline = rig.now + 1h;
        next(Start{});
        next(Submit{{.id = {1}, .model = m0, .deadline = deadline}});
        next(Submit{{.id = {2}, .deadline = deadline, .idempotent = false}});
        next(Acquire{{1}, m0, deadline});
        next(Submit{{.id = {3}, .model = m0, .lease = {1}, .deadline = deadline}});
        next(Submit{{.id = {4}, .model = m0, .deadline = deadline}});
        next(Release{{1}});
        next(Submit{{.id = {6}, .model = m0, .copies = 3, .deadline = deadline}});
        next(Submit{{.id = {5}, .model = m0, .deadline = deadline}});
        next(Cancel{{5}});
        next(Drain{});
        next(Stop{});
        step_count = step;
    }
    int step_count{0};

    /// What every run must have led to, whatever happened.
    void check_answers() const {
        CHECK(start_codes.size() == 1);
        for (std::uint64_t id = 1; id <= 6; ++id) {
            INFO("request " << id);
            REQUIRE(completions.count(id) == 1);
            CHECK(completions.at(id).size() == 1);
        }
        CHECK(granted + ended >= 1);
        CHECK(drained == 1);
        CHECK(stopped == 1);
        CHECK(rig.core.phase() == PoolPhase::stopped);
        CHECK(rig.core.next_wakeup() == never);
    }
};

} // namespace

TEST_CASE("the story goes well when nothing fails") {
    Script script;
    script.run([](Script&, int) {});
    script.check_answers();
    CHECK(script.start_codes == std::vector<Errc>{Errc::ok});
    for (const auto& [id, codes] : script.completions) CHECK(codes.front() == Errc::ok);
    CHECK(script.granted == 1);
    CHECK(script.ended == 0);
    CHECK(script.rig.core.stats().redispatched == 0);
}

TEST_CASE("a worker lost at any step costs no request its answer") {
    const int steps = [] {
        Script script;
        script.run([](Script&, int) {});
        return script.step_count;
    }();
    const auto cause =
        GENERATE(LossCause::process_exited, LossCause::page_crashed, LossCause::connection_closed,
                 LossCause::device_lost, LossCause::protocol_error);
    const auto worker = GENERATE(w0, w1);
    for (int at = 0; at < steps; ++at) {
        INFO("step " << at << ", cause " << name_of(cause) << ", worker " << worker.value);
        Script script;
        script.run([&](Script& self, int step) {
            if (step == at) self.take(self.rig.lose(worker, cause));
        });
        script.check_answers();
        CHECK(script.completions.at(1).front() == Errc::ok);
        CHECK(script.completions.at(4).front() == Errc::ok);
        const Errc second = script.completions.at(2).front();
        CHECK((second == Errc::ok || second == Errc::outcome_unknown));
        const Errc leased = script.completions.at(3).front();
        CHECK((leased == Errc::ok || leased == Errc::worker_lost));
    }
}

TEST_CASE("all workers lost at any step costs no request its answer") {
    for (int at = 0; at < 12; ++at) {
        INFO("step " << at);
        Script script;
        script.run([&](Script& self, int step) {
            if (step != at) return;
            self.take(self.rig.lose(w0, LossCause::process_exited));
            self.take(self.rig.lose(w1, LossCause::unresponsive));
        });
        script.check_answers();
        CHECK(script.completions.at(1).front() == Errc::ok);
    }
}

TEST_CASE("every event twice is no worse than once") {
    Script script;
    script.run([](Script& self, int) {
        // What a duplicating network would do to the events that drivers send.
        const auto twice = self.inbox;
        for (const Action& action : twice) {
            if (const auto* a = std::get_if<StartWorker>(&action))
                self.take(self.rig.send(WorkerConnected{a->worker, a->generation}));
            if (const auto* a = std::get_if<Dispatch>(&action)) self.take(self.rig.reply(*a));
        }
    });
    script.check_answers();
    for (const auto& [id, codes] : script.completions) CHECK(codes.front() == Errc::ok);
    CHECK(script.rig.core.stats().stale_ignored > 0);
}

TEST_CASE("a stop at any step ends everything exactly once") {
    for (int at = 0; at < 12; ++at) {
        INFO("step " << at);
        Script script;
        script.run([&](Script& self, int step) {
            if (step == at) self.take(self.rig.send(Stop{}));
        });
        CHECK(script.start_codes.size() == 1);
        for (const auto& [id, codes] : script.completions) CHECK(codes.size() == 1);
        CHECK(script.completions.size() == 6);
        CHECK(script.rig.core.phase() == PoolPhase::stopped);
    }
}
