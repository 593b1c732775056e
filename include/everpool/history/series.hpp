// Everpool history: what is remembered of one combination of model, browser, provider and operation.
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
    std::array<core::DecayedMoments, metric_count> metrics;
    double successes{0}, failures{0}; ///< decayed
    /// The same of other hosts: kept apart, so that their trouble does not drown what is known here.
    double merged_successes{0}, merged_failures{0};
    core::DecayedMoments merged_duration_ms;
    core::Cusum alarm;
    TimePoint alarm_at{TimePoint::min()};
    TimePoint updated_at{};

    /// Forgets for the time that has passed.
    void age(const core::Decay& decay, TimePoint now) noexcept {
        const double factor = decay.factor(now - updated_at);
        updated_at = now > updated_at ? now : updated_at;
        fade(factor);
    }
    void fade(double factor) noexcept {
        successes *= factor;
        failures *= factor;
        merged_successes *= factor;
        merged_failures *= factor;
        duration_ms.fade(factor);
        failure_duration_ms.fade(factor);
        merged_duration_ms.fade(factor);
        for (core::DecayedMoments& moments : metrics) moments.fade(factor);
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
