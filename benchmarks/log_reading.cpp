// How fast a log is read again, and a state recovered.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_codec.hpp"
#include "everpool/log/crc32c.hpp"
#include "log_cases.hpp"
#include "log_everpool.hpp"
#include "log_paths.hpp"
#include "log_states.hpp"
#include "log_writers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <vector>

namespace bench {
namespace {

namespace log = everpool::log;

// --- what is read --------------------------------------------------------------------------------

/// A log of records of 256 B, for each size made once, and removed when the program ends.
class RecordedLog {
public:
    explicit RecordedLog(std::uint64_t bytes) {
        CountingVisitor nothing;
        EverpoolLog log(directory_.path, nothing);
        log::Lsn lsn;
        for (std::uint64_t done = 0; done < bytes; done += record_bytes) {
            check(!log.committer().append(make_record(done), lsn), "append");
            if (lsn.value % 4096 == 0) check(!log.committer().write_out(lsn), "write");
        }
        check(!log.committer().stop(), "stop");
        count = lsn.value;
    }

    static const RecordedLog& of(std::uint64_t bytes) {
        static std::map<std::uint64_t, RecordedLog> logs;
        return logs.try_emplace(bytes, bytes).first->second;
    }

    [[nodiscard]] const std::filesystem::path& path() const { return directory_.path; }
    std::uint64_t count{0};

private:
    BenchDirectory directory_;
};

/// A state's log of so many bytes, without a checkpoint: transactions in the life of operations.
class RecordedState {
public:
    explicit RecordedState(std::uint64_t bytes) {
        everpool::BrowserStateManager state(state_config(directory_.path));
        OperationLives lives;
        commit(state, lives.browser(), everpool::Durability::group);
        std::vector<std::byte> record;
        for (std::uint64_t done = 0; done < bytes; done += record.size()) {
            everpool::Transaction step = lives.next();
            record.clear();
            everpool::core::encode_transaction(step, record);
            commit(state, std::move(step), everpool::Durability::group);
            if (++count % 65536 == 0) check(!state.flush(), "flush");
        }
        count = state.health().committed;
    }

    static const RecordedState& of(std::uint64_t bytes) {
        static std::map<std::uint64_t, RecordedState> states;
        return states.try_emplace(bytes, bytes).first->second;
    }

    [[nodiscard]] const std::filesystem::path& path() const { return directory_.path; }
    std::uint64_t count{0};

private:
    BenchDirectory directory_;
};

void forget_cached(const std::filesystem::path& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        check(file >= 0, "cannot open " + entry.path().string());
        const bool is_done =
            ::fdatasync(file) == 0 && ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0;
        ::close(file);
        check(is_done, "cannot forget " + entry.path().string());
    }
}

// --- reading it ----------------------------------------------------------------------------------

/// Every record is found, checked and handed to the visitor. Bytes are those of the records,
/// without their frames.
void replay(benchmark::State& state, std::uint64_t bytes, bool is_cached) {
    const RecordedLog& recorded = RecordedLog::of(bytes);
    CountingVisitor visitor;
    for (auto _ : state) {
        visitor.on_reset();
        if (!is_cached) {
            state.PauseTiming();
            forget_cached(recorded.path());
            state.ResumeTiming();
        }
        everpool::Diagnostics why;
        std::unique_ptr<everpool::io::FileDirectory> directory;
        check(!everpool::io::FileDirectory::open(recorded.path(), directory, why), why.text());
        everpool::io::ZstdCompressor zstd;
        everpool::RecoveryReport report;
        std::optional<log::Ledger> ledger;
        check(
            !log::Ledger::open(*directory, {.compressor = &zstd}, {}, visitor, report, why, ledger),
            why.text());
    }
    check(visitor.count == recorded.count, "records are missing");
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(visitor.bytes));
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(visitor.count));
}

/// A host's start: every transaction is also decoded and applied. It settles nothing, as nothing is
/// left unfinished but the last operations.
void recover_state(benchmark::State& state, std::uint64_t bytes) {
    const RecordedState& recorded = RecordedState::of(bytes);
    std::uint64_t bytes_read = 0, records = 0;
    for (auto _ : state) {
        auto manager =
            std::make_unique<everpool::BrowserStateManager>(state_config(recorded.path()));
        bytes_read += manager->recovery().bytes_read;
        records += manager->recovery().records_read;
        check(manager->recovery().records_read >= recorded.count, "transactions are missing");
        state.PauseTiming();
        manager.reset();
        state.ResumeTiming();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes_read));
    state.SetItemsProcessed(static_cast<std::int64_t>(records));
}

// --- floors --------------------------------------------------------------------------------------

std::vector<std::byte> replayed_bytes(std::uint64_t bytes) {
    std::vector<std::byte> out;
    out.reserve(bytes);
    for (std::uint64_t done = 0; done < bytes; done += record_bytes) {
        const Record record = make_record(done);
        out.insert(out.end(), record.begin(), record.end());
    }
    return out;
}

void floor_memcpy(benchmark::State& state, std::uint64_t bytes) {
    const auto from = replayed_bytes(bytes);
    std::vector<std::byte> to(from.size());
    for (auto _ : state) {
        std::memcpy(to.data(), from.data(), from.size());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(from.size()));
}

/// A record at a time, as a log that is to find a damaged one has to.
void floor_crc32c(benchmark::State& state, std::uint64_t bytes) {
    const auto from = replayed_bytes(bytes);
    for (auto _ : state) {
        std::uint32_t sum = 0;
        for (std::size_t at = 0; at < from.size(); at += record_bytes)
            sum ^= log::crc32c(std::span(from).subspan(at, record_bytes));
        benchmark::DoNotOptimize(sum);
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(from.size()));
}

/// The same files, from the system's cache into memory, and nothing done with them.
void floor_read(benchmark::State& state, std::uint64_t bytes) {
    const RecordedLog& recorded = RecordedLog::of(bytes);
    std::vector<std::byte> memory(std::size_t{16} << 20);
    for (auto _ : state)
        for (const auto& entry : std::filesystem::directory_iterator(recorded.path())) {
            const everpool::io::Descriptor file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
            while (::read(file.get(), memory.data(), memory.size()) > 0) benchmark::ClobberMemory();
        }
    state.SetBytesProcessed(state.iterations() *
                            static_cast<std::int64_t>(recorded.count * record_bytes));
}

} // namespace

void register_replay(const LogCases& cases) {
    const std::uint64_t bytes = (cases.is_short ? 1ULL : 64ULL) << 20;
    const auto add = [](const std::string& name, auto function) {
        add_case(name, std::move(function))->UseRealTime()->Unit(benchmark::kMillisecond);
    };
    add("everpool/log/replay", [=](auto& state) { replay(state, bytes, true); });
    add("floor/replay/memcpy", [=](auto& state) { floor_memcpy(state, bytes); });
    add("floor/replay/crc32c", [=](auto& state) { floor_crc32c(state, bytes); });
    add("floor/replay/read", [=](auto& state) { floor_read(state, bytes); });

    const std::uint64_t mebibytes = cases.is_long ? 1024 : 16;
    const std::string size = "/" + std::to_string(mebibytes) + "MiB";
    add("everpool/log/recover" + size, [=](auto& state) { replay(state, mebibytes << 20, true); });
    add("everpool/log/recover_uncached" + size,
        [=](auto& state) { replay(state, mebibytes << 20, false); });
    add("everpool/state/recover" + size,
        [=](auto& state) { recover_state(state, mebibytes << 20); });
}

} // namespace bench
