// Everpool wire: what became of decoding a frame.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string_view>

namespace everpool::wire {

/// Why a frame was refused; `ok` if it was not.
enum class DecodeResult : std::uint8_t {
    ok,
    truncated,        ///< shorter than its prefix or header says
    bad_magic,
    bad_version,
    bad_reserved,     ///< a byte that must be 0 is not
    unknown_kind,
    frame_too_large,  ///< above Limits::frame_bytes_max
    header_too_large, ///< above Limits::header_bytes_max
    malformed_json,   ///< not one JSON object, too deep, or not UTF-8
    bad_field,        ///< missing, of the wrong type, out of range, or above a limit
    bad_tensor,       ///< an entry of "tensors" that describes none
    length_mismatch,  ///< the frame is not as long as its tensors ask for
    bad_padding,      ///< padding that is not 0
    out_of_memory,
};

constexpr std::string_view name_of(DecodeResult result) noexcept {
    switch (result) {
    case DecodeResult::ok: return "ok";
    case DecodeResult::truncated: return "truncated";
    case DecodeResult::bad_magic: return "bad_magic";
    case DecodeResult::bad_version: return "bad_version";
    case DecodeResult::bad_reserved: return "bad_reserved";
    case DecodeResult::unknown_kind: return "unknown_kind";
    case DecodeResult::frame_too_large: return "frame_too_large";
    case DecodeResult::header_too_large: return "header_too_large";
    case DecodeResult::malformed_json: return "malformed_json";
    case DecodeResult::bad_field: return "bad_field";
    case DecodeResult::bad_tensor: return "bad_tensor";
    case DecodeResult::length_mismatch: return "length_mismatch";
    case DecodeResult::bad_padding: return "bad_padding";
    case DecodeResult::out_of_memory: return "out_of_memory";
    }
    return "unrecognised";
}

} // namespace everpool::wire
