// Everpool facade: is the answer to a model's warm-up inference the right one?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/vote.hpp"

#include <string_view>
#include <vector>

namespace everpool::facade {

/// `outputs`: what the model gave. Its numbers are compared with WarmUp::answer as those of two who
/// vote. Returns model_rejected and says what was expected and what came.
Errc check_warm_up(std::string_view model, const WarmUp& warm_up,
                   const std::vector<Tensor>& outputs, const VoteOptions& options,
                   Diagnostics& diagnostics);

} // namespace everpool::facade
