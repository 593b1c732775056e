// Everpool facade: which requests are at a worker as one, and under whose name.
// SPDX-License-Identifier: BSL-1.0
//
// A batch goes by the id and attempt of its first request. The core knows its requests one by one:
// each is answered, cancelled or lost by itself.
#pragma once

#include "everpool/ids.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace everpool::facade {

struct BatchMember {
    RequestId request{};
    std::uint32_t attempt{0};
    std::uint32_t rows{1};
    bool is_wanted{true}; ///< somebody still waits for it
};

struct SentBatch {
    WorkerId worker{WorkerId::none()};
    std::vector<BatchMember> members; ///< at least two, in the order of their rows
};

class SentBatches {
public:
    void add(SentBatch batch) { batches_.push_back(std::move(batch)); }

    /// The batch that goes by this name, which is not here any more then; empty if there is none.
    [[nodiscard]] std::optional<SentBatch> take(WorkerId worker, RequestId id,
                                                std::uint32_t attempt) {
        const auto found = std::ranges::find_if(batches_, [&](const SentBatch& one) {
            return one.worker == worker && is(one.members.front(), id, attempt);
        });
        if (found == batches_.end()) return std::nullopt;
        SentBatch out = std::move(*found);
        batches_.erase(found);
        return out;
    }

    enum class Cancelled { not_here, others_wait, nobody_waits };
    /// Nobody waits for this request any more. Of nobody_waits, `name` is whom to cancel.
    Cancelled cancel(WorkerId worker, RequestId id, std::uint32_t attempt, BatchMember& name) {
        for (SentBatch& batch : batches_) {
            if (batch.worker != worker) continue;
            const auto found = std::ranges::find_if(
                batch.members, [&](const BatchMember& one) { return is(one, id, attempt); });
            if (found == batch.members.end()) continue;
            found->is_wanted = false;
            if (std::ranges::any_of(batch.members, &BatchMember::is_wanted))
                return Cancelled::others_wait;
            name = batch.members.front();
            return Cancelled::nobody_waits;
        }
        return Cancelled::not_here;
    }

    /// The worker begins another life, or none.
    void forget(WorkerId worker) {
        std::erase_if(batches_, [&](const SentBatch& one) { return one.worker == worker; });
    }

    [[nodiscard]] bool is_empty() const noexcept { return batches_.empty(); }

private:
    static bool is(const BatchMember& member, RequestId id, std::uint32_t attempt) noexcept {
        return member.request == id && member.attempt == attempt;
    }

    std::vector<SentBatch> batches_; ///< few: two for each worker at most
};

} // namespace everpool::facade
