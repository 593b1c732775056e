// Everpool: a limit on retries and hedges, so that they do not become the load that they cure.
// SPDX-License-Identifier: BSL-1.0
//
// If everybody retries three times, a peer that is in trouble gets four times its traffic. A budget
// ties the extra calls to what succeeds: each success pays for a part of one (default 20 %), so
// that retries and hedges together add at most that share when all is well, and next to nothing
// when nothing succeeds. A floor is always granted, for a caller with a handful of calls must be
// able to retry at all.
//
//     RetryBudget budget;
//     budget.on_success(now);                          // after each success
//     if (failed && budget.try_spend(now)) retry();    // else report the failure
//     if (is_late && budget.try_spend(now)) hedge();   // else go on waiting: that a hedge is not
//                                                      // paid for fails no call
//
// One budget is meant to be shared by the retries and hedges of all calls to the same peers.
//
// Thread safety: everything from any thread; lock-free, no allocation. Time is an argument.
#pragma once

#include "everpool/core/breaker_word.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace everpool {

struct RetryBudgetConfig {
    /// What each success pays, in percent of an extra call. Default 20. 0 to 100.
    std::uint32_t percent_per_success{20};

    /// So many extra calls can be saved up at most: the burst after a long healthy spell. Default
    /// 100, and as many are there at the beginning as the floor grants. 1 to 1000.
    std::uint32_t saved_max{100};

    /// So many extra calls are granted though nothing has succeeded ... Default 3. 0 to saved_max.
    std::uint32_t floor{3};
    /// ... and grow back in this time, one after the other. Default 10 s. 1 ms to 1 h.
    Duration floor_interval{std::chrono::seconds{10}};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const RetryBudgetConfig& config) {
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.percent_per_success <= 100,
           "RetryBudgetConfig::percent_per_success must be 0 to 100");
    demand(config.saved_max >= 1 && config.saved_max <= 1000,
           "RetryBudgetConfig::saved_max must be 1 to 1000");
    demand(config.floor <= config.saved_max, "RetryBudgetConfig::floor must be 0 to saved_max");
    demand(config.floor_interval >= std::chrono::milliseconds{1} &&
               config.floor_interval <= std::chrono::hours{1},
           "RetryBudgetConfig::floor_interval must be 1 ms to 1 h");
}

class RetryBudget {
public:
    /// Throws std::invalid_argument if check_config() does.
    explicit RetryBudget(RetryBudgetConfig config = {})
        : config_((check_config(config), config)), word_(pack({0, config.floor * one})) {}
    RetryBudget(const RetryBudget&) = delete;
    RetryBudget& operator=(const RetryBudget&) = delete;

    /// A call has succeeded, the first time or not.
    void on_success(TimePoint now) noexcept {
        update(now, [this](std::uint32_t& saved) {
            saved =
                std::min(saved + config_.percent_per_success * one / 100, config_.saved_max * one);
            return true;
        });
    }
    /// True: an extra call may be made, and is paid for.
    [[nodiscard]] bool try_spend(TimePoint now) noexcept {
        return update(now, [](std::uint32_t& saved) {
            if (saved < one) return false;
            saved -= one;
            return true;
        });
    }
    /// What was paid for was not made after all: a hedge whose primary answered just then.
    void give_back(TimePoint now) noexcept {
        update(now, [this](std::uint32_t& saved) {
            saved = std::min(saved + one, config_.saved_max * one);
            return true;
        });
    }
    /// Whole extra calls that can be made now.
    [[nodiscard]] std::uint32_t available(TimePoint now) const noexcept {
        return refilled(unpack(word_.load(std::memory_order_relaxed)), now).saved / one;
    }

private:
    /// What is saved, in millionths of a call, and since when the floor has been growing back.
    struct Account {
        core::Tick since{0};
        std::uint32_t saved{0};
    };
    static constexpr std::uint32_t one = 1'000'000;

    static constexpr std::uint64_t pack(Account account) noexcept {
        return std::uint64_t{account.since} << 32 | account.saved;
    }
    static constexpr Account unpack(std::uint64_t bits) noexcept {
        return {static_cast<core::Tick>(bits >> 32), static_cast<std::uint32_t>(bits)};
    }

    /// Below the floor it grows by time.
    [[nodiscard]] Account refilled(Account account, TimePoint now) const noexcept {
        const core::Tick here = core::tick_at(now);
        const std::uint32_t floor = config_.floor * one;
        if (account.saved >= floor) return {here, account.saved};
        if (here - account.since >= std::uint32_t{0} - core::clock_difference_max)
            return account; // a clock that is a little behind
        const auto interval = static_cast<std::uint64_t>(config_.floor_interval.count());
        const std::uint64_t passed = static_cast<std::uint64_t>(here - account.since)
                                     << core::tick_bits;
        if (passed >= interval) return {here, floor};
        // In units of 2^10 ns: an hour is 2^32 of them, and the floor at most 2^30.
        const auto grown =
            static_cast<std::uint32_t>((passed >> 10) * floor / ((interval >> 10) + 1));
        if (grown == 0) return account;
        return {here, std::min(account.saved + grown, floor)};
    }

    template <class Change>
    bool update(TimePoint now, Change change) noexcept {
        std::uint64_t bits = word_.load(std::memory_order_relaxed);
        for (;;) {
            Account account = refilled(unpack(bits), now);
            if (!change(account.saved)) return false;
            if (word_.compare_exchange_weak(bits, pack(account), std::memory_order_relaxed))
                return true;
        }
    }

    const RetryBudgetConfig config_;
    std::atomic<std::uint64_t> word_;
};

} // namespace everpool
