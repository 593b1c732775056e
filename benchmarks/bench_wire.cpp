// What it costs to encode and to decode one message of everpool.v1.
// SPDX-License-Identifier: BSL-1.0
//
// A run with parameters is encoded and a result with an info is decoded, as a host does it, with
// headers of some 1 KiB and with the shortest there are, and with tensors of 64 B and 1 MiB. The
// floor copies the bytes of the same frame. Tensors are not copied by either direction of the
// codec, so with 1 MiB it is faster than its floor. `peer/boost_json/parse` only parses the same
// header, into the same kind of memory.
//
// The counter `allocs` is allocations per message, after everything has been used once.
#include "allocation_count.hpp"
#include "everpool/wire/codec.hpp"

#include <benchmark/benchmark.h>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace everpool;

constexpr std::size_t usual_header_bytes = 1024;

/// Text, numbers, words and lists as they come in options; some 900 bytes.
std::string options_text() {
    std::string out =
        R"({"prompt":"Summarise the text in one paragraph, for a reader in a hurry.")";
    for (int i = 0; out.size() < usual_header_bytes - 240; ++i)
        out += ",\"option_" + std::to_string(i) +
               R"(":{"weight":0.125,"tokens":[101,2023,2003,102],)" +
               R"("is_used":true,"label":"gr\u00fc\u00df"})";
    return out + "}";
}

template <class M> // Run or RunResult
void add_tensor(M& message, std::size_t bytes) {
    std::vector<float> elements(bytes / sizeof(float), 0.5f);
    message.tensors = {Tensor::of<float>(
        "pixel_values", {1, 4, static_cast<std::int64_t>(bytes / 16)}, std::move(elements))};
}

wire::Message run(bool has_options, std::size_t tensor_bytes) {
    wire::Run message;
    message.id = 123456;
    message.attempt = 1;
    message.operation = "inference";
    message.model = "tiny_encoder";
    if (has_options) message.parameters = options_text();
    add_tensor(message, tensor_bytes);
    return message;
}

wire::Message result(bool has_info, std::size_t tensor_bytes) {
    wire::RunResult message;
    message.id = 123456;
    message.attempt = 1;
    message.provider = Provider::webgpu;
    message.queue_ms = 0.125;
    message.compute_ms = 12.75;
    if (has_info) message.info = options_text();
    add_tensor(message, tensor_bytes);
    return message;
}

std::vector<std::byte> frame_of(const wire::Message& message) {
    wire::EncodedFrame frame;
    if (wire::encode(message, wire::Limits{}, frame) != Errc::ok) std::abort();
    return frame.joined();
}

std::size_t header_bytes_of(const std::vector<std::byte>& frame) {
    return std::to_integer<std::size_t>(frame[8]) | std::to_integer<std::size_t>(frame[9]) << 8;
}

template <class Step>
void measure(benchmark::State& state, const std::vector<std::byte>& frame, Step step) {
    bench::measure(state, step, 100);
    state.counters["header"] = static_cast<double>(header_bytes_of(frame));
    state.counters["frame"] = static_cast<double>(frame.size());
}

void floor_memcpy(benchmark::State& state, bool is_usual) {
    const auto frame = frame_of(run(is_usual, static_cast<std::size_t>(state.range(0))));
    std::vector<std::byte> copy(frame.size());
    measure(state, frame, [&] {
        std::memcpy(copy.data(), frame.data(), frame.size());
        benchmark::DoNotOptimize(copy.data());
        benchmark::ClobberMemory();
    });
}

void peer_parse(benchmark::State& state, bool is_usual) {
    const auto frame = frame_of(result(is_usual, static_cast<std::size_t>(state.range(0))));
    const std::string_view header(reinterpret_cast<const char*>(frame.data()) + wire::prefix_bytes,
                                  header_bytes_of(frame));
    measure(state, frame, [&] {
        unsigned char memory[4096];
        boost::json::monotonic_resource resource(memory, sizeof memory);
        boost::system::error_code ec;
        const auto value = boost::json::parse({header.data(), header.size()}, ec, &resource);
        benchmark::DoNotOptimize(value.is_object());
    });
}

void encode(benchmark::State& state, bool is_usual) {
    const wire::Message message = run(is_usual, static_cast<std::size_t>(state.range(0)));
    const auto expected = frame_of(message);
    wire::EncodedFrame frame;
    Errc outcome = Errc::ok;
    measure(state, expected, [&] {
        outcome = wire::encode(message, wire::Limits{}, frame);
        benchmark::DoNotOptimize(frame.head.data());
        benchmark::ClobberMemory();
    });
    if (outcome != Errc::ok || frame.joined() != expected) state.SkipWithError("wrong bytes");
}

void decode(benchmark::State& state, bool is_usual) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    const auto frame =
        std::make_shared<const std::vector<std::byte>>(frame_of(result(is_usual, bytes)));
    wire::Message message;
    wire::DecodeResult outcome{};
    measure(state, *frame, [&] {
        outcome = wire::decode(*frame, frame, wire::Limits{}, message);
        benchmark::DoNotOptimize(&message);
        benchmark::ClobberMemory();
    });
    if (outcome != wire::DecodeResult::ok || frame_of(message) != *frame)
        state.SkipWithError("another message");
}

void tensors(benchmark::internal::Benchmark* bench) {
    bench->ArgName("tensor")->Arg(64)->Arg(1 << 20);
}

BENCHMARK_CAPTURE(floor_memcpy, usual, true)->Name("floor/memcpy/header:1KiB")->Apply(tensors);
BENCHMARK_CAPTURE(peer_parse, usual, true)
    ->Name("peer/boost_json/parse/header:1KiB")
    ->Apply(tensors);
BENCHMARK_CAPTURE(encode, usual, true)->Name("everpool/encode/header:1KiB")->Apply(tensors);
BENCHMARK_CAPTURE(decode, usual, true)->Name("everpool/decode/header:1KiB")->Apply(tensors);
BENCHMARK_CAPTURE(floor_memcpy, bare, false)->Name("floor/memcpy/header:bare")->Apply(tensors);
BENCHMARK_CAPTURE(peer_parse, bare, false)
    ->Name("peer/boost_json/parse/header:bare")
    ->Apply(tensors);
BENCHMARK_CAPTURE(encode, bare, false)->Name("everpool/encode/header:bare")->Apply(tensors);
BENCHMARK_CAPTURE(decode, bare, false)->Name("everpool/decode/header:bare")->Apply(tensors);

} // namespace
