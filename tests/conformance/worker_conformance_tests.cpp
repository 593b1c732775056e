// What PoolCore counts on in a worker, of real browsers and of the simulator's: whatever the core
// survives there is worth as much as that one is like these.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/event_text.hpp"
#include "everpool/core/starvation_answer.hpp"
#include "support/catch.hpp"
#include "trial.hpp"

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::tests {
namespace {

/// How a trouble shows, and what ends it. Empty: engines differ in that.
struct Symptoms {
    Trouble trouble;
    std::optional<bool> compute, page;   ///< it answers pings
    bool browser;                        ///< it answers over the control channel
    std::optional<bool> page_by_control; ///< the page does, asked that way
    RecoveryRung cure;
    LossCause cause; ///< for which the core would choose it
    std::optional<RecoveryRung> too_small{};
};

constexpr std::array hangs{
    Symptoms{Trouble::compute_hangs, false, true, true, true, RecoveryRung::replace_compute,
             LossCause::compute_hung},
    Symptoms{Trouble::page_hangs, std::nullopt, false, true, false, RecoveryRung::new_page,
             LossCause::page_hung, RecoveryRung::reload_page},
    Symptoms{Trouble::page_stops, false, false, true, false, RecoveryRung::new_page,
             LossCause::page_hung, RecoveryRung::replace_compute},
    Symptoms{Trouble::network_stops, false, false, true, true, RecoveryRung::reload_page,
             LossCause::network_hung},
    Symptoms{Trouble::browser_stops, true, true, false, false, RecoveryRung::restart_browser,
             LossCause::browser_hung},
    Symptoms{Trouble::all_stops, false, false, false, false, RecoveryRung::restart_browser,
             LossCause::browser_hung},
};

using Hang = std::pair<SubjectKind, Symptoms>;

/// Each of those that each kind can have.
std::vector<Hang> hangs_of_all() {
    std::vector<Hang> out;
    for (const SubjectKind kind : all_kinds())
        for (const Symptoms& symptoms : hangs)
            if (can_have(kind, symptoms.trouble)) out.emplace_back(kind, symptoms);
    return out;
}

} // namespace

TEST_CASE("a worker connects, loads, proves itself and answers, each once and in this order") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    CHECK(trial.subject().events().size() == 4);
}

// Or else a case would be left out for no reason.
TEST_CASE("an engine has the parts that it is said to have, and no others") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    CHECK(trial.subject().has_webgpu() == can_have(kind, Mishap::device_lost));
    CHECK(trial.subject().has_network_process() == can_have(kind, Trouble::network_stops));
    CHECK(trial.subject().has_network_process() == can_have(kind, Trouble::browser_stops));
}

TEST_CASE("operations are computed one after the other, and each is answered once") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    std::vector<RequestId> requests;
    for (int i = 0; i < 4; ++i) requests.push_back(trial.dispatch());
    for (const RequestId request : requests)
        REQUIRE(trial.subject().comes(trial.answer(request, Errc::ok)));
    for (std::size_t i = 1; i < requests.size(); ++i)
        CHECK(trial.place(trial.answer(requests[i - 1], Errc::ok)) <
              trial.place(trial.answer(requests[i], Errc::ok)));
    CHECK(trial.subject().all<core::Replied>().size() == 5);
}

TEST_CASE("a busy compute thread answers a ping after its operation, and the page at once") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    // The first says that it is at work: it takes its operations in order.
    const RequestId first = trial.dispatch(), second = trial.dispatch();
    REQUIRE(trial.subject().comes(trial.answer(first, Errc::ok)));
    trial.pass(20ms);
    const auto compute = trial.ping(wire::Channel::data);
    const auto page = trial.ping(wire::Channel::control);
    REQUIRE(trial.subject().comes(compute));
    CHECK(trial.place(page) < trial.place(compute));
    CHECK(trial.place(trial.answer(second, Errc::ok)) < trial.place(compute));
}

// A busy thread hears of it when it is free, and may take up what waits before that.
TEST_CASE("what waits may be cancelled, and everything is answered once") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    const RequestId running = trial.dispatch(), waiting = trial.dispatch();
    trial.subject().perform(core::SendCancel{worker, trial.generation(), waiting, 1});
    CHECK(trial.subject().comes(trial.answer(running, Errc::ok)));
    CHECK(trial.subject().wait_until(
        [&] {
            return trial.subject().has(trial.answer(waiting, Errc::cancelled)) ||
                   trial.subject().has(trial.answer(waiting, Errc::ok));
        },
        60s));
    const RequestId last = trial.dispatch();
    CHECK(trial.subject().comes(trial.answer(last, Errc::ok)));
    CHECK(trial.subject().all<core::Replied>().size() == 4);
}

TEST_CASE("what hangs is silent where it hangs and nowhere else, and its rung cures it") {
    const auto [kind, symptoms] = GENERATE(from_range(hangs_of_all()));
    CAPTURE(name_of(kind), static_cast<int>(symptoms.trouble));
    Trial trial(kind);
    trial.begin();
    trial.subject().forget_events();
    trial.subject().strike(symptoms.trouble);

    const auto compute = trial.ping(wire::Channel::data);
    const auto page = trial.ping(wire::Channel::control);
    const auto browser = trial.ask(core::ControlQuestion::browser);
    const auto by_control = trial.ask(core::ControlQuestion::page);
    WorkerSubject& subject = trial.subject();
    if (symptoms.compute == true) CHECK(subject.comes(compute));
    if (symptoms.page == true) CHECK(subject.comes(page));
    if (symptoms.browser) CHECK(subject.comes(browser));
    if (symptoms.page_by_control == true) CHECK(subject.comes(by_control));
    // Whoever is to be silent is so for longer than any of these answers ever took.
    trial.pass(1s);
    if (symptoms.compute == false) CHECK_FALSE(subject.has(compute));
    if (symptoms.page == false) CHECK_FALSE(subject.has(page));
    if (!symptoms.browser) CHECK_FALSE(subject.has(browser));
    if (symptoms.page_by_control == false) CHECK_FALSE(subject.has(by_control));
    CHECK(subject.all<core::WorkerLost>().empty()); // nothing tells but the silence
    // A loop is known by its run time, and what stands still by the want of it.
    if (symptoms.compute == false) {
        const bool does_loop = symptoms.trouble == Trouble::compute_hangs;
        const Duration ran = trial.look_at_threads().compute_ran;
        CHECK((ran >= core::StarvationAnswer::run_to_answer) == does_loop);
    }

    if (symptoms.too_small) CHECK_FALSE(trial.start(*symptoms.too_small, symptoms.cause, 2s));
    REQUIRE(trial.start(cure_in(kind, symptoms.cure), symptoms.cause));
    trial.proves_itself();
}

TEST_CASE("what dies may be told of by its sockets and by its engine, and by nothing else") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    const bool is_browser = GENERATE(false, true);
    CAPTURE(name_of(kind), is_browser);
    Trial trial(kind);
    trial.begin();
    trial.subject().set_work(Work::never_ends); // what it has in hand is not answered any more
    const RequestId request = trial.dispatch();
    REQUIRE(trial.subject().comes(trial.ping(wire::Channel::data)));
    trial.subject().forget_events();
    trial.subject().strike(is_browser ? Trouble::browser_dies : Trouble::page_dies);
    trial.pass(1s);
    for (const core::WorkerLost& lost : trial.subject().all<core::WorkerLost>()) {
        INFO(core::name_of(lost.cause));
        CHECK(lost.generation == trial.generation());
        CHECK((lost.cause == LossCause::connection_closed ||
               lost.cause == LossCause::page_crashed ||
               (is_browser && lost.cause == LossCause::process_exited)));
    }
    const std::size_t told = trial.subject().events().size();
    CHECK(trial.subject().all<core::WorkerLost>().size() == told);
    (void)trial.ping(wire::Channel::data);
    (void)trial.ping(wire::Channel::control);
    trial.pass(500ms);
    CHECK(trial.subject().events().size() == told);

    trial.subject().set_work(Work::computes);
    const RecoveryRung cure =
        cure_in(kind, is_browser ? RecoveryRung::restart_browser : RecoveryRung::reload_page);
    trial.begin_anew(cure, is_browser ? LossCause::process_exited : LossCause::page_crashed);
    CHECK(trial.answers_to(request).empty());
}

TEST_CASE("a worker that was stopped says so once, and nothing after it") {
    const SubjectKind kind = GENERATE(from_range(all_kinds()));
    CAPTURE(name_of(kind));
    Trial trial(kind);
    trial.begin();
    trial.subject().perform(core::StopWorker{worker, trial.generation(), true});
    REQUIRE(trial.subject().comes(core::WorkerStopped{worker, trial.generation()}));
    trial.subject().forget_events();
    (void)trial.ping(wire::Channel::control);
    (void)trial.ask(core::ControlQuestion::browser);
    trial.pass(500ms);
    CHECK(trial.subject().events().empty());
}

} // namespace everpool::tests
