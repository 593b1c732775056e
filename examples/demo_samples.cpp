// SPDX-License-Identifier: BSL-1.0
#include "demo_samples.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

namespace demo {

namespace {

using everpool::Tensor;
using everpool::TensorSpec;

std::string contents_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<TensorSpec> specs_from(const boost::json::value& list) {
    std::vector<TensorSpec> out;
    for (const auto& entry : list.as_array()) {
        TensorSpec spec;
        spec.name = entry.at("name").as_string().c_str();
        spec.dtype = everpool::data_type_from(entry.at("dtype").as_string().c_str()).value();
        for (const auto& dimension : entry.at("shape").as_array())
            spec.shape.push_back(dimension.to_number<std::int64_t>());
        out.push_back(std::move(spec));
    }
    return out;
}

/// Takes the tensors of `specs` from `bytes` at `offset`, which moves on.
std::vector<Tensor> take_tensors(const std::vector<TensorSpec>& specs,
                                 const std::shared_ptr<const std::string>& bytes,
                                 std::size_t& offset) {
    std::vector<Tensor> out;
    for (const TensorSpec& spec : specs) {
        const std::size_t size =
            everpool::element_count(spec.shape).value() * everpool::element_bytes(spec.dtype);
        if (offset + size > bytes->size()) throw std::runtime_error("a samples file is too short");
        out.push_back({spec.name, spec.dtype, spec.shape,
                       {bytes, std::as_bytes(std::span(bytes->data() + offset, size))}});
        offset += (size + 7) / 8 * 8;
    }
    return out;
}

} // namespace

Model load_model(const std::filesystem::path& directory, const std::string& name,
                 everpool::ModelFamily family, std::vector<everpool::Provider> providers) {
    const auto index = boost::json::parse(contents_of(directory / "models.json"));
    const auto* found = index.at("models").as_object().if_contains(name);
    if (found == nullptr) throw std::runtime_error("models.json has no model " + name);
    const auto inputs = specs_from(found->at("inputs"));
    const auto outputs = specs_from(found->at("outputs"));
    const auto bytes = std::make_shared<const std::string>(
        contents_of(directory / found->at("samples").as_string().c_str()));
    Model model;
    std::size_t offset = 0;
    const auto count = found->at("sample_count").to_number<std::size_t>();
    for (std::size_t i = 0; i < count; ++i) {
        Sample sample;
        sample.inputs = take_tensors(inputs, bytes, offset);
        sample.outputs = take_tensors(outputs, bytes, offset);
        model.samples.push_back(std::move(sample));
    }
    model.spec.name = name;
    model.spec.file = directory / found->at("file").as_string().c_str();
    model.spec.family = family;
    model.spec.providers = std::move(providers);
    model.spec.warm_up = everpool::WarmUp{model.samples.at(0).inputs, outputs};
    return model;
}

double largest_difference(const std::vector<Tensor>& expected, const std::vector<Tensor>& got) {
    double largest = 0;
    for (const Tensor& want : expected) {
        const auto found = std::find_if(got.begin(), got.end(),
                                        [&](const Tensor& t) { return t.name == want.name; });
        if (found == got.end() || found->dtype != want.dtype || found->shape != want.shape)
            return std::numeric_limits<double>::infinity();
        const auto a = want.as<float>(), b = found->as<float>();
        for (std::size_t i = 0; i < a.size(); ++i) {
            const double difference = std::abs(double{a[i]} - double{b[i]});
            if (!(difference <= largest)) largest = difference; // also true for NaN
        }
    }
    return std::isnan(largest) ? std::numeric_limits<double>::infinity() : largest;
}

} // namespace demo
