// The decoders of transactions and checkpoints: the first byte says of what the rest is. What is
// taken is within its limits, comes back the same, and leaves a consistent state.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_invariants.hpp"
#include "everpool/core/state_json.hpp"
#include "everpool/core/state_merge.hpp"
#include "fuzz.hpp"

#include <boost/json.hpp>

#include <string>
#include <vector>

namespace {

using namespace everpool;
using core::StateCore;
using fuzz::require;

/// What transactions and deltas meet: two browsers, a model, operations in each state, a resource.
StateSnapshot make_start() {
    StateCore core;
    Diagnostics diagnostics;
    Transaction transaction{.number = 1, .at = WallTime(std::chrono::seconds(1))};
    const WorkerId w0{0}, w1{1};
    for (const WorkerId id : {w0, w1})
        transaction.changes.emplace_back(BrowserAdded{
            {.id = id, .connection = ConnectionStatus::ready, .generation = Generation{1}}});
    transaction.changes.emplace_back(ModelRegistered{{.name = "bert"}});
    transaction.changes.emplace_back(ModelAssigned{"bert", {w0}});
    for (std::uint64_t id = 1; id <= 3; ++id)
        transaction.changes.emplace_back(OperationSubmitted{.id = RequestId{id}});
    for (std::uint64_t id = 1; id <= 2; ++id)
        transaction.changes.emplace_back(OperationDispatched{RequestId{id}, w0, Generation{1}});
    transaction.changes.emplace_back(OperationFinished{.id = RequestId{1}, .worker = w0});
    transaction.changes.emplace_back(ResourceAllocated{.id = ResourceId{1}, .worker = w1});
    transaction.changes.emplace_back(MetricRecorded{});
    require(core.apply(transaction, diagnostics) == Errc::ok, "the start is valid");
    return core.snapshot();
}

StateCore core_at(const StateSnapshot& state) {
    StateCore core;
    Diagnostics diagnostics;
    require(core.restore(state, diagnostics) == Errc::ok, "a state is restored");
    return core;
}

void try_transaction(std::span<const std::byte> input, const StateSnapshot& start) {
    Transaction transaction, again;
    if (core::decode_transaction(input, transaction) != Errc::ok) return;
    std::vector<std::byte> bytes;
    core::encode_transaction(transaction, bytes);
    require(core::decode_transaction(bytes, again) == Errc::ok && again == transaction,
            "a transaction comes back as it was");
    std::string line;
    core::append_json_line(line, transaction);
    boost::system::error_code error;
    (void)boost::json::parse(line, error);
    require(!error, "a transaction's line is JSON");

    StateCore replayed = core_at(start), fresh = core_at(start);
    Diagnostics diagnostics;
    const Errc checked = fresh.check(transaction, diagnostics);
    require(fresh.snapshot() == start, "what is only checked changes nothing");
    const Errc applied = fresh.apply(transaction, diagnostics);
    require(applied == checked, "what is checked is what would be done");
    require(applied == Errc::ok || fresh.snapshot() == start, "what is refused changes nothing");
    const Errc taken = replayed.replay(transaction, diagnostics);
    require(applied != Errc::ok || taken == Errc::ok, "what was applied can be replayed");
    for (StateCore* core : {&replayed, &fresh})
        require(!core::check_state(core->snapshot()), "the state is consistent");
    if (applied == Errc::ok)
        require(fresh.snapshot() == replayed.snapshot(), "replay leads to the same state");
    const Transaction merge = core::reconcile(start, fresh.snapshot());
    require(applied == Errc::ok || merge.changes.empty(), "a view is merged with itself");
}

void try_checkpoint(std::span<const std::byte> input, const StateSnapshot& start) {
    StateCore core = core_at(start), again = core_at(start);
    Diagnostics diagnostics;
    core::CheckpointHead head;
    if (core::decode_head(input, head) != Errc::ok) return;
    const bool is_delta = head.content == core::CheckpointContent::delta;
    const auto load = is_delta ? core::load_delta : core::load_full;
    if (load(input, core, diagnostics) != Errc::ok) {
        require(core.snapshot() == start, "what is refused changes nothing");
        return;
    }
    const StateSnapshot state = core.snapshot();
    require(!core::check_state(state), "the state is consistent");
    require(state.version() == head.header.version, "the head tells the version");
    const auto bytes = is_delta ? core::encode_delta(start, state) : core::encode_full(state);
    require(load(bytes, again, diagnostics) == Errc::ok && again.snapshot() == state,
            "a checkpoint comes back as it was");
    for (const AbsentRecords absent : {AbsentRecords::are_kept, AbsentRecords::are_removed}) {
        Transaction merge = core::reconcile(start, state, {.absent = absent});
        merge.number = start.version() + 1;
        StateCore merged = core_at(start);
        require(merged.replay(merge, diagnostics) == Errc::ok, "any two views can be merged");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const StateSnapshot start = make_start();
    if (size == 0) return 0;
    const auto input = fuzz::bytes_of(data + 1, size - 1);
    if (data[0] % 2 == 0) try_transaction(input, start);
    else try_checkpoint(input, start);
    return 0;
}
