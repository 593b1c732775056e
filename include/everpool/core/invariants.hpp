// Everpool core: the facts that hold after every event, made executable.
// SPDX-License-Identifier: BSL-1.0
//
// Run by the unit tests and the simulator after each event. O(requests + workers * models), so a
// production driver runs it rarely or never; one that does and gets an answer calls
// PoolCore::on_broken() with it.
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool::core {

/// Reads what PoolCore keeps to itself. Use check_invariants().
struct InvariantCheck {
    using Answer = std::optional<std::string_view>;
    const PoolCore& core;

    [[nodiscard]] Answer run() const {
        for (const auto check :
             {&InvariantCheck::requests, &InvariantCheck::queues, &InvariantCheck::workers,
              &InvariantCheck::leases, &InvariantCheck::deadlines, &InvariantCheck::nobody_is_idle,
              &InvariantCheck::phases})
            if (const Answer broken = (this->*check)()) return broken;
        return std::nullopt;
    }

private:
    using WorkerSlot = PoolCore::WorkerSlot;

    [[nodiscard]] Answer requests() const {
        std::uint32_t waiting = 0, in_flight = 0, abandoned = 0;
        for (Slot slot = 0; slot < core.requests_.slot_count(); ++slot) {
            const RequestRecord& record = core.requests_[slot];
            if (record.state == RequestState::free) continue;
            if (core.requests_.find(record.meta.id) != slot) return "a request is found by its id";
            if (record.attempts > record.meta.max_attempts)
                return "no request has more attempts than it allows";
            if (record.state == RequestState::waiting) {
                ++waiting;
                continue;
            }
            ++(record.state == RequestState::in_flight ? in_flight : abandoned);
            if (record.attempts == 0) return "what is at a worker has been dispatched";
            if (record.worker.value >= core.worker_count() ||
                !core.workers_[record.worker.value].fsm.serves(record.meta.model))
                return "what is at a worker is at a ready one that serves its model";
        }
        if (waiting != core.waiting_count_) return "waiting requests are counted";
        if (in_flight != core.in_flight_count_) return "requests in flight are counted";
        if (waiting + in_flight + abandoned != core.requests_.size())
            return "the index has every request";
        return std::nullopt;
    }

    /// Walks a list; counts it into `total`.
    [[nodiscard]] Answer list(const RequestList& requests, bool is_queue,
                              std::uint32_t& total) const {
        std::uint32_t count = 0;
        Slot previous = no_slot;
        for (Slot slot = requests.front(); slot != no_slot; slot = core.requests_[slot].next) {
            const RequestRecord& record = core.requests_[slot];
            if (record.previous != previous) return "lists are linked both ways";
            if ((record.state == RequestState::waiting) != is_queue ||
                record.state == RequestState::free)
                return "a request stands in the list of its state";
            if (previous != no_slot && core.requests_[previous].meta.id >= record.meta.id)
                return "lists are ordered by id";
            if (++count > requests.size()) return "lists are as long as they say";
            previous = slot;
        }
        total += count;
        return count == requests.size() ? std::nullopt : Answer("lists are as long as they say");
    }

    [[nodiscard]] Answer queues() const {
        std::uint32_t queued = 0, at_workers = 0;
        for (std::uint32_t i = 0; i <= core.config_.model_count; ++i) {
            const ModelId model = i == core.config_.model_count ? ModelId::none() : ModelId{i};
            if (const Answer broken = list(core.queue_.list_of(model), true, queued)) return broken;
        }
        if (queued != core.queue_.size()) return "the run queue knows its size";
        for (const WorkerSlot& worker : core.workers_) {
            if (const Answer broken = list(worker.lease_queue, true, queued)) return broken;
            if (const Answer broken = list(worker.operations, false, at_workers)) return broken;
        }
        if (queued != core.waiting_count_) return "every waiting request is in one queue";
        if (queued + at_workers != core.requests_.size()) return "every request is in one list";
        return std::nullopt;
    }

    [[nodiscard]] Answer workers() const {
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) {
            const WorkerSlot& worker = core.workers_[i];
            const bool is_ready = worker.fsm.state() == WorkerFsm::State::ready;
            if ((worker.fsm.state() == WorkerFsm::State::idle) !=
                    (worker.fsm.generation().value == 0) &&
                worker.fsm.state() != WorkerFsm::State::stopped)
                return "only an idle worker has no generation";
            std::uint64_t bytes = 0;
            std::uint32_t abandoned = 0;
            for (Slot slot = worker.operations.front(); slot != no_slot;
                 slot = core.requests_[slot].next) {
                const RequestRecord& record = core.requests_[slot];
                if (record.worker != WorkerId{i}) return "an operation is in its worker's list";
                bytes += record.meta.bytes;
                if (record.state == RequestState::abandoned) ++abandoned;
            }
            if (worker.operations.size() != worker.session.in_flight() ||
                bytes != worker.session.bytes() || abandoned != worker.session.abandoned())
                return "a session counts its operations and their bytes";
            if (worker.session.in_flight() > core.config_.max_in_flight_per_worker)
                return "no worker has more in flight than allowed";
            if (bytes > core.config_.in_flight_bytes_max && worker.session.in_flight() > 1)
                return "no worker has more bytes in flight than allowed";
            if (!is_ready && worker.session.in_flight() != 0)
                return "only a ready worker has operations";
            if (!is_ready && (worker.lease != no_slot || worker.reserved_for != no_slot))
                return "only a ready worker is leased or reserved";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer leases() const {
        std::size_t count = 0;
        for (Slot slot = 0; slot < core.leases_.slot_count(); ++slot) {
            const LeaseRecord& lease = core.leases_[slot];
            if (lease.state == LeaseState::free) continue;
            ++count;
            const auto place = core.leases_.waiting().find(lease.id);
            const bool is_in_line = place != core.leases_.waiting().end() && place->second == slot;
            if (is_in_line != (lease.state == LeaseState::waiting))
                return "exactly the waiting leases stand in line";
            if (lease.state == LeaseState::waiting) continue;
            const WorkerSlot& worker = core.workers_[lease.worker.value];
            if ((lease.state == LeaseState::reserved ? worker.reserved_for : worker.lease) != slot)
                return "a lease and its worker know each other";
        }
        if (count != core.leases_.size()) return "the index has every lease";
        if (core.leases_.waiting().size() > count) return "only leases stand in line";
        for (const WorkerSlot& worker : core.workers_) {
            if (worker.lease != no_slot && worker.reserved_for != no_slot)
                return "a leased worker is not reserved";
            if (worker.lease == no_slot && !worker.lease_queue.is_empty())
                return "only a leased worker has a lease's requests";
            for (Slot slot = worker.operations.front(); slot != no_slot;
                 slot = core.requests_[slot].next)
                if (worker.lease != no_slot &&
                    core.requests_[slot].meta.lease != core.leases_[worker.lease].id)
                    return "a leased worker works for its lease alone";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer deadlines() const {
        if (!core.request_deadlines_.is_consistent() || !core.lease_deadlines_.is_consistent() ||
            !core.worker_deadlines_.is_consistent())
            return "deadlines are in heap order";
        for (Slot slot = 0; slot < core.requests_.slot_count(); ++slot) {
            const RequestRecord& record = core.requests_[slot];
            const bool is_waited_for =
                record.state == RequestState::waiting || record.state == RequestState::in_flight;
            if (core.request_deadlines_.at(slot) != (is_waited_for ? record.meta.deadline : never))
                return "exactly the requests that somebody waits for have their deadline armed";
        }
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) {
            const WorkerSlot& worker = core.workers_[i];
            // The heap may be early (it is corrected when it fires), never late.
            if (core.worker_deadlines_.at(i) >
                std::min(worker.fsm.deadline(), worker.session.deadline()))
                return "no worker's deadline is forgotten";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer nobody_is_idle() const {
        for (const WorkerSlot& worker : core.workers_) {
            if (worker.fsm.state() != WorkerFsm::State::ready) continue;
            if (worker.reserved_for != no_slot) {
                if (worker.session.in_flight() == 0) return "an idle reserved worker is leased";
                continue;
            }
            const Slot slot =
                worker.lease != no_slot
                    ? worker.lease_queue.front()
                    : core.queue_.oldest_for(core.requests_, worker.fsm.ready_models());
            if (slot != no_slot && worker.session.has_room(core.requests_[slot].meta.bytes))
                return "no worker has room for the oldest request that it could serve";
            if (worker.lease != no_slot) continue;
            for (const auto& [id, lease] : core.leases_.waiting())
                if (worker.fsm.serves(core.leases_[lease].model))
                    return "no lease waits while a worker for it is neither leased nor reserved";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer phases() const {
        const bool is_over =
            core.phase_ == PoolPhase::stopping || core.phase_ == PoolPhase::stopped;
        if ((is_over || core.phase_ == PoolPhase::idle) &&
            (core.requests_.size() != 0 || core.leases_.size() != 0))
            return "only a running pool has requests and leases";
        if (core.phase_ == PoolPhase::draining && !core.leases_.waiting().empty())
            return "no lease waits in a pool that drains";
        for (std::uint32_t i = 0; i <= core.config_.model_count; ++i) {
            const ModelId model = i == core.config_.model_count ? ModelId::none() : ModelId{i};
            if (!core.queue_.list_of(model).is_empty() && !core.is_servable(model))
                return "no request waits for what no worker will ever serve";
        }
        if (is_over)
            for (const WorkerSlot& worker : core.workers_)
                if (worker.fsm.is_hopeful()) return "no worker is alive in a stopped pool";
        if (core.is_broken()) return core.broken_because();
        return std::nullopt;
    }
};

/// The first fact that does not hold, in words; empty if all do.
inline std::optional<std::string_view> check_invariants(const PoolCore& core) {
    return InvariantCheck{core}.run();
}

} // namespace everpool::core
