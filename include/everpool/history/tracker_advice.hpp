// Everpool history: what to do about what was recorded.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/statistics.hpp"
#include "everpool/history/browser_comparison.hpp"
#include "everpool/performance_history_tracker.hpp"

#include <charconv>
#include <chrono>
#include <map>
#include <set>
#include <tuple>

namespace everpool {
namespace history {

/// "12.3": one decimal, as the reader of an advice wants it.
inline std::string decimal(double value) {
    char digits[64];
    const auto end =
        std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, 1);
    return end.ec == std::errc{} ? std::string(digits, end.ptr) : "very many";
}

inline std::string place_name(BrowserType browser, std::string_view provider) {
    return std::string(name_of(browser)) + "/" + std::string(provider);
}

inline void advise_browser(const std::string& model, const BrowserRecommendation& found,
                           std::vector<Advice>& advice) {
    constexpr double probability_min = 0.9;
    constexpr double operations_min = 5; // of each: what was never tried is not worse
    if (found.compared.size() < 2 || found.best.probability_best < probability_min) return;
    for (const BrowserEvidence& other : found.compared)
        if (other.operations < operations_min) return;
    const std::string place = place_name(found.best.browser, found.best.provider);
    advice.push_back({.kind = AdviceKind::prefer_browser,
                      .key = model,
                      .description = place + " needs " + decimal(found.best.expected_ms) +
                                     " ms per success, the next best " +
                                     decimal(found.compared[1].expected_ms) + " ms",
                      .recommendation = "run " + model + " on " + place,
                      .confidence = found.best.probability_best,
                      .operations = found.best.operations});
}

inline void advise_against(const std::string& model, const BrowserRecommendation& found,
                           std::vector<Advice>& advice) {
    constexpr double confidence_min = 0.95;
    for (const BrowserEvidence& arm : found.compared) {
        const double successes = arm.success_rate.rate * arm.operations;
        if (arm.operations <= 0) continue;
        const double confidence =
            core::incomplete_beta(1 + successes, 1 + arm.operations - successes, 0.5);
        if (confidence < confidence_min) continue;
        const std::string place = place_name(arm.browser, arm.provider);
        advice.push_back({.kind = AdviceKind::incompatible_pair,
                          .key = model + " on " + place,
                          .description = decimal(100 * (1 - arm.success_rate.rate)) +
                                         " % of its operations fail there",
                          .recommendation = "do not run " + model + " on " + place,
                          .confidence = confidence,
                          .operations = arm.operations});
    }
}

/// Upwards at last, and above where it was at first.
inline bool has_risen(const std::vector<LevelChange>& changes) noexcept {
    return !changes.empty() && changes.back().after_ms > changes.back().before_ms &&
           changes.back().after_ms > changes.front().before_ms;
}

/// The probability that one mean is larger than the other.
inline double probability_larger(const core::DecayedMoments& one,
                                 const core::DecayedMoments& other) noexcept {
    const double difference = one.mean - other.mean;
    const double variance = one.variance() / std::max(1.0, one.effective_count()) +
                            other.variance() / std::max(1.0, other.effective_count());
    if (variance <= 0) return difference > 0 ? 1 : 0;
    const double beyond = core::normal_two_sided(difference / std::sqrt(variance)) / 2;
    return difference > 0 ? 1 - beyond : beyond;
}

/// Where the time goes, when it does not go into computing.
inline void advise_optimisation(const std::string& model,
                                const std::array<core::DecayedMoments, metric_count>& metrics,
                                std::vector<Advice>& advice) {
    constexpr double operations_min = 20, confidence_min = 0.95;
    const core::DecayedMoments& compute = metrics[static_cast<std::size_t>(Metric::compute)];
    if (compute.weight < operations_min || compute.mean <= 0) return; // not measured
    const auto add = [&](Metric metric, std::string what, std::string remedy) {
        const core::DecayedMoments& spent = metrics[static_cast<std::size_t>(metric)];
        const double confidence = probability_larger(spent, compute);
        if (confidence < confidence_min) return;
        advice.push_back({.kind = AdviceKind::optimisation,
                          .key = model,
                          .description = std::move(what) + " takes " + decimal(spent.mean) +
                                         " ms, computation " + decimal(compute.mean) + " ms",
                          .recommendation = std::move(remedy),
                          .confidence = confidence,
                          .operations = compute.weight});
    };
    add(Metric::queue, "waiting for a worker", "add workers, or send less at a time");
    add(Metric::transfer, "transfer", "send smaller inputs, or several in one operation");
}

} // namespace history

inline HistoryResult<BrowserRecommendation> PerformanceHistoryTracker::recommend_browser(
    std::string_view model, core::Prng& prng, TimePoint now,
    std::span<const BrowserChoice> candidates, std::string_view operation) const {
    std::map<std::pair<BrowserType, std::string_view>, history::Arm> known;
    for (const BrowserChoice& choice : candidates) known[{choice.browser, choice.provider}];
    for (const auto& series : series_) {
        if (!series || series->model != model || !series->strategy.empty()) continue;
        if (!operation.empty() && series->operation != operation) continue;
        const std::pair<BrowserType, std::string_view> place{series->browser, series->provider};
        if (!candidates.empty() && !known.contains(place)) continue;
        known[place].add(series->numbers, decay_.factor(now - series->numbers.updated_at));
    }
    if (known.empty()) return HistoryErrc::no_data;
    std::vector<history::Arm> arms;
    for (auto& [place, arm] : known) {
        std::tie(arm.browser, arm.provider) = place;
        arm.take_merged(config_.merged_evidence_max);
        arms.push_back(arm);
    }
    using Milliseconds = std::chrono::duration<double, std::milli>;
    return history::compare_arms(arms, Milliseconds(config_.failure_cost).count(), prng);
}

inline void PerformanceHistoryTracker::advise_degrading(const history::Series& series,
                                                        TimePoint now,
                                                        std::vector<Advice>& advice) const {
    constexpr Duration window = std::chrono::hours(1);
    if (now - series.numbers.updated_at > window) return;
    // One series at a time: a model that moves from a fast browser to a slow one degrades nowhere.
    const auto trend = analyze_performance_trends({.model = series.model,
                                                   .browser = series.browser,
                                                   .provider = series.provider,
                                                   .operation = series.operation,
                                                   .strategy = series.strategy},
                                                  window, now);
    if (!trend) return;
    const std::string place = history::place_name(series.browser, series.provider);
    Advice found{.kind = AdviceKind::degrading_model,
                 .key = series.model + " on " + place,
                 .description = series.operation + " takes ",
                 .recommendation = "look for what has changed, or restart its workers",
                 .operations = static_cast<double>(trend->entries_analyzed)};
    const bool is_rising = trend->trend_direction == TrendDirection::degrading;
    const std::vector<LevelChange>& changes = trend->change_points;
    // One jump says more than the slope of a line through it; several are the steps of a slope.
    if (history::has_risen(changes) && (changes.size() == 1 || !is_rising)) {
        const LevelChange& last = changes.back();
        const auto age = std::chrono::duration_cast<std::chrono::minutes>(now - last.at);
        found.description += history::decimal(last.after_ms) + " ms since " +
                             std::to_string(age.count()) + " min ago, " +
                             history::decimal(last.before_ms) + " ms before";
        found.confidence = 1 - last.p_value;
    } else if (is_rising) {
        found.description +=
            history::decimal(trend->trend_magnitude) + " ms longer with every hour";
        found.confidence = 1 - trend->p_value;
    } else {
        return;
    }
    advice.push_back(std::move(found));
}

inline std::vector<Advice> PerformanceHistoryTracker::recommendations(core::Prng& prng,
                                                                      TimePoint now) const {
    std::vector<Advice> advice;
    std::set<std::string> models;
    for (const auto& series : series_)
        if (series && !series->model.empty() && series->strategy.empty()) {
            models.insert(series->model);
            advise_degrading(*series, now, advice);
        }
    for (const std::string& model : models) {
        if (const auto found = recommend_browser(model, prng, now)) {
            history::advise_browser(model, *found, advice);
            history::advise_against(model, *found, advice);
        }
        std::array<core::DecayedMoments, history::metric_count> metrics{};
        for (const auto& series : series_) {
            if (!series || series->model != model || !series->strategy.empty()) continue;
            history::FadingNumbers numbers = series->numbers;
            numbers.age(decay_, now);
            for (std::size_t i = 0; i < history::metric_count; ++i)
                metrics[i].merge(numbers.metric(static_cast<history::Metric>(i)));
        }
        history::advise_optimisation(model, metrics, advice);
    }
    std::stable_sort(advice.begin(), advice.end(), [](const Advice& a, const Advice& b) {
        return std::tie(a.kind, a.key) < std::tie(b.kind, b.key);
    });
    return advice;
}

} // namespace everpool
