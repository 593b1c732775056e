// SPDX-License-Identifier: BSL-1.0
#include "facade/kept_model.hpp"

#include "everpool/state_change.hpp"
#include "everpool/wire/codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::facade {

namespace {

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes of a piece: three become four, and a text of the state is limited.
constexpr std::size_t piece_bytes = state_text_bytes_max / 4 * 3;

std::string base64_of(std::span<const std::byte> bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 |
                    (at + i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0);
        for (std::size_t i = 0; i < 4; ++i)
            out += at + i > bytes.size() ? '=' : base64_digits[group >> (18 - 6 * i) & 63];
    }
    return out;
}

/// Appends what the text says; false if it is not base64.
bool append_base64(std::string_view text, std::vector<std::byte>& out) {
    if (text.size() % 4 != 0) return false;
    while (!text.empty() && text.ends_with('=')) text.remove_suffix(1);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::size_t digit = base64_digits.find(c);
        if (digit == std::string_view::npos) return false;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out.push_back(static_cast<std::byte>(bits >> count & 0xff));
    }
    return true;
}

std::string key_of(std::string_view name, std::size_t piece) {
    return fmt::format("warm_up.{}.{:05}", name, piece);
}

/// False if the message cannot be encoded or is too large.
bool put(StateSettings& settings, std::string_view name, const wire::Message& message) {
    wire::EncodedFrame frame;
    if (wire::encode(message, wire::Limits{}, frame) != Errc::ok) return false;
    if (frame.bytes > warm_up_bytes_kept_max) return false;
    const std::vector<std::byte> bytes = frame.joined();
    std::span<const std::byte> rest(bytes);
    for (std::size_t piece = 0; !rest.empty(); ++piece) {
        const auto now = rest.first(std::min(rest.size(), piece_bytes));
        settings.emplace(key_of(name, piece), base64_of(now));
        rest = rest.subspan(now.size());
    }
    return true;
}

/// The message of that name; empty if there is none that can be read.
template <class Message>
std::optional<Message> get(const StateSettings& settings, std::string_view name) {
    const auto bytes = std::make_shared<std::vector<std::byte>>();
    for (std::size_t piece = 0;; ++piece) {
        const auto found = settings.find(key_of(name, piece));
        if (found == settings.end()) break;
        if (!append_base64(found->second, *bytes)) return std::nullopt;
    }
    wire::Message message;
    if (wire::decode(*bytes, bytes, wire::Limits{}, message) != wire::DecodeResult::ok)
        return std::nullopt;
    auto* const wanted = std::get_if<Message>(&message);
    return wanted != nullptr ? std::optional(std::move(*wanted)) : std::nullopt;
}

} // namespace

ModelState state_of(const ModelSpec& spec) {
    ModelState model;
    model.name = spec.name;
    std::error_code ec;
    const std::filesystem::path absolute = std::filesystem::absolute(spec.file, ec);
    model.file = (ec ? spec.file : absolute).string();
    model.family = spec.family;
    model.providers = spec.providers;
    if (!spec.warm_up) return model;
    wire::Run inputs;
    inputs.operation = "inference";
    inputs.model = spec.name;
    inputs.tensors = spec.warm_up->inputs;
    wire::Ready outputs;
    outputs.model = spec.name;
    outputs.outputs = spec.warm_up->outputs;
    wire::RunResult answer;
    answer.tensors = spec.warm_up->answer;
    if (!put(model.parameters, "inputs", std::move(inputs)) ||
        !put(model.parameters, "outputs", std::move(outputs)) ||
        (!spec.warm_up->answer.empty() && !put(model.parameters, "answer", std::move(answer))))
        model.parameters.clear();
    return model;
}

std::optional<ModelSpec> spec_of(const ModelState& model) {
    ModelSpec spec;
    spec.name = model.name;
    spec.file = model.file;
    spec.family = model.family;
    spec.providers = model.providers;
    if (!model.parameters.contains(key_of("inputs", 0))) return spec;
    auto inputs = get<wire::Run>(model.parameters, "inputs");
    auto outputs = get<wire::Ready>(model.parameters, "outputs");
    if (!inputs || !outputs) return std::nullopt;
    spec.warm_up = WarmUp{std::move(inputs->tensors), std::move(outputs->outputs)};
    if (!model.parameters.contains(key_of("answer", 0))) return spec;
    auto answer = get<wire::RunResult>(model.parameters, "answer");
    if (!answer) return std::nullopt;
    spec.warm_up->answer = std::move(answer->tensors);
    return spec;
}

bool is_same_model(const ModelState& a, const ModelState& b) {
    return a.name == b.name && a.file == b.file && a.family == b.family &&
           a.providers == b.providers && a.parameters == b.parameters;
}

} // namespace everpool::facade
