// 6. The performance history alone: since when is a browser slower? Links everpool::core only.
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
        const Duration noise = 1us * static_cast<int>(prng.below(4'000));
        const Duration update = second < 1800 ? 0ms : 6ms; // a browser update in the middle
        history.record(firefox, Errc::ok, {.duration = 20ms + update + noise}, now);
        const Errc end = prng.ratio(1, 20) ? Errc::device_lost : Errc::ok; // faster, but ...
        history.record(chromium, end, {.duration = 15ms + noise}, now);
    }
    const auto trend = history.analyze_performance_trends({.browser = firefox.browser}, 1h, now);
    for (const LevelChange& change : trend.value().change_points)
        std::printf("from %.1f to %.1f ms, %d minutes ago\n", change.before_ms, change.after_ms,
                    static_cast<int>((now - change.at) / 1min));
    const auto best = history.recommend_browser("bert", prng, now).value().best;
    std::printf("take %s: %.1f ms per success\n", name_of(best.browser).data(), best.expected_ms);
    return trend.value().change_points.size() == 1 && best.browser == firefox.browser ? 0 : 1;
}
