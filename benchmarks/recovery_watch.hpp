// Parts of scenario_recovery: what the pool told, and waiting for it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <everpool/everpool.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

namespace scenario {

/// What one fault led to.
struct Aftermath {
    std::optional<everpool::TimePoint> lost, ready; ///< the first loss; when all were back
    std::vector<everpool::PoolEvent> losses;
};

class RecoveryWatch {
public:
    [[nodiscard]] everpool::PoolEventListener listener() {
        return [this](const everpool::PoolEvent& event) {
            {
                const std::scoped_lock lock(mutex_);
                events_.push_back(event);
            }
            changed_.notify_all();
        };
    }

    [[nodiscard]] std::size_t mark() {
        const std::scoped_lock lock(mutex_);
        return events_.size();
    }

    /// Waits until a worker has been lost since `mark` (`losses_min` of them) and every lost one is
    /// ready again. Empty `ready`: not within `limit`.
    Aftermath wait_for_recovery(std::size_t mark, std::size_t losses_min,
                                std::chrono::seconds limit) {
        std::unique_lock lock(mutex_);
        Aftermath out;
        changed_.wait_for(lock, limit, [&] {
            out = after(mark);
            return out.losses.size() >= losses_min && out.ready.has_value();
        });
        return out;
    }

    [[nodiscard]] std::vector<everpool::PoolEvent> losses_since(std::size_t mark) {
        const std::scoped_lock lock(mutex_);
        return after(mark).losses;
    }

private:
    [[nodiscard]] Aftermath after(std::size_t mark) const {
        using Kind = everpool::PoolEvent::Kind;
        Aftermath out;
        std::set<std::uint32_t> away;
        for (std::size_t i = mark; i < events_.size(); ++i) {
            const everpool::PoolEvent& event = events_[i];
            if (event.kind == Kind::worker_lost) {
                if (!out.lost) out.lost = event.at;
                out.losses.push_back(event);
                away.insert(event.worker.value);
                out.ready.reset();
            }
            if (event.kind == Kind::worker_ready && away.erase(event.worker.value) != 0 &&
                away.empty())
                out.ready = event.at;
        }
        return out;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<everpool::PoolEvent> events_;
};

} // namespace scenario
