// SPDX-License-Identifier: BSL-1.0
#include "facade/level_shortage.hpp"

#include "everpool/fault_tolerance.hpp"
#include "facade/config_check.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace everpool::facade {

std::vector<Diagnostics> shortages_of_level(const ResourcePoolConfig& config) {
    const FaultToleranceMeasures& measures = measures_of(config.fault_tolerance.level);
    // A standby votes as well. A rival does not: it is there only in the place of another worker.
    const std::size_t workers = expand_browsers(config).size() + standby_count(config);
    std::vector<Diagnostics> out;
    if (workers < measures.copies)
        out.push_back(
            {.message = fmt::format(
                 "level {} asks {} workers for each idempotent request, and there {} {} in all: {}",
                 name_of(measures.level), measures.copies, workers == 1 ? "is" : "are", workers,
                 workers == 1 ? "its answers are believed, as there is nothing to compare them with"
                              : "where their answers differ nobody can know which is right, and "
                                "the request completes with answers_disagree"),
             .remedy = fmt::format("configure {} workers in all, best of several engines "
                                   "(ResourcePoolConfig::browsers, standby_count), or choose a "
                                   "level that does not vote",
                                   measures.copies)});
    if (workers == 1 && measures.standbys != 0)
        out.push_back(
            {.message = fmt::format("level {} keeps a standby that is ready when a worker "
                                    "is lost, and there is a single worker: until that "
                                    "has been recovered nothing is answered",
                                    name_of(measures.level)),
             .remedy = "leave ResourcePoolConfig::standby_count to the level, or "
                       "configure another worker (ResourcePoolConfig::browsers)"});
    return out;
}

} // namespace everpool::facade
