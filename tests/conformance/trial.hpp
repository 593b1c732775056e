// Conformance: what the core does to a worker, step by step, whichever it is.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event_text.hpp"
#include "fake_subject.hpp"
#include "real_subject.hpp"
#include "subject_kind.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::tests {

using core::LossCause;

constexpr WorkerId worker{0};

inline std::unique_ptr<WorkerSubject> make_subject(SubjectKind kind) {
    if (kind == SubjectKind::fake) return std::make_unique<FakeSubject>(7);
    return std::make_unique<RealSubject>(type_of(kind));
}

/// What the core does to a worker, step by step.
class Trial {
public:
    explicit Trial(SubjectKind kind) : kind_(kind), subject_(make_subject(kind)) {}

    [[nodiscard]] WorkerSubject& subject() noexcept { return *subject_; }
    [[nodiscard]] Generation generation() const noexcept { return generation_; }

    /// Begins a life, which is told of by what comes.
    void begin_start(RecoveryRung rung = RecoveryRung::restart_browser,
                     LossCause cause = LossCause::process_exited) {
        ++generation_.value;
        start_place_ = subject_->events().size();
        subject_->perform(core::StartWorker{
            .worker = worker, .generation = generation_, .rung = rung, .cause = cause});
    }
    /// \return whether it has connected
    bool start(RecoveryRung rung, LossCause cause = LossCause::process_exited,
               Duration limit = 60s) {
        begin_start(rung, cause);
        const core::WorkerConnected connected{worker, generation_};
        if (subject_->comes(connected, limit)) return true;
        // The core would begin anew, and what is asked here is what comes then.
        const bool is_silent = subject_->events().size() <= start_place_;
        if (is_silent && replaces_browser(rung) && may_start_in_vain(kind_) &&
            cause != LossCause::start_timed_out) {
            WARN("a browser's start was silent, and is repeated: " << subject_->trouble());
            return start(rung, LossCause::start_timed_out, limit);
        }
        UNSCOPED_INFO(subject_->trouble());
        return false;
    }
    /// Its first start, until it works.
    void begin() {
        REQUIRE(start(RecoveryRung::restart_browser));
        proves_itself();
    }
    /// What was said of its earlier lives was said before this one began.
    [[nodiscard]] bool has_only_this_life() const {
        const auto is_of_this_life = [this](const core::Event& event) {
            return std::visit(
                [this](const auto& one) {
                    if constexpr (requires { one.generation; })
                        return one.generation == generation_;
                    else return false;
                },
                event);
        };
        const auto& events = subject_->events();
        const auto begin =
            events.begin() + static_cast<std::ptrdiff_t>(std::min(start_place_, events.size()));
        return std::all_of(begin, events.end(), is_of_this_life);
    }
    /// For what is not to come: there is nothing to wait for but time.
    void pass(Duration duration) {
        (void)subject_->wait_until([] { return false; }, duration);
    }
    /// It loads the model, is right about it, and works.
    void proves_itself(ModelId model = good_model) {
        subject_->perform(core::LoadModel{worker, generation_, model});
        REQUIRE(subject_->comes(core::ModelLoaded{worker, generation_, model}));
        subject_->perform(core::WarmUpModel{worker, generation_, model});
        REQUIRE(subject_->comes(core::ModelWarmedUp{worker, generation_, model}));
        const RequestId request = dispatch();
        REQUIRE(subject_->comes(answer(request, Errc::ok)));
    }

    /// Another life, which works, and in which nothing is heard of the one before.
    void begin_anew(RecoveryRung rung, LossCause cause = LossCause::process_exited,
                    ModelId model = good_model) {
        REQUIRE(start(rung, cause));
        proves_itself(model);
        CHECK(has_only_this_life());
    }

    RequestId dispatch() {
        const RequestId request{++requests_};
        subject_->perform(core::Dispatch{worker, generation_, request, 1});
        return request;
    }
    [[nodiscard]] core::Replied answer(RequestId request, Errc code) const {
        return {worker, generation_, request, 1, code};
    }
    core::PongArrived ping(wire::Channel channel) {
        subject_->perform(core::SendPing{worker, generation_, channel, ++questions_});
        return {worker, generation_, channel, questions_};
    }
    core::ControlAnswered ask(core::ControlQuestion question) {
        subject_->perform(core::AskControl{worker, generation_, question, ++questions_});
        return {worker, generation_, question, questions_};
    }
    core::ThreadsSeen look_at_threads() {
        (void)ask(core::ControlQuestion::starvation);
        core::ThreadsSeen seen;
        REQUIRE(subject_->wait_until(
            [&] {
                for (const auto& answer : subject_->all<core::ControlAnswered>()) {
                    if (answer.sequence != questions_) continue;
                    seen = answer.threads;
                    return true;
                }
                return false;
            },
            10s));
        return seen;
    }
    /// Whatever it was answered with.
    [[nodiscard]] std::vector<core::Replied> answers_to(RequestId request) const {
        std::vector<core::Replied> out = subject_->all<core::Replied>();
        std::erase_if(out, [&](const core::Replied& one) { return one.request != request; });
        return out;
    }
    /// Where in the order of events it stands.
    template <class Event>
    std::ptrdiff_t place(const Event& event) {
        return std::ranges::find(subject_->events(), core::Event(event)) -
               subject_->events().begin();
    }

private:
    SubjectKind kind_;
    std::unique_ptr<WorkerSubject> subject_;
    Generation generation_{0};
    std::size_t start_place_{0}; ///< of this life, in the order of events
    std::uint64_t requests_{0}, questions_{0};
};

} // namespace everpool::tests
