// Everpool: how often each rung of the recovery ladder has cured what, and how long that took.
// SPDX-License-Identifier: BSL-1.0
//
// Kept by failure category and browser type. It answers one question: is it worth while to try this
// rung first, or is time lost with it? If a rung takes t, succeeds with probability p, and what
// comes after it takes e, then trying it first costs t + (1 - p) e instead of e: it pays if t < p
// e.
//
// Older evidence fades, so that a browser's update is noticed, and a rung that is being passed over
// is tried again now and then, because otherwise nobody would ever learn that it works again.
//
// Pure: no clock, no chance. Not thread-safe.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace everpool {

/// What is known of one rung against one kind of failure, in one type of browser.
struct RungRecord {
    std::uint64_t attempts{0};  ///< since start
    std::uint64_t successes{0}; ///< since start
    Duration total_time{};      ///< of all attempts, from the failure or the failed rung before it

    double recent_successes{
        0}; ///< fading: the weight of an attempt halves with every 16 later ones
    double recent_failures{0};
    double recent_ms{0}; ///< fading mean of an attempt's time; meaningful once attempts > 0

    /// 0 if nothing was attempted.
    [[nodiscard]] double success_rate() const noexcept {
        return attempts == 0 ? 0 : static_cast<double>(successes) / static_cast<double>(attempts);
    }
};

class RungStatistics {
public:
    /// A rung is judged once it has been attempted so often; before, it is given the benefit.
    static constexpr std::uint64_t evidence_min = 5;
    /// Of so many recoveries that pass a rung over, one tries it nevertheless.
    static constexpr std::uint32_t retrial_period = 16;

    void record(BrowserFailureCategory category, BrowserType browser, RecoveryRung rung,
                bool has_succeeded, Duration took) noexcept {
        RungRecord& record = at(category, browser, rung);
        const double ms = std::chrono::duration<double, std::milli>(took).count();
        ++record.attempts;
        record.total_time += took;
        if (has_succeeded) ++record.successes;
        record.recent_successes = record.recent_successes * fading + (has_succeeded ? 1 : 0);
        record.recent_failures = record.recent_failures * fading + (has_succeeded ? 0 : 1);
        record.recent_ms =
            record.attempts == 1 ? ms : record.recent_ms * fading + ms * (1 - fading);
    }

    [[nodiscard]] const RungRecord& record_of(BrowserFailureCategory category, BrowserType browser,
                                              RecoveryRung rung) const noexcept {
        return records_[index(category, browser, rung)];
    }

    /// The member of `ladder` to begin with: the smallest one that is at least `smallest` and that,
    /// by the evidence, is worth its time. `smallest` if the ladder has nothing above it.
    [[nodiscard]] RecoveryRung start_rung(BrowserFailureCategory category, BrowserType browser,
                                          RecoveryRung smallest, RungSet ladder) const noexcept {
        // From the top down: what does a recovery cost that begins here?
        double cost_above = 0;
        bool is_top = true;
        RecoveryRung start = smallest;
        for (std::size_t i = recovery_rung_count; i-- > static_cast<std::size_t>(smallest);) {
            const RecoveryRung rung = recovery_rungs[i];
            if (!ladder.contains(rung)) continue;
            const double own = expected_ms(category, browser, rung);
            const double failing = 1 - success_probability(category, browser, rung);
            const double cost = own + failing * cost_above;
            if (is_top || cost <= cost_above || !is_judged(category, browser, rung)) {
                start = rung;
                cost_above = cost;
                is_top = false;
            }
        }
        return start;
    }

    /// As start_rung(), and counts what is passed over, so that it has its turn.
    RecoveryRung choose_start(BrowserFailureCategory category, BrowserType browser,
                              RecoveryRung smallest, RungSet ladder) noexcept {
        const RecoveryRung start = start_rung(category, browser, smallest, ladder);
        const auto first = ladder.at_least(smallest);
        if (!first || *first >= start) return start;
        std::uint32_t& passed = passed_over_[index(category, browser, *first)];
        if (++passed < retrial_period) return start;
        passed = 0;
        return *first;
    }

private:
    static constexpr double fading = 0.957603280698573647; ///< 2^(-1/16)
    static constexpr double failures_negligible = 0.1;     ///< a failure that is 50 attempts ago
    static constexpr std::size_t category_count = 10;
    static constexpr std::size_t browser_count = 8;
    static constexpr std::size_t cell_count = category_count * browser_count * recovery_rung_count;

    /// Measured on Chromium 156 without a GPU, model loading included; only an opening bid, which
    /// the first attempt replaces. Until then it is scaled as the measured rung below it is: a
    /// machine or a model that makes one slow makes the larger ones slow as well.
    static constexpr std::array<double, recovery_rung_count> usual_ms{
        20, 400, 450, 500, 500, 1200, 1200, 1200, 3000, 1500, 3000, 1};

    static constexpr std::size_t index(BrowserFailureCategory category, BrowserType browser,
                                       RecoveryRung rung) noexcept {
        return (static_cast<std::size_t>(category) % category_count * browser_count +
                static_cast<std::size_t>(browser) % browser_count) *
                   recovery_rung_count +
               static_cast<std::size_t>(rung);
    }
    RungRecord& at(BrowserFailureCategory category, BrowserType browser,
                   RecoveryRung rung) noexcept {
        return records_[index(category, browser, rung)];
    }
    [[nodiscard]] bool is_judged(BrowserFailureCategory category, BrowserType browser,
                                 RecoveryRung rung) const noexcept {
        return record_of(category, browser, rung).attempts >= evidence_min;
    }
    /// Mean of the Beta posterior with a prior of two successes and one failure.
    [[nodiscard]] double success_probability(BrowserFailureCategory category, BrowserType browser,
                                             RecoveryRung rung) const noexcept {
        const RungRecord& record = record_of(category, browser, rung);
        return (record.recent_successes + 2) /
               (record.recent_successes + record.recent_failures + 3);
    }
    [[nodiscard]] double expected_ms(BrowserFailureCategory category, BrowserType browser,
                                     RecoveryRung rung) const noexcept {
        const RungRecord& own = record_of(category, browser, rung);
        if (own.attempts > 0) return own.recent_ms;
        const double usual = usual_ms[static_cast<std::size_t>(rung)];
        // Down to the ping, but not of it: that takes as long as it has to wait.
        for (std::size_t i = static_cast<std::size_t>(rung); i-- > 1;) {
            const RungRecord& below = record_of(category, browser, recovery_rungs[i]);
            // What a rung took that did not help is its time limit, and says nothing of speed.
            if (below.attempts > 0 && below.recent_failures < failures_negligible)
                return usual * std::max(1.0, below.recent_ms / usual_ms[i]);
        }
        return usual;
    }

    std::array<RungRecord, cell_count> records_{};
    std::array<std::uint32_t, cell_count> passed_over_{};
};

} // namespace everpool
