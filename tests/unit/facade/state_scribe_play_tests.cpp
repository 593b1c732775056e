// The real core is played at random, with answers and losses that come late, twice or not at all;
// what the scribe writes down is what the core believes, after each step.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/core/state_invariants.hpp"
#include "scribe_rig.hpp"
#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

class Play {
public:
    explicit Play(std::uint64_t seed)
        : chance_(seed),
          rig_(FaultToleranceLevel::medium, 0,
               seed % 2 == 0 ? ScribeRig::usual() : ScribeRig::turning()) {
        note(rig_.feed(core::Start{}));
    }

    void step() {
        rig_.now += std::chrono::milliseconds(chance_.below(40));
        if (rig_.pool().next_wakeup() <= rig_.now) note(rig_.wake());
        const std::uint64_t draw = chance_.below(100);
        if (draw < 30) submit();
        else if (draw < 35) note(rig_.feed(core::Cancel{{1 + chance_.below(last_ + 1)}}));
        else if (draw < 40) lose();
        else if (!outstanding_.empty()) answer();
        check();
    }

    void stop() {
        note(rig_.feed(core::Stop{}));
        for (int i = 0; i < 100 && !outstanding_.empty(); ++i) answer();
        rig_.now += 1h;
        note(rig_.wake());
        check();
        CHECK(rig_.state.unfinished_count() == 0);
        for (std::uint32_t i = 0; i < ScribeRig::workers; ++i)
            CHECK(is_gone(rig_.browser(i).connection));
    }

    [[nodiscard]] std::size_t transactions() const { return rig_.log.size(); }
    /// How often a worker was seen as a browser of another type than it began as.
    [[nodiscard]] std::size_t turned() const { return turned_; }

private:
    void submit() {
        rig_.timeout = std::chrono::milliseconds(1 + chance_.below(2000));
        const std::uint64_t model = chance_.below(3);
        note(rig_.submit({++last_}, chance_.below(4) != 0,
                         model == 2 ? ModelId::none()
                                    : ModelId{static_cast<std::uint32_t>(model)}));
    }

    void lose() {
        const WorkerId worker{static_cast<std::uint32_t>(chance_.below(ScribeRig::workers))};
        const auto cause = static_cast<core::LossCause>(chance_.below(7));
        note(rig_.feed(core::WorkerLost{worker, rig_.pool().worker(worker).generation, cause}));
    }

    /// Something comes of an action, in any order, and one time in ten it comes again.
    void answer() {
        const std::size_t index = chance_.below(outstanding_.size());
        const core::Event event = outstanding_[index];
        if (chance_.below(10) != 0) {
            outstanding_[index] = outstanding_.back();
            outstanding_.pop_back();
        }
        note(rig_.feed(event));
    }

    void note(const core::Actions& actions) {
        for (const core::Action& action : actions)
            if (auto event = consequence(action)) outstanding_.push_back(std::move(*event));
    }

    std::optional<core::Event> consequence(const core::Action& action) {
        if (const auto* a = std::get_if<core::StartWorker>(&action)) {
            if (chance_.below(5) == 0)
                return core::WorkerStartFailed{a->worker, a->generation,
                                               Errc::browser_launch_failed};
            return core::WorkerConnected{a->worker, a->generation};
        }
        if (const auto* a = std::get_if<core::LoadModel>(&action)) {
            if (chance_.below(40) == 0)
                return core::ModelRejected{a->worker, a->generation, a->model,
                                           Errc::model_rejected};
            return core::ModelLoaded{a->worker, a->generation, a->model};
        }
        if (const auto* a = std::get_if<core::WarmUpModel>(&action))
            return core::ModelWarmedUp{a->worker, a->generation, a->model};
        if (const auto* a = std::get_if<core::StopWorker>(&action))
            return core::WorkerStopped{a->worker, a->generation};
        const auto* a = std::get_if<core::Dispatch>(&action);
        if (a == nullptr || chance_.below(20) == 0) return std::nullopt; // it never answers
        constexpr std::array codes{Errc::ok,          Errc::ok,          Errc::ok,
                                   Errc::ok,          Errc::queue_full,  Errc::operation_failed,
                                   Errc::worker_lost, Errc::device_lost, Errc::invalid_input};
        const bool was_sent = chance_.below(6) != 0;
        return core::Replied{a->worker,  a->generation,
                             a->request, a->attempt,
                             codes[chance_.below(codes.size())], was_sent};
    }

    void check() {
        INFO(seen_());
        REQUIRE(rig_.complaints.empty());
        REQUIRE_FALSE(rig_.pool().is_broken());
        std::size_t running = 0, queued = 0;
        const StateSnapshot now = rig_.state.snapshot();
        now.visit_operations([&](const OperationState& operation) {
            running += operation.status == OperationStatus::running;
            queued += operation.status == OperationStatus::queued;
        });
        REQUIRE(running == rig_.pool().in_flight());
        REQUIRE(queued == rig_.pool().queued());
        for (std::uint32_t i = 0; i < ScribeRig::workers; ++i) {
            const auto view = rig_.pool().worker(WorkerId{i});
            REQUIRE(rig_.browser(i).generation == view.generation);
            REQUIRE(rig_.browser(i).type == view.browser);
            turned_ += view.browser != BrowserType::chromium;
            REQUIRE((rig_.browser(i).connection == ConnectionStatus::ready) ==
                    (view.state == WorkerState::ready));
            REQUIRE((rig_.browser(i).connection == ConnectionStatus::lost) ==
                    (view.state == WorkerState::waiting));
            REQUIRE((rig_.browser(i).connection == ConnectionStatus::failed) ==
                    (view.state == WorkerState::failed));
        }
        REQUIRE_FALSE(core::check_state(now));
    }

    [[nodiscard]] std::string seen_() const {
        return rig_.complaints.empty() ? std::string() : rig_.complaints.back();
    }

    core::Prng chance_;
    ScribeRig rig_;
    std::vector<core::Event> outstanding_;
    std::uint64_t last_{0};
    std::size_t turned_{0};
};

} // namespace

TEST_CASE("what is written down is what the core believes, whatever happens") {
    std::size_t transactions = 0, turned = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        Play play(seed);
        for (int i = 0; i < 400; ++i) play.step();
        play.stop();
        transactions += play.transactions();
        turned += play.turned();
    }
    CHECK(transactions > 10'000); // else nothing has been played
    CHECK(turned > 1000);
}
