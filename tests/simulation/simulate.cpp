// Simulator: the program.
// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using namespace everpool;
using namespace everpool::simulation;

constexpr const char* help =
    R"(simulate: runs the decision core against fake workers, chance and time.

  --seed N        first seed (default 1)
  --seeds COUNT   how many, one after the other (default 1)
  --hours H       simulated time with faults on, per seed (default 0.02); recovery comes on top
  --trace         print every event and action
  --canary[=BUG]  plant a bug: fencing (default), twice, repeat or forget. Must be found.
  --help          this

Every seed is run twice, and the two traces are compared. Exit status 0: nothing was found; 1: a
violation, with the command line that repeats it; 2: wrong arguments.
)";

struct Arguments {
    RunOptions run;
    std::uint64_t seed_count{1};
    double hours{0.02};
    std::string_view bug{"none"};
};

[[noreturn]] void refuse(const std::string& what) {
    std::fprintf(stderr, "simulate: %s; --help says more\n", what.c_str());
    std::exit(2);
}

double number_of(const char* flag, const char* text) {
    char* end = nullptr;
    const double value = text == nullptr ? 0 : std::strtod(text, &end);
    if (text == nullptr || end == text || *end != '\0' || !(value >= 0) || value > 1e15)
        refuse(std::string(flag) + " needs a number");
    return value;
}

Arguments parse(int count, char** values) {
    Arguments out;
    for (int i = 1; i < count; ++i) {
        const std::string_view flag = values[i];
        const auto number = [&] {
            const char* name = values[i];
            ++i;
            return number_of(name, i < count ? values[i] : nullptr);
        };
        if (flag == "--seed") {
            out.run.seed = static_cast<std::uint64_t>(number());
        } else if (flag == "--seeds") {
            out.seed_count = static_cast<std::uint64_t>(number());
        } else if (flag == "--hours") {
            out.hours = number();
        } else if (flag == "--trace") {
            out.run.is_traced = true;
        } else if (flag == "--canary") {
            out.bug = "fencing";
        } else if (flag.substr(0, 9) == "--canary=") {
            out.bug = flag.substr(9);
        } else if (flag == "--help") {
            std::fputs(help, stdout);
            std::exit(0);
        } else {
            refuse("unknown argument " + std::string(flag));
        }
    }
    const auto bug = planted_bug_from(out.bug);
    if (!bug) refuse("no planted bug is named " + std::string(out.bug));
    if (out.hours > 10'000) refuse("--hours must be at most 10000");
    out.run.bug = *bug;
    out.run.faults_for = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double, std::ratio<3600>>(out.hours));
    return out;
}

void print_failure(const char* program, const Arguments& arguments, std::uint64_t seed,
                   const std::string& what) {
    std::printf("seed %llu: %s\nrepeat with: %s --seed %llu --hours %g%s%.*s --trace\n",
                static_cast<unsigned long long>(seed), what.c_str(), program,
                static_cast<unsigned long long>(seed), arguments.hours,
                arguments.bug == "none" ? "" : " --canary=",
                arguments.bug == "none" ? 0 : static_cast<int>(arguments.bug.size()),
                arguments.bug.data());
}

struct Totals {
    double simulated_hours{0};
    std::uint64_t events{0}, requests{0}, lost{0}, redispatched{0}, ignored{0}, leases{0};
    std::map<Errc, std::uint64_t> outcomes;

    void add(const RunReport& report) {
        simulated_hours +=
            std::chrono::duration<double, std::ratio<3600>>(report.simulated).count();
        events += report.events;
        requests += report.requests;
        lost += report.stats.workers_lost;
        redispatched += report.stats.redispatched;
        ignored += report.stats.stale_ignored;
        leases += report.stats.leases_granted;
        for (const auto& [code, count] : report.outcomes) outcomes[code] += count;
    }
};

void print_totals(const Totals& totals, std::uint64_t seeds, double seconds) {
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("%llu seeds, each twice: %.1f simulated hours in %.1f s, %.2f hours/s\n",
                number(seeds), totals.simulated_hours, seconds, totals.simulated_hours / seconds);
    std::printf("%llu events, %llu requests, %llu leases granted, %llu workers lost, "
                "%llu re-dispatched, %llu events ignored\n",
                number(totals.events), number(totals.requests), number(totals.leases),
                number(totals.lost), number(totals.redispatched), number(totals.ignored));
    for (const auto& [code, count] : totals.outcomes)
        std::printf("  %-20s %llu\n", std::string(name_of(code)).c_str(), number(count));
}

} // namespace

int main(int count, char** values) {
    const Arguments arguments = parse(count, values);
    const auto begin = std::chrono::steady_clock::now();
    Totals totals;
    for (std::uint64_t i = 0; i < arguments.seed_count; ++i) {
        RunOptions options = arguments.run;
        options.seed += i;
        const RunReport first = Simulation(options).run();
        options.is_traced = false;
        const RunReport second = Simulation(options).run();
        if (!first.violation.empty()) {
            print_failure(values[0], arguments, options.seed, first.violation);
            return 1;
        }
        if (first.trace_hash != second.trace_hash) {
            print_failure(values[0], arguments, options.seed, "two runs of the seed differ");
            return 1;
        }
        totals.add(first);
        totals.add(second);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    print_totals(totals, arguments.seed_count, elapsed.count());
    return 0;
}
