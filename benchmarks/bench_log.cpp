// What it costs to keep records and a state on disk, and to read them again, beside bare floors and
// beside databases that do the same.
// SPDX-License-Identifier: BSL-1.0
//
//     bench_log [--benchmark_filter=REGEX] [--benchmark_min_time=SECONDS] [--benchmark_format=json]
//               [--benchmark_repetitions=N --benchmark_enable_random_interleaving=true]
//
//     EVERPOOL_BENCH_DIRECTORY=DIR   where to write; a disk, not a tmpfs. Default: here
//     EVERPOOL_BENCH_LONG=1          recovers logs of 1 GiB instead of 16 MiB: 3 GiB of room
//
// Interleaved repetitions spread a disk's moods over all. --benchmark_list_tests prints the names:
//
//     everpool/log/durable/<n>       n threads (1, 8, 64) commit records of 256 B, each durable
//                                    before its commit returns; watched for the time asked for (2 s
//                                    by default). cpu_us: of the processor, for each record
//     floor/fdatasync/<n>            the floor of it: bare group commit. The same threads; one of
//                                    them writes what has gathered, and syncs it for all
//     floor/fdatasync_batch/<n>      one thread that has n records at once: the disk alone, nobody
//                                    has to be told
//     floor/fdatasync_each/<n>       each thread writes and syncs for itself
//     peer/<who>/durable/<n>         rocksdb, leveldb, sqlite: if their packages are there
//
//     everpool/log/os                with the operating system when the commit returns; one thread.
//                                    Every 16 MiB a segment is made on the way: the time has that
//                                    in it, p50_us has not
//     everpool/log/group             nobody waits; durable in the background
//     floor/os/pwrite                the floor of `os`: a pwrite of the same bytes, over and over
//     floor/os/segments              the same into segments, each made, filled and synced
//     floor/os/memcpy                into memory
//     peer/<who>/os                  without sync: a write() into their log
//     everpool/state/<none|os|group> a transaction through BrowserStateManager: checked, applied,
//                                    encoded and kept; 256 B on average
//
//     everpool/log/replay            64 MiB of records of 256 B, found, checked, given to a visitor
//     floor/replay/<memcpy|crc32c|read>   as many bytes copied; checksummed; read from the cache
//     everpool/log/recover/<size>    the same for 16MiB or 1024MiB
//     everpool/log/recover_uncached/<size>     and the system's cache has none of it
//     everpool/state/recover/<size>  a BrowserStateManager's start: decoded and applied as well
//
//     everpool/checkpoint/<full|delta>   of 10,000 operations, of which 1,000 are new: from the
//                                    demand until it counts, while nobody commits
//     floor/checkpoint               as many bytes and a manifest put into force, and no more
//     everpool/stall/<full|delta>/<group|os|sync>   the longest that a commit takes during a
//                                    checkpoint; without_us: in as much time without one
#include "exact_names.hpp"
#include "log_cases.hpp"
#include "log_paths.hpp"

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace bench {
namespace {

/// --benchmark_min_time=0.5, or with an s behind it.
double watched_seconds(int argc, char** argv) {
    constexpr std::string_view name = "--benchmark_min_time=";
    double seconds = 2;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument.starts_with(name))
            std::from_chars(argument.data() + name.size(), argument.data() + argument.size(),
                            seconds);
    }
    return seconds;
}

bool is_set(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

} // namespace
} // namespace bench

int main(int argc, char** argv) {
    const double seconds = bench::watched_seconds(argc, argv);
    const bench::LogCases cases{.watched_seconds = seconds,
                                .is_short = seconds < 0.1,
                                .is_long = bench::is_set("EVERPOOL_BENCH_LONG")};
    if (bench::is_in_memory(bench::bench_place()))
        std::cerr << "bench_log: " << bench::bench_place().string()
                  << " is in memory, where a sync costs nothing: set EVERPOOL_BENCH_DIRECTORY\n";
    bench::register_durable(cases);
    bench::register_os(cases);
    bench::register_state(cases);
    bench::register_replay(cases);
    bench::register_checkpoints(cases);
    return bench::run_with_exact_names(argc, argv);
}
