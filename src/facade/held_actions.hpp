// Everpool facade: steps whose record is on its way to the disk, and what waits for that.
// SPDX-License-Identifier: BSL-1.0
//
// Steps become durable in the order in which they were taken (the log has one order), and what they
// hold back is done in that order, also if the notices of it come in another one.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/error.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace everpool::facade {

class HeldActions {
public:
    struct Step {
        core::Actions actions{};
        error_code ec{}; ///< why its record is not durable; ok if it is
    };

    [[nodiscard]] bool is_empty() const noexcept { return steps_.empty(); }

    /// A step that waits from now on. \return its ticket
    std::uint64_t open() {
        steps_.push_back({});
        return first_ + steps_.size() - 1;
    }

    /// Waits with the last step. \pre not is_empty()
    void hold(core::Action action) { steps_.back().step.actions.push_back(std::move(action)); }

    /// The disk's answer. Of a step that is not waiting any more: ignored.
    void settle(std::uint64_t ticket, error_code ec) noexcept {
        if (ticket < first_ || ticket - first_ >= steps_.size()) return;
        Waiting& waiting = steps_[ticket - first_];
        waiting.is_settled = true;
        waiting.step.ec = ec;
    }

    /// The next step whose time has come; empty if there is none.
    std::optional<Step> take() {
        if (steps_.empty() || !steps_.front().is_settled) return std::nullopt;
        std::optional<Step> out(std::move(steps_.front().step));
        steps_.pop_front();
        ++first_;
        return out;
    }

    /// All that wait get this answer, if they have none.
    void settle_all(error_code ec) noexcept {
        for (Waiting& waiting : steps_)
            if (!std::exchange(waiting.is_settled, true)) waiting.step.ec = ec;
    }

private:
    struct Waiting {
        Step step{};
        bool is_settled{false};
    };

    std::deque<Waiting> steps_;
    std::uint64_t first_{1}; ///< ticket of the front
};

} // namespace everpool::facade
