// SPDX-License-Identifier: BSL-1.0
#include "fake_host.hpp"

#include "everpool/core/placement.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>

namespace everpool::simulation {

using namespace core;

HostHabits HostHabits::random(World& world, const FaultMenu& faults) {
    HostHabits habits;
    habits.burst_max = static_cast<std::uint32_t>(world.between(1, 16));
    habits.pause_max = world.between(Duration(20ms), Duration(3s));
    habits.outstanding_max = world.chance(1, 8) ? SIZE_MAX : world.between(1, 24);
    habits.model_count = static_cast<std::uint32_t>(world.between(0, 4));
    habits.bytes_max = world.between(0, 1500);
    habits.always_has_deadlines = faults.stuck.numerator != 0;
    if (world.chance(1, 2)) habits.copies = {1, static_cast<std::uint32_t>(world.between(1, 8))};
    if (world.chance(1, 2)) habits.hedges = {1, static_cast<std::uint32_t>(world.between(1, 4))};
    if (world.chance(1, 2))
        habits.priorities = {1, static_cast<std::uint32_t>(world.between(1, 4))};
    if (world.chance(1, 2))
        habits.impatience = {1, static_cast<std::uint32_t>(world.between(1, 8))};
    if (world.chance(1, 2)) habits.batches = {1, static_cast<std::uint32_t>(world.between(1, 2))};
    return habits;
}

ModelId FakeHost::draw_model() {
    if (habits_.model_count == 0 || with_.world.chance(1, 4)) return ModelId::none();
    // Now and then one that was never registered.
    const std::uint32_t end = habits_.model_count + (with_.world.chance(1, 200) ? 1 : 0);
    return {static_cast<std::uint32_t>(with_.world.between(0, end - 1))};
}

std::uint32_t FakeHost::draw_preferences() {
    std::vector<BrowserType> order(with_.world.between(0, 3));
    for (BrowserType& type : order) type = static_cast<BrowserType>(with_.world.between(0, 3));
    return pack_preferences(order);
}

void FakeHost::submit(LeaseId lease) {
    World& world = with_.world;
    RequestMeta meta;
    meta.id = with_.ledger.next_request();
    meta.model = draw_model();
    meta.work = static_cast<std::uint16_t>(world.between(0, 5)); // some of them unknown
    meta.lease = lease;
    if (habits_.always_has_deadlines || !world.chance(1, 8))
        meta.deadline = world.now() + world.skewed(5ms, patience_max);
    meta.bytes = world.between(0, habits_.bytes_max);
    if (world.chance(habits_.batches)) {
        meta.batch = world.chance(3, 4) ? 1 : 2;
        meta.rows = static_cast<std::uint32_t>(world.chance(3, 4) ? 1 : world.between(1, 10));
    }
    meta.preferred_browsers = draw_preferences();
    meta.max_attempts = static_cast<std::uint8_t>(world.between(0, 4)); // 0: as configured
    meta.idempotent = world.chance(3, 4);
    if (world.chance(habits_.copies))
        meta.copies = static_cast<std::uint8_t>(world.chance(1, 2) ? 3 : world.between(0, 8));
    meta.may_hedge = world.chance(habits_.hedges);
    if (world.chance(habits_.priorities))
        meta.priority = static_cast<Priority>(world.between(0, priority_count - 1));
    if (world.chance(habits_.impatience)) {
        meta.queue_deadline = world.now() + world.skewed(0ms, patience_max / 4);
        if (world.chance(1, 2)) meta.timeout_action = TimeoutAction::delay;
    }
    with_.feed(Submit{meta});
    if (with_.ledger.next_request() == meta.id) return; // the run has failed, and heard of nothing
    // A host that stutters. (An id that has been answered would be a new request.)
    if (world.chance(1, 200) && !with_.ledger.request(meta.id).is_completed)
        with_.feed(Submit{meta});
}

void FakeHost::acquire() {
    World& world = with_.world;
    Acquire acquire;
    acquire.lease = with_.ledger.next_lease();
    acquire.model = draw_model();
    if (!world.chance(1, 8)) acquire.deadline = world.now() + world.skewed(5ms, patience_max / 2);
    acquire.preferred_browsers = draw_preferences();
    leases_.push_back(acquire.lease);
    with_.feed(acquire);
}

/// Mostly one that waits or is under way; sometimes a recent one, which may have been answered.
void FakeHost::cancel_one() {
    const auto& open = with_.ledger.open_requests();
    if (!open.empty() && with_.world.chance(3, 4)) {
        const auto steps = static_cast<std::ptrdiff_t>(with_.world.between(0, open.size() - 1));
        return with_.feed(Cancel{RequestId{*std::next(open.begin(), steps)}});
    }
    const std::uint64_t count = with_.ledger.request_count();
    if (count == 0) return;
    const std::uint64_t back = std::min(count - 1, with_.world.between(0, 20));
    with_.feed(Cancel{RequestId{count - back}});
}

void FakeHost::use_leases() {
    World& world = with_.world;
    for (std::size_t i = 0; i < leases_.size();) {
        const LeaseId id = leases_[i];
        const LeaseFact& lease = with_.ledger.lease(id);
        if (lease.state == LeaseFact::State::held && world.chance(3, 4)) submit(id);
        if (lease.state != LeaseFact::State::over && world.chance(1, 4)) with_.feed(Release{id});
        if (lease.state == LeaseFact::State::over || lease.is_released)
            leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(i));
        else ++i;
    }
    if (world.chance(1, 6)) acquire();
}

void FakeHost::be_busy() {
    if (is_resting_) return;
    World& world = with_.world;
    const std::uint64_t burst = world.between(1, habits_.burst_max);
    for (std::uint64_t i = 0;
         i < burst && with_.ledger.open_requests().size() < habits_.outstanding_max; ++i) {
        submit();
        // Refused at once. So would be the rest of the burst, which shows nothing new.
        if (with_.ledger.request({with_.ledger.request_count()}).is_completed) break;
    }
    if (world.chance(1, 4)) cancel_one();
    if (world.chance(1, 2)) use_leases();
    with_.ledger.check_deadlines(world.now());
    world.after(world.skewed(1ms, habits_.pause_max), [this] { be_busy(); });
}

void FakeHost::rest() {
    is_resting_ = true;
    for (const LeaseId lease : std::exchange(leases_, {})) with_.feed(Release{lease});
}

} // namespace everpool::simulation
