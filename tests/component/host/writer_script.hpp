// Tests: what one thread of a state writer commits: everything there is, at random, and always
// valid.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

/// Each thread has a browser, a model, and ids of its own, so that no thread's transaction depends
/// on when another's is committed. It takes up what earlier lives of the same thread have left.
class WriterScript {
public:
    WriterScript(std::uint32_t life, std::uint16_t thread, std::uint64_t seed,
                 ProcessIdentity process, const StateSnapshot& found)
        : life_(life), thread_(thread), process_(process), prng_(seed ^ (thread * 7919ULL)) {
        if (const BrowserState* browser = found.find_browser(worker())) {
            has_browser_ = true;
            generation_ = browser->generation;
        }
        has_model_ = found.find_model(model()) != nullptr;
        found.visit_operations([&](const OperationState& operation) {
            if (!is_final(operation.status) && thread_of(operation.id.value) == thread)
                queued_.push_back(operation.id);
        });
    }

    [[nodiscard]] std::uint32_t sequence() const noexcept { return sequence_; }

    Transaction next() {
        ++sequence_;
        Transaction out;
        out.at = WallTime(std::chrono::nanoseconds((std::uint64_t{life_} << 32) + sequence_));
        out.actor = std::to_string(life_) + ' ' + std::to_string(thread_) + ' ' +
                    std::to_string(sequence_);
        if (sequence_ == 1) arrive(out);
        else if (queued_.size() > 40) cancel_some(out);
        else if (prng_.ratio(1, 150)) restart(out);
        else act(out);
        if (out.changes.empty()) out.changes.emplace_back(Note{.text = text(10, 60)});
        return out;
    }

private:
    [[nodiscard]] static std::uint16_t thread_of(std::uint64_t id) noexcept {
        return static_cast<std::uint16_t>((id >> 28) & 0xf);
    }
    /// Ids grow with the lives: 20 bits of life, 4 of thread, 28 of count.
    [[nodiscard]] std::uint64_t next_id() noexcept {
        return (std::uint64_t{life_} << 32) | (std::uint64_t{thread_} << 28) | ++ids_;
    }
    [[nodiscard]] WorkerId worker() const noexcept { return WorkerId{thread_}; }
    [[nodiscard]] std::string model() const { return "model " + std::to_string(thread_); }

    std::string text(std::size_t least, std::size_t most) {
        std::string out(least + prng_.below(most - least), ' ');
        for (char& c : out) c = static_cast<char>('a' + prng_.below(26));
        return out;
    }

    template <class Id>
    Id take(std::vector<Id>& from) {
        const auto at = from.begin() + static_cast<std::ptrdiff_t>(prng_.below(from.size()));
        const Id id = *at;
        from.erase(at);
        return id;
    }

    void arrive(Transaction& out) {
        ++generation_.value;
        if (has_browser_) {
            out.changes.emplace_back(BrowserChanged{.id = worker(),
                                                    .connection = ConnectionStatus::ready,
                                                    .health = HealthStatus::healthy,
                                                    .generation = generation_,
                                                    .process = process_});
            return;
        }
        BrowserAdded added;
        added.browser.id = worker();
        added.browser.connection = ConnectionStatus::ready;
        added.browser.generation = generation_;
        added.browser.process = process_;
        out.changes.emplace_back(std::move(added));
        has_browser_ = true;
    }

    /// What runs is queued anew, all that the browser has is gone, and it lives another time.
    void restart(Transaction& out) {
        for (const RequestId id : running_) {
            out.changes.emplace_back(OperationRequeued{.id = id, .worker = worker()});
            queued_.push_back(id);
        }
        running_.clear();
        resources_.clear();
        is_assigned_ = false;
        ++generation_.value;
        out.changes.emplace_back(BrowserChanged{.id = worker(),
                                                .generation = generation_,
                                                .restarts = sequence_,
                                                .last_failure = text(5, 40)});
    }

    void cancel_some(Transaction& out) {
        while (queued_.size() > 20)
            out.changes.emplace_back(OperationFinished{.id = take(queued_),
                                                       .status = OperationStatus::cancelled,
                                                       .code = Errc::cancelled});
    }

    void act(Transaction& out) {
        for (std::uint64_t steps = 1 + prng_.below(3); steps > 0; --steps) {
            switch (prng_.below(10)) {
            case 0:
            case 1:
            case 2: submit(out); break;
            case 3:
            case 4: dispatch(out); break;
            case 5:
            case 6: finish(out); break;
            case 7: use_resource(out); break;
            case 8: use_model(out); break;
            default: out.changes.emplace_back(Note{.text = text(5, 200)}); break;
            }
        }
    }

    void submit(Transaction& out) {
        OperationSubmitted submitted{.id = RequestId{next_id()},
                                     .operation = "inference",
                                     .model = model(),
                                     .inputs_digest = prng_.next(),
                                     .is_idempotent = prng_.ratio(1, 2)};
        // Some that are longer than a block of the log, and hard to compress.
        if (prng_.ratio(1, 4)) {
            std::vector<std::byte> bytes(prng_.ratio(1, 100) ? 40'000 : 1 + prng_.below(400));
            for (std::byte& b : bytes) b = static_cast<std::byte>(prng_.below(256));
            submitted.payload = Payload(std::move(bytes));
        }
        queued_.push_back(submitted.id);
        out.changes.emplace_back(std::move(submitted));
    }

    void dispatch(Transaction& out) {
        if (queued_.empty()) return;
        running_.push_back(take(queued_));
        out.changes.emplace_back(OperationDispatched{
            .id = running_.back(), .worker = worker(), .generation = generation_});
    }

    void finish(Transaction& out) {
        if (running_.empty()) return;
        const bool is_failure = prng_.ratio(1, 5);
        out.changes.emplace_back(OperationFinished{
            .id = take(running_),
            .worker = worker(),
            .status = is_failure ? OperationStatus::failed : OperationStatus::completed,
            .code = is_failure ? Errc::operation_failed : Errc::ok});
        out.changes.emplace_back(
            MetricRecorded{.key = {.model = model(), .operation = "inference"},
                           .duration = std::chrono::microseconds(prng_.below(100'000)),
                           .is_failure = is_failure});
    }

    void use_resource(Transaction& out) {
        if (resources_.size() > 20 || (!resources_.empty() && prng_.ratio(1, 3))) {
            out.changes.emplace_back(ResourceFreed{.id = take(resources_)});
            return;
        }
        resources_.push_back(ResourceId{next_id()});
        out.changes.emplace_back(ResourceAllocated{.id = resources_.back(),
                                                   .kind = ResourceKind::webgpu_buffer,
                                                   .worker = worker(),
                                                   .model = model(),
                                                   .bytes = prng_.below(1 << 20)});
    }

    void use_model(Transaction& out) {
        if (!has_model_) {
            ModelRegistered registered;
            registered.model.name = model();
            registered.model.file = text(8, 30) + ".onnx";
            out.changes.emplace_back(std::move(registered));
            has_model_ = true;
        } else if (!is_assigned_) {
            out.changes.emplace_back(
                ModelAssigned{.name = model(),
                              .assignment = {.worker = worker(),
                                             .provider = Provider::webgpu,
                                             .memory_bytes = prng_.below(1 << 30)}});
            is_assigned_ = true;
        } else if (prng_.ratio(1, 2)) {
            out.changes.emplace_back(ModelUnassigned{.name = model(), .worker = worker()});
            is_assigned_ = false;
        } else {
            out.changes.emplace_back(ModelRemoved{.name = model()});
            has_model_ = is_assigned_ = false;
        }
    }

    const std::uint32_t life_;
    const std::uint16_t thread_;
    const ProcessIdentity process_;
    core::Prng prng_;
    std::uint32_t sequence_{0};
    std::uint64_t ids_{0};
    Generation generation_{};
    bool has_browser_{false}, has_model_{false}, is_assigned_{false};
    std::vector<RequestId> queued_, running_;
    std::vector<ResourceId> resources_;
};

} // namespace everpool::tests
