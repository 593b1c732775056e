// SPDX-License-Identifier: BSL-1.0
#include "facade/model_registry.hpp"

#include "facade/file_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace everpool::facade {

namespace {

std::string list_of(const std::vector<TensorSpec>& specs) {
    std::string out;
    for (const TensorSpec& spec : specs) out += (out.empty() ? "" : ", ") + spec.describe();
    return out.empty() ? "none" : out;
}

} // namespace

ModelRegistry::ModelRegistry(std::vector<ModelSpec> specs) {
    entries_.reserve(specs.size());
    for (ModelSpec& spec : specs) entries_.push_back({std::move(spec), 0, std::nullopt, {}});
}

ModelId ModelRegistry::find(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < entries_.size(); ++i)
        if (entries_[i].spec.name == name) return ModelId{i};
    return ModelId::none();
}

bool ModelRegistry::has_provider(Provider provider) const noexcept {
    return std::ranges::any_of(entries_, [&](const Entry& entry) {
        return std::ranges::find(entry.spec.providers, provider) != entry.spec.providers.end();
    });
}

std::string ModelRegistry::names() const {
    constexpr std::size_t shown_max = 20;
    std::string out;
    for (std::size_t i = 0; i < std::min(entries_.size(), shown_max); ++i)
        out += (i == 0 ? "" : ", ") + entries_[i].spec.name;
    if (entries_.size() > shown_max)
        out += fmt::format(" and {} more", entries_.size() - shown_max);
    return out.empty() ? "none" : out;
}

error_code ModelRegistry::check_files(Diagnostics& diagnostics) {
    for (Entry& entry : entries_) {
        const FileCheck file = check_file(entry.spec.file);
        entry.file_bytes = file.bytes;
        if (!file.ec) continue;
        diagnostics.message = fmt::format("model '{}': cannot read '{}': {}", entry.spec.name,
                                          entry.spec.file.string(), file.why);
        diagnostics.remedy = "correct ModelSpec::file, or the file's permissions";
        diagnostics.last_cause = file.ec;
        return Errc::model_file_missing;
    }
    return {};
}

Errc check_inputs(std::string_view model, const ModelSignature& signature,
                  const std::vector<Tensor>& inputs, Diagnostics& diagnostics) {
    const auto refuse = [&](std::string what) {
        diagnostics.message = fmt::format("model '{}': {}", model, what);
        diagnostics.remedy = "the model takes: " + list_of(signature.inputs);
        return Errc::invalid_input;
    };
    for (const TensorSpec& spec : signature.inputs) {
        const auto named = [&](const Tensor& tensor) { return tensor.name == spec.name; };
        const auto count = std::count_if(inputs.begin(), inputs.end(), named);
        if (count == 0) return refuse(fmt::format("input '{}' is missing", spec.name));
        if (count > 1) return refuse(fmt::format("input '{}' is given {} times", spec.name, count));
        const Tensor& given = *std::find_if(inputs.begin(), inputs.end(), named);
        if (!spec.accepts(given))
            return refuse(fmt::format("input '{}': expected {}, got {}", spec.name, spec.describe(),
                                      given.describe()));
    }
    for (const Tensor& given : inputs)
        if (std::none_of(signature.inputs.begin(), signature.inputs.end(),
                         [&](const TensorSpec& spec) { return spec.name == given.name; }))
            return refuse(
                fmt::format("it has no input named '{}'", escape_remote_text(given.name, 128)));
    return Errc::ok;
}

} // namespace everpool::facade
