// The test models' samples: inputs, and the outputs that numpy formulas expect. See
// tests/models/README.md.
// SPDX-License-Identifier: BSL-1.0
//
//     const ModelSamples mlp = samples_of("mlp"); // test_models.hpp
//     pool.async_run(Request::inference("mlp", mlp.samples[0].inputs), ...);
//     CHECK(largest_difference(result.outputs, mlp.samples[0].outputs) <= 1e-4);
#pragma once

#include "everpool/tensor.hpp"

#include <boost/json.hpp>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

struct ModelSample {
    std::vector<Tensor> inputs;
    std::vector<Tensor> outputs; ///< expected
};

struct ModelSamples {
    std::string name;
    std::string family; ///< "text", "vision", "audio"
    std::filesystem::path file;
    std::vector<TensorSpec> inputs;
    std::vector<TensorSpec> outputs;
    std::vector<ModelSample> samples;
};

inline std::vector<char> read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot open " + path.string());
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::vector<TensorSpec> tensor_specs_from(const boost::json::value& list) {
    std::vector<TensorSpec> specs;
    for (const auto& entry : list.as_array()) {
        TensorSpec spec;
        spec.name = entry.at("name").as_string();
        spec.dtype = data_type_from(entry.at("dtype").as_string()).value();
        for (const auto& dimension : entry.at("shape").as_array())
            spec.shape.push_back(dimension.as_int64());
        specs.push_back(std::move(spec));
    }
    return specs;
}

/// Reads models.json and the model's samples. Throws std::exception if anything is missing.
inline ModelSamples load_model_samples(const std::filesystem::path& folder,
                                       const std::string& name) {
    const std::vector<char> index_text = read_file(folder / "models.json");
    const boost::json::value index = boost::json::parse({index_text.data(), index_text.size()});
    const boost::json::value& about = index.at("models").at(name);

    ModelSamples model;
    model.name = name;
    model.family = about.at("family").as_string();
    model.file = folder / std::string(about.at("file").as_string());
    model.inputs = tensor_specs_from(about.at("inputs"));
    model.outputs = tensor_specs_from(about.at("outputs"));

    // One owner for all samples: tensors point into the file's bytes, which start 8-byte aligned.
    const auto owner = std::make_shared<const std::vector<char>>(
        read_file(folder / std::string(about.at("samples").as_string())));
    std::size_t at = 0;
    const auto take = [&](const TensorSpec& spec) {
        const std::size_t bytes =
            static_cast<std::size_t>(element_count(spec.shape).value()) * element_bytes(spec.dtype);
        if (at + bytes > owner->size()) throw std::runtime_error(name + ": samples end too early");
        const auto data = std::as_bytes(std::span(*owner)).subspan(at, bytes);
        at += (bytes + 7) / 8 * 8;
        return Tensor{spec.name, spec.dtype, spec.shape, {owner, data}};
    };
    const auto count = static_cast<std::size_t>(about.at("sample_count").as_int64());
    for (std::size_t i = 0; i < count; ++i) {
        ModelSample sample;
        for (const TensorSpec& spec : model.inputs) sample.inputs.push_back(take(spec));
        for (const TensorSpec& spec : model.outputs) sample.outputs.push_back(take(spec));
        model.samples.push_back(std::move(sample));
    }
    if (at != owner->size()) throw std::runtime_error(name + ": samples do not fill their file");
    return model;
}

/// The largest absolute difference between float32 outputs of equal names and shapes; infinity if
/// an expected output is missing, differs in kind or shape, or is not a number.
inline float largest_difference(const std::vector<Tensor>& actual,
                                const std::vector<Tensor>& expected) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    float largest = 0;
    for (const Tensor& want : expected) {
        const Tensor* have = nullptr;
        for (const Tensor& tensor : actual)
            if (tensor.name == want.name) have = &tensor;
        if (have == nullptr || have->dtype != want.dtype || have->shape != want.shape ||
            !have->is_consistent())
            return infinity;
        const auto a = have->as<float>();
        const auto b = want.as<float>();
        for (std::size_t i = 0; i < b.size(); ++i) {
            const float difference = std::abs(a[i] - b[i]);
            if (!(difference <= largest)) largest = std::isnan(difference) ? infinity : difference;
        }
    }
    return largest;
}

} // namespace everpool::tests
