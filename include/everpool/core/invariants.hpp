// Everpool core: the facts that hold after every event, made executable.
// SPDX-License-Identifier: BSL-1.0
//
// Run by the unit tests and the simulator after each event. O(requests + workers * models), so a
// production driver runs it rarely or never; one that does and gets an answer calls
// PoolCore::on_broken() with it.
#pragma once

#include "everpool/core/batch_check.hpp"
#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace everpool::core {

/// Reads what PoolCore keeps to itself. Use check_invariants().
struct InvariantCheck {
    using Answer = std::optional<std::string_view>;
    const PoolCore& core;

    [[nodiscard]] Answer run() const {
        for (const auto check :
             {&InvariantCheck::requests, &InvariantCheck::copies, &InvariantCheck::queues,
              &InvariantCheck::workers, &InvariantCheck::leases, &InvariantCheck::deadlines,
              &InvariantCheck::nobody_is_idle, &InvariantCheck::fleet, &InvariantCheck::roles,
              &InvariantCheck::phases})
            if (const Answer broken = (this->*check)()) return broken;
        return std::nullopt;
    }

private:
    using WorkerSlot = PoolCore::WorkerSlot;

    [[nodiscard]] Answer requests() const {
        std::array<std::uint32_t, priority_count> waiting{};
        std::uint32_t in_flight = 0, requests = 0;
        for (Slot slot = 0; slot < core.requests_.slot_count(); ++slot) {
            const RequestRecord& record = core.requests_[slot];
            if (record.state == RequestState::free) continue;
            const Slot first = core.requests_.first_of(slot);
            if (core.requests_.find(record.meta.id) != first) return "a request is found by its id";
            if (first == slot) ++requests;
            if (record.tries > record.meta.max_attempts)
                return "no request has more attempts than it allows";
            if (record.state == RequestState::ended) {
                if (!core.requests_.has_copies(slot) || first != slot)
                    return "what has ended is kept for its copies only";
                continue;
            }
            if (record.state == RequestState::waiting) {
                ++waiting[index_of(record.meta.priority)];
                continue;
            }
            if (record.state == RequestState::in_flight) ++in_flight;
            if (record.tries == 0) return "what is at a worker has been dispatched";
            if (record.worker.value >= core.worker_count() ||
                !core.workers_[record.worker.value].fsm.serves(record.meta.model))
                return "what is at a worker is at a ready one that serves its model";
        }
        if (waiting != core.waiting_counts_) return "waiting requests are counted, by priority";
        if (in_flight != core.in_flight_count_) return "requests in flight are counted";
        if (requests != core.requests_.size()) return "the index has every request";
        return std::nullopt;
    }

    [[nodiscard]] Answer copies() const {
        std::uint32_t counting = 0;
        for (Slot first = 0; first < core.requests_.slot_count(); ++first) {
            const RequestTable& table = core.requests_;
            if (table[first].state == RequestState::free || !table.has_copies(first) ||
                table.first_of(first) != first)
                continue;
            if (const Answer broken = copies_of(first)) return broken;
            counting += table.set_of(first).is_counting ? 1 : 0;
        }
        if (counting != core.counting_count_) return "votes that are being counted are counted";
        if (!core.touched_.empty() || !core.returned_.empty())
            return "what one call has left to do is done when it returns";
        return std::nullopt;
    }

    [[nodiscard]] Answer copies_of(Slot first) const {
        const CopySet& set = core.requests_.set_of(first);
        std::uint32_t open = 0, waiting = 0;
        std::vector<WorkerId> who;
        for (std::size_t i = 0; i < set.answer_count; ++i) who.push_back(set.answers[i].worker);
        for (const Slot slot : core.requests_.copies_of(first)) {
            const RequestRecord& record = core.requests_[slot];
            if (record.meta.id != core.requests_[first].meta.id ||
                &core.requests_.set_of(slot) != &set)
                return "copies are of one request";
            const bool is_open =
                record.state == RequestState::waiting || record.state == RequestState::in_flight;
            open += is_open ? 1 : 0;
            waiting += record.state == RequestState::waiting ? 1 : 0;
            if (set.is_over && is_open) return "of what is over nothing is under way";
            if (!set.is_over && record.state == RequestState::abandoned)
                return "only of what is over are copies abandoned";
            if (record.state == RequestState::in_flight) who.push_back(record.worker);
        }
        if (set.is_over)
            return set.is_counting ? Answer("nobody counts what is over") : std::nullopt;
        std::ranges::sort(who);
        if (std::ranges::adjacent_find(who) != who.end())
            return "copies of one request are at different workers";
        if (open == 0 && !set.is_counting) return "somebody works on what is not over";
        if (set.answer_count + open > std::max<std::uint32_t>(set.wanted, 2) ||
            set.counted > set.answer_count)
            return "no more is asked for than is wanted";
        std::uint32_t free_workers = 0;
        for (std::uint32_t i = 0; i < core.worker_count(); ++i)
            if (core.may_ever_take(WorkerId{i}, ModelId::none()) &&
                !core.requests_.is_barred(first, WorkerId{i}))
                ++free_workers;
        if (waiting > free_workers) return "no copy waits for a worker that there is not";
        return std::nullopt;
    }

    /// Walks a list; counts it into `total`.
    [[nodiscard]] Answer list(const RequestList& requests, bool is_queue,
                              std::uint32_t& total) const {
        std::uint32_t count = 0;
        std::uint64_t rows = 0;
        Slot previous = no_slot;
        for (Slot slot = requests.front(); slot != no_slot; slot = core.requests_[slot].next) {
            const RequestRecord& record = core.requests_[slot];
            if (record.previous != previous) return "lists are linked both ways";
            if ((record.state == RequestState::waiting) != is_queue ||
                record.state == RequestState::free)
                return "a request stands in the list of its state";
            const bool is_copy =
                previous != no_slot && record.set != no_slot &&
                core.requests_[previous].set == record.set; // of one request, which has one id
            if (previous != no_slot && !is_copy && core.requests_[previous].rank() >= record.rank())
                return "lists are ordered by rank";
            if (++count > requests.size()) return "lists are as long as they say";
            if (record.is_joinable()) rows += record.meta.rows;
            previous = slot;
        }
        total += count;
        // (Of what is at a worker nobody asks.)
        if (is_queue && rows != requests.rows()) return "lists know how many rows may go together";
        return count == requests.size() ? std::nullopt : Answer("lists are as long as they say");
    }

    [[nodiscard]] Answer queues() const {
        std::uint32_t queued = 0, at_workers = 0;
        for (std::uint32_t i = 0; i <= core.config_.model_count; ++i) {
            const ModelId model = i == core.config_.model_count ? ModelId::none() : ModelId{i};
            for (const RequestList& one : core.queue_.lists_of(model))
                if (const Answer broken = list(one, true, queued)) return broken;
        }
        if (queued != core.queue_.size()) return "the run queue knows its size";
        for (const WorkerSlot& worker : core.workers_) {
            if (const Answer broken = list(worker.lease_queue, true, queued)) return broken;
            if (const Answer broken = list(worker.operations, false, at_workers)) return broken;
        }
        if (queued != core.queued()) return "every waiting request is in one queue";
        std::uint32_t records = 0;
        for (Slot slot = 0; slot < core.requests_.slot_count(); ++slot) {
            const RequestState state = core.requests_[slot].state;
            records += state != RequestState::free && state != RequestState::ended ? 1 : 0;
        }
        if (queued + at_workers != records) return "every request is in one list";
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
            const std::uint32_t canaries = worker.canary.is_asked() ? 1 : 0;
            if (worker.operations.size() + canaries != worker.session.in_flight() ||
                bytes != worker.session.bytes() || abandoned != worker.session.abandoned())
                return "a session counts its operations and their bytes";
            if (const Answer broken =
                    check_batches(core.requests_, worker.operations, core.config_))
                return broken;
            if (count_batches(core.requests_, worker.operations) + canaries !=
                worker.session.batches())
                return "a session counts its batches";
            if (bytes > core.config_.in_flight_bytes_max && worker.operations.size() > 1)
                return "no worker has more bytes in flight than allowed";
            if (!is_ready && worker.session.in_flight() != 0)
                return "only a ready worker has operations";
            if (!is_ready && (worker.lease != no_slot || worker.reserved_for != no_slot))
                return "only a ready worker is leased or reserved";
            if (worker.is_retiring && (worker.lease != no_slot || worker.reserved_for != no_slot))
                return "a slow worker is neither leased nor reserved";
            if (!is_ready && (worker.is_retiring || worker.canary.deadline() != never))
                return "only a ready worker is watched for wrong answers and slowness";
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

    /// The copies of a request have one deadline, which nobody waits for in the last count.
    [[nodiscard]] bool has_deadline(Slot slot) const {
        const RequestRecord& record = core.requests_[slot];
        if (record.state == RequestState::free) return false;
        if (!core.requests_.has_copies(slot))
            return record.state == RequestState::waiting || record.state == RequestState::in_flight;
        const CopySet& set = core.requests_.set_of(slot);
        return set.first == slot && !set.is_over && !set.is_last_count;
    }

    [[nodiscard]] Answer deadlines() const {
        if (!core.request_deadlines_.is_consistent() || !core.lease_deadlines_.is_consistent() ||
            !core.worker_deadlines_.is_consistent() || !core.late_deadlines_.is_consistent() ||
            !core.batch_deadlines_.is_consistent())
            return "deadlines are in heap order";
        for (std::uint32_t i = 0; i < core.config_.model_count; ++i)
            if (core.batch_deadlines_.at(i) >
                core.queue_.next_ripe_at(core.requests_, ModelId{i}, core.now_))
                return "no batch is forgotten";
        for (Slot slot = 0; slot < core.requests_.slot_count(); ++slot) {
            const RequestRecord& record = core.requests_[slot];
            if (core.request_deadlines_.at(slot) !=
                (has_deadline(slot) ? std::min(record.meta.deadline, record.meta.queue_deadline)
                                    : never))
                return "exactly the requests that somebody waits for have their deadline armed";
            if (core.late_deadlines_.at(slot) != never && !has_deadline(slot))
                return "only what somebody waits for can be late";
        }
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) {
            const WorkerSlot& worker = core.workers_[i];
            // The heap may be early (it is corrected when it fires), never late.
            if (core.worker_deadlines_.at(i) >
                std::min(
                    {worker.fsm.deadline(), worker.session.deadline(), worker.canary.deadline()}))
                return "no worker's deadline is forgotten";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer nobody_is_idle() const {
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) {
            const WorkerSlot& worker = core.workers_[i];
            if (worker.fsm.state() != WorkerFsm::State::ready) continue;
            if (worker.is_quarantined && worker.lease == no_slot) {
                if (worker.session.in_flight() == 0) return "an idle worker is not quarantined";
                continue;
            }
            if (worker.reserved_for != no_slot) {
                if (worker.session.in_flight() == 0) return "an idle reserved worker is leased";
                continue;
            }
            if (worker.is_retiring) {
                if (worker.session.in_flight() == 0)
                    return "a slow worker is recovered as soon as it is idle";
                continue;
            }
            const Slot slot =
                worker.lease != no_slot ? worker.lease_queue.front() : core.first_for(WorkerId{i});
            if (slot != no_slot && core.has_room(worker, core.requests_[slot].meta))
                return "no worker has room for the first request that it could serve";
            if (worker.lease != no_slot) continue;
            for (const auto& [id, lease] : core.leases_.waiting())
                if (core.may_take(worker, core.leases_[lease].model))
                    return "no lease waits while a worker for it is neither leased nor reserved";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer fleet() const {
        const auto& trouble = core.fleet_.trouble();
        const bool is_over =
            core.phase_ == PoolPhase::stopping || core.phase_ == PoolPhase::stopped;
        if (!trouble || is_over) return std::nullopt;
        if (trouble->prober.value >= core.worker_count() ||
            !core.workers_[trouble->prober.value].fsm.is_hopeful())
            return "a fleet that fails has one worker that goes on trying";
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) {
            const WorkerFsm& fsm = core.workers_[i].fsm;
            if (fsm.state() == WorkerFsm::State::ready) return "no worker is ready while all fail";
            if (WorkerId{i} != trouble->prober && fsm.state() == WorkerFsm::State::waiting &&
                fsm.deadline() != never)
                return "while the fleet fails, one worker is restarted";
        }
        return std::nullopt;
    }

    [[nodiscard]] Answer roles() const {
        std::uint32_t active = 0, standby = 0;
        const bool is_over =
            core.phase_ == PoolPhase::stopping || core.phase_ == PoolPhase::stopped;
        for (const WorkerSlot& worker : core.workers_) {
            if (worker.role == WorkerRole::active) ++active;
            if (worker.role == WorkerRole::standby) ++standby;
            if ((worker.role == WorkerRole::rival) == worker.rival_of.is_none())
                return "a rival, and nobody else, is somebody's";
            if (is_over) continue;
            if (worker.role == WorkerRole::dormant &&
                (worker.fsm.is_alive() || worker.fsm.state() == WorkerFsm::State::waiting))
                return "nothing runs in a dormant slot, or is about to";
            if (worker.role != WorkerRole::rival) continue;
            if (!worker.fsm.is_hopeful() || worker.fsm.state() == WorkerFsm::State::ready)
                return "a rival is being started";
            const WorkerSlot& whose = core.workers_[worker.rival_of.value];
            if (whose.role != WorkerRole::active || whose.fsm.state() == WorkerFsm::State::ready)
                return "rivals are of an active worker that is missing";
        }
        if (standby != core.config_.standby_count ||
            active + standby != core.config_.worker_browsers.size())
            return "active workers and standbys are as many as configured";
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
            if (core.queue_.any_of(model) != no_slot && !core.is_servable(model))
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
