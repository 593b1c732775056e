// Everpool: requests of one model that are computed together.
// SPDX-License-Identifier: BSL-1.0
//
//     ModelSpec mlp{.name = "mlp", .file = "mlp.onnx"};
//     mlp.batching = BatchingOptions{.max_batch = 32};
//
// A model whose first dimension is a batch's computes many rows in little more time than one.
// Requests for it that wait at the same time, and whose inputs differ in nothing but the first
// dimension, are laid behind each other, sent as one and computed as one; each caller gets the rows
// that are its own. (Those that stand behind each other: where inputs of two shapes take turns,
// there are no batches.) Batches grow by themselves while workers are busy; max_delay makes them
// grow while one is idle, too. The names are those of Triton's dynamic batcher, without its
// suffixes.
//
// What goes wrong with a batch goes wrong with one request alone: a batch that fails is tried again
// in halves, until what cannot be computed stands alone. What was at a worker that was lost goes
// alone as well, as it may be what the worker was lost by.
//
// Who goes alone: requests that a vote decides (level critical; Request::redundancy), requests of a
// lease, with Request::parameters, of which an input has no first dimension, or another one than
// the others have, whose timeout is over before max_delay is, and what is not to be executed twice.
//
// Nobody can see from outside whether the rows of a model have nothing to do with each other. So a
// model has to say so, by having these options at all. One whose inputs have a fixed first
// dimension, or whose outputs have another number of rows than its inputs, is noticed, and its
// requests go alone from then on (PoolEvent::Kind::warning).
#pragma once

#include "everpool/model_family.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace everpool {

/// See the head of this file.
struct BatchingOptions {
    /// Rows of one batch at most; a request that has more goes alone. Default: 4 for a vision
    /// model, 1 for others, which means that nothing is computed together. Range 1 to 4096.
    std::optional<std::uint32_t> max_batch{};

    /// So long the first of a batch waits for more, even if a worker is idle. Default 0; range 0 to
    /// 10 s.
    Duration max_delay{};

    /// A batch that has waited for less than max_delay has one of these numbers of rows. Ascending,
    /// each 1 to max_batch. Default: none, which means max_batch.
    std::vector<std::uint32_t> preferred_sizes{};

    /// max_batch of this model.
    [[nodiscard]] std::uint32_t rows_max(ModelFamily family) const noexcept {
        return max_batch.value_or(family == ModelFamily::vision ? 4 : 1);
    }
};

} // namespace everpool
