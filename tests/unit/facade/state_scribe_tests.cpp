// What a pool does becomes transactions, each step one, and the state refuses none of them.
// SPDX-License-Identifier: BSL-1.0
#include "facade/state_scribe.hpp"
#include "scribe_rig.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <variant>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

template <class What>
std::size_t count_of(const Transaction& step) {
    return static_cast<std::size_t>(std::ranges::count_if(
        step.changes, [](const Change& change) { return std::holds_alternative<What>(change); }));
}

/// The next event of that kind for an action that was handed out.
template <class Action>
Action last(const core::Actions& actions) {
    for (auto at = actions.rbegin(); at != actions.rend(); ++at)
        if (const auto* found = std::get_if<Action>(&*at)) return *found;
    throw std::runtime_error("no such action");
}

core::Replied reply_to(const core::Dispatch& dispatch, Errc code, bool was_sent = true) {
    return {dispatch.worker, dispatch.generation, dispatch.request, dispatch.attempt, code,
            was_sent};
}

struct RunningRig : ScribeRig {
    explicit RunningRig(FaultToleranceLevel level = FaultToleranceLevel::medium,
                        const core::CoreConfig& config = usual())
        : ScribeRig(level, 0, config) {
        (void)feed(core::Start{});
        for (std::uint32_t i = 0; i < workers; ++i) bring_up(WorkerId{i});
    }
    void lose(std::uint32_t worker, core::LossCause cause = core::LossCause::process_exited) {
        const Generation life = pool().worker(WorkerId{worker}).generation;
        (void)feed(core::WorkerLost{WorkerId{worker}, life, cause});
    }
    /// An operation that this worker executes, as nobody else is there.
    void run_on(std::uint32_t worker, RequestId id) {
        const auto dispatch = last<core::Dispatch>(submit(id));
        REQUIRE(dispatch.worker == WorkerId{worker});
        (void)feed(reply_to(dispatch, Errc::ok));
    }
    /// How many operations on `mlp` were measured in that browser with the present provider.
    [[nodiscard]] std::uint64_t measured(BrowserType browser) const {
        const MetricState* found = state.find_metric({"mlp", browser, provider, "inference"});
        return found == nullptr ? 0 : found->count;
    }
};

} // namespace

TEST_CASE("a browser is written down from its start until it takes work, with what it has loaded") {
    ScribeRig rig(FaultToleranceLevel::medium, 4);
    (void)rig.feed(core::Start{});
    CHECK(rig.browser(0).connection == ConnectionStatus::connecting);
    CHECK(rig.browser(0).generation == Generation{5}); // above the lives in a previous host
    rig.scribe().launched(WorkerId{0}, "156.0", {.pid = 17, .start_time_ticks = 99});
    CHECK(rig.browser(0).process.pid == 17);
    CHECK(rig.browser(0).browser_version == "156.0");
    (void)rig.feed(core::WorkerConnected{WorkerId{0}, Generation{1}});
    CHECK(rig.browser(0).connection == ConnectionStatus::connected);
    rig.bring_up(WorkerId{0});
    CHECK(rig.browser(0).connection == ConnectionStatus::ready);
    CHECK(rig.browser(0).health == HealthStatus::healthy);
    CHECK(rig.browser(0).settings.at("model.mlp") == "webgpu");
    CHECK(rig.state.find_model("mlp")->assignments ==
          std::vector<ModelAssignment>{{WorkerId{0}, Provider::webgpu, 100}});
    CHECK(rig.complaints.empty());
}

TEST_CASE("an operation is two transactions: submitted and sent, finished and measured") {
    RunningRig rig;
    const std::size_t before = rig.log.size();
    const auto dispatch = last<core::Dispatch>(rig.submit(RequestId{1}));
    REQUIRE(rig.log.size() == before + 1);
    CHECK(rig.operation(1)->status == OperationStatus::running);
    CHECK(rig.operation(1)->inputs_digest == 3);
    rig.now += 5ms;
    (void)rig.feed(reply_to(dispatch, Errc::ok));
    REQUIRE(rig.log.size() == before + 2);
    CHECK(rig.operation(1)->status == OperationStatus::completed);
    const MetricState* metric =
        rig.state.find_metric({"mlp", BrowserType::chromium, Provider::webgpu, "inference"});
    REQUIRE(metric != nullptr);
    CHECK(metric->count == 1);
    CHECK(metric->failures == 0);
    CHECK(metric->last == 5ms);
    CHECK(rig.complaints.empty());
}

TEST_CASE("a failure counts in the metric, what was cancelled says nothing about the worker") {
    RunningRig rig;
    const MetricKey key{"", BrowserType::chromium, Provider::wasm, "echo"};
    const auto first = last<core::Dispatch>(rig.submit(RequestId{1}, true, ModelId::none()));
    (void)rig.feed(reply_to(first, Errc::operation_failed));
    CHECK(rig.operation(1)->status == OperationStatus::failed);
    CHECK(rig.operation(1)->code == Errc::operation_failed);
    (void)rig.submit(RequestId{2}, true, ModelId::none());
    (void)rig.feed(core::Cancel{RequestId{2}});
    CHECK(rig.operation(2)->status == OperationStatus::cancelled);
    REQUIRE(rig.state.find_metric(key) != nullptr);
    CHECK(rig.state.find_metric(key)->count == 1);
    CHECK(rig.state.find_metric(key)->failures == 1);
}

// It was held back at level critical and never sent.
TEST_CASE("what the disk kept from being sent says nothing about the worker") {
    RunningRig rig;
    std::uint64_t id = 0;
    for (const Errc code : {Errc::storage_full, Errc::storage_failed, Errc::storage_not_writable,
                            Errc::invalid_transaction}) {
        INFO(name_of(code));
        const auto sent = last<core::Dispatch>(rig.submit(RequestId{++id}, true, ModelId::none()));
        (void)rig.feed(reply_to(sent, code, false));
        CHECK(rig.operation(id)->code == code);
        CHECK(rig.state.find_metric({"", BrowserType::chromium, Provider::wasm, "echo"}) ==
              nullptr);
    }
}

TEST_CASE("a lost browser and what becomes of its operations is one transaction") {
    RunningRig rig;
    const auto again = last<core::Dispatch>(rig.submit(RequestId{1}));
    // The second one goes to the same worker, as the others are gone.
    for (const std::uint32_t other : {0U, 1U, 2U})
        if (WorkerId{other} != again.worker)
            (void)rig.feed(
                core::WorkerLost{WorkerId{other}, Generation{1}, core::LossCause::page_crashed});
    const auto once = last<core::Dispatch>(rig.submit(RequestId{2}, false));
    REQUIRE(once.worker == again.worker);
    const std::size_t before = rig.log.size();
    (void)rig.feed(
        core::WorkerLost{again.worker, again.generation, core::LossCause::process_exited});
    REQUIRE(rig.log.size() == before + 1);
    CHECK(count_of<OperationRequeued>(rig.log.back()) == 1);
    CHECK(count_of<OperationFinished>(rig.log.back()) == 1);
    CHECK(rig.operation(1)->status == OperationStatus::queued);
    CHECK(rig.operation(1)->code == Errc::worker_lost);
    CHECK(rig.operation(2)->status == OperationStatus::outcome_unknown);
    CHECK(rig.operation(2)->worker == again.worker); // the history says who had it
    const BrowserState& browser = rig.browser(again.worker.value);
    CHECK(browser.connection == ConnectionStatus::connecting); // it is restarted at once
    CHECK(browser.restarts == 1);
    CHECK(browser.last_failure == "it died");
    CHECK(rig.complaints.empty());
}

// The record said chromium with Firefox's version, and Firefox's run times were Chromium's.
TEST_CASE("a worker that recovery makes another type is written down and measured as that") {
    core::CoreConfig config = ScribeRig::turning();
    const auto strategy = std::make_shared<OneRung>(RecoveryRung::other_type);
    config.strategy = strategy;
    config.restart_healthy_after = {}; // any spell is a healthy one: then it may turn back
    RunningRig rig(FaultToleranceLevel::medium, config);
    rig.scribe().launched(WorkerId{0}, "156.0", {.pid = 17, .start_time_ticks = 99});
    const std::size_t before = rig.log.size();
    rig.lose(0);
    CHECK(rig.log.size() == before + 1); // nobody sees the slot without a browser
    CHECK(rig.browser(0).type == BrowserType::firefox);
    CHECK(rig.browser(0).browser_version.empty());
    CHECK(rig.browser(0).process == ProcessIdentity{});
    CHECK(rig.browser(0).connection == ConnectionStatus::connecting);
    // What is the worker's stays; which providers its models got was the other browser's.
    CHECK(rig.browser(0).generation == Generation{2});
    CHECK(rig.browser(0).restarts == 1);
    CHECK(rig.browser(0).last_failure == "it died");
    CHECK(rig.browser(0).settings == StateSettings{{"fault_tolerance", "medium"}});
    rig.provider = Provider::wasm;
    rig.bring_up(WorkerId{0});
    for (const std::uint32_t other : {1U, 2U}) rig.lose(other);
    rig.run_on(0, RequestId{1});
    CHECK(rig.measured(BrowserType::firefox) == 1);
    CHECK(rig.measured(BrowserType::chromium) == 0);

    strategy->rung = RecoveryRung::restart_browser;
    rig.lose(0);
    CHECK(rig.browser(0).type == BrowserType::chromium); // as configured again
    rig.bring_up(WorkerId{0});
    rig.run_on(0, RequestId{2});
    CHECK(rig.measured(BrowserType::chromium) == 1);
    CHECK(rig.measured(BrowserType::firefox) == 1);
    CHECK(rig.complaints.empty());
}

TEST_CASE("a rival is written down and measured as what it takes the place of") {
    core::CoreConfig config = ScribeRig::usual();
    config.worker_browsers[1] = BrowserType::firefox;
    config.rival_count = 2;
    RunningRig rig(FaultToleranceLevel::medium, config);
    CHECK(rig.browser(3).type == BrowserType::chromium); // dormant
    rig.lose(1, core::LossCause::page_crashed);
    CHECK(rig.browser(3).type == BrowserType::firefox);
    rig.bring_up(WorkerId{3});
    for (const std::uint32_t other : {0U, 2U}) rig.lose(other);
    rig.run_on(3, RequestId{1});
    CHECK(rig.measured(BrowserType::firefox) == 1);
    CHECK(rig.complaints.empty());
}

TEST_CASE("an answer that sends an operation back to the queue is written down as that") {
    RunningRig rig;
    const auto dispatch = last<core::Dispatch>(rig.submit(RequestId{1}));
    for (std::uint64_t id = 2; id <= 12; ++id) (void)rig.submit(RequestId{id}); // all are full
    const auto actions = rig.feed(reply_to(dispatch, Errc::queue_full));
    CHECK(rig.operation(1)->attempts >= 1);
    CHECK(rig.operation(1)->code == Errc::queue_full);
    (void)rig.feed(reply_to(dispatch, Errc::queue_full)); // once more: it means nothing
    CHECK(rig.complaints.empty());
}

TEST_CASE("a request that is refused is written down with its refusal") {
    RunningRig rig;
    for (std::uint64_t id = 1; id <= 33; ++id) (void)rig.submit(RequestId{id});
    REQUIRE(rig.operation(33) != nullptr); // 12 at the workers, 20 wait
    CHECK(rig.operation(33)->status == OperationStatus::failed);
    CHECK(rig.operation(33)->code == Errc::queue_full);
    CHECK(rig.operation(33)->attempts == 0);
    CHECK(rig.complaints.empty());
}

TEST_CASE("a start that failed leaves a lost browser, in the end a failed one") {
    ScribeRig rig;
    (void)rig.feed(core::Start{});
    (void)rig.feed(
        core::WorkerStartFailed{WorkerId{0}, Generation{1}, Errc::browser_launch_failed});
    CHECK(rig.browser(0).generation == Generation{2}); // the first restart is immediate
    (void)rig.feed(
        core::WorkerStartFailed{WorkerId{0}, Generation{2}, Errc::browser_launch_failed});
    CHECK(rig.browser(0).connection == ConnectionStatus::lost); // the second is not
    (void)rig.feed(
        core::WorkerStartFailed{WorkerId{1}, Generation{1}, Errc::browser_not_found, true});
    CHECK(rig.browser(1).connection == ConnectionStatus::failed);
    CHECK(rig.browser(1).last_failure == "it died");
    CHECK(rig.complaints.empty());
}

TEST_CASE("the text of a failure that is too long is cut between two characters") {
    for (const std::size_t before : {2046U, 2047U, 2048U}) {
        RunningRig rig;
        rig.trouble = std::string(before, 'x') + "\xc3\xa9 and more";
        (void)rig.feed(
            core::WorkerLost{WorkerId{0}, Generation{1}, core::LossCause::process_exited});
        const std::string& told = rig.browser(0).last_failure;
        CHECK(is_utf8(told));
        CHECK(told == rig.trouble.substr(0, before == 2046 ? 2048 : before));
    }
}

TEST_CASE("a stop ends operations and browsers, also those that do not answer") {
    RunningRig rig;
    for (std::uint64_t id = 1; id <= 30; ++id) (void)rig.submit(RequestId{id});
    (void)rig.feed(core::Stop{});
    CHECK(rig.browser(0).connection == ConnectionStatus::draining);
    CHECK(rig.state.unfinished_count() == 0);
    (void)rig.feed(core::WorkerStopped{WorkerId{0}, Generation{1}});
    CHECK(rig.browser(0).connection == ConnectionStatus::stopped);
    rig.now += 1h;
    (void)rig.wake();
    CHECK(rig.browser(2).connection == ConnectionStatus::stopped);
    CHECK(rig.complaints.empty());
}

TEST_CASE("a pool that is destroyed leaves nothing unfinished") {
    RunningRig rig;
    for (std::uint64_t id = 1; id <= 20; ++id) (void)rig.submit(RequestId{id});
    rig.scribe().end_all();
    CHECK(rig.state.unfinished_count() == 0);
    CHECK(rig.operation(20)->status == OperationStatus::cancelled);
    CHECK(rig.browser(1).connection == ConnectionStatus::stopped);
    CHECK(rig.complaints.empty());
}

TEST_CASE("only operations wait for the disk, and only at level critical") {
    using enum FaultToleranceLevel;
    const core::Actions ping{core::SendPing{}}, dispatch{core::Dispatch{}}, end{core::Complete{}};
    for (const auto level : {none, low, medium, high}) {
        ScribeRig rig(level);
        CHECK_FALSE(rig.scribe().must_wait(dispatch));
    }
    ScribeRig rig(critical);
    CHECK(rig.scribe().must_wait(dispatch));
    CHECK(rig.scribe().must_wait(end));
    CHECK_FALSE(rig.scribe().must_wait(ping));
}

TEST_CASE("who waits is told what the disk said; what needs no record is told at once") {
    RunningRig rig(FaultToleranceLevel::critical);
    std::vector<error_code> told;
    const auto tell = [&](error_code ec) { told.push_back(ec); };
    rig.scribe().write({core::Complete{RequestId{77}}}, rig.now, tell); // of nothing that is known
    REQUIRE(told.size() == 1);
    CHECK_FALSE(told[0]);
    rig.scribe().submitted({.id = {1}, .operation = "echo"});
    rig.disk = rig.commits_say = Errc::storage_full;
    rig.scribe().write({core::Dispatch{WorkerId{0}, Generation{1}, RequestId{1}}}, rig.now, tell);
    REQUIRE(told.size() == 2);
    CHECK(told[1] == Errc::storage_full);
    CHECK(rig.durabilities.back() == Durability::sync);
    REQUIRE(rig.complaints.size() == 1);
    CHECK(rig.complaints[0].starts_with("disk: "));
    rig.scribe().write({core::Complete{RequestId{1}}}, rig.now, tell);
    CHECK(rig.complaints.size() == 1); // it has been said
}

TEST_CASE(
    "of most steps nobody waits for the disk, and still its trouble is told, once, and its end") {
    for (const auto level : {FaultToleranceLevel::medium, FaultToleranceLevel::critical}) {
        RunningRig rig(level);
        rig.is_disk_slow = true;
        rig.disk = Errc::storage_full;
        for (std::uint64_t id = 1; id <= 3; ++id) (void)rig.submit(RequestId{id});
        REQUIRE(rig.asked.size() == 1); // one question at a time
        CHECK(rig.complaints.empty());
        rig.let_disk_answer();
        CHECK(rig.complaints == std::vector<std::string>{"disk: storage_full"});
        CHECK(rig.scribe().trouble() == Errc::storage_full);
        (void)rig.submit(RequestId{4});
        rig.let_disk_answer();
        CHECK(rig.complaints.size() == 1); // it has been said
        rig.disk = {};
        (void)rig.submit(RequestId{5});
        rig.let_disk_answer();
        CHECK(rig.complaints.back() == "disk: ok");
        CHECK_FALSE(rig.scribe().trouble());
    }
    for (const auto level : {FaultToleranceLevel::none, FaultToleranceLevel::low}) {
        RunningRig rig(level);
        rig.is_disk_slow = true;
        (void)rig.submit(RequestId{1});
        CHECK(rig.asked.empty()); // there is no disk
    }
}

// A burst of steps, of which only the first one asks, and then nothing for hours.
TEST_CASE(
    "what came after the disk was asked is looked after, until it is there or trouble is told") {
    RunningRig rig;
    rig.is_disk_slow = true;
    CHECK_FALSE(rig.scribe().wants_to_know());
    for (std::uint64_t id = 1; id <= 3; ++id) (void)rig.submit(RequestId{id});
    CHECK_FALSE(rig.scribe().wants_to_know()); // it is asked already
    rig.let_disk_answer();
    REQUIRE(rig.scribe().wants_to_know());
    rig.scribe().on_health({.committed = 9, .durable = 7}); // on its way
    CHECK(rig.scribe().wants_to_know());
    CHECK(rig.complaints.empty());
    rig.scribe().on_health({.trouble = Errc::storage_full, .committed = 9, .durable = 7});
    CHECK(rig.complaints == std::vector<std::string>{"disk: storage_full"});
    REQUIRE(rig.scribe().wants_to_know()); // until it is over
    rig.scribe().on_health({.committed = 9, .durable = 9});
    CHECK(rig.complaints.back() == "disk: ok");
    CHECK_FALSE(rig.scribe().wants_to_know());
    (void)rig.submit(RequestId{4});
    rig.let_disk_answer();
    CHECK_FALSE(rig.scribe().wants_to_know()); // nothing came after
}

// No healthy pool makes such a step: the scribe is given one that the core never would.
TEST_CASE("a refused transaction is counted and told, and the pool goes on") {
    RunningRig rig;
    std::vector<error_code> told;
    rig.scribe().submitted({.id = {1}, .operation = "echo"});
    rig.scribe().write({core::Dispatch{WorkerId{0}, Generation{9}, RequestId{1}}}, rig.now,
                       [&](error_code ec) { told.push_back(ec); });
    CHECK(rig.scribe().refused() == 1);
    REQUIRE(rig.complaints.size() == 1);
    CHECK(rig.complaints[0].starts_with("refused: "));
    REQUIRE(told.size() == 1);
    CHECK(told[0] == Errc::invalid_transaction);
    (void)rig.submit(RequestId{2});
    CHECK(rig.operation(2)->status == OperationStatus::running);
    CHECK(rig.scribe().refused() == 1);
}

TEST_CASE("a step of more changes than a transaction holds becomes several") {
    RunningRig rig;
    const std::uint64_t count = transaction_changes_max + 100;
    core::Actions refusals;
    for (std::uint64_t id = 1; id <= count; ++id) {
        rig.scribe().submitted({.id = {id}, .operation = "echo"});
        refusals.push_back(core::Complete{RequestId{id}, Errc::queue_full});
    }
    const std::size_t before = rig.log.size();
    rig.scribe().write(refusals, rig.now);
    CHECK(rig.log.size() == before + 3); // two changes each
    CHECK(rig.operation(count)->status == OperationStatus::failed);
    CHECK(rig.complaints.empty());
}
