// Everpool facade: the registered models by name and id, what they take, and why some are rejected.
// SPDX-License-Identifier: BSL-1.0
//
// Pure bookkeeping: no clock, no file is read but to see that it can be opened.
#pragma once

#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_spec.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::facade {

/// Inputs and outputs as the runtime reported them when it first loaded the model.
struct ModelSignature {
    std::vector<TensorSpec> inputs, outputs;
};

class ModelRegistry {
public:
    struct Entry {
        ModelSpec spec;
        std::uint64_t file_bytes{0};
        std::optional<ModelSignature> signature;
        Diagnostics rejection; ///< of the last worker that rejected it
        /// It was to be batched, and cannot be: its inputs have a fixed number of rows, or its
        /// outputs have not as many as its inputs.
        bool has_bound_rows{false};
    };

    explicit ModelRegistry(std::vector<ModelSpec> specs);

    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(entries_.size());
    }
    [[nodiscard]] const Entry& at(ModelId id) const { return entries_.at(id.value); }
    [[nodiscard]] Entry& at(ModelId id) { return entries_.at(id.value); }

    /// none() if no model has that name.
    [[nodiscard]] ModelId find(std::string_view name) const noexcept;

    /// Whether any model may run on it.
    [[nodiscard]] bool has_provider(Provider provider) const noexcept;

    /// "mlp, tiny_encoder" or "none"; bounded.
    [[nodiscard]] std::string names() const;

    /// Sees that every file is a readable regular file and notes its size.
    error_code check_files(Diagnostics& diagnostics);

private:
    std::vector<Entry> entries_;
};

/// Are these the tensors that the model takes? Each input exactly once, by name, dtype and shape.
/// Returns invalid_input and says which tensor is wrong, what was expected and what was given.
Errc check_inputs(std::string_view model, const ModelSignature& signature,
                  const std::vector<Tensor>& inputs, Diagnostics& diagnostics);

} // namespace everpool::facade
