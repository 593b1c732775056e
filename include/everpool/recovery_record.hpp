// Everpool: what has been recovered, how, and how long it took.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_family.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

enum class RecoveryOutcome : std::uint8_t {
    under_way, ///< a rung is being tried, or waited for
    recovered, ///< the worker has its models again, has passed their warm-ups, and takes work
    given_up,  ///< its starts in a row are used up, or it was stopped meanwhile
};

constexpr std::string_view name_of(RecoveryOutcome outcome) noexcept {
    switch (outcome) {
    case RecoveryOutcome::under_way: return "under_way";
    case RecoveryOutcome::recovered: return "recovered";
    case RecoveryOutcome::given_up: return "given_up";
    }
    return "unrecognised";
}

/// One recovery of one worker, from its failure to its end.
struct RecoveryRecord {
    WorkerId worker{WorkerId::none()};
    BrowserType browser{}; ///< that failed
    BrowserType browser_afterwards{};
    /// Of the models that the worker served when it failed, each once; of one that had never been
    /// ready, of all that it was to serve. Empty: it had none.
    std::vector<ModelFamily> families{};
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    std::string cause{}; ///< as it was seen: "page_crashed"
    TimePoint failed_at{};
    /// Every rung that was tried, in the order of their begins, and what came of it. One that is
    /// under way has no end yet: its `took` is 0. What others were trying when one succeeded, or
    /// when the worker was stopped, is `cancelled`.
    std::vector<RecoveryStep> path{};
    RecoveryOutcome outcome{RecoveryOutcome::under_way};
    /// The rival that was ready first, and is the active worker now; none: the worker itself.
    WorkerId replaced_by{WorkerId::none()};
    /// From the failure to the end; 0 while it is under way. Delays between rungs are in it.
    Duration took{};

    /// "page_crashed: reload_page failed after 15000 ms, new_page ok after 310 ms". Of parallel:
    /// "page_hung: new_page cancelled after 900 ms, restart_browser by worker 2 ok after 890 ms".
    [[nodiscard]] std::string text() const;
};

/// Recoveries that have ended.
struct RecoveryCount {
    std::uint64_t attempts{0};
    std::uint64_t successes{0};
    Duration total{}; ///< of the successful ones
    Duration longest{};

    [[nodiscard]] std::uint64_t failures() const noexcept { return attempts - successes; }
    /// 0 to 1; 0 if there was none.
    [[nodiscard]] double success_rate() const noexcept {
        return attempts == 0 ? 0 : static_cast<double>(successes) / static_cast<double>(attempts);
    }
    /// Of the successful ones; 0 if there was none.
    [[nodiscard]] Duration average() const noexcept {
        return successes == 0 ? Duration{} : total / static_cast<Duration::rep>(successes);
    }
    void add(bool has_succeeded, Duration took) noexcept {
        ++attempts;
        if (!has_succeeded) return;
        ++successes;
        total += took;
        longest = longest < took ? took : longest;
    }

    friend bool operator==(const RecoveryCount&, const RecoveryCount&) = default;
};

inline std::string RecoveryRecord::text() const {
    using std::chrono::duration_cast, std::chrono::milliseconds;
    std::string out = cause;
    const char* separator = ": ";
    for (const RecoveryStep& step : path) {
        out += separator;
        out += name_of(step.rung);
        if (!step.rival.is_none()) out += " by worker " + std::to_string(step.rival.value);
        const bool is_open = outcome == RecoveryOutcome::under_way && step.code == Errc::ok &&
                             step.took == Duration{};
        out += is_open                        ? " under way"
               : step.code == Errc::ok        ? " ok after "
               : step.code == Errc::cancelled ? " cancelled after "
                                              : " failed after ";
        if (!is_open) out += std::to_string(duration_cast<milliseconds>(step.took).count()) + " ms";
        separator = ", ";
    }
    if (outcome == RecoveryOutcome::given_up) out += ", given up";
    return out;
}

} // namespace everpool
