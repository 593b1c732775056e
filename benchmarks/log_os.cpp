// Records that the operating system has before their commit returns, and those that nobody waits
// for: what the caller pays.
// SPDX-License-Identifier: BSL-1.0
#include "log_cases.hpp"
#include "log_everpool.hpp"
#include "log_paths.hpp"
#include "log_writers.hpp"

#include <cstring>
#include <vector>

namespace bench {
namespace {

void store_os(benchmark::State& state, StoreMaker make) {
    const BenchDirectory directory;
    const StorePtr store = make(directory.path, Level::os);
    const Record record = make_record(1);
    std::uint64_t number = 0;
    measure(state, [&] { store->commit(++number, record); });
}

/// Into memory, which is what a shared mapping of the file would cost at the very least.
void floor_memcpy(benchmark::State& state) {
    std::vector<std::byte> file(std::size_t{16} << 20);
    const Record record = make_record(1);
    std::size_t at = 0;
    measure(state, [&] {
        std::memcpy(file.data() + at, record.data(), record.size());
        benchmark::ClobberMemory();
        at = (at + record.size()) % file.size();
    });
}

/// Nobody waits: durable in the background, 5 ms later at most. The writer pauses after every 4,096
/// (without being timed), since no disk bears a million of them a second for long.
void everpool_group(benchmark::State& state) {
    const BenchDirectory directory;
    CountingVisitor nothing;
    EverpoolLog log(directory.path, nothing);
    const Record record = make_record(1);
    everpool::log::Lsn lsn;
    for (auto _ : state) {
        if (lsn.value % 4096 == 0) {
            state.PauseTiming();
            check(!log.committer().wait_durable(lsn), "sync");
            state.ResumeTiming();
        }
        check(!log.committer().append(record, lsn), "append");
        log.committer().when_durable(lsn, {});
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

} // namespace

void register_os(const LogCases&) {
    const auto add = [](const char* name, auto function) {
        add_case(name, std::move(function))->UseRealTime();
    };
    const auto add_store = [&](const char* name, StoreMaker make) {
        add(name, [make](benchmark::State& state) { store_os(state, make); });
    };
    add_store("everpool/log/os", make_everpool_store);
    add("everpool/log/group", everpool_group);
    add("floor/os/memcpy", floor_memcpy);
    add_store("floor/os/pwrite", make_each_floor);
    add_store("floor/os/segments", make_segment_floor);
#ifdef EVERPOOL_BENCH_ROCKSDB
    add_store("peer/rocksdb/os", make_rocksdb_store);
#endif
#ifdef EVERPOOL_BENCH_LEVELDB
    add_store("peer/leveldb/os", make_leveldb_store);
#endif
#ifdef EVERPOOL_BENCH_SQLITE
    add_store("peer/sqlite/os", make_sqlite_store);
#endif
}

} // namespace bench
