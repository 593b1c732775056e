// Threads that commit records to a store as fast as it takes them, watched for a while.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "log_latencies.hpp"
#include "log_store.hpp"

#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

inline constexpr std::size_t record_bytes = 256;
using Record = std::array<std::byte, record_bytes>;

/// Bytes that no compressor makes smaller, different for each number.
inline Record make_record(std::uint64_t number) {
    Record record;
    std::uint64_t state = number;
    for (std::byte& byte : record) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<std::byte>(state >> 56);
    }
    return record;
}

/// Of this process, in user mode and in the kernel.
inline double processor_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// What was seen while it was watched.
struct Watched {
    std::uint64_t count{0};
    double seconds{0}, processor_seconds{0};
    std::vector<float> latencies_us; ///< of all writers
};

class Writers {
public:
    Writers(RecordStore& store, std::size_t count) : store_(store), writers_(count) {
        for (Writer& writer : writers_) threads_.emplace_back([this, &writer] { run(writer); });
    }
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;
    ~Writers() { stop(); }

    /// Lets them run into their stride, then watches. Throws what a writer threw.
    Watched watch(std::chrono::duration<double> duration) {
        std::this_thread::sleep_for(duration / 4);
        Watched result;
        const std::uint64_t before = total();
        const double processor_before = processor_seconds();
        const auto begin = Clock::now();
        is_measuring_ = true;
        std::this_thread::sleep_for(duration);
        is_measuring_ = false;
        result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        result.count = total() - before;
        result.processor_seconds = processor_seconds() - processor_before;
        stop();
        if (failure_) std::rethrow_exception(failure_);
        for (const Writer& writer : writers_)
            result.latencies_us.insert(result.latencies_us.end(), writer.latencies_us.begin(),
                                       writer.latencies_us.end());
        return result;
    }

private:
    struct alignas(64) Writer {
        std::atomic<std::uint64_t> count{0};
        std::vector<float> latencies_us;
    };

    void run(Writer& writer) {
        try {
            Record record = make_record(static_cast<std::uint64_t>(&writer - writers_.data()));
            auto begin = Clock::now();
            while (!is_stopped_.load(std::memory_order_relaxed)) {
                const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
                std::memcpy(record.data(), &number, sizeof number);
                store_.commit(number, record);
                const auto end = Clock::now();
                if (is_measuring_.load(std::memory_order_relaxed))
                    writer.latencies_us.push_back(static_cast<float>(microseconds(end - begin)));
                begin = end;
                writer.count.fetch_add(1, std::memory_order_relaxed);
            }
        } catch (...) {
            const std::lock_guard lock(failure_mutex_);
            failure_ = std::current_exception();
        }
    }

    void stop() {
        is_stopped_ = true;
        for (std::thread& thread : threads_)
            if (thread.joinable()) thread.join();
    }

    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const Writer& writer : writers_) sum += writer.count.load(std::memory_order_relaxed);
        return sum;
    }

    RecordStore& store_;
    std::vector<Writer> writers_;
    std::atomic<std::uint64_t> next_{1};
    std::atomic<bool> is_stopped_{false}, is_measuring_{false};
    std::mutex failure_mutex_;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_; // last: they use the rest
};

} // namespace bench
