// Two views of the state: in what they differ, and which record wins when they are merged.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_merge.hpp"
#include "state_script.hpp"

#include <cstdio>
#include <string>

using namespace everpool;
using namespace everpool::state_tests;
using core::StateCore;

namespace {

StateCore copy_of(StateCore& core) {
    StateCore copy;
    Diagnostics diagnostics;
    REQUIRE(copy.restore(core.snapshot(), diagnostics) == Errc::ok);
    return copy;
}

/// \return what was merged; empty if nothing was
Reconciled merge(StateCore& mine, StateCore& other, const core::ReconcileOptions& options = {}) {
    Transaction transaction = core::reconcile(mine.snapshot(), other.snapshot(), options);
    if (transaction.changes.empty()) return {};
    REQUIRE(transaction.changes.size() == 1);
    transaction.number = mine.version() + 1;
    transaction.at = noon + 1h;
    std::vector<std::byte> bytes; // what is merged goes through the log
    core::encode_transaction(transaction, bytes);
    Transaction read;
    REQUIRE(core::decode_transaction(bytes, read) == Errc::ok);
    Diagnostics diagnostics;
    const Errc code = mine.apply(read, diagnostics);
    INFO(diagnostics.text());
    REQUIRE(code == Errc::ok);
    REQUIRE(!core::check_state(mine.snapshot()));
    return std::get<Reconciled>(transaction.changes[0]);
}

bool has_finding(const Reconciled& merged, std::string_view beginning) {
    return std::ranges::any_of(merged.findings,
                               [&](const auto& finding) { return finding.starts_with(beginning); });
}

StateCore common_start() {
    StateCore core;
    commit(core, live_browser(0), live_browser(1), ModelRegistered{{.name = "bert"}},
           OperationSubmitted{.id = r1}, OperationSubmitted{.id = r2},
           OperationDispatched{r1, w0, {1}}, ResourceAllocated{.id = {1}, .worker = w0});
    return core;
}

} // namespace

TEST_CASE("A difference names the record and its members") {
    StateCore mine = common_start(), other = copy_of(mine);
    CHECK(core::difference(mine.snapshot(), other.snapshot()).empty());
    commit(other, OperationFinished{.id = r1, .worker = w0}, ResourceFreed{{1}},
           ModelRegistered{{.name = "vit\n"}}, MetricRecorded{{.model = "m"}, 1ms},
           BrowserChanged{.id = w1, .settings = {{{"a", "1"}}}});
    const auto found = core::difference(mine.snapshot(), other.snapshot());
    std::string text;
    for (const auto& one : found) text += one.text() + '\n';
    CHECK(text == "state: version: 1 / 2, clock: 1 / 2\n"
                  "browser 1: settings: {} / {\"a\":\"1\"}, version: 1 / 2\n"
                  "model vit\\n: only in the second\n"
                  "operation 1: status: \"running\" / \"completed\", finished_at: null / "
                  "\"2027-01-15T08:00:00.000000000Z\", version: 1 / 2\n"
                  "resource 1: only in the first\n"
                  "metric m//chromium/wasm: only in the second\n");
    CHECK(core::difference(mine.snapshot(), other.snapshot(), 2).size() == 2);
}

TEST_CASE("Payloads that differ in their bytes alone are a difference") {
    StateCore a, b;
    commit(a, OperationSubmitted{.id = r1, .payload = Payload({std::byte{1}})});
    commit(b, OperationSubmitted{.id = r1, .payload = Payload({std::byte{2}})});
    const auto found = core::difference(a.snapshot(), b.snapshot());
    REQUIRE(found.size() == 1);
    CHECK(found[0].text() == "operation 1: payload: other bytes / other bytes");
}

TEST_CASE("A view that lags behind is brought up to date, and merging again changes nothing") {
    StateCore behind = common_start(), ahead = copy_of(behind);
    commit(ahead, OperationFinished{.id = r1, .worker = w0}, ModelAssigned{"bert", {w1}});
    commit(ahead, BrowserRemoved{w0}, OperationSubmitted{.id = {3}});
    const core::ReconcileOptions options{.source = "primary", .absent = AbsentRecords::are_removed};
    const Reconciled merged = merge(behind, ahead, options);
    CHECK(merged.source == "primary");
    CHECK(has_finding(merged, "browser 0: removed"));
    CHECK(has_finding(merged, "operation 1: the other's taken: status"));
    CHECK(has_finding(merged, "operation 3: taken, as only the other has it"));
    const auto left = core::difference(behind.snapshot(), ahead.snapshot());
    REQUIRE(left.size() == 1); // each has its own count of transactions
    CHECK(left[0].record == "state");
    CHECK(behind.clock() > ahead.clock());
    CHECK(core::reconcile(behind.snapshot(), ahead.snapshot(), options).changes.empty());
    CHECK(core::reconcile(ahead.snapshot(), behind.snapshot(), options).changes.empty());
}

TEST_CASE("A final status wins over any other, even over a higher version") {
    StateCore mine = common_start(), other = copy_of(mine);
    commit(other, OperationFinished{.id = r1, .worker = w0});
    commit(mine, OperationRequeued{r1, w0});
    commit(mine, OperationDispatched{r1, w1, {1}});
    merge(mine, other);
    CHECK(mine.find_operation(r1)->status == OperationStatus::completed);
    CHECK(mine.find_operation(r1)->worker == w0);

    StateCore again = copy_of(other);
    commit(again, Note{});
    merge(other, mine);
    CHECK(other.find_operation(r1)->status == OperationStatus::completed);
}

TEST_CASE("The higher version wins, then the later wall time, then one's own") {
    StateCore mine = common_start(), other = copy_of(mine);
    const auto change = [](StateCore& core, WallTime at, const std::string& text) {
        Transaction transaction = step(core, BrowserChanged{.id = w0, .last_failure = text});
        transaction.at = at;
        Diagnostics diagnostics;
        REQUIRE(core.apply(transaction, diagnostics) == Errc::ok);
    };
    change(mine, noon + 9s, "mine");
    change(other, noon, "other, earlier");
    CHECK(has_finding({.findings = merge(mine, other).findings}, "") == false); // nothing to do
    CHECK(mine.find_browser(w0)->last_failure == "mine");
    change(other, noon, "other, newer version");
    merge(mine, other);
    CHECK(mine.find_browser(w0)->last_failure == "other, newer version");

    StateCore a = common_start(), b = copy_of(a), c = copy_of(a);
    change(a, noon, "a");
    change(b, noon + 1s, "b, later");
    change(c, noon, "c");
    merge(a, b);
    CHECK(a.find_browser(w0)->last_failure == "b, later");
    StateCore d = common_start();
    change(d, noon, "d, one's own");
    merge(d, c);
    CHECK(d.find_browser(w0)->last_failure == "d, one's own");
}

TEST_CASE("What one view cannot have known stays; what it has seen go, goes") {
    StateCore mine = common_start(), other = copy_of(mine);
    commit(other, ResourceFreed{{1}});
    commit(mine, Note{});
    commit(mine, ResourceAllocated{.id = {2}, .worker = w1}); // beyond the other's clock
    StateCore apart = copy_of(mine);
    merge(mine, other, {.absent = AbsentRecords::are_removed});
    CHECK(mine.find_resource({1}) == nullptr);
    CHECK(mine.find_resource({2}) != nullptr);
    merge(apart, other); // but for a view that is not complete it says nothing
    CHECK(apart.find_resource({1}) != nullptr);
}

TEST_CASE("A merge makes fit what would contradict its result") {
    StateCore mine = common_start(), other = copy_of(mine);
    commit(other, OperationRequeued{r1, w0},
           BrowserChanged{.id = w0, .connection = ConnectionStatus::lost});
    commit(mine, Note{});
    commit(mine, Note{});
    // Newer than anything of the other view, and all on the browser that is lost there.
    commit(mine, OperationRequeued{r1, w0}, OperationDispatched{r1, w0, {1}},
           ModelAssigned{"bert", {w0}}, ResourceAllocated{.id = {5}, .worker = w0});
    const Reconciled merged = merge(mine, other);
    CHECK(has_finding(merged, "operation 1: queued anew"));
    CHECK(has_finding(merged, "model bert: unassigned"));
    CHECK(has_finding(merged, "resource 5: removed"));
    CHECK(mine.find_operation(r1)->status == OperationStatus::queued);
    CHECK(mine.find_operation(r1)->version == mine.clock());
    CHECK(mine.find_operation(r1)->changed_at == noon + 1h);
    CHECK(core::reconcile(mine.snapshot(), other.snapshot()).changes.empty());
}

TEST_CASE("A merge leaves nothing on a life of a worker that never had it") {
    StateCore mine = common_start(), other = copy_of(mine);
    commit(other, OperationRequeued{r1, w0}, BrowserChanged{.id = w0, .generation = Generation{2}});
    commit(other, ResourceAllocated{.id = {7}, .worker = w0}); // in that life
    // Newer than the other's record of the model; w0 lives its first life here.
    for (int i = 0; i < 4; ++i) commit(mine, Note{});
    commit(mine, ModelAssigned{"bert", {w0}}, ModelAssigned{"bert", {w1}});
    commit(mine, ResourceAllocated{.id = {5}, .worker = w0});
    StateCore mine_before = copy_of(mine);
    const auto check = [](StateCore& merged) {
        CHECK(merged.find_browser(w0)->generation == Generation{2});
        CHECK(merged.find_model("bert")->assignments == std::vector<ModelAssignment>{{w1}});
        CHECK(merged.find_resource({1}) == nullptr);
        CHECK(merged.find_resource({5}) == nullptr);
        CHECK(merged.find_resource({7}) != nullptr);
    };
    const Reconciled merged = merge(mine, other);
    CHECK(has_finding(merged, "model bert: unassigned"));
    CHECK(has_finding(merged, "resource 5: removed"));
    check(mine);
    CHECK(core::reconcile(mine.snapshot(), other.snapshot()).changes.empty());
    merge(other, mine_before); // the same from the other side
    check(other);
}

TEST_CASE("A merge leaves a clock that has room to go on") {
    StateCore core = common_start();
    CHECK(refusal(core, Reconciled{.clock = core::state_count_max - 1}).find("room to go on") !=
          std::string::npos);
    CHECK(refusal(core, Reconciled{.clock = core::state_count_max / 2}).find("room to go on") !=
          std::string::npos);
    commit(core, Reconciled{.clock = core::state_count_max / 2 - 1});
    for (int i = 0; i < 3; ++i) commit(core, Note{});
    CHECK(copy_of(core).snapshot() == core.snapshot()); // what is written can be read
}

TEST_CASE("A merge that does not leave a consistent state is refused as a whole") {
    StateCore core = common_start();
    const BrowserState gone{.id = w0, .connection = ConnectionStatus::lost, .version = 1};
    CHECK(refusal(core, Reconciled{.browsers = {gone}}).find("live worker") != std::string::npos);
    CHECK(refusal(core, Reconciled{.browsers_removed = {{9}}}).find("in the state") !=
          std::string::npos);
    CHECK(refusal(core,
                  Reconciled{.clock = 5, .resources = {{.id = {4}, .worker = w1, .version = 9}}})
              .find("clock") != std::string::npos);
    commit(core, Reconciled{.clock = 8, .resources = {{.id = {4}, .worker = w1, .version = 9}}});
    CHECK(core.clock() == 9);
    commit(core, OperationFinished{.id = r1, .worker = w0}); // loads and order were kept right
    commit(core, BrowserRemoved{w0});
}

TEST_CASE("Findings are bounded, and say how many there were") {
    StateCore mine, other;
    for (std::uint64_t id = 1; id <= 50; ++id) commit(other, OperationSubmitted{.id = {id}});
    const Reconciled merged = merge(mine, other, {.findings_max = 10});
    REQUIRE(merged.findings.size() == 11);
    CHECK(merged.findings.back() == "and 40 more");
    CHECK(mine.snapshot().operation_count() == 50);
}

TEST_CASE(
    "Views that went apart at random are merged into one consistent state, from either side") {
    std::uint64_t merges = 0, findings = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        INFO("seed " << seed);
        PlainState plain, mine_plain;
        StateCore start = scripted_core(seed, 200, &plain);
        StateCore mine(small_limits), other(small_limits);
        Diagnostics diagnostics;
        REQUIRE(mine.restore(start.snapshot(), diagnostics) == Errc::ok);
        REQUIRE(other.restore(start.snapshot(), diagnostics) == Errc::ok);
        mine_plain = plain;
        StateScript mine_script(seed * 2 + 1), other_script(seed * 2);
        for (std::uint64_t i = 0; i < 30 + seed; ++i) {
            const Transaction own = mine_script.next(mine_plain);
            if (mine_plain.apply(own)) REQUIRE(mine.apply(own, diagnostics) == Errc::ok);
            if (seed % 3 == 0 && i > 20) continue; // one of them got further
            const Transaction others = other_script.next(plain);
            if (plain.apply(others)) REQUIRE(other.apply(others, diagnostics) == Errc::ok);
        }
        using enum AbsentRecords;
        const auto absent = seed % 2 == 0 ? are_removed : are_kept;
        StateCore mine_before(small_limits);
        REQUIRE(mine_before.restore(mine.snapshot(), diagnostics) == Errc::ok);
        findings += merge(mine, other, {.absent = absent}).findings.size();
        merge(other, mine_before, {.absent = absent});
        merges += 2;
        REQUIRE(core::reconcile(mine.snapshot(), mine.snapshot()).changes.empty());
        // A final status of one side is final for both.
        mine_before.snapshot().visit_operations([&](const OperationState& r) {
            const OperationState* found = other.find_operation(r.id);
            REQUIRE((!is_final(r.status) || found == nullptr || is_final(found->status)));
        });
    }
    std::printf("merges: %llu, with %llu findings\n", static_cast<unsigned long long>(merges),
                static_cast<unsigned long long>(findings));
}
