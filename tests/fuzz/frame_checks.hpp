// What must hold of every frame, whatever is in it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/wire/codec.hpp"
#include "fuzz.hpp"
#include "same_json.hpp"
#include "support/wire_meaning.hpp"

#include <memory>
#include <vector>

namespace everpool::fuzz {

using Bytes = std::vector<std::byte>;

inline const std::vector<Tensor>& tensors_of(const wire::Message& message) {
    static const std::vector<Tensor> none;
    if (const auto* run = std::get_if<wire::Run>(&message)) return run->tensors;
    if (const auto* result = std::get_if<wire::RunResult>(&message)) return result->tensors;
    return none;
}

inline void check_tensors(const Bytes& frame, const wire::Message& message) {
    for (const Tensor& tensor : tensors_of(message)) {
        const auto bytes = tensor.data.bytes;
        require(tensor.is_consistent(), "a tensor has the bytes that its shape asks for");
        const bool is_inside = bytes.data() >= frame.data() &&
                               bytes.data() + bytes.size() <= frame.data() + frame.size();
        require(is_inside, "a tensor views the frame");
        require((bytes.data() - frame.data()) % 8 == 0, "a tensor is aligned");
    }
}

/// `decode` is wire::decode, or one with a bug planted.
template <class Decode>
void check_frame(std::span<const std::byte> input, Decode decode) {
    // A copy of exactly the right size, so that AddressSanitizer sees a byte too much being read.
    const auto frame = std::make_shared<const Bytes>(input.begin(), input.end());
    const wire::Limits limits;
    wire::Message message;
    const auto result = decode(*frame, frame, limits, message);
    require(name_of(result) != "unrecognised", "every result is one that is documented");
    require(result != wire::DecodeResult::out_of_memory, "a small frame needs little memory");
    if (result != wire::DecodeResult::ok) return;
    require(static_cast<std::byte>(wire::kind_of(message)) == (*frame)[5], "the kind is kept");
    check_tensors(*frame, message);
    const auto meaning = test::meaning_of(message); // reads every byte of every tensor

    // What was left out is written: the header may become a little longer than it was.
    wire::Limits wider;
    wider.header_bytes_max += 4096;
    wire::EncodedFrame encoded;
    require(wire::encode(message, wider, encoded) == Errc::ok, "what was taken can be sent");
    const auto again = std::make_shared<const Bytes>(encoded.joined());
    require(again->size() == encoded.bytes, "an encoded frame is as long as it says");
    wire::Message same;
    require(wire::decode(*again, again, wider, same) == wire::DecodeResult::ok,
            "what was sent is taken");
    require(is_same(test::meaning_of(same), meaning), "a message survives the wire");
}

} // namespace everpool::fuzz
