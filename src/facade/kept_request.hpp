// Everpool facade: what the state keeps of a request, and the request that comes of it again.
// SPDX-License-Identifier: BSL-1.0
//
// The bytes (OperationState::payload):
//
//     offset  bytes
//          0      1   version, 1
//          1      1   Request::max_attempts
//          2      1   Request::browser: 0 none, else its value + 1
//          3      5   reserved, 0
//          8      -   a frame of everpool.v1 with a `run` message (wire/message.hpp): operation,
//                     model, parameters and tensors
//
// Whether it is idempotent and until when it may run stands in the OperationState itself.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::facade {

/// What the state is given of a request.
struct KeptRequest {
    std::uint64_t inputs_digest{0};
    Payload payload{};
};

/// XXH64 over names, types, shapes and bytes, in order, each hash being the seed of the next.
[[nodiscard]] std::uint64_t digest_of(const std::vector<Tensor>& inputs) noexcept;

/// Copies the request; empty if that takes more than `bytes_max` or it cannot be encoded.
[[nodiscard]] Payload keep(const Request& request, std::size_t bytes_max);

/// Its tensors point into the payload, which they keep alive. Empty if that is no request.
[[nodiscard]] std::optional<Request> request_of(const Payload& payload);

} // namespace everpool::facade
