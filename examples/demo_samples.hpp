// The demo's models with inputs and independently computed outputs, as tests/models describes them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <everpool/model_spec.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace demo {

struct Sample {
    std::vector<everpool::Tensor> inputs, outputs;
};

struct Model {
    everpool::ModelSpec spec; ///< with the first sample as warm-up
    std::vector<Sample> samples;
};

/// Reads `name` from models.json in `directory`. \throws std::runtime_error naming what is wrong.
Model load_model(const std::filesystem::path& directory, const std::string& name,
                 everpool::ModelFamily family, std::vector<everpool::Provider> providers);

/// The largest absolute difference, or infinity if names, types or shapes differ.
double largest_difference(const std::vector<everpool::Tensor>& expected,
                          const std::vector<everpool::Tensor>& got);

} // namespace demo
