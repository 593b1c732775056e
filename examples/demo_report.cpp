// SPDX-License-Identifier: BSL-1.0
#include "demo_report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace demo {

namespace {

double milliseconds(everpool::Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// Nearest-rank quantile of sorted values.
double quantile(const std::vector<double>& sorted, double q) {
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(sorted.size()));
    return sorted[std::min(rank, sorted.size() - 1)];
}

std::string since(const Fault& fault, const std::optional<everpool::TimePoint>& at) {
    if (!at) return "never";
    char text[32];
    std::snprintf(text, sizeof text, "+%.0f ms", milliseconds(*at - fault.at));
    return text;
}

} // namespace

Report::Report(std::size_t total) : total_(total), is_terminal_(isatty(STDOUT_FILENO) == 1) {}

void Report::count(const std::string& model, const everpool::Result& result, bool wrong) {
    Cell& cell = cells_[{std::string(name_of(result.browser)) + ' ' + result.browser_version,
                         result.worker.value, model}];
    cell.milliseconds.push_back(milliseconds(result.timing.total));
    std::string provider(result.provider ? name_of(*result.provider) : "none");
    if (result.is_fallback_adapter) provider += " (software)";
    ++cell.providers[provider];
    cell.attempts_max = std::max(cell.attempts_max, result.attempts);
    if (result.attempts > 1) ++cell.repeated;
    if (wrong) ++cell.wrong;
}

void Report::progress(std::size_t done, std::size_t ready_workers) {
    if (is_terminal_) {
        std::printf("\r%4zu of %zu answers, %zu workers ready ", done, total_, ready_workers);
        if (done == total_) std::printf("\n");
        std::fflush(stdout);
    } else if (done % 50 == 0 || done == total_) {
        std::printf("%zu of %zu answers, %zu workers ready\n", done, total_, ready_workers);
        std::fflush(stdout);
    }
}

void Report::print_table() const {
    std::printf("\n%-26s %-6s %-14s %6s %9s %9s  %-24s %s\n", "browser", "worker", "model", "count",
                "p50 ms", "p95 ms", "provider", "attempts");
    for (const auto& [key, cell] : cells_) {
        const auto& [browser, worker, model] = key;
        std::vector<double> sorted = cell.milliseconds;
        std::sort(sorted.begin(), sorted.end());
        std::string providers;
        for (const auto& [name, count] : cell.providers)
            providers += (providers.empty() ? "" : ", ") + name;
        std::printf("%-26s %-6u %-14s %6zu %9.2f %9.2f  %-24s ", browser.c_str(), worker,
                    model.c_str(), sorted.size(), quantile(sorted, 0.5), quantile(sorted, 0.95),
                    providers.c_str());
        if (cell.attempts_max <= 1) std::printf("1\n");
        else std::printf("up to %u (%zu repeated)\n", cell.attempts_max, cell.repeated);
    }
}

void Report::print_timeline(const std::vector<Fault>& faults) {
    for (const Fault& fault : faults) {
        std::printf("\n%s, worker %u (%s), %zu operations in flight\n", fault.what.c_str(),
                    fault.worker.value, std::string(name_of(fault.browser)).c_str(),
                    fault.in_flight);
        std::printf("  %-22s %s (%s)\n", "detected", since(fault, fault.detected).c_str(),
                    fault.seen_as.empty() ? "-" : fault.seen_as.c_str());
        std::printf("  %-22s %zu operations\n", "given to others", fault.redispatched);
        std::printf("  %-22s %s\n", "first answer after it",
                    since(fault, fault.first_answer).c_str());
        std::printf("  %-22s %s\n", "capacity restored", since(fault, fault.restored).c_str());
    }
}

} // namespace demo
