// Simulator: a program that uses the pool without mercy: bursts, cancellations, leases, deadlines.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "surroundings.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace everpool::simulation {

/// The longest time that a host gives a request or waits for a lease.
inline constexpr Duration patience_max = 40s;

/// What a host is like, drawn once per seed.
struct HostHabits {
    std::uint32_t burst_max{1};
    Duration pause_max{1s};
    /// Requests that it waits for at the same time. Most hosts wait for answers before they ask for
    /// more; one that never does fills the queue, and sees little of the pool but queue_full.
    std::size_t outstanding_max{1};
    std::uint32_t model_count{0};
    std::uint64_t bytes_max{0};
    /// An operation that never ends while its worker lives is noticed by its deadline only.
    bool always_has_deadlines{false};
    /// How many of its requests ask for several workers, may be hedged, are more or less urgent than
    /// others, are not to wait for as long as their deadline allows, or may go with others.
    Ratio copies{}, hedges{}, priorities{}, impatience{}, batches{};

    static HostHabits random(World& world, const FaultMenu& faults);
};

class FakeHost {
public:
    FakeHost(const HostHabits& habits, Surroundings& with) : habits_(habits), with_(with) {}

    /// A burst of everything, then a pause, until it is told to rest.
    void be_busy();
    /// Asks for nothing any more and gives back what it has borrowed.
    void rest();

    void submit(LeaseId lease = {});
    void acquire();

private:
    void use_leases();
    void cancel_one();
    [[nodiscard]] ModelId draw_model();
    [[nodiscard]] std::uint32_t draw_preferences();

    HostHabits habits_;
    Surroundings& with_;
    bool is_resting_{false};
    std::vector<LeaseId> leases_; ///< asked for or held
};

} // namespace everpool::simulation
