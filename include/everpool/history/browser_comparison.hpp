// Everpool history: which of several browsers is best, when all that is known is uncertain.
// SPDX-License-Identifier: BSL-1.0
//
// Each browser's success rate is a Beta posterior, whose prior is what all of them show together (a
// uniform prior would charge a browser without a failure for one in a hundred operations); its mean
// duration a normal one; a draw from both gives a possible truth, and the share of draws in which a
// browser is the fastest is the probability that it is. The same draws give the interval of its
// expected time.
#pragma once

#include "everpool/core/decay.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/history/estimate_rate.hpp"
#include "everpool/history/series.hpp"
#include "everpool/performance_history.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace everpool::history {

/// What the series of one browser and provider know together. Weights are as of one time.
struct Arm {
    BrowserType browser{};
    std::string_view provider;
    double successes{0}, failures{0};
    core::DecayedMoments duration_ms, failure_duration_ms;
    double merged_successes{0}, merged_failures{0};
    core::DecayedMoments merged_duration_ms;

    /// \param factor what the decay leaves of the numbers until now
    void add(FadingNumbers numbers, double factor) noexcept {
        numbers.fade(factor);
        successes += numbers.successes;
        failures += numbers.failures;
        duration_ms.merge(numbers.duration_ms);
        failure_duration_ms.merge(numbers.failure_duration_ms);
        merged_successes += numbers.merged_successes;
        merged_failures += numbers.merged_failures;
        merged_duration_ms.merge(numbers.merged_duration_ms);
    }

    /// Other hosts' experience, cut down to so many operations, becomes a part of our own.
    void take_merged(double evidence_max) noexcept {
        const double count = merged_successes + merged_failures;
        if (count <= 0) return;
        const double scale = std::min(1.0, evidence_max / count);
        successes += merged_successes * scale;
        failures += merged_failures * scale;
        core::DecayedMoments theirs = merged_duration_ms;
        theirs.weight *= scale;
        theirs.square_sum *= scale;
        theirs.deviation *= scale;
        if (theirs.weight > 0) duration_ms.merge(theirs);
    }
    [[nodiscard]] double operations() const noexcept { return successes + failures; }
};

/// Draws possible truths about an arm.
class ArmSampler {
public:
    /// \param usual_ms what is assumed of a duration that nobody has measured
    /// \param usual_failure_rate what is assumed of a browser that nobody has tried
    ArmSampler(const Arm& arm, double usual_ms, double usual_failure_rate, double failure_cost_ms)
        : a_(rate_prior_count * (1 - usual_failure_rate) + arm.successes),
          b_(rate_prior_count * usual_failure_rate + arm.failures) {
        // Little evidence, or old: the mean leans to the usual, with a deviation as large as
        // itself.
        const double count = arm.duration_ms.weight;
        mean_ = (arm.duration_ms.mean * count + usual_ms * prior_count) / (count + prior_count);
        const double gap = arm.duration_ms.mean - usual_ms;
        const double variance = (arm.duration_ms.deviation + prior_count * usual_ms * usual_ms +
                                 gap * gap * count * prior_count / (count + prior_count)) /
                                (count + prior_count);
        deviation_ =
            std::sqrt(variance / (std::max(0.0, arm.duration_ms.effective_count()) + prior_count));
        const double failure_ms =
            arm.failure_duration_ms.weight > 0 ? arm.failure_duration_ms.mean : 0;
        failure_ms_ = std::max(0.0, failure_ms) + failure_cost_ms;
    }

    [[nodiscard]] double draw(core::Prng& prng) const {
        const double mean = mean_ + deviation_ * core::normal_variate(prng);
        // A duration is positive; nothing is twenty times faster than it was seen to be.
        return cost(std::max(mean, mean_ / 20), core::beta_variate(prng, a_, b_));
    }
    [[nodiscard]] double expected() const { return cost(mean_, a_ / (a_ + b_)); }

private:
    /// A failed operation is repeated until it succeeds: (1 - p) / p failures on the way.
    [[nodiscard]] double cost(double mean, double success_rate) const {
        const double p = std::max(success_rate, 0.001);
        return mean + (1 - p) / p * failure_ms_;
    }

    static constexpr double rate_prior_count = 2; ///< operations that "the usual" is worth
    static constexpr double prior_count = 0.1;    ///< measurements that "the usual" is worth
    double a_, b_, mean_, deviation_, failure_ms_;
};

/// \pre arms is not empty
inline BrowserRecommendation compare_arms(const std::vector<Arm>& arms, double failure_cost_ms,
                                          core::Prng& prng) {
    constexpr std::size_t draw_count = 1000;
    core::DecayedMoments usual;
    double failures = 0.1, operations = 10; // one in a hundred, before anything is known
    for (const Arm& arm : arms) {
        if (arm.duration_ms.weight > 0) usual.add(arm.duration_ms.mean, 1);
        failures += arm.failures;
        operations += arm.operations();
    }
    const double usual_ms = usual.weight > 0 ? usual.mean : failure_cost_ms;
    std::vector<ArmSampler> samplers;
    for (const Arm& arm : arms)
        samplers.emplace_back(arm, usual_ms, failures / operations, failure_cost_ms);
    std::vector<std::vector<double>> draws(arms.size());
    std::vector<std::size_t> wins(arms.size(), 0);
    std::size_t winner = 0;
    for (std::size_t i = 0; i < draw_count; ++i) {
        winner = 0;
        for (std::size_t arm = 0; arm < arms.size(); ++arm) {
            draws[arm].push_back(samplers[arm].draw(prng));
            if (draws[arm][i] < draws[winner][i]) winner = arm;
        }
        ++wins[winner];
    }
    BrowserRecommendation result;
    for (std::size_t i = 0; i < arms.size(); ++i) {
        std::sort(draws[i].begin(), draws[i].end());
        result.compared.push_back(
            {.browser = arms[i].browser,
             .provider = std::string(arms[i].provider),
             .operations = arms[i].operations(),
             .success_rate = estimate_rate(arms[i].successes, arms[i].failures),
             .expected_ms = samplers[i].expected(),
             .expected_low_ms = draws[i][draw_count * 25 / 1000],
             .expected_high_ms = draws[i][draw_count * 975 / 1000],
             .probability_best = static_cast<double>(wins[i]) / draw_count});
    }
    result.next = result.compared[winner]; // the last draw is as good as any
    std::stable_sort(result.compared.begin(), result.compared.end(),
                     [](const auto& a, const auto& b) { return a.expected_ms < b.expected_ms; });
    // An untried one may look good only because nothing is known against it.
    const auto tried = std::find_if(result.compared.begin(), result.compared.end(),
                                    [](const auto& arm) { return arm.operations > 0; });
    result.best = tried == result.compared.end() ? result.compared.front() : *tried;
    return result;
}

} // namespace everpool::history
