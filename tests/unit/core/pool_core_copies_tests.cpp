// PoolCore: several workers for one request, and a vote over their answers.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

RequestMeta thrice(std::uint64_t id) { return {.id = {id}, .copies = 3}; }

/// The answer of a driver that finds these to agree, by their place in the question.
VotesCounted verdict(const CountVotes& asked, std::uint32_t agreeing) {
    VotesCounted out{.request = asked.request, .agreeing = agreeing};
    std::uint32_t count = 0;
    for (std::uint32_t i = asked.count; i-- > 0;)
        if ((agreeing >> i & 1U) != 0) {
            out.chosen = asked.attempts[i];
            ++count;
        }
    if (2 * count <= asked.count) return {asked.request, VoteVerdict::undecided, 0, agreeing};
    out.verdict = count == asked.count ? VoteVerdict::agreed : VoteVerdict::majority;
    return out;
}

struct VoteRig : CoreRig {
    explicit VoteRig(std::size_t count = 3, std::uint32_t in_flight_max = 4)
        : VoteRig(workers(count, in_flight_max)) {}
    explicit VoteRig(const CoreConfig& config) : CoreRig(config) { start(); }

    std::vector<Dispatch> ask(std::uint64_t id) { return all<Dispatch>(submit(thrice(id))); }

    /// Twice in a row is no coincidence. \return what followed the second vote
    Actions outvote_twice(WorkerId worker) {
        Actions out;
        for (std::uint64_t id = 1; id <= 2; ++id) {
            const auto sent = ask(id);
            std::uint32_t agreeing = 0;
            CountVotes count;
            for (std::size_t i = 0; i < 3; ++i) {
                if (sent.at(i).worker != worker) agreeing |= 1U << i;
                const Actions actions = reply(sent.at(i));
                if (i == 2) count = only<CountVotes>(actions);
            }
            out = send(verdict(count, agreeing));
        }
        return out;
    }
};

} // namespace

TEST_CASE("copies of a request go to different workers at once") {
    VoteRig rig;
    const Actions actions = rig.submit(thrice(1));
    CHECK(all<Notice>(actions).empty()); // nothing was dispatched again
    const auto sent = all<Dispatch>(actions);
    REQUIRE(sent.size() == 3);
    for (std::uint32_t i = 0; i < 3; ++i) {
        CHECK(sent[i].worker == WorkerId{i});
        CHECK(sent[i].attempt == i + 1);
        CHECK(sent[i].is_beside == (i != 0));
    }
}

TEST_CASE("the votes are counted when all have answered, and the chosen answer completes") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    CHECK(rig.reply(sent[0]).empty());
    CHECK(rig.reply(sent[2]).empty());
    const auto count = only<CountVotes>(rig.reply(sent[1]));
    CHECK(count.request == RequestId{1});
    REQUIRE(count.count == 3);
    CHECK(count.attempts[0] == 1); // in the order in which they came in
    CHECK(count.attempts[1] == 3);
    CHECK(rig.core.stats().votes == 0);
    const Actions end = rig.send(verdict(count, 0b111));
    CHECK(end == Actions{Complete{{1}, Errc::ok, 3, w0, 1}});
    CHECK(rig.core.stats().votes == 1);
    CHECK(rig.core.stats().dissents == 0);
    CHECK(rig.core.stats().succeeded == 1);
}

TEST_CASE("one dissenter among three is outvoted and counted") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    rig.reply(sent[0]);
    rig.reply(sent[1]);
    const auto count = only<CountVotes>(rig.reply(sent[2]));
    CHECK(only<Complete>(rig.send(verdict(count, 0b110))) == Complete{{1}, Errc::ok, 3, w1, 2});
    CHECK(rig.core.stats().dissents == 1);
    CHECK(rig.state(w0) == WorkerState::ready); // once is no proof
}

TEST_CASE("a worker that dissents again gets no more work and is started anew") {
    VoteRig rig;
    for (std::uint64_t id = 1; id <= 2; ++id) {
        const auto sent = rig.ask(id);
        rig.reply(sent[1]);
        rig.reply(sent[2]);
        const auto count = only<CountVotes>(rig.reply(sent[0]));
        const Actions end = rig.send(verdict(count, 0b011));
        if (id == 1) continue;
        CHECK(only<StartWorker>(end).worker == w0);
        CHECK(only<StartWorker>(end).cause == LossCause::wrong_answer);
        CHECK(finder_of_loss(end) == WrongAnswerFinder::vote);
    }
    CHECK(rig.core.stats().quarantines == 1);
    CHECK(rig.state(w0) == WorkerState::starting);
    rig.make_ready(w0);
    const auto sent = rig.ask(3); // it is believed again
    CHECK(sent.size() == 3);
}

TEST_CASE("a quarantined worker is not taken away from what it works on") {
    VoteRig rig;
    const std::uint32_t chromium = pack_preferences({BrowserType::chromium});
    const auto other = only<Dispatch>(
        rig.submit({.id = {9}, .preferred_browsers = chromium, .idempotent = false}));
    REQUIRE(other.worker == w0);
    CHECK(all<StartWorker>(rig.outvote_twice(w0)).empty());
    CHECK(rig.state(w0) == WorkerState::ready);
    CHECK(only<Dispatch>(rig.submit(10)).worker != w0);
    const Actions actions = rig.reply(other);
    CHECK(only<Complete>(actions).code == Errc::ok);
    CHECK(only<StartWorker>(actions).worker == w0);
}

TEST_CASE("while a quarantined worker ends what it works on, its standby serves in its place") {
    CoreConfig config = CoreRig::workers(2, 2);
    config.worker_browsers.push_back(BrowserType::firefox);
    config.standby_count = 1;
    VoteRig rig(config);
    const auto other = only<Dispatch>(rig.submit({.id = {9}, .idempotent = false}));
    rig.outvote_twice(other.worker);
    REQUIRE(rig.state(other.worker) == WorkerState::ready);
    const WorkerId third = other.worker == w0 ? w1 : w0;
    CHECK(only<Dispatch>(rig.submit(10)).worker == third);
    CHECK(only<Dispatch>(rig.submit(11)).worker == third);
    CHECK(only<Dispatch>(rig.submit(12)).worker == w2);
}

TEST_CASE("if nobody can say who is right, the request says so") {
    VoteRig rig(2);
    const auto sent = rig.ask(1);
    REQUIRE(sent.size() == 2); // there are not three workers
    rig.reply(sent[0]);
    const auto count = only<CountVotes>(rig.reply(sent[1]));
    CHECK(only<Complete>(rig.send(verdict(count, 0))).code == Errc::answers_disagree);
    CHECK(rig.core.stats().undecided == 1);
    CHECK(rig.core.stats().failed == 1);
}

TEST_CASE("who differ, where nobody can say who is wrong, are all started anew in the end") {
    VoteRig rig(2);
    for (std::uint64_t id = 1; id <= 4; ++id) {
        CHECK(rig.core.stats().quarantines == 0);
        const auto sent = rig.ask(id);
        rig.reply(sent.at(0));
        rig.send(verdict(only<CountVotes>(rig.reply(sent.at(1))), 0));
    }
    CHECK(rig.core.stats().quarantines == 2);
    CHECK(rig.state(w0) == WorkerState::starting);
    CHECK(rig.state(w1) == WorkerState::starting);
}

TEST_CASE("where three are asked for and there are two workers, the two decide if they agree") {
    VoteRig rig(2);
    const auto sent = rig.ask(1);
    REQUIRE(sent.size() == 2);
    rig.reply(sent[1]);
    const auto count = only<CountVotes>(rig.reply(sent[0]));
    CHECK(count.count == 2);
    CHECK(only<Complete>(rig.send(verdict(count, 0b11))).code == Errc::ok);
    CHECK(rig.core.stats().votes == 1);
}

TEST_CASE("what a driver calls agreed is none without the majority of those asked") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    for (std::size_t i = 0; i < 2; ++i) rig.reply(sent[i]);
    const auto count = only<CountVotes>(rig.reply(sent[2]));
    const VotesCounted wrong{count.request, VoteVerdict::agreed, count.attempts[0], 0b001};
    CHECK(only<Complete>(rig.send(wrong)).code == Errc::answers_disagree);
}

TEST_CASE("a pool of one worker asks one, and delivers its answer") {
    VoteRig rig(1);
    const auto sent = rig.ask(1);
    REQUIRE(sent.size() == 1);
    CHECK(rig.reply(sent[0]) == Actions{Complete{{1}, Errc::ok, 1, w0}});
}

TEST_CASE("what must not be repeated, and what belongs to a lease, is asked of one worker") {
    VoteRig rig;
    CHECK(all<Dispatch>(rig.submit({.id = {1}, .copies = 3, .idempotent = false})).size() == 1);
    rig.send(Acquire{{1}});
    CHECK(all<Dispatch>(rig.submit({.id = {2}, .copies = 3, .lease = {1}})).size() == 1);
}

TEST_CASE("a copy prefers an engine that its siblings do not run on") {
    CoreConfig config = CoreRig::workers(4);
    config.worker_browsers[3] = BrowserType::firefox;
    CoreRig rig(config);
    rig.start();
    const auto sent = all<Dispatch>(rig.submit({.id = {1}, .copies = 2}));
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].worker == w0);
    CHECK(sent[1].worker == WorkerId{3});
}

TEST_CASE("a lost worker's copy alone is dispatched again, not where its siblings are") {
    VoteRig rig(4);
    const auto sent = rig.ask(1);
    const Actions actions = rig.lose(w1, LossCause::process_exited);
    const auto again = only<Dispatch>(actions);
    CHECK(again.worker == WorkerId{3});
    CHECK(again.attempt == 4);
    rig.reply(sent[0]);
    rig.reply(sent[2]);
    CHECK(only<CountVotes>(rig.reply(again)).count == 3);
}

TEST_CASE("a copy without a worker does not hold up a majority that agrees") {
    VoteRig rig;
    rig.lose(w2, LossCause::process_exited); // it is being started
    const auto sent = rig.ask(1);
    REQUIRE(sent.size() == 2);
    CHECK(rig.core.queued() == 1);
    rig.reply(sent[0]);
    const auto count = only<CountVotes>(rig.reply(sent[1]));
    CHECK(only<Complete>(rig.send(verdict(count, 0b11))).code == Errc::ok);
    CHECK(rig.core.queued() == 0);
}

TEST_CASE("two that disagree wait for the third, which decides") {
    VoteRig rig;
    rig.lose(w2, LossCause::process_exited);
    const auto sent = rig.ask(1);
    rig.reply(sent[0]);
    const auto first = only<CountVotes>(rig.reply(sent[1]));
    CHECK(all<Complete>(rig.send(verdict(first, 0))).empty());
    const auto third = only<Dispatch>(rig.make_ready(w2));
    CHECK(third.is_beside); // of two that have been answered
    const auto second = only<CountVotes>(rig.reply(third));
    CHECK(second.count == 3);
    CHECK(only<Complete>(rig.send(verdict(second, 0b101))).code == Errc::ok);
}

TEST_CASE("a copy that waits for its worker is overtaken by what that worker's siblings can take") {
    VoteRig rig(3, 1);
    rig.lose(w2, LossCause::process_exited);
    const auto sent = rig.ask(1);
    rig.submit(2);
    CHECK(only<Dispatch>(rig.reply(sent[0])).request == RequestId{2});
}

TEST_CASE("at the deadline the votes of a quorum are counted, without one it is exceeded") {
    const auto answers = GENERATE(1, 2);
    VoteRig rig;
    RequestMeta meta = thrice(1);
    meta.deadline = rig.now + 100ms;
    const auto sent = all<Dispatch>(rig.submit(meta));
    for (int i = 0; i < answers; ++i) rig.reply(sent[static_cast<std::size_t>(i)]);
    const Actions late = rig.pass_alive(150ms);
    if (answers == 1) {
        CHECK(only<Complete>(late).code == Errc::deadline_exceeded);
        CHECK(all<SendCancel>(late).size() == 2);
        return;
    }
    CHECK(all<Complete>(late).empty());
    const Actions end = rig.send(verdict(only<CountVotes>(late), 0b11));
    CHECK(only<Complete>(end).code == Errc::ok);
    CHECK(only<SendCancel>(end).worker == w2); // nobody waits for the straggler
    CHECK(rig.reply(sent[2]).empty());
    CHECK(rig.core.stats().late_answers == 1);
}

TEST_CASE("copies that fail so that no majority is left make the request fail at once") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    rig.reply(sent[0]);
    CHECK(rig.reply(sent[1], Errc::operation_failed).empty());
    const Actions end = rig.reply(sent[2], Errc::operation_failed);
    CHECK(only<Complete>(end) == Complete{{1}, Errc::operation_failed, 3, w2});
}

TEST_CASE("a cancelled request cancels its copies, whose places stay taken until they answer") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    const Actions end = rig.send(Cancel{{1}});
    CHECK(all<SendCancel>(end).size() == 3);
    CHECK(only<Complete>(end).code == Errc::cancelled);
    CHECK(rig.core.in_flight(w1) == 1);
    for (const Dispatch& one : sent) CHECK(rig.reply(one, Errc::cancelled).empty());
    CHECK(rig.core.in_flight(w1) == 0);
    CHECK(rig.core.stats().late_answers == 3);
    CHECK(rig.send(Cancel{{1}}).empty());
}

TEST_CASE("a request that is cancelled while its votes are counted is over") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    for (std::size_t i = 0; i < 2; ++i) rig.reply(sent[i]);
    const auto count = only<CountVotes>(rig.reply(sent[2]));
    CHECK(only<Complete>(rig.send(Cancel{{1}})).code == Errc::cancelled);
    CHECK(rig.send(verdict(count, 0b111)).empty());
    CHECK(rig.core.stats().stale_ignored == 1);
}

TEST_CASE("an answer that comes twice counts once") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    rig.reply(sent[0]);
    CHECK(rig.reply(sent[0]).empty());
    CHECK(rig.core.stats().stale_ignored == 1);
    rig.reply(sent[1]);
    CHECK(only<CountVotes>(rig.reply(sent[2])).count == 3);
}

TEST_CASE("a drain waits for the votes") {
    VoteRig rig;
    const auto sent = rig.ask(1);
    rig.send(Drain{});
    for (std::size_t i = 0; i < 2; ++i) rig.reply(sent[i]);
    const Actions counting = rig.reply(sent[2]);
    CHECK(all<DrainFinished>(counting).empty());
    const Actions end = rig.send(verdict(only<CountVotes>(counting), 0b111));
    CHECK(all<Complete>(end).size() == 1);
    CHECK(all<DrainFinished>(end).size() == 1);
}

TEST_CASE("a stop ends a request with copies once") {
    const auto moment = GENERATE(0, 1, 2);
    VoteRig rig;
    const auto sent = rig.ask(1);
    if (moment == 1) rig.reply(sent[0]);
    if (moment == 2) rig.send(Cancel{{1}});
    const Actions end = rig.send(Stop{});
    CHECK(all<Complete>(end).size() == (moment == 2 ? 0 : 1));
}

TEST_CASE("workers that fail for good are wanted no more") {
    VoteRig rig(3);
    rig.lose(w2, LossCause::process_exited);
    const auto sent = rig.ask(1);
    rig.reply(sent[0]);
    rig.send(WorkerStartFailed{w2, rig.generation(w2), Errc::browser_not_found, true});
    const auto count = only<CountVotes>(rig.reply(sent[1]));
    CHECK(only<Complete>(rig.send(verdict(count, 0b11))).code == Errc::ok);
}
