// What fuzzers share: the entry point, and how they complain.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

/// Called by libFuzzer, and by replay.cpp where there is none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace everpool::fuzz {

/// Ends the program unless `holds`, which a fuzzer reports together with the input.
inline void require(bool holds, const char* claim) {
    if (holds) return;
    std::fprintf(stderr, "fuzz: it does not hold that %s\n", claim);
    std::abort();
}

inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
    return std::as_bytes(std::span(data, size));
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

} // namespace everpool::fuzz
