// Everpool: the words of the performance history: what is recorded, asked and answered.
// SPDX-License-Identifier: BSL-1.0
//
// The class that uses them is PerformanceHistoryTracker (performance_history_tracker.hpp).
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/core/sliding_sketch.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/time.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

/// Why a question to the history has no answer. Never a zero that looks like a measurement.
enum class HistoryErrc : std::uint8_t {
    no_data = 1,         ///< nothing that matches was recorded in that time
    no_successes = 2,    ///< operations were recorded, but none succeeded: there is no duration
    truncated = 3,       ///< the saved history ends too early
    not_a_history = 4,   ///< the bytes are something else
    unknown_version = 5, ///< written by a version that this one does not read
    damaged = 6,         ///< the checksum does not fit, or a field is impossible
};

constexpr std::string_view name_of(HistoryErrc code) noexcept {
    switch (code) {
    case HistoryErrc::no_data: return "no_data";
    case HistoryErrc::no_successes: return "no_successes";
    case HistoryErrc::truncated: return "truncated";
    case HistoryErrc::not_a_history: return "not_a_history";
    case HistoryErrc::unknown_version: return "unknown_version";
    case HistoryErrc::damaged: return "damaged";
    }
    return "unrecognised";
}

/// An answer, or why there is none. Its form is that of std::expected, which C++20 has not.
template <class T>
class HistoryResult {
public:
    HistoryResult(T value) : value_(std::move(value)) {}
    HistoryResult(HistoryErrc error) noexcept : error_(error) {}

    [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// \pre has_value(), for these four
    T& operator*() noexcept { return *value_; }
    const T& operator*() const noexcept { return *value_; }
    T* operator->() noexcept { return &*value_; }
    const T* operator->() const noexcept { return &*value_; }
    /// \throws std::runtime_error naming the error if there is no value
    const T& value() const {
        if (!value_) throw std::runtime_error("everpool history: " + std::string(name_of(error_)));
        return *value_;
    }
    T& value() {
        static_cast<void>(std::as_const(*this).value());
        return *value_;
    }
    /// \pre !has_value()
    [[nodiscard]] HistoryErrc error() const noexcept { return error_; }

private:
    std::optional<T> value_;
    HistoryErrc error_{};
};

/// What is told apart. Operations of one series are compared with each other; `strategy` names the
/// recovery strategy when the operation was a recovery, and is empty otherwise.
struct SeriesKey {
    std::string_view model;
    BrowserType browser{BrowserType::chromium};
    std::string_view provider;
    std::string_view operation;
    std::string_view strategy{};

    friend bool operator==(const SeriesKey&, const SeriesKey&) = default;
};

/// Names that are longer, or not UTF-8, are refused: some come from pages, and all are exported.
inline constexpr std::size_t series_name_bytes_max = 200;

/// A series' place in the tracker, for those who record often. Stale once the series was forgotten;
/// recording to a stale one is counted in HistoryCounts::refused, and does nothing.
struct SeriesId {
    std::uint32_t slot{UINT32_MAX};
    std::uint32_t generation{0};

    [[nodiscard]] constexpr bool is_none() const noexcept { return slot == UINT32_MAX; }
    friend constexpr auto operator<=>(const SeriesId&, const SeriesId&) = default;
};

/// An operation that was started. From 1.
using StartedOperation = StrongId<struct StartedOperationTag, std::uint64_t>;

/// What is known of an operation when it ends. What is not known stays zero, and counts as zero in
/// averages: report a metric of all operations of a series, or of none.
///
/// Numbers that cannot be true are recorded as the nearest that can, and counted in
/// HistoryCounts::corrected: durations below zero or above 146 years, more than 256 TiB, a
/// throughput that is negative, above 10^12, or no number (which becomes 0).
struct OperationMetrics {
    Duration duration{};   ///< from start to end; complete() fills it in if it is zero
    Duration queue{};      ///< waiting for a worker
    Duration transfer{};   ///< of inputs and outputs
    Duration compute{};    ///< in the browser
    Duration worker_age{}; ///< how long the worker had lived; for failure patterns
    std::uint64_t memory_bytes{0};
    std::uint32_t batch_size{0};
    float throughput{0}; ///< items per second
};

/// One operation that ended.
struct HistoryEntry {
    TimePoint completed_at;
    SeriesId series;
    Errc outcome{Errc::ok};
    OperationMetrics metrics{};
};

/// Does this outcome say something about the browser that had the operation? A request that was
/// cancelled or misspelt does not: it is kept as an entry, and counted neither for nor against.
constexpr bool is_evidence(Errc outcome) noexcept {
    switch (outcome) {
    case Errc::invalid_request:
    case Errc::unknown_model:
    case Errc::unknown_operation:
    case Errc::invalid_input:
    case Errc::model_file_missing:
    case Errc::message_too_large:
    case Errc::queue_full:
    case Errc::cancelled:
    case Errc::pool_not_running:
    case Errc::pool_draining:
    case Errc::already_started: return false;
    default: return true;
    }
}

/// Which entries or series are meant. What is not given admits all; an empty strategy admits all
/// but recoveries.
struct HistoryFilter {
    std::optional<std::string_view> model;
    std::optional<BrowserType> browser;
    std::optional<std::string_view> provider;
    std::optional<std::string_view> operation;
    std::optional<std::string_view> strategy;

    [[nodiscard]] bool admits(const SeriesKey& key) const noexcept {
        return (!model || *model == key.model) && (!browser || *browser == key.browser) &&
               (!provider || *provider == key.provider) &&
               (!operation || *operation == key.operation) &&
               (!strategy || *strategy == key.strategy);
    }
};

/// A share with what chance may have done to it: the middle 95 % of the posterior Beta(1 +
/// successes, 1 + failures). With few operations the interval is wide, which is the point.
struct RateEstimate {
    double rate{0};
    double low{0}, high{1};
};

/// Durations and successes of a series or a group in one window.
struct GroupStats {
    std::string name;
    std::uint64_t successes{0}, failures{0};
    RateEstimate success_rate{};
    /// Of successes; meaningless while there is none.
    Duration average{}, min{}, max{}, p50{}, p95{}, p99{};
};

/// Of durations: less is better.
enum class TrendDirection : std::uint8_t { stable, improving, degrading };

constexpr std::string_view name_of(TrendDirection direction) noexcept {
    switch (direction) {
    case TrendDirection::stable: return "stable";
    case TrendDirection::improving: return "improving";
    case TrendDirection::degrading: return "degrading";
    }
    return "unrecognised";
}

/// Durations left what was usual in their series, and did not come back at once.
struct DurationAlarm {
    TimePoint at;
    TrendDirection direction{TrendDirection::stable};
};

/// Under decay: what is a half-life older counts half.
struct DecayedMean {
    double mean{0}, variance{0};

    friend bool operator==(const DecayedMean&, const DecayedMean&) = default;
};

/// A series as it is now, the past fading away.
struct RecentStats {
    double operations{0};        ///< how many of now its memory is worth
    RateEstimate success_rate{}; ///< the posterior of the decayed counts
    /// Of successes; all zero while there is none.
    DecayedMean duration_ms{}, queue_ms{}, transfer_ms{}, compute_ms{}, memory_bytes{},
        batch_size{}, throughput{};
    DecayedMean failure_duration_ms{}; ///< zero while there is no failure
    /// The latest alarm of the CUSUM over durations: a reason to ask for change points.
    std::optional<DurationAlarm> last_alarm{};
};

/// When the durations changed their level for good.
struct LevelChange {
    TimePoint at; ///< end of the first operation on the new level
    double before_ms{0}, after_ms{0};
    double p_value{1};
};

/// What the operations of some time say together.
struct TrendReport {
    std::size_t entries_analyzed{0}; ///< successes and failures
    Duration window{};
    double avg_duration_ms{0}, min_duration_ms{0}, max_duration_ms{0}; ///< of successes
    RateEstimate success_rate{};
    /// `stable` unless the trend is significant: chance alone makes a slope of every series.
    TrendDirection trend_direction{TrendDirection::stable};
    double slope_ms_per_hour{0}; ///< Theil-Sen, whether significant or not
    double trend_magnitude{0};   ///< |slope_ms_per_hour| if significant, else 0
    double p_value{1};           ///< Mann-Kendall, corrected for autocorrelation
    /// (oldest - recent) / oldest; 0 with fewer than ten successes.
    double improvement_rate{0};
    double avg_recent_duration_ms{0}, avg_oldest_duration_ms{0}; ///< the ten last and first
    std::vector<LevelChange> change_points{};
    std::size_t outlier_count{0}; ///< successes far from the median (5 deviations by MAD)
};

/// A kind of failure that gathers somewhere.
struct FailurePattern {
    Errc category{};
    std::string dimension; ///< "browser", "model", "provider", "operation" or "worker_age"
    std::string value;     ///< for worker_age: "< 1 min", "1-10 min", "10-60 min", "> 1 h"
    std::uint64_t failures{0}, operations{0}; ///< here
    double rate{0}, rate_elsewhere{0};
    double p_value{1}; ///< Fisher's exact test, times the number of questions asked
};

/// Where a model could run.
struct BrowserChoice {
    BrowserType browser{BrowserType::chromium};
    std::string_view provider;
};

/// What is known of a browser type and provider for a model.
struct BrowserEvidence {
    BrowserType browser{BrowserType::chromium};
    std::string provider;
    double operations{0}; ///< under decay: how many recent ones it is worth
    RateEstimate success_rate{};
    /// Until a success, failures and their repetition included; the middle 95 % beside it.
    double expected_ms{0}, expected_low_ms{0}, expected_high_ms{0};
    double probability_best{0}; ///< of all that were compared
};

/// Which browser is best, and which to take for the next operation.
struct BrowserRecommendation {
    BrowserEvidence best; ///< least expected_ms among those that were tried, or all if none was
    /// Drawn with the probability of being the best (Thompson sampling). Who takes this one keeps
    /// learning, and loses little by it; who always takes `best` never sees the others recover.
    BrowserEvidence next;
    [[nodiscard]] bool is_exploration() const noexcept {
        return next.browser != best.browser || next.provider != best.provider;
    }
    std::vector<BrowserEvidence> compared; ///< by expected_ms
};

enum class AdviceKind : std::uint8_t {
    prefer_browser,    ///< one browser and provider is best for a model, very likely
    degrading_model,   ///< its durations rise, or have risen to another level
    incompatible_pair, ///< a model fails on a browser and provider more often than not, surely
    optimisation,      ///< more time goes elsewhere than into computing
};

struct Advice {
    AdviceKind kind{};
    std::string key;            ///< what it is about: "bert", "bert on firefox/webgpu"
    std::string description;    ///< what was found
    std::string recommendation; ///< what to do
    double confidence{0};       ///< probability that it is so
    double operations{0};       ///< that it rests on
};

/// What the tracker has done with what it was given.
struct HistoryCounts {
    std::uint64_t recorded{0};
    std::uint64_t corrected{0};        ///< recorded with a metric that could not be true
    std::uint64_t refused{0};          ///< stale series, names too long or not UTF-8
    std::uint64_t late{0};             ///< completed after it was given up, twice, or never started
    std::uint64_t abandoned{0};        ///< started, and given up by age or for want of room
    std::uint64_t series_forgotten{0}; ///< for the limits of memory and of series
    std::uint64_t alarms{0};           ///< of the CUSUM over all series
};

/// What is under way now.
struct InFlight {
    std::uint64_t count{0};
    Duration oldest_age{}; ///< zero if there is none
};

/// Limits and time constants. Every number has a default that suits a pool of a few browsers.
struct PerformanceHistoryConfig {
    /// Operations kept one by one, for trends, change points and failure patterns; the oldest
    /// leaves. 80 bytes each, reserved at once. Range 1 to 1,000,000.
    std::uint32_t entry_count_max{16'384};

    /// Older entries leave as well. Must be > 0.
    Duration entry_age_max{std::chrono::hours(24)};

    /// How many combinations of SeriesKey; the least recently used leaves. Range 1 to 65,536.
    std::uint32_t series_count_max{1024};

    /// Everything together: series, sketches, entries. When it would be exceeded the least recently
    /// used series leave. Must hold the entries and one series of full range (about 60 KiB).
    std::size_t memory_bytes_max{64 << 20};

    /// Operations that are under way and known. The oldest is given up when there are more.
    /// Range 1 to 1,000,000.
    std::uint32_t started_count_max{4096};

    /// An operation that has not ended after this was forgotten by its caller. Must be > 0.
    Duration started_age_max{std::chrono::hours(1)};

    /// After this long a measurement counts half, for averages and for recommendations. Short:
    /// quick to notice, quick to forget. Must be > 0.
    Duration half_life{std::chrono::minutes(10)};

    /// What a failed operation costs in latency beside its own duration, when browsers are
    /// compared: without it a browser that fails fast would look best. Must be >= 0.
    Duration failure_cost{std::chrono::seconds(2)};

    /// A trend or change point is called one below this p-value. Range 0 to 0.5, exclusive.
    double p_value_max{0.001};

    /// Another host's history counts at most as this many of our own operations when browsers are
    /// compared: its trouble may be its own. Must be >= 0; 0: not at all.
    double merged_evidence_max{8};
};

} // namespace everpool
