// Simulator: the program.
// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <ratio>
#include <string>
#include <string_view>

namespace {

using namespace everpool;
using namespace everpool::simulation;

using Hours = std::chrono::duration<double, std::ratio<3600>>;

constexpr const char* help =
    R"(simulate: runs the decision core against fake browsers, chance and time.

  --seed N        the first seed: 0 to 2^64 - 1 (default 1)
  --seeds COUNT   how many, one after the other: 1 or more (default 1)
  --hours H       simulated time with faults on, per seed: 0 to 10000 (default 0.02);
                  recovery, drain and stop come on top
  --canary[=BUG]  plant a bug, which must be found: fencing (default), ghosts, twice, forget,
                  repeat, lend, deaf, believe, churn, eager, memory, blind, hasty, herd,
                  endless, trust, ladder, advice, clock or awake
  --trace         print every event and action, with its time
  --help          print this

Each seed is run twice and the two traces are compared. Exit status 0: nothing was found; 1: a
violation, with the command line that repeats it; 2: wrong arguments.
)";

struct Arguments {
    RunOptions run;
    std::uint64_t seed_count{1};
    std::string hours{"0.02"}; ///< as given, so that it can be repeated
    std::string_view bug{"none"};
};

[[noreturn]] void refuse(const std::string& what) {
    std::fprintf(stderr, "simulate: %s (--help lists what there is)\n", what.c_str());
    std::exit(2);
}

/// The whole of `text`, or a complaint that says what is wanted.
template <class Number>
Number number_of(std::string_view flag, std::string_view text, Number low, Number high,
                 const char* wanted) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Written so that a NaN is refused.
    if (error != std::errc{} || end != text.data() + text.size() ||
        !(value >= low && value <= high))
        refuse(std::string(flag) + " must be " + wanted + ", not '" + std::string(text) + "'");
    return value;
}

Arguments parse(int count, char** values) {
    Arguments out;
    for (int i = 1; i < count; ++i) {
        const std::string_view flag = values[i];
        const auto value = [&]() -> std::string_view {
            if (i + 1 == count) refuse(std::string(flag) + " needs a value");
            return values[++i];
        };
        if (flag == "--seed") {
            out.run.seed = number_of<std::uint64_t>(flag, value(), 0, UINT64_MAX,
                                                    "an integer from 0 to 2^64 - 1");
        } else if (flag == "--seeds") {
            out.seed_count =
                number_of<std::uint64_t>(flag, value(), 1, UINT64_MAX, "an integer of at least 1");
        } else if (flag == "--hours") {
            out.hours = value();
            out.run.faults_for = std::chrono::duration_cast<Duration>(
                Hours(number_of<double>(flag, out.hours, 0, 10'000, "a number from 0 to 10000")));
        } else if (flag == "--canary" || flag.substr(0, 9) == "--canary=") {
            out.bug = flag == "--canary" ? "fencing" : flag.substr(9);
        } else if (flag == "--trace") {
            out.run.is_traced = true;
        } else if (flag == "--help") {
            std::fputs(help, stdout);
            std::exit(0);
        } else {
            refuse("there is no argument '" + std::string(flag) + "'");
        }
    }
    const auto bug = planted_bug_from(out.bug);
    if (!bug) refuse("--canary has no bug '" + std::string(out.bug) + "'");
    out.run.bug = *bug;
    return out;
}

void print_failure(const char* program, const Arguments& arguments, std::uint64_t seed,
                   const std::string& what) {
    const std::string canary =
        arguments.bug == "none" ? "" : " --canary=" + std::string(arguments.bug);
    std::printf("seed %llu: %s\nrepeat with: %s --seed %llu --hours %s%s --trace\n",
                static_cast<unsigned long long>(seed), what.c_str(), program,
                static_cast<unsigned long long>(seed), arguments.hours.c_str(), canary.c_str());
}

struct Totals {
    Hours simulated{};
    std::uint64_t events{0}, requests{0}, lost{0}, redispatched{0}, ignored{0}, leases{0};
    std::uint64_t dispatched{0}, given_up{0}, stalls{0};
    std::uint64_t hedged{0}, hedges_won{0}, votes{0}, dissents{0}, undecided{0}, quarantines{0};
    std::map<Errc, std::uint64_t> outcomes;
    Tally tally;
    RunReport slowest; ///< to recover, of what it was allowed

    void add(const RunReport& report) {
        simulated += report.simulated;
        events += report.events;
        requests += report.requests;
        lost += report.stats.workers_lost;
        redispatched += report.stats.redispatched;
        ignored += report.stats.stale_ignored;
        leases += report.stats.leases_granted;
        dispatched += report.count_of<core::Dispatch>();
        given_up += report.count_of<core::SendCancel>();
        stalls += report.stats.host_stalls;
        hedged += report.stats.hedged;
        hedges_won += report.stats.hedges_won;
        votes += report.stats.votes;
        dissents += report.stats.dissents;
        undecided += report.stats.undecided;
        quarantines += report.stats.quarantines;
        for (const auto& [code, number] : report.outcomes) outcomes[code] += number;
        if (slack_of(report) < slack_of(slowest)) slowest = report;
    }
    static Duration slack_of(const RunReport& report) {
        return report.recovery == Duration{} ? Duration::max()
                                             : report.recovery_max - report.recovery;
    }
};

void print_totals(const Totals& totals, std::uint64_t seeds, std::chrono::duration<double> took) {
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    const auto seconds = [](Duration time) { return std::chrono::duration<double>(time).count(); };
    std::printf("%llu events, %llu of them ignored; %llu workers lost, %llu host stalls\n",
                number(totals.events), number(totals.ignored), number(totals.lost),
                number(totals.stalls));
    std::printf("%llu requests; %llu dispatches, %llu of them again, %llu given up in flight; "
                "%llu leases granted\n",
                number(totals.requests), number(totals.dispatched), number(totals.redispatched),
                number(totals.given_up), number(totals.leases));
    std::printf("%llu hedges, %llu of them won; %llu votes with %llu dissents, %llu undecided; "
                "%llu quarantines\n",
                number(totals.hedged), number(totals.hedges_won), number(totals.votes),
                number(totals.dissents), number(totals.undecided), number(totals.quarantines));
    for (const auto& [code, amount] : totals.outcomes)
        std::printf("  %-20s %llu\n", std::string(name_of(code)).c_str(), number(amount));
    std::printf("%s\n", totals.tally.text().c_str());
    if (totals.slowest.recovery != Duration{})
        std::printf("closest to its bound: whole after %.1f s of %.1f s\n",
                    seconds(totals.slowest.recovery), seconds(totals.slowest.recovery_max));
    std::printf("%llu seeds, each twice: %.1f simulated hours in %.1f s, %.2f hours/s\n",
                number(seeds), totals.simulated.count(), took.count(),
                totals.simulated.count() / took.count());
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
        options.run = 2;
        options.is_traced = false;
        const RunReport second = Simulation(options).run();
        std::string what = first.violation;
        if (what.empty() && first.trace_hash != second.trace_hash)
            what = "two runs of the seed differ";
        if (!what.empty()) {
            print_failure(values[0], arguments, options.seed, what);
            return 1;
        }
        totals.add(first);
        totals.add(second);
        totals.tally.add(first.tally); // the other one drew the same
    }
    print_totals(totals, arguments.seed_count, std::chrono::steady_clock::now() - begin);
    return 0;
}
