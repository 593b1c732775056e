// What makes bytes at random pass a log's checksums: they are put right after every change, since
// a fuzzer would hardly ever guess one.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/checkpoint_file.hpp"
#include "everpool/log/fragment.hpp"
#include "everpool/log/segment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace everpool::fuzz {

/// Inputs begin with a byte of these; 0: everything stays as it is.
enum Mend : std::uint8_t {
    mend_header = 1,    ///< checksums of the file's header, and of a body that follows it
    mend_fragments = 2, ///< checksums of fragments, zeroes after payloads
    mend_chain = 4,     ///< and their chain
};

inline void mend_file_header(std::span<std::byte> file, bool has_body) {
    if (file.size() < log::file_header_bytes) return;
    if (has_body)
        log::store(&file[56], log::crc32c_extend(log::crc32c(file.first(56)),
                                                 file.subspan(log::file_header_bytes)));
    log::detail::seal_file_header(file.data());
}

/// The one fragment at `at`, as long as its header says if that is possible. Returns its end.
inline std::uint64_t mend_fragment(std::span<std::byte> segment, std::uint64_t at,
                                   std::uint32_t seed) {
    const std::size_t room = log::left_of_block(at) - log::fragment_header_bytes;
    const std::size_t length = log::load<std::uint16_t>(&segment[at + 4]);
    const std::uint64_t end = at + log::fragment_header_bytes + log::padded(length);
    if (length > room || end > segment.size()) return at + log::left_of_block(at);
    const auto fragment = segment.subspan(at, end - at);
    std::fill(fragment.begin() + static_cast<std::ptrdiff_t>(log::fragment_header_bytes + length),
              fragment.end(), std::byte{});
    log::store(fragment.data(), log::crc32c_extend(seed, fragment.subspan(4)));
    return end;
}

inline void mend_all_fragments(std::span<std::byte> segment, std::uint32_t seed,
                               std::uint32_t chain, bool with_chain) {
    for (std::uint64_t at = log::segment_header_bytes;;) {
        at = log::next_fragment(at);
        if (at + log::fragment_header_bytes > segment.size()) return;
        if (segment[at + 6] == std::byte{}) return; // nothing was written there
        if (with_chain) log::store(&segment[at + 24], chain);
        const std::uint64_t end = mend_fragment(segment, at, seed);
        chain = log::crc32c_extend(chain, log::load<std::uint32_t>(&segment[at]));
        at = end;
    }
}

inline bool is_same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// In memory of exactly the right size, so that a sanitizer sees a byte too much being read.
inline std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

} // namespace everpool::fuzz
