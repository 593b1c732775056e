// Hosts that are killed in mid-run and started again, with real browsers: what the pool remembers,
// and what becomes of operations.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_identity.hpp"
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/host_process.hpp"
#include "support/kept_state.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;
using enum FaultToleranceLevel;

namespace {

/// Never ends.
constexpr std::string_view endless = "export const run = () => new Promise(() => {});";
/// Ends at once, and gives its index back.
constexpr std::string_view prompt = "export const run = ({ index }) => ({ outputs: { index } });";
/// As `prompt`, and tells the host of each odd index that it was executed. (A thread tells of 32
/// errors at most, so a life must be short if all are to be known.)
constexpr std::string_view telling = R"(
    export async function run({ index }, { parameters }) {
        if (parameters.index % 2 == 1)
            setTimeout(() => { throw new Error(`executed ${parameters.index}`); });
        return { outputs: { index } };
    })";
/// Index 1 ends when it is cancelled; the other one tells that it was executed, and never ends.
constexpr std::string_view waiting = R"(
    export const run = ({ index }, { parameters, signal }) => new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
        if (parameters.index != 1)
            setTimeout(() => { throw new Error(`executed ${parameters.index}`); });
    });)";

std::string command(std::string_view what, FaultToleranceLevel level,
                    const TemporaryDirectory& state, const ModuleFile& module) {
    return EVERPOOL_STATE_HOST " " + std::string(what) + ' ' + std::string(name_of(level)) + ' ' +
           state.path.string() + ' ' + module.file().string();
}

/// What on_recovered is told.
class Recovered {
public:
    RecoveredListener listener() {
        return [this](const RecoveredOperation& one) {
            const std::scoped_lock lock(mutex_);
            told_.push_back(one);
        };
    }
    /// So many, or those that have come within half a minute.
    std::vector<RecoveredOperation> wait_for(std::size_t count) {
        for (const auto end = std::chrono::steady_clock::now() + 30s;
             std::chrono::steady_clock::now() < end; std::this_thread::yield()) {
            const std::scoped_lock lock(mutex_);
            if (told_.size() >= count) return told_;
        }
        const std::scoped_lock lock(mutex_);
        return told_;
    }

private:
    std::mutex mutex_;
    std::vector<RecoveredOperation> told_;
};

const RecoveredOperation& told_of(const std::vector<RecoveredOperation>& all, std::uint64_t index) {
    for (const RecoveredOperation& one : all)
        if (one.operation.inputs_digest == digest_of_index(index)) return one;
    throw std::runtime_error("nothing was told of that operation");
}

void check_executed(const RecoveredOperation& one, std::uint64_t index) {
    INFO(one.result.diagnostics.text());
    CHECK_FALSE(one.code);
    CHECK(one.was_executed_again);
    REQUIRE(one.result.outputs.size() == 1);
    CHECK(one.result.outputs[0].as<std::uint64_t>()[0] == index);
}

void check_unknown(const RecoveredOperation& one, std::string_view why) {
    INFO(one.result.diagnostics.text());
    CHECK(one.code == Errc::outcome_unknown);
    CHECK_FALSE(one.was_executed_again);
    CHECK(one.result.diagnostics.message.find(why) != std::string::npos);
}

std::string summary(const std::vector<RecoveredOperation>& told,
                    const ResourcePoolSnapshot& snapshot, const BrowserStateManager& state) {
    std::string out = "told of";
    for (const RecoveredOperation& one : told)
        out += ' ' + std::to_string(one.operation.id.value) + " (" + one.code.message() + ')';
    out += "; in flight " + std::to_string(snapshot.in_flight);
    out += ", queued " + std::to_string(snapshot.queued);
    for (const WorkerSnapshot& worker : snapshot.workers)
        out += ", a worker " + std::string(name_of(worker.state)) + " with " +
               std::to_string(worker.in_flight);
    out += "; kept";
    state.snapshot().visit_operations([&](const OperationState& one) {
        if (one.id.value > 20)
            out += ' ' + std::to_string(one.id.value) + ' ' + std::string(name_of(one.status));
    });
    return out;
}

/// See state_host.cpp for the five.
void check_recovered(const std::vector<RecoveredOperation>& told, FaultToleranceLevel level) {
    REQUIRE(told.size() == 5);
    check_executed(told_of(told, 1), 1);
    check_unknown(told_of(told, 2), "must not be executed again");
    const auto large = std::ranges::find_if(told, [](const RecoveredOperation& one) {
        return one.operation.payload.is_empty() && one.operation.is_idempotent;
    });
    REQUIRE(large != told.end());
    check_unknown(*large, "was not kept");
    check_executed(told_of(told, 4), 4);
    // It was never sent; but only at level critical that is certain.
    if (level == critical) check_executed(told_of(told, 5), 5);
    else check_unknown(told_of(told, 5), "record of its start may be missing");
}

/// 20 inferences, of which each step is in the log, and the five operations.
void check_history(const BrowserStateManager& state, FaultToleranceLevel level) {
    const StateSnapshot now = state.snapshot();
    auto counts = count_by_status(now);
    CHECK(counts[OperationStatus::completed] == (level == critical ? 23 : 22));
    CHECK(counts[OperationStatus::outcome_unknown] == 2);
    CHECK(counts[OperationStatus::failed] == (level == critical ? 0 : 1));
    CHECK(now.operation_count() == 25);
    CHECK(highest_id(now) == 25);
    CHECK(transactions(state, {.operation = RequestId{1}}).size() == 2);
    const MetricState* metric =
        now.find_metric({"mlp", BrowserType::chromium, Provider::wasm, "inference"});
    REQUIRE(metric != nullptr);
    CHECK(metric->count == 20);
}

/// Both slots in their next life, with the model and its provider.
void check_placement(const BrowserStateManager& state) {
    const StateSnapshot now = state.snapshot();
    const ModelState* model = now.find_model("mlp");
    REQUIRE(model != nullptr);
    REQUIRE(model->assignments.size() == 2);
    for (const std::uint32_t i : {0U, 1U}) {
        const BrowserState* browser = now.find_browser(WorkerId{i});
        REQUIRE(browser != nullptr);
        CHECK(browser->connection == ConnectionStatus::ready);
        CHECK(browser->generation == Generation{2});
        CHECK(model->assignments[i].worker == WorkerId{i});
        CHECK(model->assignments[i].provider == Provider::wasm);
    }
    const auto processes = processes_in(state);
    REQUIRE(processes.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) CHECK(io::exists(processes[i]) == (i >= 2));
}

void check_model_answers(PoolUnderTest& test) {
    const auto mlp = samples_of("mlp");
    const Answer answer = test.run(Request::inference("mlp", mlp.samples[3].inputs));
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(largest_difference(answer.result.outputs, mlp.samples[3].outputs) <= tolerance);
}

/// What hosts have said, all their lives.
struct Journal {
    std::set<std::uint64_t> answered;
    std::map<std::uint64_t, int> executed; ///< how often, by index
    /// How often, by digest: what was executed again, and what was not.
    std::map<std::uint64_t, int> executed_again, given_up;
    std::vector<std::string> odd;

    void add(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            const std::size_t space = line.find(' ');
            const std::string_view what = std::string_view(line).substr(0, space);
            if (what == "answered") answered.insert(std::stoull(line.substr(space)));
            else if (what == "executed") ++executed[std::stoull(line.substr(space))];
            else if (what == "recovered")
                ++(line.ends_with(" ok") ? executed_again
                                         : given_up)[std::stoull(line.substr(space))];
            else odd.push_back(line);
        }
    }
};

/// Each life goes on from the one before, and ends when so many lines have been read.
Journal live_and_die(FaultToleranceLevel level, const TemporaryDirectory& directory) {
    const ModuleFile module("module", telling);
    Journal journal;
    std::uint64_t life = 0;
    for (const int lines : {12, 1, 25, 3, 40}) {
        HostProcess host(command("endless", level, directory, module) + ' ' +
                         std::to_string(1'000'000 * ++life));
        for (int i = 0; i < lines; ++i) (void)host.next_line();
        host.kill();
        journal.add(host.all_lines());
    }
    return journal;
}

void check_nothing_twice(const Journal& journal, FaultToleranceLevel level) {
    CHECK(journal.odd == std::vector<std::string>{});
    CHECK(journal.answered.size() > 20);
    CHECK(journal.executed.size() > 10);
    for (const auto& [index, count] : journal.executed) {
        INFO(index);
        CHECK(count == 1);
    }
    for (const auto& [digest, count] : journal.given_up) {
        INFO(digest);
        CHECK(count == 1);
        CHECK_FALSE(journal.executed_again.contains(digest));
    }
    // Below, its end may be among the records that are missing when this host is killed as well.
    if (level == critical)
        for (const auto& [digest, count] : journal.executed_again) {
            INFO(digest);
            CHECK(count == 1);
        }
}

/// By digest of the inputs, of which each belongs to one submission.
std::map<std::uint64_t, OperationState> operations_in(const BrowserStateManager& state) {
    std::map<std::uint64_t, OperationState> out;
    state.snapshot().visit_operations([&](const OperationState& one) {
        INFO(one.id.value);
        CHECK(out.emplace(one.inputs_digest, one).second);
    });
    return out;
}

} // namespace

TEST_CASE("a host killed in mid-run and started again resumes its models, placement and history") {
    const auto level = GENERATE(medium, critical);
    const TemporaryDirectory directory;
    {
        const ModuleFile module("module", endless);
        HostProcess host(command("unfinished", level, directory, module));
        host.wait_for("ready");
        host.kill();
    }
    const ModuleFile module("module", prompt); // what the next life of the workers imports
    Recovered recovered;
    ResourcePoolConfig config = config_with_state(directory, level); // names no model
    config.modules = {module.spec()};
    config.browsers.at(0).count = 2;
    config.standby_count = 0; // as the host before it had
    config.fault_tolerance.on_recovered = recovered.listener();
    {
        PoolUnderTest test(config);
        test.start();
        const auto state = test.pool().state();
        REQUIRE(state);
        CHECK_FALSE(state->recovery().is_new);
        CHECK(state->recovery().ending != LogEnding::corruption);
        const auto told = recovered.wait_for(5);
        INFO(summary(told, test.pool().snapshot(), *state));
        check_recovered(told, level);
        check_history(*state, level);
        check_placement(*state);
        CHECK(test.count_of(Kind::model_ready) == 2);
        CHECK(test.count_of(Kind::warning) == (level == critical ? 1 : 0)); // it wants three
        check_model_answers(test);
        CHECK(highest_id(state->snapshot()) == 26); // ids go on
        CHECK(state->verify().empty());
        test.stop();
    }
    // And once more, after a stop in good order.
    PoolUnderTest third(config);
    third.start();
    const auto state = third.pool().state();
    REQUIRE(state);
    CHECK(state->orphans().empty());
    CHECK(state->snapshot().find_browser(WorkerId{1})->generation == Generation{3});
    check_model_answers(third);
    CHECK(highest_id(state->snapshot()) == 27);
    third.stop();
    CHECK(recovered.wait_for(5).size() == 5); // nothing was left, and nothing is told twice
    CHECK_FALSE(third.pool().state());        // but who has kept the pointer may go on reading
    CHECK(state->snapshot().find_browser(WorkerId{0})->connection == ConnectionStatus::stopped);
}

TEST_CASE("whenever hosts die, nothing is executed twice that must not be, and answers are known") {
    const auto level = GENERATE(medium, critical);
    const TemporaryDirectory directory;
    const Journal journal = live_and_die(level, directory);
    check_nothing_twice(journal, level);
    const BrowserStateManager state({.directory = directory.path});
    CHECK(state.verify().empty());
    auto operations = operations_in(state);
    if (level != critical) return;
    // The start is on record before it is executed, and the end before it is answered.
    for (const auto& [index, count] : journal.executed) {
        INFO(index);
        const OperationState& one = operations[digest_of_index(index)];
        CHECK(one.attempts == 1);
        CHECK((one.status == OperationStatus::completed ||
               one.status == OperationStatus::outcome_unknown));
    }
    for (const std::uint64_t index : journal.answered) {
        INFO(index);
        CHECK(operations[digest_of_index(index)].status == OperationStatus::completed);
    }
}

// Its start is among the newest records, which below level critical may be missing.
TEST_CASE("what waits as far as is recorded, and has been sent, is not sent a second time") {
    const TemporaryDirectory directory;
    const ModuleFile module("module", waiting);
    HostProcess host(command("unrecorded", medium, directory, module));
    host.wait_for("executed 2");
    host.kill();

    Recovered recovered;
    ResourcePoolConfig config = config_with_state(directory);
    config.modules = {module.spec()};
    config.fault_tolerance.on_recovered = recovered.listener();
    PoolUnderTest test(config);
    test.start();
    const auto told = recovered.wait_for(2);
    REQUIRE(told_of(told, 2).operation.attempts == 0); // else nothing was missing
    check_unknown(told_of(told, 2), "record of its start may be missing");
    CHECK_FALSE(test.run(Request::echo({})).ec);
    CHECK(test.count_of(Kind::page_message) == 0);
    CHECK(test.pool().state()->snapshot().find_operation(RequestId{2})->code ==
          Errc::outcome_unknown);
    test.stop();
}

TEST_CASE("a state directory belongs to one host, and the error names the process that has it") {
    const TemporaryDirectory directory;
    const ModuleFile module("module", endless);
    HostProcess host(command("unfinished", medium, directory, module));
    host.wait_for("ready");
    PoolUnderTest test(config_with_state(directory));
    try {
        test.start();
        FAIL("two hosts have the same state");
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.code() == Errc::storage_in_use);
        CHECK(error.diagnostics().text().find(std::to_string(host.pid())) != std::string::npos);
        CHECK(error.diagnostics().text().find(directory.path.string()) != std::string::npos);
    }
}
