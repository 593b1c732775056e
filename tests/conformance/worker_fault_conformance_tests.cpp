// What PoolCore counts on in a worker that loses its device, sticks, answers wrongly, or does not
// start, of real browsers and of the simulator's.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/event_text.hpp"
#include "everpool/core/starvation_answer.hpp"
#include "support/catch.hpp"
#include "trial.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace everpool::tests {
namespace {

/// What is prepared in the page takes effect some milliseconds later, at one of so many uses.
constexpr int uses_max = 1000;

/// Dispatches until one of them is answered with the loss. \return those of the last round
std::vector<RequestId> run_until_device_is_lost(Trial& trial) {
    std::vector<RequestId> round;
    for (int use = 0; use < uses_max; use += 3) {
        round = {trial.dispatch(), trial.dispatch(), trial.dispatch()};
        REQUIRE(trial.subject().wait_until(
            [&] {
                return std::ranges::all_of(
                    round, [&](RequestId request) { return !trial.answers_to(request).empty(); });
            },
            60s));
        if (trial.subject().has(trial.answer(round.back(), Errc::device_lost))) return round;
    }
    FAIL("the device has not been lost");
    return round;
}

/// Its canary runs until it is not right any more.
void run_until_canary_is_wrong(Trial& trial) {
    const core::ModelRejected wrong{worker, trial.generation(), good_model, Errc::model_rejected};
    for (int use = 0; use < uses_max && !trial.subject().has(wrong); ++use) {
        const std::size_t told = trial.subject().events().size();
        trial.subject().perform(core::WarmUpModel{worker, trial.generation(), good_model});
        REQUIRE(trial.subject().wait_until([&] { return trial.subject().events().size() > told; },
                                           60s));
    }
    CHECK(trial.subject().has(wrong));
}

/// A start that hangs, for so long.
void begin_in_vain(Trial& trial, Duration duration) {
    trial.subject().prepare(Mishap::hung_start);
    trial.begin_start();
    trial.pass(duration);
}

/// Nothing came of the start, but for this.
void check_told_alone(Trial& trial, const core::WorkerStartFailed& failed) {
    REQUIRE(trial.subject().comes(failed));
    trial.pass(500ms);
    INFO(core::text_of(trial.subject().events().front()));
    CHECK(trial.subject().events().size() == 1);
}

/// What is told of a browser that does not start.
core::WorkerStartFailed told_of(const Trial& trial, SubjectKind kind, Mishap mishap) {
    // A WebKit's driver is there, and does not say that the browser is not.
    if (mishap == Mishap::no_browser && kind != SubjectKind::webkit)
        return {worker, trial.generation(), Errc::browser_not_found, true};
    return {worker, trial.generation(), Errc::browser_launch_failed};
}

} // namespace

TEST_CASE("a lost device ends its operations first, and is told once after them") {
    const SubjectKind kind = GENERATE(from_range(kinds_with(Mishap::device_lost)));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    WorkerSubject& subject = trial.subject();
    subject.set_work(Work::infers);
    REQUIRE(trial.start(RecoveryRung::restart_browser));
    trial.proves_itself(gpu_model);
    subject.prepare(Mishap::device_lost);
    const std::vector<RequestId> round = run_until_device_is_lost(trial);

    const core::WorkerLost lost{worker, trial.generation(), LossCause::device_lost};
    REQUIRE(subject.comes(lost));
    const auto struck = std::ranges::find_if(round, [&](RequestId request) {
        return subject.has(trial.answer(request, Errc::device_lost));
    });
    CHECK(trial.place(trial.answer(*struck, Errc::device_lost)) < trial.place(lost));
    for (auto later = struck; later != round.end(); ++later)
        CHECK(subject.has(trial.answer(*later, Errc::device_lost)));

    // The thread lives, and refuses what would need the device.
    CHECK(subject.comes(trial.ping(wire::Channel::data)));
    CHECK(subject.comes(trial.ping(wire::Channel::control)));
    const RequestId refused = trial.dispatch();
    CHECK(subject.comes(trial.answer(refused, Errc::device_lost)));
    trial.pass(500ms);
    CHECK(subject.all<core::WorkerLost>().size() == 1);
    for (const RequestId request : round) CHECK(trial.answers_to(request).size() == 1);

    trial.begin_anew(RecoveryRung::replace_compute, LossCause::device_lost, gpu_model);
}

// Nobody but its deadline tells of it.
TEST_CASE(
    "an operation that never ends is silent, its cancellation changes nothing, and its thread "
    "answers") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    WorkerSubject& subject = trial.subject();
    trial.begin();
    subject.forget_events();
    subject.set_work(Work::never_ends);
    const RequestId stuck = trial.dispatch();
    CHECK(subject.comes(trial.ping(wire::Channel::data)));
    subject.perform(core::SendCancel{worker, trial.generation(), stuck, 1});
    CHECK(subject.comes(trial.ping(wire::Channel::data)));
    CHECK(subject.comes(trial.ping(wire::Channel::control)));
    trial.pass(1s);
    CHECK(trial.look_at_threads().compute_ran < core::StarvationAnswer::run_to_answer);
    CHECK(trial.answers_to(stuck).empty());
    CHECK(subject.all<core::WorkerLost>().empty());

    subject.set_work(Work::computes);
    trial.begin_anew(RecoveryRung::replace_compute, LossCause::gpu_hung);
    CHECK(trial.answers_to(stuck).empty());
}

TEST_CASE("a thread that loops hears of no cancellation, and the page answers beside it") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    WorkerSubject& subject = trial.subject();
    trial.begin();
    subject.forget_events();
    subject.set_work(Work::loops);
    const RequestId looping = trial.dispatch(), waiting = trial.dispatch();
    for (const RequestId request : {waiting, looping})
        subject.perform(core::SendCancel{worker, trial.generation(), request, 1});
    const auto compute = trial.ping(wire::Channel::data);
    CHECK(subject.comes(trial.ping(wire::Channel::control)));
    CHECK(subject.comes(trial.ask(core::ControlQuestion::page)));
    trial.pass(1s);
    CHECK(trial.look_at_threads().compute_ran >= core::StarvationAnswer::run_to_answer);
    CHECK_FALSE(subject.has(compute));
    CHECK(subject.all<core::Replied>().empty());
    CHECK(subject.all<core::WorkerLost>().empty());

    subject.set_work(Work::computes);
    trial.begin_anew(RecoveryRung::replace_compute, LossCause::compute_hung);
    CHECK(subject.all<core::Replied>().size() == 1); // of the new life
}

TEST_CASE("whoever answers wrongly answers as ever, and its canary alone tells") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    WorkerSubject& subject = trial.subject();
    trial.begin();
    subject.prepare(Mishap::wrong_answers);
    run_until_canary_is_wrong(trial);
    const RequestId request = trial.dispatch();
    CHECK(subject.comes(trial.answer(request, Errc::ok)));
    CHECK(subject.comes(trial.ping(wire::Channel::data)));
    CHECK(subject.all<core::WorkerLost>().empty());
    CHECK(subject.all<core::ModelRejected>().size() == 1);

    trial.begin_anew(RecoveryRung::replace_compute, LossCause::wrong_answer);
}

TEST_CASE("a model is rejected when it is loaded or when it is warmed up, and the others work") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    WorkerSubject& subject = trial.subject();
    // What was rejected is so in the next life as well.
    for (const RecoveryRung rung : {RecoveryRung::restart_browser, RecoveryRung::replace_compute}) {
        subject.forget_events();
        REQUIRE(trial.start(rung, LossCause::compute_hung));
        const Generation life = trial.generation();
        const auto rejected = [&](ModelId model) {
            return core::ModelRejected{worker, life, model, Errc::model_rejected};
        };
        subject.perform(core::LoadModel{worker, life, broken_model});
        REQUIRE(subject.comes(rejected(broken_model)));
        subject.perform(core::LoadModel{worker, life, misjudged_model});
        REQUIRE(subject.comes(core::ModelLoaded{worker, life, misjudged_model}));
        subject.perform(core::WarmUpModel{worker, life, misjudged_model});
        REQUIRE(subject.comes(rejected(misjudged_model)));
        trial.proves_itself();
        CHECK(subject.events().size() == 7); // and in this order, as each was waited for
    }
}

TEST_CASE("a browser that cannot be started is told of once, and only another start helps") {
    const Mishap how = GENERATE(Mishap::no_browser, Mishap::failed_start);
    const SubjectKind kind = GENERATE_COPY(from_range(kinds_with(how)));
    CAPTURE(name_of(kind), how == Mishap::no_browser);
    Trial trial(kind);
    trial.begin();
    trial.subject().forget_events();
    trial.subject().prepare(how);
    trial.begin_start();
    check_told_alone(trial, told_of(trial, kind, how));

    // There is no browser that could have a page.
    trial.begin_start(RecoveryRung::new_page, LossCause::page_hung);
    REQUIRE(trial.subject().wait_until(
        [&] { return trial.subject().all<core::WorkerStartFailed>().size() == 2; }, 60s));
    CHECK(trial.has_only_this_life());

    trial.begin_anew(RecoveryRung::restart_browser);
}

TEST_CASE("a browser that never answers is silent until its driver gives it up") {
    const SubjectKind kind = GENERATE(from_range(kinds_with(Mishap::hung_start)));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    begin_in_vain(trial, 2s);
    CHECK(trial.subject().events().empty());
    check_told_alone(trial, told_of(trial, kind, Mishap::hung_start));
    trial.begin_anew(RecoveryRung::restart_browser);
}

TEST_CASE("a start that hangs is given up for another one, and says nothing any more") {
    const SubjectKind kind = GENERATE(from_range(kinds_with(Mishap::hung_start)));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    begin_in_vain(trial, 1s);
    trial.begin_anew(RecoveryRung::restart_browser, LossCause::start_timed_out);
}

TEST_CASE("a worker that is stopped while its start hangs has failed to start, and stops") {
    const SubjectKind kind = GENERATE(from_range(kinds_with(Mishap::hung_start)));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    begin_in_vain(trial, 1s);
    trial.subject().perform(core::StopWorker{worker, trial.generation(), true});
    const core::WorkerStopped stopped{worker, trial.generation()};
    REQUIRE(trial.subject().comes(stopped));
    trial.pass(500ms);
    for (const core::Event& event : trial.subject().events()) UNSCOPED_INFO(core::text_of(event));
    CHECK(trial.subject().events().size() == 2);
    CHECK(trial.place(core::WorkerStartFailed{worker, trial.generation(), Errc::cancelled}) <
          trial.place(stopped));
}

} // namespace everpool::tests
