// Parts of scenarios: a number of operations, so many at a time.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace scenario {

/// Runs `count` operations with `outstanding` under way; `issue(done)` starts one.
class Burst {
public:
    using Issue = std::function<void(std::size_t number, std::function<void()> done)>;

    Burst(std::size_t count, std::size_t outstanding, Issue issue,
          std::function<void(double seconds, std::vector<double> microseconds)> finished)
        : count_(count),
          issue_(std::move(issue)),
          finished_(std::move(finished)),
          started_(std::chrono::steady_clock::now()) {
        latencies_.reserve(count);
        for (std::size_t i = 0; i < std::min(count, outstanding); ++i) next();
    }

private:
    void next() {
        if (issued_ == count_) return;
        const auto begin = std::chrono::steady_clock::now();
        issue_(issued_++, [this, begin] {
            latencies_.push_back(
                std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
                    .count());
            if (latencies_.size() == count_)
                return finished_(
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - started_)
                        .count(),
                    std::move(latencies_));
            next();
        });
    }

    std::size_t count_, issued_{0};
    Issue issue_;
    std::function<void(double, std::vector<double>)> finished_;
    std::vector<double> latencies_;
    std::chrono::steady_clock::time_point started_;
};

} // namespace scenario
