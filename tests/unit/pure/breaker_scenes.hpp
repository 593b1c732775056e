// The scenes that breaker_schedules_tests.cpp plays in every order.
// SPDX-License-Identifier: BSL-1.0
//
// A scene is a few threads with a short script each, and a claim that must hold after every
// schedule.
#pragma once

#include "everpool/circuit_breaker.hpp"
#include "schedules.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace everpool::test {

using namespace std::chrono_literals;

template <Plant plant>
struct ScheduledTraits {
    template <class T>
    using Atomic = ScheduledAtomic<T, plant>;
    static constexpr unsigned slice_count_max = 2;
};

inline constexpr TimePoint start{1h};

inline CircuitBreakerConfig small(std::uint32_t probes = 1) {
    CircuitBreakerConfig config;
    config.lane_count = 1;
    config.jitter_percent = 0;
    config.ramp = 0s;
    config.half_open_probes = probes;
    config.half_open_successes = probes;
    return config;
}

/// One breaker, what it told, and the permits of the threads.
template <Plant plant>
struct Scene {
    using Breaker = BasicCircuitBreaker<ScheduledTraits<plant>>;
    using Permit = typename Breaker::Permit;

    explicit Scene(CircuitBreakerConfig config)
        : breaker(config, {.on_change = [this](const BreakerChange& change) {
                      changes.push_back(change);
                  }}) {
        permits.reserve(16); // a thread may be in the middle of one while another adds one
    }

    void fail(int count) {
        for (int i = 0; i < count; ++i) breaker.try_acquire(now).record(Outcome::failure, now);
    }
    void take(int count) {
        for (int i = 0; i < count; ++i) permits.push_back(breaker.try_acquire(now));
    }
    void open_and_wait() {
        breaker.trip(now);
        now += breaker.stats(now).remaining + 3ms;
    }
    [[nodiscard]] std::int64_t admitted() const {
        return std::count_if(permits.begin(), permits.end(),
                             [](const Permit& permit) { return static_cast<bool>(permit); });
    }
    [[nodiscard]] std::int64_t changed(BreakerState from, BreakerState to) const {
        return std::count_if(changes.begin(), changes.end(), [&](const BreakerChange& change) {
            return change.from == from && change.to == to;
        });
    }
    /// Every change follows the one before it: no state is left twice or entered from nowhere.
    [[nodiscard]] std::string broken_chain() {
        std::sort(changes.begin(), changes.end(),
                  [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
        BreakerState state = BreakerState::closed;
        for (std::size_t i = 0; i < changes.size(); ++i) {
            if (changes[i].epoch != i + 1) return "an epoch is missing, or was begun twice";
            if (changes[i].from != state) return "a change began in a state that was over";
            state = changes[i].to;
        }
        return state == breaker.state() ? "" : "a change was not told";
    }

    TimePoint now = start;
    std::vector<BreakerChange> changes;
    Breaker breaker;
    std::vector<Permit> permits;
};

inline std::string unless(bool is_met, const char* claim) { return is_met ? "" : claim; }

/// The first of the claims that is broken.
inline std::string first_of(std::initializer_list<std::string> claims) {
    for (const std::string& claim : claims)
        if (!claim.empty()) return claim;
    return "";
}

// --- scenes --------------------------------------------------------------------------------------

/// Two failures, each of which alone would open it.
template <Plant plant>
Script two_trips() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->fail(3);
    scene->take(2);
    const auto fail = [scene](int i) {
        return [scene, i] { scene->permits[i].record(Outcome::failure, scene->now); };
    };
    return {{fail(0), fail(1)}, [scene] {
                const auto stats = scene->breaker.stats(scene->now);
                return first_of({unless(stats.state == BreakerState::open, "it did not open"),
                                 unless(stats.opened == 1, "it opened more than once"),
                                 unless(stats.totals.failures == 5, "a failure was lost"),
                                 scene->broken_chain()});
            }};
}

/// Two are told by the peer when to come back, and pass it on at once.
template <Plant plant>
Script two_retry_afters() {
    auto scene = std::make_shared<Scene<plant>>(small());
    const auto trip = [scene](Duration retry_after) {
        return [scene, retry_after] { scene->breaker.trip(scene->now, retry_after); };
    };
    return {{trip(1min), trip(2min)}, [scene] {
                const auto stats = scene->breaker.stats(scene->now);
                return first_of({unless(stats.strikes == 1 && stats.opened == 1,
                                        "one spell was counted as two"),
                                 unless(stats.remaining >= 2min, "the longer time was cut"),
                                 scene->broken_chain()});
            }};
}

/// The open time is over, and two ask at once for the one probe.
template <Plant plant>
Script switch_to_half_open() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->open_and_wait();
    const auto ask = [scene] { scene->permits.push_back(scene->breaker.try_acquire(scene->now)); };
    return {{ask, ask}, [scene] {
                return first_of(
                    {unless(scene->admitted() == 1, "not exactly one probe passed"),
                     unless(scene->changed(BreakerState::open, BreakerState::half_open) == 1,
                            "half-open was entered more than once"),
                     scene->broken_chain()});
            }};
}

/// Three ask for two probes.
template <Plant plant>
Script three_for_two_probes() {
    auto scene = std::make_shared<Scene<plant>>(small(3));
    scene->open_and_wait();
    scene->take(1);
    const auto ask = [scene] { scene->permits.push_back(scene->breaker.try_acquire(scene->now)); };
    return {{ask, ask, ask}, [scene] {
                return first_of({unless(scene->admitted() == 3, "not exactly three probes passed"),
                                 scene->broken_chain()});
            }};
}

/// A fatal result from before it opened arrives while a probe closes it.
template <Plant plant>
Script late_result() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->take(1);
    scene->open_and_wait();
    scene->take(1);
    return {{[scene] { scene->permits[0].record(Outcome::fatal, scene->now); },
             [scene] { scene->permits[1].record(Outcome::success, scene->now); }},
            [scene] {
                return first_of({unless(scene->breaker.state() == BreakerState::closed,
                                        "a late result changed the state"),
                                 scene->broken_chain()});
            }};
}

/// A probe is dropped while another thread asks for its place.
template <Plant plant>
Script give_back() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->open_and_wait();
    scene->take(1);
    return {{[scene] { scene->permits[0].drop(); },
             [scene] { scene->permits.push_back(scene->breaker.try_acquire(scene->now)); }},
            [scene] {
                // Whoever asked has the place, or it is free now.
                if (scene->admitted() == 0) scene->take(1);
                const bool is_taken_once = scene->admitted() == 1;
                scene->take(1);
                return first_of({unless(is_taken_once, "a place was lost"),
                                 unless(scene->admitted() == 1, "a place was given twice"),
                                 scene->broken_chain()});
            }};
}

/// Two threads record in a slice that has to be begun anew.
template <Plant plant>
Script roll_over() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->take(5);
    scene->permits[4].record(Outcome::success, scene->now);
    const auto record = [scene](int first) {
        return [scene, first] {
            for (int i = first; i < first + 2; ++i)
                scene->permits[i].record(Outcome::success, scene->now + 10min);
        };
    };
    return {{record(0), record(2)}, [scene] {
                const auto stats = scene->breaker.stats(scene->now + 10min);
                return first_of({unless(stats.totals.successes == 5, "a success was lost"),
                                 unless(stats.window.successes == 4, "the slice is not theirs"),
                                 scene->broken_chain()});
            }};
}

/// Somebody resets it while the failure that would open it is recorded.
template <Plant plant>
Script reset_and_trip() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->breaker.reset(scene->now); // so that the next one changes nothing but the epoch
    scene->fail(3);
    scene->take(1);
    return {{[scene] { scene->permits[0].record(Outcome::failure, scene->now); },
             [scene] { scene->breaker.reset(scene->now); }},
            [scene] {
                return first_of({unless(scene->breaker.state() == BreakerState::closed,
                                        "what was before the reset opened it after the reset"),
                                 scene->broken_chain()});
            }};
}

/// The wait for probes is over at the moment in which the last one succeeds.
template <Plant plant>
Script overdue_and_passed() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->open_and_wait();
    scene->take(1);
    scene->now += 61s;
    return {
        {[scene] { (void)scene->breaker.try_acquire(scene->now); },
         [scene] { scene->permits[0].record(Outcome::success, scene->now); }},
        [scene] {
            const auto left = scene->changed(BreakerState::half_open, BreakerState::open) +
                              scene->changed(BreakerState::half_open, BreakerState::closed);
            return first_of({unless(left == 1, "half-open was left twice"), scene->broken_chain()});
        }};
}

/// A result of before a reset is recorded while the first one after it is.
template <Plant plant>
Script late_in_slice() {
    auto scene = std::make_shared<Scene<plant>>(small());
    scene->take(1);
    return {{[scene] { scene->permits[0].record(Outcome::success, scene->now); },
             [scene] {
                 scene->breaker.reset(scene->now);
                 scene->fail(1);
             }},
            [scene] {
                const auto stats = scene->breaker.stats(scene->now);
                return first_of({unless(stats.window == CallCounts{.failures = 1},
                                        "a late result drove out a new one, or is judged with it"),
                                 unless(stats.totals.calls() == 2, "a call was lost"),
                                 scene->broken_chain()});
            }};
}

/// A probe is dropped while its half-open spell ends and the next one begins.
template <Plant plant>
Script late_give_back() {
    CircuitBreakerConfig config = small();
    config.open_time_max = config.open_time;
    auto scene = std::make_shared<Scene<plant>>(config);
    scene->open_and_wait();
    scene->take(1);
    const TimePoint overdue = scene->now + 61s, next_spell = overdue + 31s;
    return {{[scene] { scene->permits[0].drop(); },
             [scene, overdue, next_spell] {
                 (void)scene->breaker.try_acquire(overdue);
                 scene->permits.push_back(scene->breaker.try_acquire(next_spell));
             }},
            [scene, next_spell] {
                scene->permits.push_back(scene->breaker.try_acquire(next_spell));
                return first_of({unless(scene->admitted() == 1,
                                        "a place of one spell was given back to another"),
                                 scene->broken_chain()});
            }};
}

/// A success ends the row while a failure lengthens it: the row is 0 or 1 after, never 3.
template <Plant plant>
Script row() {
    CircuitBreakerConfig config = small();
    config.prior_successes = 1000; // only the row may open it
    config.consecutive_failures = 4;
    auto scene = std::make_shared<Scene<plant>>(config);
    scene->fail(2);
    scene->take(2);
    return {{[scene] { scene->permits[0].record(Outcome::success, scene->now); },
             [scene] { scene->permits[1].record(Outcome::failure, scene->now); }},
            [scene] {
                const auto row = scene->breaker.stats(scene->now).failures_in_a_row;
                return first_of(
                    {unless(row <= 1, "a success did not end the row"), scene->broken_chain()});
            }};
}

/// Two threads write round a ring of two calls, one of which is taken.
template <Plant plant>
Script ring() {
    CircuitBreakerConfig config = small();
    config.window_calls = 2;
    auto scene = std::make_shared<Scene<plant>>(config);
    scene->take(3);
    scene->permits[2].record(Outcome::success, scene->now);
    const auto record = [scene](int i) {
        return [scene, i] { scene->permits[i].record(Outcome::success, scene->now); };
    };
    return {{record(0), record(1)}, [scene] {
                const auto stats = scene->breaker.stats(scene->now);
                return first_of({unless(stats.window.calls() == 2, "the ring is not full"),
                                 unless(stats.totals.calls() == 3, "a call was lost")});
            }};
}

template <Plant plant>
std::vector<std::pair<const char*, Script (*)()>> scenes() {
    return {{"two trips", two_trips<plant>},
            {"two retry-afters", two_retry_afters<plant>},
            {"switch to half-open", switch_to_half_open<plant>},
            {"three for two probes", three_for_two_probes<plant>},
            {"late result", late_result<plant>},
            {"give back", give_back<plant>},
            {"roll over", roll_over<plant>},
            {"reset and trip", reset_and_trip<plant>},
            {"overdue and passed", overdue_and_passed<plant>},
            {"late in slice", late_in_slice<plant>},
            {"late give back", late_give_back<plant>},
            {"row", row<plant>},
            {"ring", ring<plant>}};
}

} // namespace everpool::test
