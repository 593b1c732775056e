// Everpool doors: what can be said about a message before all of it has arrived.
// SPDX-License-Identifier: BSL-1.0
//
// Guesses that only save memory and copies: whatever they say, the decoder judges the whole
// message.
#pragma once

#include "everpool/wire/limits.hpp"

#include <cstddef>
#include <span>

namespace everpool::io {

/// True unless the message is of a kind that has no tensors.
bool may_carry_tensors(std::span<const std::byte> message) noexcept;

/// The length of the whole message, from the header at its beginning. 0 if that is not there yet,
/// is wrong, or announces more than the limits allow.
std::size_t announced_frame_bytes(std::span<const std::byte> beginning,
                                  const wire::Limits& limits) noexcept;

} // namespace everpool::io
