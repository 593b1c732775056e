// Everpool core: has one worker become slow, while the others have not?
// SPDX-License-Identifier: BSL-1.0
//
// Each worker is compared with itself (latency_drift.hpp), one kind of work at a time. But if a
// machine is busy, all its workers are slow, and to restart them would make it busier. So a worker
// counts as slow only if most of the others that do the same work are not, and there is one at
// least. As one is always the first to be found slow, the others are asked for what they did since.
//
// And only if it has been slow for a while. A part that hangs makes others slow (an endless loop
// takes a processor from them), and is to be found as what it is: for a rung that cures slowness
// would wait for the part that hangs.
//
// And only if that can be felt. Of operations of a fraction of a millisecond a busy machine's
// scheduler makes some of a millisecond; that is nobody's failure, and no recovery of a second is
// worth it.
//
// Two measures are taken, for there are two ways of being slow. Each operation may take longer; or
// most take what they always took, and now and then one takes as long as a hundred, because the
// browser gets a processor for a part of the time only (as a cgroup's quota gives it). The median
// does not see the latter. So what one took on average over a spell of work is watched as well.
#pragma once

#include "everpool/core/latency_drift.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace everpool::core {

class Slowness {
public:
    /// Kinds of work beyond these are not watched.
    static constexpr std::size_t kinds_max = 64;

    /// So long it must have been slow without a break: longer than a hang takes to be found.
    static constexpr Duration patience = std::chrono::seconds{3};

    /// What takes less counts as this, so that below twice this nothing is slow. An average is
    /// steadier than what a single one takes.
    static constexpr Duration run_time_min = std::chrono::milliseconds{5};
    static constexpr Duration average_min = std::chrono::milliseconds{2};

    /// Operations that took so long together are a spell; a longer one is a spell by itself. As
    /// long as the period of a cgroup's processor quota.
    static constexpr Duration spell_min = std::chrono::milliseconds{100};

    Slowness(std::size_t worker_count, std::size_t kind_count)
        : kind_count_(kind_count < kinds_max ? kind_count : kinds_max), workers_(worker_count) {}

    /// A worker has done work of that kind in that time.
    /// \return whether it is slow, and it is its own fault. \pre worker < worker_count
    bool add(std::size_t worker, std::size_t kind, Duration took, TimePoint now) {
        if (kind >= kind_count_) return false;
        std::vector<Watched>& kinds = workers_[worker];
        if (kinds.empty()) kinds.resize(kind_count_);
        Watched& watched = kinds[kind];
        const bool is_each_slow =
            judge(worker, kind, &Watched::each, std::max(took, run_time_min), now);
        watched.spell_took += took;
        ++watched.spell_count;
        if (watched.spell_took < spell_min) return is_each_slow;
        const Duration mean = std::max(watched.spell_took / watched.spell_count, average_min);
        watched.spell_took = {};
        watched.spell_count = 0;
        return judge(worker, kind, &Watched::spell, mean, now) || is_each_slow;
    }

    /// Another life: what it was is no measure of what it will be.
    void forget(std::size_t worker) noexcept {
        for (Watched& watched : workers_[worker]) watched = {};
        // What others count of it begins anew as well.
        for (std::vector<Watched>& kinds : workers_)
            for (Watched& watched : kinds)
                for (Gauge* gauge : {&watched.each, &watched.spell})
                    if (!gauge->counts_at_alarm.empty()) gauge->counts_at_alarm[worker] = 0;
    }

private:
    struct Gauge {
        LatencyDrift drift{};
        TimePoint alarm_at{};
        std::vector<std::uint64_t> counts_at_alarm{}; ///< by worker; empty: there is no alarm
    };
    struct Watched {
        Gauge each{};          ///< what one operation takes
        Gauge spell{};         ///< and what one takes on average
        Duration spell_took{}; ///< of the spell under way
        std::uint32_t spell_count{0};
    };
    using Measure = Gauge Watched::*;

    bool judge(std::size_t worker, std::size_t kind, Measure measure, Duration took,
               TimePoint now) {
        Gauge& gauge = workers_[worker][kind].*measure;
        if (!gauge.drift.add(took, now)) {
            gauge.counts_at_alarm.clear();
            return false;
        }
        if (gauge.counts_at_alarm.empty()) {
            gauge.alarm_at = now;
            for (std::size_t i = 0; i < workers_.size(); ++i)
                gauge.counts_at_alarm.push_back(count_of(i, kind, measure));
            return false;
        }
        return now - gauge.alarm_at >= patience &&
               is_its_own(worker, kind, measure, gauge.counts_at_alarm);
    }

    [[nodiscard]] std::uint64_t count_of(std::size_t worker, std::size_t kind,
                                         Measure measure) const noexcept {
        if (workers_[worker].empty()) return 0;
        return (workers_[worker][kind].*measure).drift.report().sample_count;
    }

    [[nodiscard]] bool is_its_own(std::size_t worker, std::size_t kind, Measure measure,
                                  const std::vector<std::uint64_t>& before) const noexcept {
        std::size_t slow = 0, fine = 0;
        for (std::size_t other = 0; other < workers_.size(); ++other) {
            if (other == worker || workers_[other].empty()) continue;
            // With so many values all that it is judged by is of the time since.
            const std::uint64_t count = count_of(other, kind, measure);
            if (count < before[other] + LatencyDrift::recent_count) continue;
            if ((workers_[other][kind].*measure).drift.is_slow()) ++slow;
            else if (count >= LatencyDriftConfig{}.baseline_min) ++fine;
        }
        return fine > slow;
    }

    std::size_t kind_count_;
    std::vector<std::vector<Watched>> workers_; ///< then by kind; empty before its first work
};

} // namespace everpool::core
