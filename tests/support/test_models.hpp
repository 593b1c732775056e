// The test models by name, where the tests find them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/model_samples.hpp"

#include <filesystem>

namespace everpool::tests {

inline const auto models_dir = std::filesystem::path(EVERPOOL_TESTS_DIR) / "models";

inline ModelSamples samples_of(const char* name) { return load_model_samples(models_dir, name); }

} // namespace everpool::tests
