// Everpool: remembers how operations went, and says what follows from it.
// SPDX-License-Identifier: BSL-1.0
//
// Use it to learn which browser serves a model best, whether a model is getting slower, since when,
// and where failures gather. It can be used without a pool, and needs everpool::core only:
//
//     PerformanceHistoryTracker history;
//     const SeriesId bert = history.series({"bert", BrowserType::firefox, "webgpu", "inference"});
//     const StartedOperation operation = history.start(bert, now);
//     ...
//     history.complete(operation, Errc::ok, {.compute = 12ms}, now);
//     if (auto trend = history.analyze_performance_trends({.model = "bert"}, 1h, now))
//         std::cout << name_of(trend->trend_direction);
//
// What is kept
//   Per series (model, browser type, provider, operation, recovery strategy): sketches of the
//   successes' durations over the last minute, hour and day and since the start; decayed means and
//   variances of all metrics; decayed counts of successes and failures; a CUSUM alarm. And the last
//   entry_count_max operations of all series one by one.
//
//   Quantiles are within 1 % of the exact ones as far down as a factor of 5 * 10^7 below the
//   largest value (a microsecond beside most of a minute); what is smaller still counts as that. A
//   window slides in fifths: "the last minute" is the last 48 to 60 seconds.
//
// What does not count
//   An outcome that says nothing about the browser (is_evidence) is an entry, and neither a success
//   nor a failure. Durations of failures are in no quantile: they may be short or a timeout.
//
// Limits. Entries by count and age, series by count, everything by memory_bytes_max; at a limit the
// oldest entry or the least recently used series is forgotten, never the newest refused. Beside it
// stand less than 1 MiB for the lives of 4096 workers, and, while merge() works, a second set of
// entries. In steady state (all series known, their ranges seen) recording does not allocate.
//
// Time is passed in and never read; what comes out of order counts as if it came now. Times lie
// within a hundred years of the clock's epoch: `never` is none. Chance is a Prng argument.
// Statistics use double, deterministically (not with -ffast-math).
//
// Thread safety: none; it belongs to the strand of who uses it. Const functions may run together.
// Lifetime: references and SeriesKeys that are returned are valid until the next call that is not
// const. Errors: what cannot be answered gives a HistoryErrc; allocation may throw std::bad_alloc.
#pragma once

#include "everpool/core/decay.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/history/bytes.hpp"
#include "everpool/history/entry_ring.hpp"
#include "everpool/history/series.hpp"
#include "everpool/history/started_table.hpp"
#include "everpool/history/worker_book.hpp"
#include "everpool/performance_history.hpp"
#include "everpool/time.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace everpool {

class PerformanceHistoryTracker {
public:
    /// \throws std::invalid_argument naming the member that is out of range
    explicit PerformanceHistoryTracker(PerformanceHistoryConfig config = {});

    // --- recording -------------------------------------------------------------------------------

    /// The place of a series, which is made if it is not known. None if a name is too long or not
    /// UTF-8 (counted as refused). May forget the least recently used series.
    SeriesId series(const SeriesKey& key);

    /// An operation begins: it is seen in `in_flight` until it is completed or given up. 0, and
    /// counted as refused, if the series is stale or none.
    StartedOperation start(SeriesId series, TimePoint now);

    /// It has ended; `metrics.duration` is the time since start() if it is zero. What was given up,
    /// completed before or never started changes nothing and is counted as late.
    /// \return whether it was recorded
    bool complete(StartedOperation operation, Errc outcome, OperationMetrics metrics,
                  TimePoint now);

    /// Start and end in one, for who measures by himself.
    /// \return whether it was recorded: false if the series is stale or none
    bool record(SeriesId series, Errc outcome, const OperationMetrics& metrics, TimePoint now);
    /// The same by name: one look-up more.
    bool record(const SeriesKey& key, Errc outcome, const OperationMetrics& metrics, TimePoint now);

    /// Forgets what is too old. Recording does the same; call it when nothing is recorded.
    void expire(TimePoint now);

    // --- asking ----------------------------------------------------------------------------------

    /// Successes, failures and quantiles of everything that the filter admits, in one group.
    /// Errors: no_data.
    [[nodiscard]] HistoryResult<GroupStats> stats(const HistoryFilter& filter, HistoryWindow window,
                                                  TimePoint now) const;

    /// One quantile of one series. Errors: no_data (stale, or nothing in the window), no_successes.
    /// \pre 0 <= q <= 1
    [[nodiscard]] HistoryResult<Duration> quantile(SeriesId series, HistoryWindow window, double q,
                                                   TimePoint now) const;

    /// What a series is like now: decayed means and variances of all metrics, decayed successes and
    /// failures, the latest alarm. This host's only, whatever was merged. Errors: no_data (stale,
    /// or nothing recorded that is not forgotten).
    [[nodiscard]] HistoryResult<RecentStats> recent(SeriesId series, TimePoint now) const;

    /// One group per name that occurs in the window, in order of name. Recoveries are operations of
    /// their browser and model, too.
    [[nodiscard]] std::vector<GroupStats> stats_by_browser(HistoryWindow window,
                                                           TimePoint now) const;
    [[nodiscard]] std::vector<GroupStats> stats_by_model(HistoryWindow window, TimePoint now) const;
    [[nodiscard]] std::vector<GroupStats> stats_by_operation(HistoryWindow window,
                                                             TimePoint now) const;
    /// Recoveries only: series whose strategy is not empty.
    [[nodiscard]] std::vector<GroupStats> stats_by_strategy(HistoryWindow window,
                                                            TimePoint now) const;

    /// Average, success rate, trend and changes of level of the entries that the filter admits, no
    /// older than `window`. If it admits several series they are one here: a change of the mix is
    /// then a change of the level. Errors: no_data, no_successes.
    [[nodiscard]] HistoryResult<TrendReport>
    analyze_performance_trends(const HistoryFilter& filter, Duration window, TimePoint now) const;

    /// Where failures gather, the surest first: three failures at least, and p below 0.01.
    [[nodiscard]] std::vector<FailurePattern>
    failure_patterns(const HistoryFilter& filter, Duration window, TimePoint now) const;

    // --- advice ----------------------------------------------------------------------------------

    /// Compares where a model can run, by the expected time until a success: durations with their
    /// uncertainty, failures charged with what they took and failure_cost. Everything decays with
    /// half_life, so that what is not used any more is tried again some time.
    /// \param candidates what to compare, also untried ones; empty: what was recorded
    /// \param operation only operations of that type, unless empty
    /// Errors: no_data (nothing recorded for the model, and no candidates).
    [[nodiscard]] HistoryResult<BrowserRecommendation>
    recommend_browser(std::string_view model, core::Prng& prng, TimePoint now,
                      std::span<const BrowserChoice> candidates = {},
                      std::string_view operation = {}) const;

    /// All that stands out: preferred browsers, degrading models, pairs that do not work, time that
    /// is lost. In order of kind and key. Trends are taken over the last hour.
    [[nodiscard]] std::vector<Advice> recommendations(core::Prng& prng, TimePoint now) const;

    // --- workers ---------------------------------------------------------------------------------

    /// A worker begins a life, does an operation (memory 0: not known), and ends it. False: there
    /// is no such worker, and nothing is counted.
    bool on_worker_started(WorkerId worker, TimePoint now) { return workers_.start(worker, now); }
    bool on_worker_operation(WorkerId worker, Errc outcome, std::uint64_t memory_bytes,
                             TimePoint now) {
        const bool has_failed = outcome != Errc::ok && is_evidence(outcome);
        return workers_.operation(worker, has_failed, memory_bytes, now);
    }
    bool on_worker_ended(WorkerId worker, bool has_failed, TimePoint now) {
        return workers_.end(worker, has_failed, now);
    }
    /// The chance that a worker fails within the horizon, learnt from all lives so far. Ask
    /// should_retire() of it. Errors: no_data (no such worker).
    [[nodiscard]] HistoryResult<core::HazardEstimate> hazard(WorkerId worker, Duration horizon,
                                                             TimePoint now) const {
        if (const auto estimate = workers_.estimate(worker, horizon, now)) return *estimate;
        return HistoryErrc::no_data;
    }

    // --- keeping and sharing ---------------------------------------------------------------------

    /// Everything but the configuration, the operations under way and the workers that live now.
    /// Times are kept as ages, because a monotonic clock means nothing to another process.
    [[nodiscard]] std::vector<std::byte> save(TimePoint now) const;

    /// What was saved, so much later. The configuration's limits hold: what does not fit any more
    /// is forgotten as if it had been recorded in order. The bytes need not be trusted. Errors:
    /// truncated, not_a_history, unknown_version, damaged.
    /// \throws std::invalid_argument as the constructor does
    [[nodiscard]] static HistoryResult<PerformanceHistoryTracker>
    load(std::span<const std::byte> bytes, TimePoint now, Duration elapsed = {},
         const PerformanceHistoryConfig& config = {});

    /// Adds another host's history, whose times are those of this clock: load() it with the time
    /// since it was saved. Windows, sums and entries become those of both. For recommendations the
    /// other's operations count as merged_evidence_max at most, and what was learnt of its workers
    /// stays there. Merging the same history twice counts it twice. \pre &other != this
    void merge(const PerformanceHistoryTracker& other, TimePoint now);

    /// All series with their statistics in each window and what is recent, and the counts: one JSON
    /// object. Windows and metrics without a value are left out.
    [[nodiscard]] std::string export_json(TimePoint now) const;

    /// The entries, oldest first, one line each after a line of names (RFC 4180). A name that a
    /// spreadsheet would take for a formula begins with a quote mark.
    [[nodiscard]] std::string export_csv(TimePoint now) const;

    // --- state -----------------------------------------------------------------------------------

    /// Operations under way in the series that the filter admits.
    [[nodiscard]] InFlight in_flight(const HistoryFilter& filter, TimePoint now) const;

    [[nodiscard]] const HistoryCounts& counts() const noexcept { return counts_; }
    [[nodiscard]] const PerformanceHistoryConfig& config() const noexcept { return config_; }
    /// The operations kept one by one, oldest first. Entries of forgotten series are among them;
    /// find_series() tells.
    [[nodiscard]] const history::EntryRing& entries() const noexcept { return entries_; }
    [[nodiscard]] std::size_t series_count() const noexcept { return index_.size(); }
    /// Null if it is stale or none.
    [[nodiscard]] const history::Series* find_series(SeriesId id) const noexcept;
    /// Every byte that is counted against memory_bytes_max.
    [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_bytes_; }

private:
    void advise_degrading(const history::Series& series, TimePoint now,
                          std::vector<Advice>& advice) const;

    /// The used slots, least recently used first.
    [[nodiscard]] std::vector<std::uint32_t> slots_by_use() const;
    bool load_series(history::ByteReader& reader, std::vector<SeriesId>& ids, TimePoint saved_at);
    bool load_entries(history::ByteReader& reader, const std::vector<SeriesId>& ids,
                      TimePoint saved_at);
    void merge_series(const history::Series& theirs, SeriesId id, TimePoint now);
    void merge_entries(const PerformanceHistoryTracker& other, const std::vector<SeriesId>& ids);

    /// Calls visit(entry, key) for what the filter admits, oldest first.
    template <class Visit>
    void visit_entries(const HistoryFilter& filter, Duration window, TimePoint now,
                       Visit visit) const;
    static const PerformanceHistoryConfig& check_config(const PerformanceHistoryConfig& config);
    /// What a series costs beside its names and its sketch: also its node in the index.
    static constexpr std::size_t series_bytes = sizeof(history::Series) + 96;

    /// \pre history::is_possible(metrics)
    bool record_possible(SeriesId id, Errc outcome, const OperationMetrics& metrics, TimePoint now);
    history::Series* use(SeriesId id) noexcept;
    void link_newest(std::uint32_t slot) noexcept;
    void unlink(std::uint32_t slot) noexcept;
    void forget(std::uint32_t slot);
    /// Forgets series, but not `kept`, until so many more bytes fit.
    void make_room(std::size_t bytes, std::uint32_t kept);
    void count_success(history::SeriesNumbers& numbers, const OperationMetrics& metrics,
                       TimePoint now);
    [[nodiscard]] std::vector<GroupStats>
    grouped(HistoryWindow window, TimePoint now,
            const std::function<std::string_view(const SeriesKey&)>& name) const;

    PerformanceHistoryConfig config_;
    core::Decay decay_;
    history::EntryRing entries_;
    history::StartedTable started_;
    /// By slot; null: free. On the heap, because the index's keys are views of their names.
    std::vector<std::unique_ptr<history::Series>> series_;
    std::vector<std::uint32_t> generations_; ///< by slot
    std::vector<std::uint32_t> free_slots_;
    std::unordered_map<SeriesKey, std::uint32_t, history::SeriesKeyHash> index_;
    std::uint32_t newest_{UINT32_MAX}, oldest_{UINT32_MAX};
    std::size_t memory_bytes_{0};
    HistoryCounts counts_;
    history::WorkerBook workers_;
};

} // namespace everpool

#include "everpool/history/tracker_advice.hpp"
#include "everpool/history/tracker_analysis.hpp"
#include "everpool/history/tracker_export.hpp"
#include "everpool/history/tracker_merge.hpp"
#include "everpool/history/tracker_records.hpp"
#include "everpool/history/tracker_stats.hpp"
#include "everpool/history/tracker_storage.hpp"
