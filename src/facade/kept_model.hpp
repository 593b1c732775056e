// Everpool facade: what the state keeps of a model, and the ModelSpec that comes of it again.
// SPDX-License-Identifier: BSL-1.0
//
// Name, file, family and providers have members of their own. The warm-up stands in
// ModelState::parameters as text: its inputs as a frame of everpool.v1 with a `run` message, its
// outputs as one with a `ready` message, its answer as one with a `result` message
// (wire/message.hpp), each in base64, cut into pieces: "warm_up.inputs.00000", ...,
// "warm_up.outputs.00000", ..., "warm_up.answer.00000", ... Without an answer the last is not
// there.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/model_spec.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace everpool::facade {

/// A larger warm-up is not kept: the model is then registered again without one.
inline constexpr std::size_t warm_up_bytes_kept_max = 4 << 20;

/// Without assignments, version and time. The file's path is made absolute, as the next host may
/// be started elsewhere.
[[nodiscard]] ModelState state_of(const ModelSpec& spec);

/// Empty if the warm-up cannot be read. The rest is not checked.
[[nodiscard]] std::optional<ModelSpec> spec_of(const ModelState& model);

/// Do both say the same of the model itself? (Not: where it is, and since when.)
[[nodiscard]] bool is_same_model(const ModelState& a, const ModelState& b);

} // namespace everpool::facade
