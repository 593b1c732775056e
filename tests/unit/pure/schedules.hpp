// Every order in which a few threads can perform their atomic steps, one after the other.
// SPDX-License-Identifier: BSL-1.0
//
// The code under test is compiled with ScheduledAtomic in place of std::atomic. Its threads are
// fibers of one real thread; before each atomic operation the schedule says who goes on. A run's
// choices are kept as a trail; the next run repeats it up to the last choice that has an
// alternative, and takes that (depth-first search with replay). So all orders are seen, and a
// failing one can be repeated.
//
// What it does not see: reorderings that a weak memory model allows beyond the orders of whole
// steps. ThreadSanitizer looks at those, and breaker_word.hpp says why they do not matter here.
#pragma once

#include "fiber.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace everpool::test {

/// What the threads of one run do, on state that is made anew for each run.
struct Script {
    std::vector<std::function<void()>> threads;
    /// After all have ended: what is wrong, or nothing.
    std::function<std::string()> check;
};

struct Exploration {
    std::uint64_t schedule_count{0};
    std::uint64_t step_count{0};
    std::size_t longest{0}; ///< steps of the longest schedule
    std::string mistake;    ///< of the first schedule that was wrong; the search ends there
    std::string schedule;   ///< which thread made each step: "0010112"
};

class Explorer {
public:
    /// Runs every schedule of what `make` gives, or as many as `schedule_count_max`.
    static Exploration explore(const std::function<Script()>& make,
                               std::uint64_t schedule_count_max = 20'000'000) {
        Explorer explorer;
        active_ = &explorer;
        while (explorer.run(make) && explorer.result_.schedule_count < schedule_count_max) {}
        active_ = nullptr;
        return explorer.result_;
    }

    /// Before each atomic operation.
    static void step() {
        if (active_ != nullptr && active_->running_ != nobody) active_->pause();
    }

private:
    struct Choice {
        std::size_t taken, count;
    };
    static constexpr std::size_t nobody = SIZE_MAX;
    static constexpr std::size_t step_count_max = 1000;

    /// False when there is no schedule left, or a mistake was found.
    bool run(const std::function<Script()>& make) {
        Script script = make();
        const std::size_t count = script.threads.size();
        while (fibers_.size() < count)
            fibers_.push_back(std::make_unique<Fiber>([this, self = fibers_.size()] {
                script_->threads[self]();
                end(self);
            }));
        script_ = &script;
        alive_.clear();
        position_ = 0;
        steps_.clear();
        // Everybody up to the first step, which only then is a matter of choice.
        is_starting_ = true;
        for (running_ = 0; running_ < count; ++running_) {
            alive_.push_back(running_);
            main_.switch_to(*fibers_[running_]);
        }
        is_starting_ = false;
        if (!alive_.empty()) {
            running_ = choose();
            main_.switch_to(*fibers_[running_]);
        }
        running_ = nobody;
        ++result_.schedule_count;
        result_.step_count += steps_.size();
        result_.longest = std::max(result_.longest, steps_.size());
        result_.mistake = script.check();
        if (!result_.mistake.empty()) {
            result_.schedule = steps_;
            return false;
        }
        while (!trail_.empty() && trail_.back().taken + 1 == trail_.back().count) trail_.pop_back();
        if (trail_.empty()) return false;
        ++trail_.back().taken;
        return true;
    }

    void pause() {
        const std::size_t self = running_;
        if (is_starting_) {
            fibers_[self]->switch_to(main_);
            return;
        }
        const std::size_t next = choose();
        if (next == self) return;
        running_ = next;
        fibers_[self]->switch_to(*fibers_[next]);
    }

    void end(std::size_t self) {
        std::erase(alive_, self);
        if (is_starting_ || alive_.empty()) {
            fibers_[self]->switch_to(main_); // and back for the next run
            return;
        }
        running_ = choose();
        fibers_[self]->switch_to(*fibers_[running_]);
    }

    std::size_t choose() {
        std::size_t taken = 0;
        if (alive_.size() > 1) {
            if (position_ == trail_.size()) trail_.push_back({0, alive_.size()});
            taken = trail_[position_++].taken;
        }
        steps_ += static_cast<char>('0' + alive_[taken]);
        if (steps_.size() > step_count_max) { // somebody waits for one who is not scheduled
            std::fprintf(stderr, "a schedule does not end: %s\n", steps_.c_str());
            std::abort();
        }
        return alive_[taken];
    }

    static inline Explorer* active_ = nullptr;

    Fiber main_;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    Script* script_{nullptr};
    std::vector<std::size_t> alive_;
    std::vector<Choice> trail_;
    std::size_t position_{0};
    std::size_t running_{nobody};
    bool is_starting_{false};
    std::string steps_;
    Exploration result_;
};

/// Mistakes to plant in every compare-and-swap, to see whether the search finds them.
enum class Plant {
    none,
    torn_exchange,   ///< compares and swaps in two steps
    blind_to_epochs, ///< compares all but the epoch of a BreakerWord
};

/// As much of std::atomic as the breaker uses.
template <class T, Plant plant>
class ScheduledAtomic {
public:
    ScheduledAtomic(T value = {}) noexcept : value_(value) {}

    T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
        Explorer::step();
        return value_;
    }
    T fetch_add(T more, std::memory_order = std::memory_order_seq_cst) noexcept {
        Explorer::step();
        const T old = value_;
        value_ += more;
        return old;
    }
    bool compare_exchange_strong(T& expected, T desired,
                                 std::memory_order = std::memory_order_seq_cst) noexcept {
        Explorer::step();
        const T ignored = plant == Plant::blind_to_epochs ? T{0xff'ffff} << 32 : T{0};
        if ((value_ & ~ignored) != (expected & ~ignored)) {
            expected = value_;
            return false;
        }
        if constexpr (plant == Plant::torn_exchange) Explorer::step();
        value_ = desired;
        return true;
    }

private:
    T value_;
};

} // namespace everpool::test
