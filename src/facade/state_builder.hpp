// Everpool facade: a state made anew from what a ledger gives back.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/error.hpp"
#include "everpool/log/ledger.hpp"
#include "everpool/state_snapshot.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace everpool::facade {

/// What was written by a newer version of this library is no damage: to cut it off would destroy
/// it. So it ends the recovery, by an exception that passes through the ledger, before anything on
/// disk has been changed.
class StateBuilder final : public log::RecoveryVisitor {
public:
    explicit StateBuilder(core::StateCore& core) : core_(core), limits_(core.limits()) {}

    bool on_checkpoint(log::CheckpointKind kind, log::Lsn lsn,
                       std::span<const std::byte> body) override {
        Diagnostics why;
        const Errc code = kind == log::CheckpointKind::full ? core::load_full(body, core_, why)
                                                            : core::load_delta(body, core_, why);
        refuse_newer(code, "the checkpoint of record", lsn);
        if (code != Errc::ok) return false;
        checkpoint_ = core_.snapshot();
        checkpoint_lsn_ = lsn;
        return true;
    }

    void on_reset() override {
        core_ = core::StateCore(limits_);
        checkpoint_ = {};
        checkpoint_lsn_ = {};
    }

    bool on_record(log::Lsn lsn, std::span<const std::byte> body) override {
        const Errc code = core::decode_transaction(body, transaction_);
        refuse_newer(code, "record", lsn);
        Diagnostics why;
        return code == Errc::ok && core_.replay(transaction_, why) == Errc::ok;
    }

    /// The state in the checkpoint that recovery began with, and its record; 0: without one.
    [[nodiscard]] const StateSnapshot& checkpoint() const noexcept { return checkpoint_; }
    [[nodiscard]] log::Lsn checkpoint_lsn() const noexcept { return checkpoint_lsn_; }

private:
    static void refuse_newer(Errc code, std::string_view what, log::Lsn lsn) {
        if (code != Errc::storage_newer_format) return;
        Diagnostics why;
        why.message = std::string(what) + ' ' + std::to_string(lsn.value) +
                      " was written by a newer version of this library";
        why.remedy = "open it with that version; nothing has been changed";
        throw Error(code, std::move(why));
    }

    core::StateCore& core_;
    const StateLimits limits_;
    Transaction transaction_; ///< kept for its memory
    StateSnapshot checkpoint_;
    log::Lsn checkpoint_lsn_;
};

} // namespace everpool::facade
