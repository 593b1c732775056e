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
#include <stdexcept>
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
    if (!directory.empty())
        why.message = fmt::format("the state in {}: {}", directory.string(), why.message);
    throw Error(ec, std::move(why));
}

} // namespace

std::unique_ptr<StateStore> StateStore::open(const BrowserStateManagerConfig& config,
                                             std::unique_ptr<log::Directory> directory,
                                             core::StateCore& core, RecoveryReport& report) {
    std::unique_ptr<StateStore> store(new StateStore(config.is_checkpoint_selective));
    store->directory_ = std::make_unique<PinnedDirectory>(std::move(directory));
    Diagnostics why;
    StateBuilder builder(core);
    std::optional<log::Ledger> ledger;
    const error_code ec =
        log::Ledger::open(*store->directory_, ledger_config(config, store->compressor_),
                          make_log_id(), builder, report, why, ledger);
    if (ec) refuse(ec, std::move(why), config.directory);
    store->checkpoint_ = builder.checkpoint();
    store->checkpoint_lsn_ = builder.checkpoint_lsn();
    // Downwards: commit_interval is the longest that anybody has to wait.
    const auto interval = std::chrono::floor<std::chrono::milliseconds>(config.commit_interval);
    store->log_ = std::make_unique<io::LogCommitter>(
        std::move(*ledger), io::LogCommitterConfig{.commit_interval = interval});
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
    case Durability::os: return noted(lsn, log_->write_out(lsn));
    case Durability::group: watch(lsn); return {};
    case Durability::sync: break;
    }
    return noted(lsn, log_->wait_durable(lsn));
}

void StateStore::when_durable(log::Lsn lsn, bool is_urgent,
                              std::function<void(error_code)> handler) {
    log_->when_durable(
        lsn,
        [this, lsn, handler = std::move(handler)](error_code outcome) {
            (void)noted(lsn, outcome);
            if (handler) handler(outcome);
        },
        is_urgent);
}

void StateStore::tell(error_code outcome, std::function<void(error_code)> handler) {
    if (!handler) return;
    log_->when_durable(log_->durable(),
                       [outcome, handler = std::move(handler)](error_code) { handler(outcome); });
}

error_code StateStore::write_out() {
    const log::Lsn last = log_->appended();
    return noted(last, log_->write_out(last));
}

error_code StateStore::flush() {
    const log::Lsn last = log_->appended();
    return noted(last, log_->wait_durable(last));
}

error_code StateStore::noted(log::Lsn lsn, error_code outcome) {
    if (!outcome) return outcome;
    const std::scoped_lock lock(mutex_);
    trouble_ = outcome;
    trouble_lsn_ = std::max(trouble_lsn_, lsn);
    return outcome;
}

/// Nobody waits for what is committed by `group`, and still it must be known when it fails. So one
/// handler is under way as long as there is something to be told of; one for each commit would cost
/// half as much again as the commit.
void StateStore::watch(log::Lsn lsn) {
    bool is_watched = true;
    {
        const std::scoped_lock lock(mutex_);
        watched_ = std::max(watched_, lsn);
        std::swap(is_watched, is_watching_);
    }
    if (is_watched) log_->when_durable(lsn, nullptr);
    else log_->when_durable(lsn, [this, lsn](error_code outcome) { on_watched(lsn, outcome); });
}

void StateStore::on_watched(log::Lsn lsn, error_code outcome) {
    (void)noted(lsn, outcome);
    log::Lsn next;
    {
        const std::scoped_lock lock(mutex_);
        is_watching_ = watched_ > lsn;
        next = watched_;
    }
    if (next > lsn) log_->when_durable(next, [this, next](error_code ec) { on_watched(next, ec); });
}

/// The order in which they are asked keeps checkpoint <= durable <= with_system, whatever goes on.
void StateStore::describe(StateStorageHealth& health) const {
    health.checkpoint = log_->checkpoint().value;
    health.durable = log_->durable().value;
    health.is_closed = log_->is_poisoned();
    const log::Lsn written = log_->written();
    health.with_system = written.value;
    const std::scoped_lock lock(mutex_);
    // What failed to be written and is there by now was only delayed. After a sync that failed,
    // whatever was noted before, that is the trouble.
    if (health.is_closed) health.trouble = Errc::storage_failed;
    else if (written < trouble_lsn_) health.trouble = trouble_;
}

// --- checkpoints ---------------------------------------------------------------------------------

std::future<error_code> StateStore::begin_checkpoint(CheckpointDemand demand, StateSnapshot now) {
    const auto outcome = std::make_shared<std::promise<error_code>>();
    std::future<error_code> future = outcome->get_future();
    // A delta needs the state that it builds on, which is not known if that checkpoint was refused.
    const bool is_delta =
        demand == CheckpointDemand::any && !is_selective_ && log_->checkpoint() == checkpoint_lsn_;
    const auto encode = [this, now](const log::CheckpointPlan& plan) {
        std::vector<std::byte> body =
            plan.kind() == log::CheckpointKind::delta
                ? core::encode_delta(checkpoint_, now)
                : core::encode_full(now, is_selective_ ? core::CheckpointContent::critical
                                                       : core::CheckpointContent::full);
        // Nobody could read it, and the log that it stands for would be cleared away.
        if (body.size() > log::checkpoint_bytes_max)
            throw std::length_error("it is larger than checkpoint_bytes_max");
        return body;
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

namespace {

/// Until `visit` returns false. An error names in `why` what cannot be read.
error_code read(log::LogReading& reading, Diagnostics& why,
                const std::function<bool(const Transaction&)>& visit) {
    log::Lsn lsn;
    std::span<const std::byte> body;
    Transaction transaction;
    while (reading.next(lsn, body)) {
        if (const Errc code = core::decode_transaction(body, transaction); code != Errc::ok) {
            why.message = fmt::format("record {} makes no sense", lsn.value);
            return code;
        }
        if (!visit(transaction)) return {};
    }
    why = reading.trouble();
    return reading.error();
}

} // namespace

error_code StateStore::visit(log::Lsn from, const TransactionFilter& filter,
                             const std::function<bool(const Transaction&)>& visit) {
    const auto pin = directory_->pin();
    error_code unwritten;
    log::LogReading reading = log_->reading(from, unwritten);
    Diagnostics why;
    bool is_enough = false;
    const error_code ec = read(reading, why, [&](const Transaction& transaction) {
        is_enough = filter.matches(transaction) && !visit(transaction);
        return !is_enough;
    });
    return ec || is_enough ? ec : unwritten;
}

/// Reads all that count, and makes `core` what the newest one and those under it hold.
void StateStore::read_checkpoints(const log::Manifest& manifest, core::StateCore& core,
                                  std::vector<std::string>& out) {
    const auto& entries = manifest.checkpoints;
    StateBuilder builder(core);
    log::BodyReader bodies(&compressor_);
    std::vector<std::byte> file;
    for (const log::CheckpointEntry& entry : entries) {
        const std::string name = log::checkpoint_name(entry.kind, entry.lsn);
        constexpr std::uint64_t bytes_max = log::file_header_bytes + log::checkpoint_bytes_max;
        error_code ec = log::detail::read_file(*directory_, name, bytes_max, file);
        if (log::detail::is_absent(ec)) // cleared away since the manifest was read
            ec = log::detail::read_file(
                *directory_, std::string(log::detail::quarantine_prefix) + name, bytes_max, file);
        log::CheckpointHeader header;
        std::span<const std::byte> stored, body;
        if (ec) out.push_back(name + ": " + ec.message());
        else if (const log::FormatError format =
                     log::decode_checkpoint(file, manifest.log, entry, header, stored);
                 format != log::FormatError::ok)
            out.push_back(fmt::format("{}: {}", name, log::name_of(format)));
        else if (!bodies.read(stored, header.is_compressed, log::checkpoint_bytes_max, body) ||
                 !builder.on_checkpoint(header.kind, header.lsn, body))
            out.push_back(name + ": its contents make no sense");
    }
}

void StateStore::verify(const std::function<StateSnapshot()>& snapshot, const StateLimits& limits,
                        std::vector<std::string>& out) {
    const auto pin = directory_->pin();
    // All three of the same moment, as far as that matters: no checkpoint came into force between.
    log::Manifest manifest;
    StateSnapshot now;
    error_code unwritten;
    std::optional<log::LogReading> reading;
    do {
        manifest = log_->manifest();
        now = snapshot();
        reading.emplace(log_->reading(log::Lsn{1}, unwritten));
    } while (log_->manifest().number != manifest.number);
    const std::size_t found_before = out.size();
    if (unwritten) out.push_back("the log cannot be written: " + unwritten.message());
    core::StateCore core(limits);
    try {
        read_checkpoints(manifest, core, out);
    } catch (const Error& newer) { // somebody else has written here
        out.emplace_back(newer.what());
    }
    // From its beginning: what an older checkpoint would need has to be there, too.
    Diagnostics why;
    const error_code ec = read(*reading, why, [&](const Transaction& transaction) {
        if (transaction.number > now.version()) return false;
        if (out.size() != found_before || core.replay(transaction, why) == Errc::ok) return true;
        out.push_back(fmt::format("transaction {}: {}", transaction.number, why.message));
        return false;
    });
    if (ec) out.push_back("the log: " + (why.message.empty() ? ec.message() : why.message));
    if (out.size() == found_before) compare(now, core, out);
}

void StateStore::compare(const StateSnapshot& now, core::StateCore& core,
                         std::vector<std::string>& out) {
    StateSnapshot ours = now, theirs = core.snapshot();
    if (is_selective_) { // the rest was not on disk before the last checkpoint, and need not be
        const auto critical = [&](const StateSnapshot& whole) {
            core::StateCore kept(core.limits());
            Diagnostics why;
            if (core::load_full(core::encode_full(whole, core::CheckpointContent::critical), kept,
                                why) != Errc::ok)
                out.push_back(why.message);
            return kept.snapshot();
        };
        ours = critical(ours);
        theirs = critical(theirs);
    }
    for (const core::StateDifference& found : core::difference(ours, theirs))
        if (!is_selective_ || found.record != "state")
            out.push_back(found.text() + " (in memory / on disk)");
}

} // namespace everpool::facade
