// How libFuzzer changes frames: a part at a time, and then the lengths are made right again.
// SPDX-License-Identifier: BSL-1.0
//
// Bytes changed at random would hardly ever get past the lengths. One in eight inputs is changed so
// all the same, since lengths that lie are what the decoder must withstand first.
#include "everpool/wire/limits.hpp"
#include "fuzz.hpp"
#include "io/receive_size.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using Bytes = std::vector<std::uint8_t>;
using everpool::wire::padded_bytes;
using everpool::wire::prefix_bytes;

std::size_t header_bytes_of(const std::uint8_t* data) {
    std::uint32_t bytes = 0;
    for (std::size_t i = 0; i < 4; ++i) bytes |= std::uint32_t{data[8 + i]} << (8 * i);
    return bytes;
}

void mutate(Bytes& part, std::size_t max_size) {
    const std::size_t size = std::min(part.size(), max_size);
    part.resize(max_size);
    part.resize(LLVMFuzzerMutate(part.data(), size, max_size));
}

/// A whole frame. The payload gets the length that the header asks for, if that is not too much.
Bytes joined(std::uint8_t kind, const Bytes& header, const Bytes& payload, std::size_t max_size) {
    Bytes out{'E', 'V', 'P', '1', 1, kind};
    out.resize(prefix_bytes);
    for (std::size_t i = 0; i < 4; ++i)
        out[8 + i] = static_cast<std::uint8_t>(header.size() >> 8 * i);
    out.insert(out.end(), header.begin(), header.end());
    out.resize(padded_bytes(out.size()));
    out.insert(out.end(), payload.begin(), payload.end());
    const std::size_t announced = everpool::io::announced_frame_bytes(
        everpool::fuzz::bytes_of(out.data(), out.size()), everpool::wire::Limits{});
    if (announced != 0 && announced <= max_size) out.resize(announced);
    return out;
}

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
    if (seed % 8 == 0 || size < prefix_bytes) return LLVMFuzzerMutate(data, size, max_size);
    const std::size_t header_end =
        prefix_bytes + std::min(header_bytes_of(data), size - prefix_bytes);
    const std::size_t payload_at = std::min(padded_bytes(header_end), std::uint64_t{size});
    Bytes header(data + prefix_bytes, data + header_end), payload(data + payload_at, data + size);
    std::uint8_t kind = data[5];
    const std::size_t room = max_size - std::min(max_size, prefix_bytes + 8 + payload.size());
    if (seed % 8 == 1) kind = static_cast<std::uint8_t>(1 + seed / 8 % 14);
    else if (seed % 8 == 2 && !payload.empty()) mutate(payload, payload.size());
    else if (room != 0) mutate(header, room);
    const Bytes out = joined(kind, header, payload, max_size);
    const std::size_t bytes = std::min(out.size(), max_size);
    std::memcpy(data, out.data(), bytes);
    return bytes;
}
