// Everpool core: which requests go to a worker together.
// SPDX-License-Identifier: BSL-1.0
//
// Requests of one model whose inputs differ in nothing but their first dimension
// (RequestMeta::batch says which) are run as one: their rows are laid behind each other. A batch is
// made of those that stand behind each other in one list of the RunQueue, when a worker has room for
// it. So batches
// grow by themselves while workers are busy; a delay makes them grow while workers are idle, too.
//
// Who has been at a worker before goes alone: it may be what that worker has died of.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace everpool::core {

/// Of one model. By default nothing goes together.
struct BatchRule {
    std::uint32_t rows_max{1}; ///< of one batch; a request that has more goes alone
    /// So long a list waits for more, unless it has a preferred number of rows. Not negative.
    Duration delay_max{};
    /// Rows that a batch had best have, ascending, each from 1 to rows_max. A batch has one of
    /// these unless it waited as long as it may, or is never to wait. Empty: rows_max alone.
    std::vector<std::uint32_t> preferred{};

    [[nodiscard]] bool joins() const noexcept { return rows_max > 1; }

    /// Is there a batch that nothing is gained for by waiting?
    [[nodiscard]] bool is_enough(std::uint64_t rows) const noexcept {
        return delay_max == Duration{} ||
               rows >= (preferred.empty() ? rows_max : preferred.front());
    }

    /// So many rows a batch has at most of a list of so many.
    [[nodiscard]] std::uint32_t most_of(std::uint64_t rows) const noexcept {
        const auto above = std::ranges::upper_bound(preferred, rows);
        return above == preferred.begin() ? rows_max : *(above - 1);
    }

    /// Batches of 2 or 3 rows, of 4 to 7, and so on are kinds of work of their own, as those of one
    /// kind take about as long. They are numbered from here on.
    std::uint16_t first_work{0};
    [[nodiscard]] std::uint16_t work_count() const noexcept { return step_of(rows_max); }
    /// `single`: the kind of work that one row is.
    [[nodiscard]] std::uint16_t work_of(std::uint32_t rows, std::uint16_t single) const noexcept {
        const std::uint16_t step = step_of(std::min(rows, rows_max));
        return step == 0 ? single : static_cast<std::uint16_t>(first_work + step - 1);
    }

    friend bool operator==(const BatchRule&, const BatchRule&) = default;

private:
    static std::uint16_t step_of(std::uint32_t rows) noexcept {
        return static_cast<std::uint16_t>(rows < 2 ? 0 : std::bit_width(rows) - 1);
    }
};

} // namespace everpool::core
