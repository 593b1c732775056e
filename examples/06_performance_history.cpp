// 6. The performance history alone: which browser is best, and since when is it slower?
// Links everpool::core only.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/performance_history_tracker.hpp>

#include <cstdio>

int main() {
    using namespace everpool;
    using namespace std::chrono_literals;

    PerformanceHistoryTracker history;
    const SeriesKey firefox{"bert", BrowserType::firefox, "webgpu", "inference"};
    const SeriesKey chromium{"bert", BrowserType::chromium, "webgpu", "inference"};
    core::Prng prng(1);
    TimePoint now{1000h}; // invented, so that nobody waits an hour
    for (int second = 0; second < 3600; ++second, now += 1s) {
        const auto noise = Duration(static_cast<Duration::rep>(prng.below(4'000'000)));
        const auto update = second < 1800 ? 0ms : 6ms; // a browser update in the middle
        history.record(firefox, Errc::ok, {.duration = 20ms + update + noise}, now);
        const bool is_lost = prng.ratio(1, 20); // chromium is faster, but loses its device
        history.record(chromium, is_lost ? Errc::device_lost : Errc::ok, {.duration = 15ms + noise},
                       now);
    }
    const auto trend =
        history.analyze_performance_trends({.browser = BrowserType::firefox}, 1h, now).value();
    for (const LevelChange& change : trend.change_points)
        std::printf("%.0f minutes ago: from %.1f to %.1f ms\n",
                    std::chrono::duration<double, std::ratio<60>>(now - change.at).count(),
                    change.before_ms, change.after_ms);
    const auto best = history.recommend_browser("bert", prng, now).value().best;
    std::printf("take %s: %.1f ms per success, with a probability of %.2f the best\n",
                name_of(best.browser).data(), best.expected_ms, best.probability_best);
    return trend.change_points.size() == 1 && best.browser == BrowserType::firefox ? 0 : 1;
}
