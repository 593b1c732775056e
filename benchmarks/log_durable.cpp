// Records that are durable before their commit returns.
// SPDX-License-Identifier: BSL-1.0
#include "log_cases.hpp"
#include "log_paths.hpp"
#include "log_store.hpp"
#include "log_writers.hpp"

#include <chrono>
#include <vector>

namespace bench {
namespace {

void report(benchmark::State& state, Watched watched) {
    state.SetIterationTime(watched.seconds);
    state.SetItemsProcessed(static_cast<std::int64_t>(watched.count));
    if (watched.count != 0)
        state.counters["cpu_us"] =
            watched.processor_seconds * 1e6 / static_cast<double>(watched.count);
    count_quantiles(state, watched.latencies_us);
}

void durable(benchmark::State& state, StoreMaker make, std::size_t writer_count, double seconds) {
    for (auto _ : state) {
        const BenchDirectory directory;
        const StorePtr store = make(directory.path, Level::durable);
        Writers writers(*store, writer_count);
        report(state, writers.watch(std::chrono::duration<double>(seconds)));
    }
}

/// One thread, which has so many records at once: what the disk does, and nothing of what it costs
/// to let threads know.
void batch(benchmark::State& state, std::size_t record_count, double seconds) {
    for (auto _ : state) {
        const BenchDirectory directory;
        const StorePtr store = make_each_floor(directory.path, Level::durable);
        std::vector<std::byte> records;
        for (std::size_t i = 0; i < record_count; ++i) {
            const Record record = make_record(i);
            records.insert(records.end(), record.begin(), record.end());
        }
        Watched watched;
        const double processor_before = processor_seconds();
        const auto begin = Clock::now();
        const auto end = begin + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(seconds));
        auto now = begin;
        for (std::uint64_t number = 0; now < end; ++number) {
            store->commit(number, records);
            const auto then = std::exchange(now, Clock::now());
            watched.latencies_us.push_back(static_cast<float>(microseconds(now - then)));
            watched.count += record_count;
        }
        watched.seconds = std::chrono::duration<double>(now - begin).count();
        watched.processor_seconds = processor_seconds() - processor_before;
        report(state, std::move(watched));
    }
}

template <class Function>
void add_watched(const std::string& name, std::size_t count, Function function) {
    add_case(name + "/" + std::to_string(count), std::move(function))
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
}

void add_store(const LogCases& cases, const std::string& name, StoreMaker make) {
    for (const std::size_t writers : {1, 8, 64})
        add_watched(name, writers, [=, seconds = cases.watched_seconds](benchmark::State& state) {
            durable(state, make, writers, seconds);
        });
}

} // namespace

void register_durable(const LogCases& cases) {
    add_store(cases, "everpool/log/durable", make_everpool_store);
    add_store(cases, "floor/fdatasync", make_group_floor);
    add_store(cases, "floor/fdatasync_each", make_each_floor);
    for (const std::size_t count : {1, 8, 64})
        add_watched("floor/fdatasync_batch", count,
                    [=, seconds = cases.watched_seconds](benchmark::State& state) {
                        batch(state, count, seconds);
                    });
#ifdef EVERPOOL_BENCH_ROCKSDB
    add_store(cases, "peer/rocksdb/durable", make_rocksdb_store);
#endif
#ifdef EVERPOOL_BENCH_LEVELDB
    add_store(cases, "peer/leveldb/durable", make_leveldb_store);
#endif
#ifdef EVERPOOL_BENCH_SQLITE
    add_store(cases, "peer/sqlite/durable", make_sqlite_store);
#endif
}

} // namespace bench
