// What it costs to vote over three answers of 1 MiB.
// SPDX-License-Identifier: BSL-1.0
//
// Each answer is one float32 tensor of 262,144 elements. The floors touch the same memory with as
// little work as can be: copying the three arrays, and comparing one with each of the two others,
// element by element. Between votes nothing is done to evict the arrays from the caches; 3 MiB and
// their copies fit no first or second level.
//
// The counter `allocs` is allocations per vote.
#include "allocation_count.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/core/vote_count.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

namespace {

using namespace everpool;

constexpr std::size_t element_total = std::size_t{1} << 18;

/// Each differs from the first by `scatter`, relatively.
std::vector<std::vector<float>> make_arrays(std::size_t count, double scatter) {
    core::Prng prng(1);
    std::vector<std::vector<float>> arrays(count, std::vector<float>(element_total));
    for (float& value : arrays[0]) value = static_cast<float>(core::normal_variate(prng));
    for (std::size_t i = 1; i < count; ++i)
        for (std::size_t k = 0; k < element_total; ++k)
            arrays[i][k] = static_cast<float>(
                arrays[0][k] * (1 + scatter * (2 * core::uniform_variate(prng) - 1)));
    return arrays;
}

template <class Step>
void measure(benchmark::State& state, std::size_t array_count, Step step) {
    bench::measure(state, step);
    state.SetBytesProcessed(static_cast<std::int64_t>(static_cast<std::size_t>(state.iterations()) *
                                                      array_count * element_total * sizeof(float)));
}

// --- floors --------------------------------------------------------------------------------------

void floor_memcpy(benchmark::State& state) {
    const auto arrays = make_arrays(3, 1e-5);
    std::vector<float> copy(3 * element_total);
    measure(state, 3, [&] {
        for (std::size_t i = 0; i < 3; ++i)
            std::memcpy(copy.data() + i * element_total, arrays[i].data(),
                        element_total * sizeof(float));
        benchmark::DoNotOptimize(copy.data());
        benchmark::ClobberMemory();
    });
}

/// |a - b| <= limit for each element: what is written first when two arrays are to be compared.
void floor_compare(benchmark::State& state) {
    const auto arrays = make_arrays(3, 1e-5);
    measure(state, 3, [&] {
        std::size_t beyond = 0;
        for (std::size_t i = 1; i < 3; ++i)
            for (std::size_t k = 0; k < element_total; ++k)
                beyond += std::abs(arrays[i][k] - arrays[0][k]) > 1e-4F ? 1 : 0;
        benchmark::DoNotOptimize(beyond);
    });
}

// --- votes ---------------------------------------------------------------------------------------

void vote(benchmark::State& state, const std::vector<std::vector<float>>& arrays,
          const VoteOptions& options = {}) {
    std::vector<std::vector<Tensor>> answers;
    for (const std::vector<float>& array : arrays)
        answers.push_back(
            {Tensor::of<float>("y", {static_cast<std::int64_t>(array.size())}, array)});
    const std::vector<std::span<const Tensor>> spans(answers.begin(), answers.end());
    measure(state, arrays.size(),
            [&] { benchmark::DoNotOptimize(core::count_votes(spans, options)); });
}

void vote_near(benchmark::State& state) {
    vote(state, make_arrays(static_cast<std::size_t>(state.range(0)), 1e-5));
}
void vote_same(benchmark::State& state) { vote(state, make_arrays(3, 0)); }
void vote_one_wrong_element(benchmark::State& state) {
    auto arrays = make_arrays(3, 1e-5);
    arrays[2][element_total / 2] += 100;
    vote(state, arrays);
}
void vote_one_all_wrong(benchmark::State& state) {
    auto arrays = make_arrays(3, 1e-5);
    for (float& value : arrays[2]) value = 1 - value;
    vote(state, arrays);
}
/// The worst case: each block holds something that is no number.
void vote_masked(benchmark::State& state) {
    auto arrays = make_arrays(3, 1e-5);
    for (auto& array : arrays)
        for (std::size_t k = 0; k < element_total; k += 64)
            array[k] = -std::numeric_limits<float>::infinity();
    vote(state, arrays);
}
void vote_decision(benchmark::State& state) {
    vote(state, make_arrays(3, 1e-5), {.decisions = {"y"}});
}

} // namespace

BENCHMARK(floor_memcpy)->Name("floor/memcpy");
BENCHMARK(floor_compare)->Name("floor/compare");
BENCHMARK(vote_near)->Name("everpool/vote/answers")->Arg(2)->Arg(3)->Arg(5);
BENCHMARK(vote_same)->Name("everpool/vote/same_bits");
BENCHMARK(vote_one_wrong_element)->Name("everpool/vote/one_wrong_element");
BENCHMARK(vote_one_all_wrong)->Name("everpool/vote/one_all_wrong");
BENCHMARK(vote_masked)->Name("everpool/vote/infinities_everywhere");
BENCHMARK(vote_decision)->Name("everpool/vote/one_decision");
