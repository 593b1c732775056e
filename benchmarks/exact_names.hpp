// Reports benchmarks under the names that they were given: without "/iterations:1/manual_time" and
// the like, which the library appends.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <iostream>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// The name of that member has changed with version 1.8 of the library.
template <class Run>
bool has_failed(const Run& run) {
    if constexpr (requires { run.error_occurred; }) return run.error_occurred;
    else return static_cast<int>(run.skipped) != 0;
}

template <class Reporter>
class ExactNames final : public Reporter {
public:
    using Run = benchmark::BenchmarkReporter::Run;

    void ReportRuns(const std::vector<Run>& runs) override {
        std::vector<Run> renamed = runs;
        for (Run& run : renamed) {
            run.run_name.iterations.clear();
            run.run_name.time_type.clear();
            has_failures = has_failures || has_failed(run);
        }
        Reporter::ReportRuns(renamed);
    }

    bool has_failures{false};
};

/// --benchmark_filter is matched against the names with what the library appends: an end of the
/// line in it has to allow for that.
inline std::string translated(std::string argument) {
    if (!argument.starts_with("--benchmark_filter=")) return argument;
    constexpr std::string_view end = "(/iterations:1)?(/(manual|real)_time)?$";
    for (std::size_t at = 0; (at = argument.find('$', at)) != argument.npos; at += end.size())
        argument.replace(at, 1, end);
    return argument;
}

/// Runs them all: to the console, or as JSON if the arguments say --benchmark_format=json or
/// --benchmark_out=FILE. 1: one of them has failed. \pre benchmark::Initialize was not called yet
inline int run_with_exact_names(int argc, char** argv) {
    bool is_json = false, is_list = false, has_file = false;
    std::vector<std::string> arguments(argv, argv + argc);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
        is_json = is_json || argument == "--benchmark_format=json";
        is_list = is_list || argument == "--benchmark_list_tests" ||
                  argument == "--benchmark_list_tests=true";
        has_file = has_file || argument.starts_with("--benchmark_out=");
        argument = translated(std::move(argument));
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    benchmark::Initialize(&argc, pointers.data());
    if (benchmark::ReportUnrecognizedArguments(argc, pointers.data())) return 1;
    ExactNames<benchmark::ConsoleReporter> console;
    ExactNames<benchmark::JSONReporter> json, file;
    benchmark::BenchmarkReporter* display = &console;
    if (is_json) display = &json;
    std::ostringstream list;
    if (is_list) display->SetOutputStream(&list);
    benchmark::RunSpecifiedBenchmarks(display, has_file ? &file : nullptr);
    benchmark::Shutdown();
    std::cout << std::regex_replace(list.str(),
                                    std::regex("(/iterations:1)?(/(manual|real)_time)?\n"), "\n");
    return console.has_failures || json.has_failures ? 1 : 0;
}

} // namespace bench
