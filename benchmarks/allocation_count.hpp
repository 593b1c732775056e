// Counts the allocations of a benchmark program, by replacing the global operator new.
// SPDX-License-Identifier: BSL-1.0
//
// To be included by one file of a program: it defines functions that exist once. What allocates
// without operator new (malloc, a memory resource of its own) is not counted.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace bench {

inline std::atomic<std::uint64_t> allocation_count{0};

inline void* allocate(std::size_t bytes, std::size_t alignment) {
    allocation_count.fetch_add(1, std::memory_order_relaxed);
    // aligned_alloc wants a multiple of the alignment; nobody may get no byte at all.
    const std::size_t size = (bytes == 0 ? 1 : bytes) + alignment - 1;
    void* memory = alignment <= alignof(std::max_align_t)
                       ? std::malloc(size)
                       : std::aligned_alloc(alignment, size / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

/// Measures the loop and nothing else, after `warm_up_count` turns of it. The counter `allocs` is
/// allocations per turn; with several threads there is none, as their starts would be counted.
template <class Step>
void measure(benchmark::State& state, Step step, std::uint64_t warm_up_count = 0) {
    for (std::uint64_t i = 0; i < warm_up_count; ++i) step();
    const std::uint64_t before = allocation_count.load(std::memory_order_relaxed);
    for (auto _ : state) step();
    const std::uint64_t after = allocation_count.load(std::memory_order_relaxed);
    if (state.threads() > 1) return;
    state.counters["allocs"] =
        static_cast<double>(after - before) / static_cast<double>(state.iterations());
}

} // namespace bench

// The other forms of new and delete call these. Never inlined: g++ would see one half of a pair,
// and warn of free() on what came from new.
[[gnu::noinline]] void* operator new(std::size_t bytes) { return bench::allocate(bytes, 1); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return bench::allocate(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
