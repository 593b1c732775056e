// What users of outlier ejection have complained of, and the rules that prevent it.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/circuit_breaker.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/fleet_guard.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;

namespace {

double admitted_share(const FleetGuard& guard) {
    core::Prng prng(1);
    int admitted = 0;
    for (int i = 0; i < 10'000; ++i) admitted += guard.admits(prng.next()) ? 1 : 0;
    return admitted / 10'000.0;
}

} // namespace

TEST_CASE("Envoy 27066: of three hosts at 67 % at most two are out, counted after the ejection") {
    FleetGuard guard({.member_count = 3, .max_ejected_percent = 67});
    CHECK(guard.report_unhealthy(0, start) == Ejection::ejected);
    CHECK(guard.report_unhealthy(1, start) == Ejection::ejected);
    CHECK(guard.report_unhealthy(2, start) == Ejection::refused_share);
    CHECK(guard.ejected_count() == 2);
    CHECK(guard.may_use(2));
}

TEST_CASE("Envoy 26877: a limit of 10 % of three hosts ejects none, not one") {
    FleetGuard guard({.member_count = 3, .max_ejected_percent = 10});
    CHECK(guard.report_unhealthy(0, start) == Ejection::refused_share);
    CHECK(guard.may_use(0));
}

TEST_CASE("Envoy 17504: the only host there is stays in") {
    FleetGuard guard({.member_count = 1});
    CHECK(guard.report_unhealthy(0, start) == Ejection::refused_share);
    CHECK(guard.may_use(0));
    CHECK(guard.admits(0));
}

TEST_CASE("Envoy 3263: when everybody fails at once, not everybody is ejected") {
    for (std::size_t count = 1; count <= 64; ++count) {
        CAPTURE(count);
        FleetGuard guard({.member_count = count, .max_ejected_percent = 100, .panic_percent = 0});
        for (std::size_t i = 0; i < count; ++i) (void)guard.report_unhealthy(i, start);
        std::size_t usable = 0;
        for (std::size_t i = 0; i < count; ++i) usable += guard.may_use(i) ? 1 : 0;
        CHECK(usable >= 1);
    }
}

TEST_CASE("the share is that after the ejection, and is never rounded up") {
    const struct {
        std::size_t members;
        std::uint32_t percent;
        std::size_t out;
    } table[] = {{1, 50, 0}, {1, 100, 0}, {2, 49, 0}, {2, 50, 1},  {2, 100, 1},
                 {3, 33, 0}, {3, 34, 1},  {3, 66, 1}, {3, 67, 2},  {3, 100, 2},
                 {7, 14, 0}, {7, 15, 1},  {10, 9, 0}, {10, 10, 1}, {64, 50, 32}};
    for (const auto& row : table) {
        CAPTURE(row.members, row.percent);
        FleetGuard guard({.member_count = row.members, .max_ejected_percent = row.percent});
        for (std::size_t i = 0; i < row.members; ++i) (void)guard.report_unhealthy(i, start);
        CHECK(guard.ejected_count() == row.out);
    }
}

TEST_CASE("no config takes everybody out: the last member in use stays") {
    for (std::size_t count = 1; count <= 3; ++count) {
        CAPTURE(count);
        FleetGuard guard({.member_count = count,
                          .max_ejected_percent = 100,
                          .min_healthy_count = 0,
                          .panic_percent = 0});
        for (std::size_t i = 0; i + 1 < count; ++i)
            CHECK(guard.report_unhealthy(i, start) == Ejection::ejected);
        CHECK(guard.report_unhealthy(count - 1, start) == Ejection::refused_healthy);
        CHECK(guard.may_use(count - 1));
        CHECK(guard.ejected_count() == count - 1);
    }
}

TEST_CASE("istio 20135: so many healthy members stay in, whatever the share says") {
    FleetGuard guard({.member_count = 4, .max_ejected_percent = 100, .min_healthy_count = 3});
    CHECK(guard.report_unhealthy(0, start) == Ejection::ejected);
    CHECK(guard.report_unhealthy(1, start) == Ejection::refused_healthy);
    CHECK(guard.may_use(1));
    guard.report_healthy(0);
    CHECK(guard.report_unhealthy(1, start) == Ejection::ejected); // three others are healthy start
}

TEST_CASE("the healthy ones that must stay do not include who is ill but was kept in") {
    FleetGuard guard({.member_count = 4, .max_ejected_percent = 25, .min_healthy_count = 3});
    CHECK(guard.report_unhealthy(0, start) == Ejection::ejected);
    CHECK(guard.report_unhealthy(1, start) == Ejection::refused_share);
    CHECK(guard.report_unhealthy(2, start) == Ejection::refused_share);
    CHECK(guard.healthy_count() == 1);
    guard.report_healthy(0);
    CHECK(guard.report_unhealthy(1, start) == Ejection::refused_healthy); // 2 is ill as well
    guard.report_healthy(2);
    CHECK(guard.report_unhealthy(1, start) == Ejection::ejected);
}

TEST_CASE("one ejection per interval, so that its effect is seen before the next") {
    FleetGuard guard({.member_count = 10, .min_interval = 10s});
    CHECK(guard.report_unhealthy(0, start) == Ejection::ejected);
    CHECK(guard.report_unhealthy(0, start) == Ejection::already_ejected);
    CHECK(guard.report_unhealthy(1, start + 9s) == Ejection::refused_pace);
    CHECK(guard.report_unhealthy(1, start + 10s) == Ejection::ejected);
}

TEST_CASE("in panic all members are used, or none, or the healthy ones for their share") {
    FleetGuardConfig config{.member_count = 4, .max_ejected_percent = 75, .panic_percent = 50};
    const auto with_one_healthy = [&](PanicMode mode) {
        config.panic_mode = mode;
        auto guard = std::make_unique<FleetGuard>(config);
        CHECK_FALSE(guard->is_panicking());
        for (std::size_t i = 0; i < 3; ++i)
            CHECK(guard->report_unhealthy(i, start) == Ejection::ejected);
        CHECK(guard->is_panicking());
        return guard;
    };
    const auto all = with_one_healthy(PanicMode::use_all);
    CHECK(all->may_use(0));
    CHECK(admitted_share(*all) == 1.0);
    const auto none = with_one_healthy(PanicMode::use_none);
    CHECK_FALSE(none->may_use(0));
    CHECK(admitted_share(*none) == 0.0);
    const auto healthy = with_one_healthy(PanicMode::use_healthy);
    CHECK_FALSE(healthy->may_use(0));
    CHECK(healthy->may_use(3));
    CHECK(admitted_share(*healthy) == Approx(0.25).margin(0.02));
    healthy->report_healthy(0);
    CHECK_FALSE(healthy->is_panicking());
    CHECK(admitted_share(*healthy) == 1.0);
}

TEST_CASE("brpc 709: after an outage calls are thinned to q/n until enough have recovered") {
    FleetGuard guard(
        {.member_count = 4, .max_ejected_percent = 75, .panic_percent = 0, .recovered_count = 3});
    CHECK(admitted_share(guard) == 1.0);
    for (std::size_t i = 0; i < 3; ++i) (void)guard.report_unhealthy(i, start);
    CHECK(guard.is_recovering());
    CHECK(admitted_share(guard) == Approx(1.0 / 3).margin(0.02));
    guard.report_healthy(0);
    CHECK(admitted_share(guard) == Approx(2.0 / 3).margin(0.02));
    guard.report_healthy(1);
    CHECK_FALSE(guard.is_recovering());
    CHECK(admitted_share(guard) == 1.0);
}

TEST_CASE("brpc 1874: after a total outage some calls pass, or nobody would see that it is over") {
    // Without panic: the share of one of the three that are needed.
    FleetGuard guard({.member_count = 3, .panic_percent = 0, .recovered_count = 3});
    for (std::size_t i = 0; i < 3; ++i) (void)guard.report_unhealthy(i, start);
    CHECK(guard.healthy_count() == 0);
    CHECK(admitted_share(guard) == Approx(1.0 / 3).margin(0.02));
    // In panic, where only the healthy ones are used: the share of one of four.
    FleetGuard panicking({.member_count = 4, .panic_mode = PanicMode::use_healthy});
    for (std::size_t i = 0; i < 4; ++i) (void)panicking.report_unhealthy(i, start);
    CHECK(admitted_share(panicking) == Approx(0.25).margin(0.02));
}

TEST_CASE("a total outage in panic tries everything, so that a recovery can be seen at all") {
    FleetGuard guard({.member_count = 2, .recovered_count = 2});
    (void)guard.report_unhealthy(0, start);
    (void)guard.report_unhealthy(1, start);
    CHECK(guard.healthy_count() == 0);
    CHECK(admitted_share(guard) == 1.0);
    CHECK(guard.may_use(0));
    CHECK(guard.may_use(1));
}

TEST_CASE("a fleet of sixty-four, and a config out of its range") {
    FleetGuard guard({.member_count = 64});
    for (std::size_t i = 0; i < 64; ++i) (void)guard.report_unhealthy(i, start);
    CHECK(guard.ejected_count() == 32);
    CHECK_THROWS_WITH(FleetGuard({.member_count = 65}), Catch::Contains("member_count"));
    CHECK_THROWS_WITH(FleetGuard({.member_count = 0}), Catch::Contains("member_count"));
    CHECK_THROWS_WITH(FleetGuard({.max_ejected_percent = 101}), Catch::Contains("max_ejected"));
    CHECK_THROWS_WITH(FleetGuard({.min_healthy_count = 2}), Catch::Contains("min_healthy"));
    CHECK_THROWS_WITH(FleetGuard({.min_interval = -1s}), Catch::Contains("min_interval"));
    CHECK_THROWS_WITH(FleetGuard({.panic_percent = 101}), Catch::Contains("panic_percent"));
    CHECK_THROWS_WITH(FleetGuard({.recovered_count = 0}), Catch::Contains("recovered_count"));
}

TEST_CASE("breakers report to the guard as they open and close") {
    FleetGuard guard({.member_count = 3});
    std::vector<std::unique_ptr<CircuitBreaker>> breakers;
    for (std::size_t i = 0; i < 3; ++i)
        breakers.push_back(std::make_unique<CircuitBreaker>(
            CircuitBreakerConfig{},
            CircuitBreakerListener{.on_change = [&guard, i](const auto& change) {
                if (change.to == BreakerState::open) (void)guard.report_unhealthy(i, change.at);
                if (change.from == BreakerState::half_open && change.to != BreakerState::open)
                    guard.report_healthy(i);
            }}));
    const auto fail = [&](std::size_t i) {
        for (int call = 0; call < 4; ++call)
            breakers[i]->try_acquire(start).record(Outcome::failure, start);
    };
    fail(0);
    fail(1);
    CHECK(guard.ejected_count() == 1);
    CHECK(guard.healthy_count() == 1);
    const TimePoint after = start + 31s;
    for (int probe = 0; probe < 3; ++probe)
        breakers[0]->try_acquire(after).record(Outcome::success, after);
    CHECK(guard.may_use(0));
    CHECK(guard.healthy_count() == 2);
    CHECK(guard.ejected_count() == 0);
}

TEST_CASE("a member that is kept in gets calls though its own breaker is open") {
    FleetGuard guard({.member_count = 3, .panic_percent = 0});
    CHECK_FALSE(guard.overrides_breaker(0)); // healthy: its breaker knows best, as in a ramp
    REQUIRE(guard.report_unhealthy(0, start) == Ejection::ejected);
    CHECK_FALSE(guard.overrides_breaker(0)); // out: only its breaker's probes
    REQUIRE(guard.report_unhealthy(1, start) == Ejection::refused_share);
    CHECK(guard.overrides_breaker(1));
    guard.report_healthy(1);
    CHECK_FALSE(guard.overrides_breaker(1));
    FleetGuard panicking({.member_count = 3, .panic_percent = 50});
    for (std::size_t i = 0; i < 3; ++i) (void)panicking.report_unhealthy(i, start);
    for (std::size_t i = 0; i < 3; ++i) CHECK(panicking.overrides_breaker(i));
}

TEST_CASE("a fleet whose breakers all open still serves, and recovers by their probes") {
    FleetGuard guard({.member_count = 3, .panic_percent = 0});
    std::vector<std::unique_ptr<CircuitBreaker>> breakers;
    for (std::size_t i = 0; i < 3; ++i)
        breakers.push_back(std::make_unique<CircuitBreaker>(
            CircuitBreakerConfig{.ramp = 0s},
            CircuitBreakerListener{.on_change = [&guard, i](const auto& change) {
                if (change.to == BreakerState::open) (void)guard.report_unhealthy(i, change.at);
                if (change.to == BreakerState::closed) guard.report_healthy(i);
            }}));
    // As the manual says: by its permit, or because it is kept in.
    const auto serve = [&](TimePoint at, Outcome outcome) {
        int served = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            auto permit = breakers[i]->try_acquire(at);
            if (permit || guard.overrides_breaker(i)) ++served;
            permit.record(outcome, at);
        }
        return served;
    };
    for (int call = 0; call < 4; ++call) CHECK(serve(start, Outcome::failure) == 3);
    CHECK(guard.healthy_count() == 0);
    for (int call = 0; call < 10; ++call) CHECK(serve(start + 1s, Outcome::failure) == 2);
    for (int call = 0; call < 3; ++call) (void)serve(start + 31s, Outcome::success);
    CHECK(guard.healthy_count() == 3);
    CHECK(guard.ejected_count() == 0);
}

TEST_CASE("however many threads report at once, never more are out than may be") {
    FleetGuard guard({.member_count = 8, .max_ejected_percent = 40});
    std::atomic<std::size_t> most{0};
    std::vector<std::thread> threads;
    for (std::uint64_t self = 0; self < 4; ++self)
        threads.emplace_back([&, self] {
            core::Prng prng(self + 1);
            for (int i = 0; i < 20'000; ++i) {
                const auto member = static_cast<std::size_t>(prng.below(8));
                if (prng.ratio(1, 3)) guard.report_healthy(member);
                else (void)guard.report_unhealthy(member, start);
                std::size_t out = guard.ejected_count(), seen = most.load();
                while (out > seen && !most.compare_exchange_weak(seen, out)) {}
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(most == 3);
}
