// Everpool core: does every worker fail to start, and for the same reason?
// SPDX-License-Identifier: BSL-1.0
//
// A worker that does not start may have a trouble of its own. If all of them fail alike, it is
// something that they share: an update has replaced the browser, the disk is full, a library is
// gone. Then each start of each worker costs the machine a browser's start and tells nothing new.
// So one of them, the prober, goes on trying, and the others wait until it is ready.
//
// Losing all workers at once is another matter: their restarts have not failed yet, and are not
// slowed. Only starts of browsers count, as a page that does not load is the ladder's business.
#pragma once

#include "everpool/core/event.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::core {

/// Why a start failed, as far as it can be the same for several workers.
struct StartFailure {
    LossCause cause{};
    Errc code{};
    friend bool operator==(const StartFailure&, const StartFailure&) = default;
};

class Fleet {
public:
    ///      together ------ the last worker's start has failed, as all others' ----> failing
    ///         ^                                                                        |
    ///         +--------- one is ready, or nobody is left who could become so ----------+
    ///
    /// Facts while it fails:
    ///   no worker is ready; prober() is one that counts; why() is what all of them failed with
    struct Trouble {
        WorkerId prober;
        StartFailure why;
    };

    /// Starts in a row that must have failed alike, of each worker.
    static constexpr std::uint32_t evidence_min = 2;

    /// `window`: no worker's last failure is older than this.
    Fleet(std::size_t worker_count, Duration window) : window_(window), workers_(worker_count) {}

    /// From now on this worker counts: it is being started, or ready.
    void on_start(WorkerId worker) { workers_[worker.value].does_count = true; }

    /// Its start has failed, by whatever rung.
    void note_failure(WorkerId worker, StartFailure why) {
        workers_[worker.value].last_failure = why;
    }
    /// The start of its browser has failed. \return whether the fleet begins to fail by this
    bool on_start_failed(WorkerId worker, StartFailure why, TimePoint now) {
        Row& row = workers_[worker.value];
        row.failures = row.failures != 0 && row.why == why ? row.failures + 1 : 1;
        row.why = why;
        row.failed_at = now;
        if (trouble_ || !fail_alike(why, now)) return false;
        trouble_ = {first(), why};
        return true;
    }

    /// \return whether the fleet has recovered by this
    bool on_ready(WorkerId worker) {
        Row& row = workers_[worker.value];
        row.does_count = true;
        row.failures = 0;
        const bool was_failing = trouble_.has_value();
        trouble_.reset();
        return was_failing;
    }

    /// It has been given up, or is not wanted any more: it counts no longer. If it was the prober,
    /// the next one is.
    void on_end(WorkerId worker) {
        workers_[worker.value] = {};
        if (!trouble_ || trouble_->prober != worker) return;
        trouble_->prober = first();
        if (trouble_->prober.is_none()) trouble_.reset();
    }

    /// Empty: the fleet does not fail.
    [[nodiscard]] const std::optional<Trouble>& trouble() const noexcept { return trouble_; }
    /// Why its last start failed, if one has since it counts.
    [[nodiscard]] StartFailure last_failure(WorkerId worker) const noexcept {
        return workers_[worker.value].last_failure;
    }
    [[nodiscard]] bool does_count(WorkerId worker) const noexcept {
        return workers_[worker.value].does_count;
    }
    /// May this one be started?
    [[nodiscard]] bool may_start(WorkerId worker) const noexcept {
        return !trouble_ || trouble_->prober == worker;
    }

private:
    struct Row {
        bool does_count{false};
        std::uint32_t failures{0}; ///< in a row, for this reason
        StartFailure why{};          ///< of the browser's starts
        StartFailure last_failure{}; ///< of any rung
        TimePoint failed_at{};
    };

    [[nodiscard]] bool fail_alike(StartFailure why, TimePoint now) const noexcept {
        for (const Row& row : workers_) {
            if (!row.does_count) continue;
            if (row.failures < evidence_min || !(row.why == why) || now - row.failed_at > window_)
                return false;
        }
        return true;
    }
    [[nodiscard]] WorkerId first() const noexcept {
        for (std::uint32_t i = 0; i < workers_.size(); ++i)
            if (workers_[i].does_count) return WorkerId{i};
        return WorkerId::none();
    }

    Duration window_;
    std::vector<Row> workers_;
    std::optional<Trouble> trouble_;
};

} // namespace everpool::core
