// SPDX-License-Identifier: BSL-1.0
#include "io/receive_size.hpp"

#include "everpool/tensor.hpp"
#include "everpool/wire/message.hpp"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool::io {
namespace {

using wire::prefix_bytes;

std::uint32_t header_bytes_of(std::span<const std::byte> message) noexcept {
    std::uint32_t bytes = 0;
    for (std::size_t i = 0; i < 4; ++i)
        bytes |= std::to_integer<std::uint32_t>(message[8 + i]) << (8 * i);
    return bytes;
}

constexpr std::uint64_t padded(std::uint64_t bytes) noexcept { return (bytes + 7) / 8 * 8; }

/// Of one entry of the header's "tensors", padding included.
std::optional<std::uint64_t> tensor_bytes(const boost::json::value& entry,
                                          std::uint64_t bytes_max) {
    const auto* object = entry.if_object();
    const auto* dtype = object == nullptr ? nullptr : object->if_contains("dtype");
    const auto* shape = object == nullptr ? nullptr : object->if_contains("shape");
    if (dtype == nullptr || !dtype->is_string() || shape == nullptr || !shape->is_array())
        return {};
    const boost::json::string& name = dtype->get_string();
    const auto type = data_type_from({name.data(), name.size()});
    if (!type) return {};
    std::uint64_t count = 1;
    for (const boost::json::value& dimension : shape->get_array()) {
        boost::system::error_code ec;
        const auto size = dimension.to_number<std::uint64_t>(ec);
        if (ec || size > bytes_max) return {};
        count *= size; // cannot overflow: both factors are at most bytes_max, see below
        if (count > bytes_max) return {};
    }
    return padded(count * element_bytes(*type));
}

} // namespace

bool may_carry_tensors(std::span<const std::byte> message) noexcept {
    if (message.size() < prefix_bytes) return false;
    const auto kind = static_cast<wire::Kind>(message[5]);
    return kind == wire::Kind::run || kind == wire::Kind::result;
}

std::size_t announced_frame_bytes(std::span<const std::byte> beginning,
                                  const wire::Limits& limits) noexcept try {
    // The product of two numbers up to this must fit; no frame is larger anyway.
    if (limits.frame_bytes_max > UINT32_MAX || !may_carry_tensors(beginning)) return 0;
    const std::uint32_t header_bytes = header_bytes_of(beginning);
    if (header_bytes > limits.header_bytes_max || beginning.size() < prefix_bytes + header_bytes)
        return 0;
    unsigned char memory[4096];
    boost::json::monotonic_resource resource(memory, sizeof memory);
    boost::system::error_code ec;
    const boost::json::value header = boost::json::parse(
        {reinterpret_cast<const char*>(beginning.data()) + prefix_bytes, header_bytes}, ec,
        &resource);
    const auto* object = ec ? nullptr : header.if_object();
    const auto* tensors = object == nullptr ? nullptr : object->if_contains("tensors");
    if (tensors == nullptr || !tensors->is_array()) return 0;
    std::uint64_t bytes = padded(prefix_bytes + header_bytes);
    for (const boost::json::value& entry : tensors->get_array()) {
        const auto more = tensor_bytes(entry, limits.frame_bytes_max);
        if (!more || (bytes += *more) > limits.frame_bytes_max) return 0;
    }
    return bytes;
} catch (...) {
    return 0; // no memory for a guess: the message will grow step by step
}

} // namespace everpool::io
