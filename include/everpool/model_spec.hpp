// Everpool: what the pool must know of a model before it can serve it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/batching_options.hpp"
#include "everpool/model_family.hpp"
#include "everpool/tensor.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

/// An execution provider of onnxruntime-web.
enum class Provider : std::uint8_t { webnn, webgpu, wasm };

constexpr std::string_view name_of(Provider provider) noexcept {
    switch (provider) {
    case Provider::webnn: return "webnn";
    case Provider::webgpu: return "webgpu";
    case Provider::wasm: return "wasm";
    }
    return "unrecognised";
}

constexpr std::optional<Provider> provider_from(std::string_view name) noexcept {
    for (const Provider provider : {Provider::webnn, Provider::webgpu, Provider::wasm})
        if (name_of(provider) == name) return provider;
    return std::nullopt;
}

/// The inference that a worker must pass before it counts as ready for the model, and again after
/// each recovery. It also compiles
/// shaders and kernels, so that the first caller does not wait for that.
struct WarmUp {
    std::vector<Tensor> inputs{};
    /// Name, dtype and shape (-1 = any) of the outputs that must come back. Others are ignored.
    std::vector<TensorSpec> outputs{};
    /// The known answer: the numbers that must come back, within the tolerances of
    /// ResourcePoolConfig::vote; outputs that are not among them are not looked at. A worker that
    /// computes otherwise is not ready for the model, and what a canary or a recovery finds out is
    /// worth as much as this. Default empty: wrong numbers show in votes only.
    std::vector<Tensor> answer{};
};

/// A model. Registered through ResourcePoolConfig::models.
struct ModelSpec {
    /// How requests name it: 1 to 128 characters of [A-Za-z0-9._-], unique in the pool.
    std::string name{};

    /// An ONNX file with its weights inside. Must be there when the pool starts; read by each life
    /// of each worker anew.
    std::filesystem::path file{};

    ModelFamily family{ModelFamily::text};

    /// Tried in this order on each worker, skipping what the worker does not have. Every result
    /// says which one answered. Must not be empty.
    std::vector<Provider> providers{Provider::webnn, Provider::webgpu, Provider::wasm};

    /// Without it a worker is ready as soon as the model is loaded; then the first request pays for
    /// compilation, and a model that loads but cannot run is noticed by its first caller.
    std::optional<WarmUp> warm_up{};

    /// Its rows are independent of each other, and requests for it may be computed together.
    /// Default empty: each is computed alone.
    std::optional<BatchingOptions> batching{};
};

} // namespace everpool
