// Everpool history: what is remembered of one model, browser, provider and operation.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/cusum.hpp"
#include "everpool/core/decay.hpp"
#include "everpool/core/sliding_sketch.hpp"
#include "everpool/performance_history.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace everpool::history {

/// The decayed averages beside the duration's.
enum class Metric : std::uint8_t { queue, transfer, compute, memory, batch, throughput };
inline constexpr std::size_t metric_count = 6;

/// What fades. All weights are as of `updated_at`.
struct FadingNumbers {
    core::DecayedMoments duration_ms;         ///< of successes
    core::DecayedMoments failure_duration_ms; ///< what a failure itself took
    /// Of the other metrics, which come with each success: their weights are those of duration_ms.
    std::array<double, metric_count> metric_means{}, metric_deviations{};
    double successes{0}, failures{0}; ///< decayed
    /// The same of other hosts: kept apart, so that their trouble does not drown what is known
    /// here.
    double merged_successes{0}, merged_failures{0};
    core::DecayedMoments merged_duration_ms;
    core::Cusum alarm;
    core::CusumAlarm last_alarm{core::CusumAlarm::none};
    TimePoint last_alarm_at{};
    TimePoint updated_at{};

    /// Adds a success to what was aged to its time. One division serves all seven means.
    void add_success(double duration, const std::array<double, metric_count>& values) noexcept {
        successes += 1;
        const double share = duration_ms.add(duration);
        for (std::size_t i = 0; i < metric_count; ++i) {
            const double delta = values[i] - metric_means[i];
            metric_means[i] += delta * share;
            metric_deviations[i] += delta * (values[i] - metric_means[i]);
        }
    }
    [[nodiscard]] core::DecayedMoments metric(Metric metric) const noexcept {
        const auto i = static_cast<std::size_t>(metric);
        return {duration_ms.weight, duration_ms.square_sum, metric_means[i], metric_deviations[i]};
    }

    /// Forgets for the time that has passed.
    void age(const core::Decay& decay, TimePoint now) noexcept {
        const double factor = decay.factor(now - updated_at);
        updated_at = now > updated_at ? now : updated_at;
        fade(factor);
    }
    void fade(double factor) noexcept {
        successes *= factor;
        duration_ms.fade(factor);
        for (double& deviation : metric_deviations) deviation *= factor;
        // Mostly there is none of these; and what has faded away would otherwise become a number
        // so small that processors are slow with it.
        constexpr double nothing = 1e-12;
        if (failures > 0) {
            failures = failures * factor < nothing ? 0 : failures * factor;
            failure_duration_ms.fade(factor);
        }
        if (merged_successes + merged_failures > 0) {
            const bool is_gone = (merged_successes + merged_failures) * factor < nothing;
            merged_successes = is_gone ? 0 : merged_successes * factor;
            merged_failures = is_gone ? 0 : merged_failures * factor;
            merged_duration_ms.fade(factor);
        }
    }
};

/// The numbers of a series.
struct SeriesNumbers : FadingNumbers {
    core::SlidingSketch durations;
};

struct Series {
    // Owned, so that the key's views stay valid.
    std::string model, provider, operation, strategy;
    BrowserType browser{};
    std::uint32_t generation{0};
    std::uint32_t newer{UINT32_MAX}, older{UINT32_MAX}; ///< in order of use
    SeriesNumbers numbers;

    [[nodiscard]] SeriesKey key() const noexcept {
        return {model, browser, provider, operation, strategy};
    }
    [[nodiscard]] std::size_t name_bytes() const noexcept {
        return model.capacity() + provider.capacity() + operation.capacity() + strategy.capacity();
    }
};

struct SeriesKeyHash {
    std::size_t operator()(const SeriesKey& key) const noexcept {
        const std::hash<std::string_view> hash;
        std::size_t result = static_cast<std::size_t>(key.browser) + 1;
        for (const std::string_view name : {key.model, key.provider, key.operation, key.strategy})
            result = result * 0x9e37'79b9'7f4a'7c15ULL + hash(name);
        return result;
    }
};

} // namespace everpool::history
