// Everpool core: what is known of a request that several workers are asked at the same time.
// SPDX-License-Identifier: BSL-1.0
//
// Two reasons for that. Redundancy: `wanted` workers are asked from the beginning, and a vote over
// their answers decides. A hedge: one was asked, it is late, and a second one is asked; the first
// answer counts.
//
// Copies are attempts of one request that run at the same time, and nothing else: an answer names
// the attempt that it is for, on the wire and in the driver, so a copy needs no id of its own.
//
//     asked --- answers, failures, returns ---> asked
//       |                                         |
//       |     enough answers, none under way -> counting -- VotesCounted: decided --> over
//       |                                         |   +---- undecided, more may come --> asked
//       +--- cancelled, deadline, nothing left ---+------------------------------------> over
//
// Facts:
//   asked     a copy is in flight or waits; nobody counts
//   counting  the driver has been asked to count (CountVotes) and has not answered
//   over      the caller has been answered; what is left was abandoned at its workers
#pragma once

#include "everpool/core/event.hpp"
#include "everpool/core/id_index.hpp"

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace everpool::core {

/// An answer that the driver keeps for the vote.
struct CopyAnswer {
    std::uint32_t attempt{0};
    WorkerId worker{WorkerId::none()};
    Generation generation{}; ///< a later life of the worker has nothing to do with it
};

struct CopySet {
    Slot first{no_slot};       ///< the record that stands for the request; no_slot: not in use
    std::uint32_t attempts{0}; ///< of all its copies together
    std::uint8_t wanted{1};    ///< answers; fewer if workers fail for good; 1: a hedge
    std::uint8_t answer_count{0};
    std::uint8_t counted{0}; ///< of the answers, when the vote was counted last
    bool is_counting{false}, is_over{false};
    bool is_late{false};                ///< those under way are not waited for any longer
    bool is_last_count{false};          ///< the deadline is over: this count decides, either way
    Errc code{Errc::worker_lost};       ///< of the copy that failed last
    WorkerId culprit{WorkerId::none()}; ///< who failed last, or was given one since
    std::array<CopyAnswer, copies_max> answers{}; ///< the first `answer_count` of them

    [[nodiscard]] bool is_vote() const noexcept { return wanted > 1; }
    /// So many answers must agree. Of 2f + 1 workers f may be wrong, whoever does not answer.
    [[nodiscard]] std::uint32_t majority() const noexcept { return wanted / 2U + 1U; }
    [[nodiscard]] bool has_answered(WorkerId worker) const noexcept {
        for (std::size_t i = 0; i < answer_count; ++i)
            if (answers[i].worker == worker) return true;
        return false;
    }
    void add(CopyAnswer answer) noexcept {
        assert(answer_count < answers.size());
        answers[answer_count++] = answer;
    }
};

/// The records of a set.
class CopySlots {
public:
    void push(Slot slot) noexcept {
        assert(size_ < slots_.size());
        slots_[size_++] = slot;
    }
    [[nodiscard]] const Slot* begin() const noexcept { return slots_.data(); }
    [[nodiscard]] const Slot* end() const noexcept { return slots_.data() + size_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    std::array<Slot, copies_max> slots_{};
    std::size_t size_{0};
};

} // namespace everpool::core
