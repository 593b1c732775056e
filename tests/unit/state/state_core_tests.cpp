// What each change of the state demands, and what follows from it.
// SPDX-License-Identifier: BSL-1.0
#include "state_script.hpp"

#include <string>

using namespace everpool;
using namespace everpool::state_tests;
using core::StateCore;

namespace {

const std::string bert = "bert";

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// Two live browsers, model bert on both, operation 1 running and 2 queued, a resource on each.
StateCore busy_core(const StateLimits& limits = {}) {
    StateCore core(limits);
    commit(core, live_browser(0), live_browser(1), ModelRegistered{{.name = bert}},
           ModelAssigned{bert, {w0, Provider::webgpu, 10}}, ModelAssigned{bert, {w1}},
           OperationSubmitted{.id = r1, .operation = "inference", .model = bert},
           OperationSubmitted{.id = r2, .operation = "echo"}, OperationDispatched{r1, w0, {1}},
           ResourceAllocated{.id = {1}, .worker = w0, .bytes = 5},
           ResourceAllocated{.id = {2}, .worker = w1, .bytes = 6});
    return core;
}

} // namespace

TEST_CASE("An operation is queued, runs and completes") {
    StateCore core;
    commit(core, live_browser(0, 3));
    commit(core, OperationSubmitted{.id = r1,
                                    .operation = "inference",
                                    .model = bert,
                                    .inputs_digest = 99,
                                    .deadline = noon + 1s,
                                    .is_idempotent = true,
                                    .payload = Payload({std::byte{1}, std::byte{2}})});
    CHECK(core.find_operation(r1)->status == OperationStatus::queued);
    CHECK(core.find_operation(r1)->payload.bytes().size() == 2);
    CHECK(core.unfinished_count() == 1);
    commit(core, OperationDispatched{r1, w0, {3}});
    CHECK(core.find_operation(r1)->status == OperationStatus::running);
    CHECK(core.find_operation(r1)->started_at == noon);
    commit(core, OperationFinished{.id = r1, .worker = w0});
    const OperationState expected{.id = r1,
                                  .operation = "inference",
                                  .model = bert,
                                  .inputs_digest = 99,
                                  .status = OperationStatus::completed,
                                  .attempts = 1,
                                  .worker = w0,
                                  .generation = {3},
                                  .deadline = noon + 1s,
                                  .submitted_at = noon,
                                  .started_at = noon,
                                  .finished_at = noon,
                                  .is_idempotent = true,
                                  .version = 4,
                                  .changed_at = noon};
    CHECK(*core.find_operation(r1) == expected);
    CHECK(core.unfinished_count() == 0);
}

TEST_CASE("No operation finishes twice, and the message says which one would") {
    StateCore core = busy_core();
    commit(core, OperationFinished{r1, w0, OperationStatus::failed, Errc::operation_failed});
    const std::string why = refusal(core, Note{"fine"}, OperationFinished{.id = r1, .worker = w0});
    CHECK(why == "transaction 3, change 2 (operation_finished 1): it does not hold that no "
                 "operation finishes twice");
}

TEST_CASE("An operation runs on a live worker, in the life that it was given to") {
    StateCore core = busy_core();
    CHECK(contains(refusal(core, OperationDispatched{r2, {7}, {1}}), "live worker"));
    CHECK(contains(refusal(core, OperationDispatched{r2, w0, {2}}), "present generation"));
    CHECK(contains(refusal(core, OperationDispatched{r1, w0, {1}}), "is queued"));
    CHECK(contains(refusal(core, OperationDispatched{{9}, w0, {1}}), "is in the state"));
    commit(core, BrowserChanged{.id = w1, .connection = ConnectionStatus::stopped});
    CHECK(contains(refusal(core, OperationDispatched{r2, w1, {1}}), "live worker"));
}

TEST_CASE("Only the worker that has an operation can end it") {
    StateCore core = busy_core();
    CHECK(contains(refusal(core, OperationFinished{.id = r1, .worker = w1}), "the one that has"));
    CHECK(contains(refusal(core, OperationRequeued{r1, w1}), "the one that has"));
    CHECK(contains(refusal(core, OperationRequeued{r2, w0}), "is running"));
    CHECK(contains(refusal(core, OperationRequeued{r1, w0, Errc::ok}), "for a reason"));
    commit(core, OperationRequeued{r1, w0, Errc::device_lost});
    CHECK(core.find_operation(r1)->worker.is_none());
    CHECK(core.find_operation(r1)->code == Errc::device_lost);
    CHECK(core.find_operation(r1)->attempts == 1);
}

TEST_CASE("How an operation ended and why go together") {
    StateCore core = busy_core();
    using enum OperationStatus;
    const auto none = WorkerId::none();
    CHECK(contains(refusal(core, OperationFinished{r1, w0, completed, Errc::cancelled}), "is ok"));
    CHECK(contains(refusal(core, OperationFinished{r1, w0, failed, Errc::ok}), "is ok"));
    CHECK(contains(refusal(core, OperationFinished{r1, w0, running, Errc::ok}), "final status"));
    CHECK(contains(refusal(core, OperationFinished{r2, none, completed, Errc::ok}),
                   "only what was dispatched completes"));
    CHECK(contains(refusal(core, OperationFinished{r2, none, outcome_unknown, Errc::worker_lost}),
                   "the outcome be unknown"));
    commit(core, OperationFinished{r2, none, cancelled, Errc::cancelled});
    commit(core, OperationFinished{r1, w0, outcome_unknown, Errc::outcome_unknown});
}

TEST_CASE("A browser that is gone has lost its models and resources at once") {
    for (const ConnectionStatus status :
         {ConnectionStatus::lost, ConnectionStatus::failed, ConnectionStatus::stopped}) {
        StateCore core = busy_core();
        commit(core, OperationRequeued{r1, w0},
               BrowserChanged{.id = w0, .connection = status, .last_failure = "killed"});
        CHECK(core.find_model(bert)->assignments.size() == 1);
        CHECK(core.find_model(bert)->assignments[0].worker == w1);
        CHECK(core.find_resource({1}) == nullptr);
        CHECK(core.find_resource({2}) != nullptr);
        CHECK(core.find_browser(w0)->last_failure == "killed");
    }
}

TEST_CASE("A browser that begins another life has lost what it had in the one before") {
    StateCore core = busy_core();
    commit(core, BrowserChanged{.id = w0, .generation = Generation{2}}, OperationRequeued{r1, w0},
           OperationDispatched{r1, w0, {2}});
    CHECK(core.find_model(bert)->assignments.size() == 1);
    CHECK(core.find_resource({1}) == nullptr);
    CHECK(core.find_operation(r1)->generation == Generation{2});
    CHECK(contains(refusal(core, BrowserChanged{.id = w0, .generation = Generation{1}}),
                   "does not go down"));
}

TEST_CASE("A browser does not go while an operation runs on it") {
    StateCore core = busy_core();
    const std::string_view rule = "finished or queued anew";
    const BrowserChanged lost{.id = w0, .connection = ConnectionStatus::lost};
    CHECK(contains(refusal(core, lost), rule));
    CHECK(contains(refusal(core, BrowserRemoved{w0}), rule));
    CHECK(contains(refusal(core, BrowserChanged{.id = w0, .generation = Generation{2}}), rule));
    CHECK(contains(refusal(core, BrowserRemoved{w0}, live_browser(0, 2)), rule));
    commit(core, lost, OperationRequeued{r1, w0}); // in either order
    commit(core, BrowserRemoved{w0});
    CHECK(core.find_browser(w0) == nullptr);
}

TEST_CASE("A model is assigned to each live worker once, and by one name") {
    StateCore core = busy_core();
    CHECK(contains(refusal(core, ModelRegistered{{.name = bert}}), "not registered yet"));
    CHECK(contains(refusal(core, ModelRegistered{{.name = ""}}), "has a name"));
    CHECK(contains(refusal(core, ModelRegistered{{.name = "b", .assignments = {{w0}}}}),
                   "registered before"));
    CHECK(contains(refusal(core, ModelAssigned{"gpt", {w0}}), "is registered"));
    CHECK(contains(refusal(core, ModelAssigned{bert, {{7}}}), "live worker"));
    CHECK(contains(refusal(core, ModelUnassigned{bert, {7}}), "to that worker"));
    commit(core, ModelAssigned{bert, {w0, Provider::wasm, 20}});
    CHECK(core.find_model(bert)->assignments ==
          std::vector<ModelAssignment>{{w0, Provider::wasm, 20}, {w1}});
    commit(core, ModelUnassigned{bert, w0}, ModelUnassigned{bert, w1});
    CHECK(!core.find_model(bert)->is_loaded());
    commit(core, ModelRemoved{bert});
    CHECK(contains(refusal(core, ModelRemoved{bert}), "is registered"));
}

TEST_CASE("A resource belongs to a live worker, and is freed once") {
    StateCore core = busy_core();
    CHECK(contains(refusal(core, ResourceAllocated{.id = {1}, .worker = w0}), "is new"));
    CHECK(contains(refusal(core, ResourceAllocated{.id = {0}, .worker = w0}), "has an id"));
    CHECK(contains(refusal(core, ResourceAllocated{.id = {3}, .worker = {7}}), "live worker"));
    commit(core, ResourceFreed{{1}});
    CHECK(contains(refusal(core, ResourceFreed{{1}}), "is in the state"));
}

TEST_CASE("Metrics add up") {
    StateCore core;
    const MetricKey key{.model = bert, .operation = "inference"};
    commit(core, MetricRecorded{key, 5ms});
    commit(core, MetricRecorded{key, 2ms, true}, MetricRecorded{key, 3ms});
    const MetricState* metric = core.find_metric(key);
    REQUIRE(metric != nullptr);
    CHECK(metric->count == 3);
    CHECK(metric->failures == 1);
    CHECK(metric->sum == 10ms);
    CHECK(metric->min == 2ms);
    CHECK(metric->max == 5ms);
    CHECK(metric->last == 3ms);
    CHECK(contains(refusal(core, MetricRecorded{key, -1ns}), "negative"));
    CHECK(contains(refusal(core, MetricRecorded{key, metric_duration_max + 1ns}), "negative"));
    for (int i = 0; i < 200; ++i) commit(core, MetricRecorded{key, metric_duration_max});
    CHECK(core.find_metric(key)->sum == Duration::max()); // and not beyond
}

TEST_CASE("Each limit is reached, and holds") {
    StateCore core({.browsers_max = 2,
                    .models_max = 1,
                    .operations_max = 2,
                    .operations_kept = 1,
                    .resources_max = 2,
                    .metrics_max = 1});
    commit(core, live_browser(0), live_browser(1), ModelRegistered{{.name = bert}},
           OperationSubmitted{.id = r1}, OperationSubmitted{.id = r2},
           ResourceAllocated{.id = {1}, .worker = w0}, ResourceAllocated{.id = {2}, .worker = w1},
           MetricRecorded{{.model = bert}, 1ms});
    CHECK(contains(refusal(core, live_browser(2)), "StateLimits::browsers_max"));
    CHECK(contains(refusal(core, ModelRegistered{{.name = "b"}}), "StateLimits::models_max"));
    CHECK(contains(refusal(core, OperationSubmitted{.id = {3}}), "StateLimits::operations_max"));
    CHECK(contains(refusal(core, ResourceAllocated{.id = {3}, .worker = w0}),
                   "StateLimits::resources_max"));
    commit(core, MetricRecorded{{.model = "other"}, 1ms});
    CHECK(core.snapshot().metric_count() == 1);
    CHECK(core.snapshot().metrics_ignored() == 1);
    const auto none = WorkerId::none();
    commit(core, OperationFinished{r2, none, OperationStatus::cancelled, Errc::cancelled},
           OperationFinished{r1, none, OperationStatus::cancelled, Errc::cancelled});
    CHECK(core.find_operation(r1) == nullptr); // of one transaction, the lowest id goes first
    CHECK(core.find_operation(r2) != nullptr);
}

TEST_CASE("What a log holds is replayed under smaller limits than it was written with") {
    StateCore small({.browsers_max = 0,
                     .models_max = 0,
                     .operations_max = 0,
                     .operations_kept = 0,
                     .resources_max = 0,
                     .metrics_max = 0});
    StateCore core;
    Diagnostics diagnostics;
    const Transaction all =
        step(core, live_browser(0), ModelRegistered{{.name = bert}}, OperationSubmitted{.id = r1},
             ResourceAllocated{.id = {1}, .worker = w0}, MetricRecorded{{}, 1ms});
    CHECK(small.apply(all, diagnostics) == Errc::invalid_transaction);
    CHECK(small.replay(all, diagnostics) == Errc::ok);
    CHECK(small.unfinished_count() == 1);
}

TEST_CASE("An id that was forgotten then and is remembered now can be replayed") {
    StateCore writer({.operations_kept = 0}), reader;
    Diagnostics diagnostics;
    const auto none = WorkerId::none();
    const OperationFinished ended{r1, none, OperationStatus::cancelled, Errc::cancelled};
    for (int i = 0; i < 3; ++i) {
        const Transaction submitted = step(writer, OperationSubmitted{.id = r1});
        REQUIRE(writer.apply(submitted, diagnostics) == Errc::ok);
        REQUIRE(reader.replay(submitted, diagnostics) == Errc::ok);
        const Transaction finished = step(writer, ended);
        REQUIRE(writer.apply(finished, diagnostics) == Errc::ok);
        REQUIRE(reader.replay(finished, diagnostics) == Errc::ok);
    }
    CHECK(reader.snapshot().operation_count() == 1);
    CHECK(writer.snapshot().operation_count() == 0);
}

TEST_CASE("A transaction needs a number, and an old one changes nothing") {
    StateCore core = busy_core();
    Diagnostics diagnostics;
    Transaction transaction = step(core, BrowserRemoved{w1});
    transaction.number = 0;
    CHECK(core.apply(transaction, diagnostics) == Errc::invalid_transaction);
    CHECK(contains(diagnostics.message, "has a number"));
    transaction.number = core::state_count_max;
    CHECK(core.apply(transaction, diagnostics) == Errc::invalid_transaction);
    CHECK(contains(diagnostics.message, "room to go on"));
    transaction.number = core.version();
    CHECK(core.apply(transaction, diagnostics) == Errc::ok);
    CHECK(core.find_browser(w1) != nullptr);
    transaction.number = 50; // a gap is none of the state's business
    CHECK(core.apply(transaction, diagnostics) == Errc::ok);
    CHECK(core.version() == 50);
    CHECK(core.find_browser(w1) == nullptr);
}

TEST_CASE("What could not be written is refused before it is made") {
    StateCore core = busy_core();
    const std::string long_text(state_text_bytes_max + 1, 'x');
    CHECK(contains(refusal(core, Note{long_text}), "texts are not too long"));
    CHECK(contains(refusal(core, BrowserChanged{.id = w0, .settings = {{{long_text, ""}}}}),
                   "texts are not too long"));
    CHECK(contains(refusal(core, BrowserChanged{.id = w0, .connection = ConnectionStatus{99}}),
                   "enumerators are known ones"));
    CHECK(contains(refusal(core, OperationRequeued{r1, w0, Errc{12345}}), "known ones"));
    std::vector<std::byte> bytes(state_payload_bytes_max + 1);
    CHECK(contains(refusal(core, OperationSubmitted{.id = {3}, .payload = Payload(bytes)}),
                   "payloads are not too long"));
    std::vector<Provider> providers(state_list_count_max + 1);
    CHECK(contains(refusal(core, ModelRegistered{{.name = "b", .providers = providers}}),
                   "lists are not too long"));
    Transaction transaction = step(core);
    transaction.changes.assign(transaction_changes_max + 1, Note{});
    Diagnostics diagnostics;
    CHECK(core.apply(transaction, diagnostics) == Errc::invalid_transaction);
}

TEST_CASE("A transaction that is refused at its end has changed nothing at all") {
    StateCore core = busy_core();
    refusal(core, OperationFinished{.id = r1, .worker = w0}, BrowserRemoved{w0}, live_browser(0, 9),
            ModelRemoved{bert}, ModelRegistered{{.name = bert}}, ModelAssigned{bert, {w0}},
            OperationSubmitted{.id = {3}}, OperationDispatched{{3}, w0, {9}},
            ResourceAllocated{.id = {1}, .worker = w0}, ResourceFreed{{2}},
            MetricRecorded{{.model = bert}, 1ms}, ResourceFreed{{2}});
    // What hangs on each worker was taken back as well: it can go only now.
    commit(core, OperationFinished{.id = r1, .worker = w0}, BrowserRemoved{w0});
    CHECK(core.find_resource({1}) == nullptr);
    CHECK(core.find_model(bert)->assignments.size() == 1);
}

TEST_CASE("A state that contradicts itself is not restored") {
    StateCore core = busy_core();
    const auto broken = [&core](auto&& change) {
        core::StateViews views = core.snapshot().views();
        change(views);
        StateCore other;
        Diagnostics diagnostics;
        REQUIRE(other.restore(StateSnapshot(views), diagnostics) == Errc::storage_damaged);
        REQUIRE(other.version() == 0);
        return diagnostics.message;
    };
    const auto edited = [](auto& view, std::uint64_t key, auto&& edit) {
        core::CowTable table(view);
        edit(table.edit(key));
        view = table.freeze();
    };
    CHECK(contains(broken([](auto& views) { views.browsers = {}; }), "live worker"));
    CHECK(contains(broken([](auto& views) { views.header.clock = 0; }), "clock"));
    const std::uint64_t too_many = core::state_count_max;
    CHECK(contains(broken([&](auto& views) { views.header.clock = too_many; }), "room to go on"));
    CHECK(contains(broken([&](auto& views) { views.header.version = too_many; }), "room to go on"));
    CHECK(contains(broken([&](auto& views) { views.header.metrics_ignored = too_many; }),
                   "room to go on"));
    CHECK(contains(broken([&](auto& views) {
                       edited(views.operations, 1, [](auto& r) { r.generation = {7}; });
                   }),
                   "life of a worker"));
    CHECK(contains(
        broken([&](auto& views) { edited(views.operations, 1, [](auto& r) { r.id = {7}; }); }),
        "filed under its name"));
    CHECK(contains(
        broken([&](auto& views) { edited(views.operations, 2, [](auto& r) { r.worker = w0; }); }),
        "queued has no worker"));
    CHECK(contains(broken([&](auto& views) {
                       edited(views.models, core::record_key(bert),
                              [](auto& r) { std::swap(r.assignments[0], r.assignments[1]); });
                   }),
                   "each worker once"));
}

TEST_CASE("A snapshot finds and visits everything, and stays as it was") {
    StateCore core = busy_core();
    commit(core, ModelRegistered{{.name = "alpha"}}, MetricRecorded{{.model = bert}, 1ms},
           MetricRecorded{{.model = "alpha"}, 1ms});
    const StateSnapshot snapshot = core.snapshot();
    commit(core, OperationFinished{.id = r1, .worker = w0}, BrowserRemoved{w0}, ModelRemoved{bert});
    CHECK(snapshot.version() == 2);
    CHECK(snapshot.clock() == 2);
    CHECK(snapshot.find_browser(w0)->connection == ConnectionStatus::ready);
    CHECK(snapshot.find_operation(r1)->status == OperationStatus::running);
    CHECK(snapshot.find_model(bert)->assignments.size() == 2);
    CHECK(snapshot.find_model("gpt") == nullptr);
    std::string seen;
    snapshot.visit_browsers([&](const BrowserState& r) { seen += std::to_string(r.id.value); });
    snapshot.visit_models([&](const ModelState& r) { seen += ' ' + r.name; });
    snapshot.visit_operations([&](const auto& r) { seen += ' ' + std::to_string(r.id.value); });
    snapshot.visit_resources([&](const auto& r) { seen += ' ' + std::to_string(r.id.value); });
    snapshot.visit_metrics([&](const MetricState& r) { seen += ' ' + r.key.model; });
    CHECK(seen == "01 alpha bert 1 2 1 2 alpha bert");
    CHECK(StateSnapshot() == StateCore().snapshot());
    CHECK(!(snapshot == core.snapshot()));
}

TEST_CASE("A filter takes what fits it all, and nothing else") {
    StateCore core;
    const Transaction life =
        step(core, live_browser(3), ModelAssigned{bert, {{3}}}, OperationDispatched{r1, {3}, {1}},
             OperationFinished{.id = r2, .worker = {4}});
    const auto matches = [&life](const TransactionFilter& filter) { return filter.matches(life); };
    CHECK(matches({}));
    CHECK(matches({.browser = WorkerId{3}}));
    CHECK(matches({.browser = WorkerId{3}, .action = ChangeKind::browser_added}));
    CHECK(matches({.browser = WorkerId{3}, .model = bert}));
    CHECK(matches({.browser = WorkerId{3}, .operation = r1}));
    CHECK(matches({.operation = r2, .action = ChangeKind::operation_finished}));
    CHECK(!matches({.browser = WorkerId{3}, .operation = r2})); // never in one change
    CHECK(!matches({.browser = WorkerId{5}}));
    CHECK(!matches({.model = "ber"}));
    CHECK(!matches({.action = ChangeKind::note}));
    CHECK(matches({.from = noon, .until = noon + 1ns}));
    CHECK(!matches({.from = noon + 1ns}));
    CHECK(!matches({.browser = WorkerId{3}, .until = noon}));
    const Transaction rest =
        step(core, Reconciled{.models = {{.name = "vit"}}, .operations_removed = {{8}}},
             MetricRecorded{{.model = "m"}, 1ms}, ModelUnassigned{"u", {6}}, BrowserRemoved{{2}},
             ModelRegistered{{.name = "r"}}, ResourceAllocated{.id = {1}, .worker = {9}});
    for (const char* name : {"vit", "m", "u", "r"})
        CHECK(TransactionFilter{.model = name}.matches(rest));
    for (const std::uint32_t id : {2U, 6U, 9U})
        CHECK(TransactionFilter{.browser = WorkerId{id}}.matches(rest));
    CHECK(TransactionFilter{.operation = RequestId{8}}.matches(rest));
    CHECK(!TransactionFilter{.operation = RequestId{1}}.matches(rest)); // that is a resource
    const Transaction merged =
        step(core, Reconciled{.models = {{.name = "assigned", .assignments = {{{1}}, {{2}}}}},
                              .operations = {{.model = "run", .worker = {3}}},
                              .resources = {{.worker = {4}, .model = "held"}},
                              .metrics = {{.key = {.model = "measured"}}}});
    for (const char* name : {"assigned", "run", "held", "measured"})
        CHECK(TransactionFilter{.model = name}.matches(merged));
    for (const std::uint32_t id : {1U, 2U, 3U, 4U})
        CHECK(TransactionFilter{.browser = WorkerId{id}}.matches(merged));
    CHECK(!TransactionFilter{.browser = WorkerId{5}}.matches(merged));
    CHECK(!TransactionFilter{.model = "other"}.matches(merged));
}

TEST_CASE("Every kind of change has a name, and is found by it") {
    for (std::size_t i = 0; i < change_kind_count; ++i) {
        const auto kind = static_cast<ChangeKind>(i);
        CHECK(change_kind_from(name_of(kind)) == kind);
    }
    CHECK(name_of(static_cast<ChangeKind>(change_kind_count)) == "unrecognised");
    CHECK(!change_kind_from("unrecognised"));
    CHECK(kind_of(Change(Note{})) == ChangeKind::note);
    CHECK(kind_of(Change(OperationFinished{})) == ChangeKind::operation_finished);
    CHECK(kind_of(Change(MetricRecorded{})) == ChangeKind::metric_recorded);
}
