// How many changes of level are found, and how many found ones are none.
// SPDX-License-Identifier: BSL-1.0
//
//     build/release/tests/unit/history/change_point_quality
//
// 200 seeded series of 200 values of each kind (change_point_series.hpp), for two strengths of
// noise. A change counts as found if a point lies within ten values of it. Every other point is
// false; on a ramp all points within the ramp are right. Exits with 1 if more than 1 % of the
// series without a change have a point, or if a step of 25 % is missed.
#include "change_point_series.hpp"
#include "everpool/core/change_points.hpp"

#include <cstddef>
#include <cstdio>

namespace {

using namespace everpool;

constexpr std::uint64_t series_count = 200;
constexpr std::size_t tolerance = 10;

struct Quality {
    std::uint64_t changes{0}, found{0}, right{0}, wrong{0}, series_with_wrong{0};

    void judge(const test::LabelledSeries& series) {
        bool is_found = false;
        std::uint64_t wrong_here = 0;
        for (const core::ChangePoint& point : core::find_change_points(series.values)) {
            const bool is_right = series.has_change() &&
                                  point.index + tolerance >= series.change_begin &&
                                  point.index < series.change_end + tolerance;
            // A second point at the same step is one too many.
            const bool is_again = is_found && series.change_end - series.change_begin == 1;
            if (is_right && !is_again) ++right;
            else ++wrong_here;
            is_found = is_found || is_right;
        }
        changes += series.has_change() ? 1 : 0;
        found += is_found ? 1 : 0;
        wrong += wrong_here;
        series_with_wrong += wrong_here != 0 ? 1 : 0;
    }
};

double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 100.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace

int main() {
    bool is_good = true;
    std::printf("%-24s %7s %10s %10s %22s\n", "kind", "noise", "precision", "recall",
                "series with false one");
    for (const double noise : {0.05, 0.10})
        for (const test::SeriesKind& kind : test::series_kinds) {
            Quality quality;
            for (std::uint64_t seed = 1; seed <= series_count; ++seed)
                quality.judge(test::make_series(kind, noise, seed));
            const double false_alarms = percent(quality.series_with_wrong, series_count);
            const double recall = percent(quality.found, quality.changes);
            if (kind.step == 0) {
                std::printf("%-24s %5.0f %% %10s %10s %20.1f %%\n", kind.name.c_str(), 100 * noise,
                            "-", "-", false_alarms);
                is_good = is_good && false_alarms <= 1;
                continue;
            }
            std::printf("%-24s %5.0f %% %8.1f %% %8.1f %% %20.1f %%\n", kind.name.c_str(),
                        100 * noise, percent(quality.right, quality.right + quality.wrong), recall,
                        false_alarms);
            if (kind.step == 0.25 && !kind.is_ramp) is_good = is_good && recall >= 99;
        }
    return is_good ? 0 : 1;
}
