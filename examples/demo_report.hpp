// What the demo prints: a progress line, a table of answers, a timeline of each failure.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <everpool/pool_event.hpp>
#include <everpool/request.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace demo {

/// What was done to a worker, and what came of it.
struct Fault {
    std::string what; ///< "SIGKILL of the browser process"
    everpool::WorkerId worker{everpool::WorkerId::none()};
    everpool::BrowserType browser{};
    everpool::TimePoint at{};
    std::size_t in_flight{0};
    std::optional<everpool::TimePoint> detected, first_answer, restored;
    std::string seen_as; ///< the cause as the pool saw it
    std::size_t redispatched{0};
};

class Report {
public:
    explicit Report(std::size_t total);

    /// One answer has come. `wrong`: it differs from the expected output.
    void count(const std::string& model, const everpool::Result& result, bool wrong);
    void progress(std::size_t done, std::size_t ready_workers);
    void print_table() const;
    static void print_timeline(const std::vector<Fault>& faults);

private:
    struct Cell {
        std::vector<double> milliseconds;
        std::map<std::string, std::size_t> providers;
        std::uint32_t attempts_max{0};
        std::size_t repeated{0}, wrong{0};
    };
    /// browser, worker, model
    std::map<std::tuple<std::string, std::uint32_t, std::string>, Cell> cells_;
    std::size_t total_;
    bool is_terminal_;
};

} // namespace demo
