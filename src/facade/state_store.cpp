// SPDX-License-Identifier: BSL-1.0
#include "facade/state_store.hpp"

#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_merge.hpp"
#include "facade/state_builder.hpp"

#include <fmt/format.h>


#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <utility>

namespace everpool::facade {
namespace {

log::LogId make_log_id() {
    log::LogId id;
    std::random_device device;
    std::ranges::generate(id.bytes, [&] { return static_cast<std::uint8_t>(device()); });
    return id;
}

log::LedgerConfig ledger_config(const BrowserStateManagerConfig& config,
                                const log::Compressor& compressor) {
    return {.recovery = config.recovery,
            .segment_bytes = config.segment_bytes,
            .checkpoints_kept = config.checkpoint_count_kept,
            .deltas_max = config.is_checkpoint_selective ? 0 : config.delta_chain_max,
            .compressor = &compressor,
            .compressed_from_bytes = config.compressed_bytes_min};
}

[[noreturn]] void refuse(error_code ec, Diagnostics why, const std::filesystem::path& directory) {
    why.message = fmt::format("the state in {}: {}", directory.string(), why.message);
    throw Error(ec, std::move(why));
}

} // namespace

std::unique_ptr<StateStore> StateStore::open(const BrowserStateManagerConfig& config,
                                             core::StateCore& core, RecoveryReport& report) {
    std::unique_ptr<StateStore> store(new StateStore(config.is_checkpoint_selective));
    Diagnostics why;
    if (const error_code ec = io::FileDirectory::open(config.directory, store->directory_, why))
        throw Error(ec, std::move(why));
    StateBuilder builder(core);
    std::optional<log::Ledger> ledger;
    const error_code ec =
        log::Ledger::open(*store->directory_, ledger_config(config, store->compressor_),
                          make_log_id(), builder, report, why, ledger);
    if (ec) refuse(ec, std::move(why), config.directory);
    store->checkpoint_ = builder.checkpoint();
    store->checkpoint_lsn_ = builder.checkpoint_lsn();
    store->log_ = std::make_unique<io::LogCommitter>(
        std::move(*ledger),
        io::LogCommitterConfig{.commit_interval = std::chrono::ceil<std::chrono::milliseconds>(
                                   config.commit_interval)});
    if (!store->log_->needs_full_checkpoint()) return store;
    // What was salvaged is written down as a whole, for the log has holes.
    if (const error_code failed =
            store->begin_checkpoint(CheckpointDemand::full, core.snapshot()).get())
        refuse(failed, store->log_->trouble(), config.directory);
    return store;
}

// --- commits -------------------------------------------------------------------------------------

error_code StateStore::reach(log::Lsn lsn, Durability durability) {
    switch (durability) {
    case Durability::none: return {};
    case Durability::os: return log_->write_out(lsn);
    case Durability::group: log_->when_durable(lsn, nullptr); return {};
    case Durability::sync: return log_->wait_durable(lsn);
    }
    return log_->wait_durable(lsn);
}

void StateStore::describe(StateStorageHealth& health) const {
    health.with_system = log_->written().value;
    health.durable = log_->durable().value;
    health.checkpoint = log_->checkpoint().value;
    health.is_closed = log_->is_poisoned();
    health.trouble = health.is_closed ? make_error_code(Errc::storage_failed) : error_code{};
}

// --- checkpoints ---------------------------------------------------------------------------------

std::future<error_code> StateStore::begin_checkpoint(CheckpointDemand demand, StateSnapshot now) {
    const auto outcome = std::make_shared<std::promise<error_code>>();
    std::future<error_code> future = outcome->get_future();
    // A delta needs the state that it builds on, which is not known if that checkpoint was refused.
    const bool is_delta =
        demand == CheckpointDemand::any && !is_selective_ && log_->checkpoint() == checkpoint_lsn_;
    const auto encode = [this, now](const log::CheckpointPlan& plan) {
        if (plan.kind() == log::CheckpointKind::delta) return core::encode_delta(checkpoint_, now);
        return core::encode_full(now, is_selective_ ? core::CheckpointContent::critical
                                                    : core::CheckpointContent::full);
    };
    const error_code refused =
        log_->checkpoint(is_delta ? log::CheckpointKind::delta : log::CheckpointKind::full, encode,
                         [this, now, outcome](error_code ec, const Diagnostics&) {
                             if (!ec) {
                                 checkpoint_lsn_ = log_->checkpoint();
                                 checkpoint_ = now;
                             }
                             outcome->set_value(ec);
                         });
    if (refused) outcome->set_value(refused);
    return future;
}

// --- reading it all again ------------------------------------------------------------------------

error_code StateStore::visit(log::Lsn from, const TransactionFilter& filter,
                             const std::function<bool(const Transaction&)>& visit) {
    error_code unwritten;
    log::LogReading reading = log_->reading(from, unwritten);
    if (unwritten) return unwritten;
    log::Lsn lsn;
    std::span<const std::byte> body;
    Transaction transaction;
    while (reading.next(lsn, body)) {
        if (const Errc code = core::decode_transaction(body, transaction); code != Errc::ok)
            return code;
        if (filter.matches(transaction) && !visit(transaction)) return {};
    }
    return reading.error();
}

/// Makes `core` what the newest checkpoint and those under it hold, and tells of every one of them
/// that cannot be read. False: there is nothing to begin with.
bool StateStore::read_checkpoint(core::StateCore& core, std::vector<std::string>& out) {
    const log::Manifest manifest = log_->manifest();
    const auto& entries = manifest.checkpoints;
    // From the newest back to the full one that it stands on.
    std::size_t first = entries.size();
    while (first > 0 && entries[first - 1].kind == log::CheckpointKind::delta) --first;
    StateBuilder builder(core);
    log::BodyReader bodies(&compressor_);
    std::vector<std::byte> file;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::string name = log::checkpoint_name(entries[i].kind, entries[i].lsn);
        log::CheckpointHeader header;
        std::span<const std::byte> stored, body;
        const error_code ec =
            log::detail::read_file(*directory_, name, entries[i].file_bytes, file);
        const bool is_whole =
            !ec &&
            log::decode_checkpoint(file, manifest.log, entries[i], header, stored) ==
                log::FormatError::ok &&
            bodies.read(stored, header.is_compressed, log::checkpoint_bytes_max, body);
        if (!is_whole) out.push_back(name + (ec ? ": " + ec.message() : ": it is damaged"));
        else if (i + 1 >= first && !builder.on_checkpoint(header.kind, header.lsn, body))
            out.push_back(name + ": it makes no sense");
    }
    return !entries.empty();
}

void StateStore::verify(const StateSnapshot& now, const StateLimits& limits,
                        std::vector<std::string>& out) {
    const std::size_t found_before = out.size();
    core::StateCore core(limits);
    read_checkpoint(core, out);
    if (out.size() != found_before) return; // what follows would differ for that reason alone
    Diagnostics why;
    const error_code ec =
        visit(log::Lsn{core.version() + 1}, {}, [&](const Transaction& transaction) {
            if (transaction.number > now.version()) return false;
            if (core.replay(transaction, why) == Errc::ok) return true;
            out.push_back(fmt::format("transaction {}: {}", transaction.number, why.message));
            return false;
        });
    if (ec) out.push_back("the log: " + ec.message());
    if (out.size() != found_before) return;
    if (is_selective_) return; // what was finished before the checkpoint is not on disk
    for (const core::StateDifference& found : core::difference(now, core.snapshot()))
        out.push_back(found.text() + " (in memory / on disk)");
}

} // namespace everpool::facade
