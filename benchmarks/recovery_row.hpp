// Parts of scenario_recovery: a fault's row, as JSON and in a table.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "recovery_degrees.hpp"
#include "recovery_targets.hpp"
#include "scenario_report.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace scenario {

inline boost::json::value times(const std::vector<double>& values) {
    if (values.empty()) return nullptr;
    return boost::json::object{{"p50", median(values)},
                               {"p95", quantile(values, 0.95)},
                               {"max", *std::max_element(values.begin(), values.end())}};
}

/// What the pool itself has counted; null for a host's death, which no pool sees.
inline boost::json::value recoveries_json(const FaultFigures& row) {
    if (!row.recoveries) return nullptr;
    const auto ms = [](everpool::Duration duration) {
        return std::chrono::duration<double, std::milli>(duration).count();
    };
    const everpool::RecoveryCount& count = *row.recoveries;
    boost::json::object out{{"attempts", count.attempts}, {"successes", count.successes}};
    if (count.attempts != 0) out["success_rate"] = count.success_rate();
    if (count.successes != 0) {
        out["average_ms"] = ms(count.average());
        out["longest_ms"] = ms(count.longest);
    }
    return out;
}

inline boost::json::object row_json(const FaultFigures& row, const Verdict& verdict) {
    boost::json::object out{{"name", "recovery/" + std::string(name_of(row.fault))},
                            {"n", row.n},
                            {"n_counts", counted_by(row.fault, row.intensity)},
                            {"lost", row.lost},
                            {"twice", row.twice},
                            {"wrong", row.wrong},
                            {"leaked", row.leaked},
                            {"not_restored", row.not_restored},
                            {"recoveries", recoveries_json(row)},
                            {"detect_ms", times(row.detect)},
                            {"first_answer_ms", times(row.first_answer)},
                            {"capacity_ms", times(row.capacity)},
                            {"met", verdict.is_met},
                            {"rule", verdict.rule}};
    if (has_degrees(row.fault)) out["intensity"] = name_of(row.intensity);
    if (row.unheard_of) out["unheard_of"] = *row.unheard_of;
    if (!row.trouble.empty()) out["trouble"] = row.trouble;
    return out;
}

/// "p50 / p95", in ms.
inline std::string text_of(const std::vector<double>& values) {
    if (values.empty()) return "-";
    return fmt::format("{:.0f} / {:.0f}", median(values), quantile(values, 0.95));
}

inline constexpr std::string_view table_head =
    "| fault | n | lost, twice, wrong, leaked | recovered | detected | caller's answer "
    "| full capacity | targets |\n"
    "|---|---|---|---|---|---|---|---|\n";

inline std::string table_row(const FaultFigures& row, const Verdict& verdict) {
    return fmt::format("| {} | {} | {}, {}, {}, {} | {} | {} | {} | {} | {} |\n",
                       name_with_degree(row.fault, row.intensity), row.n, row.lost, row.twice,
                       row.wrong, row.leaked,
                       row.recoveries ? fmt::format("{} of {}", row.recoveries->successes,
                                                    row.recoveries->attempts)
                                      : "-",
                       text_of(row.detect), text_of(row.first_answer), text_of(row.capacity),
                       verdict.is_met ? "met" : "missed");
}

} // namespace scenario
