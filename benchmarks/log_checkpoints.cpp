// What a checkpoint of a state of 10,000 operations takes, and what it costs those who commit
// meanwhile.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/checkpoint_file.hpp"
#include "log_cases.hpp"
#include "log_everpool.hpp"
#include "log_latencies.hpp"
#include "log_paths.hpp"
#include "log_states.hpp"
#include "log_writers.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

namespace bench {
namespace {

using everpool::CheckpointDemand;
using everpool::Durability;

constexpr int operation_count = 10'000;
/// Of these change before a delta is written.
constexpr int changed_count = 1'000;

/// A manager that has 10,000 operations, all finished but the newest.
class FullState {
public:
    FullState() : manager(state_config(directory_.path)) {
        commit(manager, lives.browser(), Durability::none);
        change(operation_count);
        check(!manager.checkpoint(CheckpointDemand::full), "checkpoint");
    }

    void change(int operations) {
        for (int i = 0; i < 3 * operations; ++i) commit(manager, lives.next(), Durability::none);
        check(!manager.flush(), "flush");
    }

    /// The newest checkpoint's size, which is that of its file.
    [[nodiscard]] std::uint64_t checkpoint_bytes() const {
        std::uint64_t newest = 0, bytes = 0;
        for (const auto& entry : std::filesystem::directory_iterator(directory_.path)) {
            const auto name =
                everpool::log::parse_checkpoint_name(entry.path().filename().string());
            if (!name || name->lsn.value < newest) continue;
            newest = name->lsn.value;
            bytes = entry.file_size();
        }
        return bytes;
    }

private:
    BenchDirectory directory_;

public:
    everpool::BrowserStateManager manager;
    OperationLives lives;
};

/// From the demand until it counts. Everything that was committed before is durable already, so all
/// of it is off the path of those who commit.
void checkpoint(benchmark::State& state, CheckpointDemand demand) {
    FullState full;
    std::vector<float> latencies;
    double processor = 0;
    for (auto _ : state) {
        state.PauseTiming();
        full.change(changed_count);
        const double processor_before = processor_seconds();
        const auto begin = Clock::now();
        state.ResumeTiming();
        check(!full.manager.checkpoint(demand), "checkpoint");
        latencies.push_back(static_cast<float>(microseconds(Clock::now() - begin)));
        processor += processor_seconds() - processor_before;
    }
    count_quantiles(state, latencies);
    state.counters["cpu_ms"] = processor * 1e3 / static_cast<double>(state.iterations());
    state.counters["file_KiB"] = static_cast<double>(full.checkpoint_bytes()) / 1024;
}

/// The least that puts so many bytes into force: two files, each of which is written, synced, named
/// and has its name synced.
void floor_checkpoint(benchmark::State& state) {
    std::vector<std::byte> bytes;
    {
        const FullState full;
        bytes.resize(full.checkpoint_bytes());
    }
    const BenchDirectory bench;
    everpool::Diagnostics why;
    std::unique_ptr<everpool::io::FileDirectory> directory;
    check(!everpool::io::FileDirectory::open(bench.path, directory, why), why.text());
    const auto put = [&](const char* name, std::span<const std::byte> contents) {
        const bool is_right =
            !everpool::log::detail::write_file(*directory, "draft", contents, {}) &&
            !directory->rename("draft", name) && !directory->sync();
        check(is_right, "cannot write");
    };
    for (auto _ : state) {
        put("checkpoint", bytes);
        put("manifest", std::span(bytes).first(256));
    }
}

// --- who commits meanwhile -----------------------------------------------------------------------

/// Commits again and again, with a pause of 50 us between, and notes how long each took.
class PacedWriter {
public:
    PacedWriter(FullState& full, Durability durability)
        : thread_([this, &full, durability] { run(full, durability); }) {}
    PacedWriter(const PacedWriter&) = delete;
    PacedWriter& operator=(const PacedWriter&) = delete;
    ~PacedWriter() { join(); }

    /// The longest that any commit took that ended since the last call; microseconds.
    float take_longest() { return longest_.exchange(0); }

    /// Throws what ended it before.
    void stop() {
        join();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    void join() {
        is_stopped_ = true;
        if (thread_.joinable()) thread_.join();
    }

    void run(FullState& full, Durability durability) {
        try {
            while (!is_stopped_) {
                everpool::Transaction next = full.lives.next();
                const auto begin = Clock::now();
                commit(full.manager, std::move(next), durability);
                const auto took = static_cast<float>(microseconds(Clock::now() - begin));
                float longest = longest_;
                while (took > longest && !longest_.compare_exchange_weak(longest, took)) {}
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
    }

    std::atomic<float> longest_{0};
    std::atomic<bool> is_stopped_{false};
    std::exception_ptr failure_;
    std::thread thread_;
};

/// Rounds of a checkpoint, and of the same time without one. The time is the longest stall in a
/// round with one (the median over the rounds); without_us is that of the rounds without.
void stall(benchmark::State& state, CheckpointDemand demand, Durability durability, int rounds) {
    for (auto _ : state) {
        FullState full;
        std::vector<float> with, without;
        PacedWriter writer(full, durability);
        for (int round = 0; round < rounds; ++round) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20)); // let some changes gather
            (void)writer.take_longest();
            const auto begin = Clock::now();
            check(!full.manager.checkpoint(demand), "checkpoint");
            const auto took = Clock::now() - begin;
            with.push_back(writer.take_longest());
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            (void)writer.take_longest();
            std::this_thread::sleep_for(took);
            without.push_back(writer.take_longest());
        }
        writer.stop();
        state.SetIterationTime(quantile(with, 0.5) / 1e6);
        state.counters["p95_us"] = quantile(with, 0.95);
        state.counters["without_us"] = quantile(without, 0.5);
        state.counters["without_p95_us"] = quantile(without, 0.95);
    }
}

} // namespace

void register_checkpoints(const LogCases& cases) {
    const auto add = [](const std::string& name, auto function) {
        add_case(name, std::move(function))->UseRealTime()->Unit(benchmark::kMillisecond);
    };
    add("everpool/checkpoint/full", [](auto& state) { checkpoint(state, CheckpointDemand::full); });
    add("everpool/checkpoint/delta", [](auto& state) { checkpoint(state, CheckpointDemand::any); });
    add("floor/checkpoint", floor_checkpoint);
    const int rounds = cases.is_short ? 2 : 40;
    const auto add_stall = [&](const std::string& name, Durability durability) {
        for (const auto demand : {CheckpointDemand::full, CheckpointDemand::any})
            add_case("everpool/stall/" +
                         std::string(demand == CheckpointDemand::full ? "full/" : "delta/") + name,
                     [=](benchmark::State& state) { stall(state, demand, durability, rounds); })
                ->Iterations(1)
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond);
    };
    add_stall("group", Durability::group);
    add_stall("os", Durability::os);
    add_stall("sync", Durability::sync);
}

} // namespace bench
