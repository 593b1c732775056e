// Everpool wire: bytes to messages.
// SPDX-License-Identifier: BSL-1.0
//
// The bytes come from a browser that may be compromised: every length is checked before it is
// used, nothing is trusted that can be computed, and nothing throws. Tensors are views of the
// frame, which `owner` keeps alive.
#pragma once

#include "everpool/wire/decode_result.hpp"
#include "everpool/wire/header_decoder.hpp"
#include "everpool/wire/limits.hpp"
#include "everpool/wire/message.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace everpool::wire {

/// Decodes one frame. On anything but `ok`, `out` is unspecified but valid.
/// `frame` must be 8-byte aligned if its tensors are to be viewed as elements.
DecodeResult decode(std::span<const std::byte> frame, std::shared_ptr<const void> owner,
                    const Limits& limits, Message& out) noexcept;

// -------------------------------------------------------------------------------------------------

namespace detail {

inline std::uint32_t get_little_endian(std::span<const std::byte> from) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(from[i]) << (8 * i);
    return value;
}

/// Everything about a frame that can be told without its header.
inline DecodeResult check_prefix(std::span<const std::byte> frame, const Limits& limits) noexcept {
    if (frame.size() < prefix_bytes) return DecodeResult::truncated;
    if (frame.size() > limits.frame_bytes_max) return DecodeResult::frame_too_large;
    if (std::memcmp(frame.data(), "EVP1", 4) != 0) return DecodeResult::bad_magic;
    if (frame[4] != std::byte{1}) return DecodeResult::bad_version;
    const auto kind = std::to_integer<unsigned>(frame[5]);
    if (kind < 1 || kind > std::variant_size_v<Message>) return DecodeResult::unknown_kind;
    if (frame[6] != std::byte{0} || frame[7] != std::byte{0} ||
        get_little_endian(frame.subspan(12)) != 0)
        return DecodeResult::bad_reserved;
    const std::uint32_t header_bytes = get_little_endian(frame.subspan(8));
    if (header_bytes > limits.header_bytes_max) return DecodeResult::header_too_large;
    const std::size_t used = prefix_bytes + header_bytes;
    const std::uint64_t payload_at = padded_bytes(used);
    if (payload_at > frame.size()) return DecodeResult::truncated;
    for (std::size_t at = used; at < payload_at; ++at)
        if (frame[at] != std::byte{0}) return DecodeResult::bad_padding;
    return DecodeResult::ok;
}

} // namespace detail

inline DecodeResult decode(std::span<const std::byte> frame, std::shared_ptr<const void> owner,
                           const Limits& limits, Message& out) noexcept try {
    if (const auto wrong = detail::check_prefix(frame, limits); wrong != DecodeResult::ok)
        return wrong;
    const std::size_t header_bytes = detail::get_little_endian(frame.subspan(8));
    const std::string_view text(reinterpret_cast<const char*>(frame.data()) + prefix_bytes,
                                header_bytes);
    // Most headers are small: their values live and die in this buffer.
    unsigned char memory[4096];
    boost::json::monotonic_resource resource(memory, sizeof memory);
    boost::json::parse_options options;
    options.max_depth = limits.json_depth_max;
    boost::system::error_code ec;
    const boost::json::value header =
        boost::json::parse({text.data(), text.size()}, ec, &resource, options);
    const auto* fields = ec ? nullptr : header.if_object();
    if (fields == nullptr) return DecodeResult::malformed_json;
    const std::uint64_t payload_at = padded_bytes(prefix_bytes + header_bytes);
    const auto payload = frame.subspan(static_cast<std::size_t>(payload_at));
    detail::HeaderDecoder decoder(*fields, text, limits, {std::move(owner), payload});
    out = decoder.read(static_cast<Kind>(std::to_integer<unsigned>(frame[5])));
    decoder.check_payload_is_used();
    return decoder.result();
} catch (...) {
    return DecodeResult::out_of_memory; // the only thing that can be thrown here
}

} // namespace everpool::wire
