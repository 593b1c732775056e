// Everpool wire: messages to bytes.
// SPDX-License-Identifier: BSL-1.0
//
// The frame is not put together: EncodedFrame has the head as bytes of its own, and the payloads as
// views of the tensors' bytes, for one gathering write. Allocation-free once `head` and `payloads`
// have grown to what is usual.
#pragma once

#include "everpool/utf8.hpp"
#include "everpool/wire/json_check.hpp"
#include "everpool/wire/json_writer.hpp"
#include "everpool/wire/limits.hpp"
#include "everpool/wire/message.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::wire {

struct EncodedFrame {
    std::string head;                                ///< prefix, header, padding
    std::vector<std::span<const std::byte>> payloads; ///< alias the tensors; padding in between
    std::uint64_t bytes{0};                          ///< of the whole frame

    /// The frame in one piece. For tests and for measuring; doors write the pieces.
    [[nodiscard]] std::vector<std::byte> joined() const;
};

/// Encodes `message` into `frame`, whose memory is used again. The payload views are valid as long
/// as the message's tensors.
///
/// Errors: message_too_large (frame, header, or a count above its limit), invalid_request (a tensor
/// with the wrong number of bytes, text that is not UTF-8, a number that the decoder would refuse,
/// `parameters` or `info` that is not a JSON object). The frame is not to be used then.
Errc encode(const Message& message, const Limits& limits, EncodedFrame& frame);

// -------------------------------------------------------------------------------------------------

namespace detail {

inline constexpr std::array<std::byte, payload_alignment> zeros{};

constexpr std::size_t padding_after(std::uint64_t bytes) noexcept {
    return static_cast<std::size_t>(padded_bytes(bytes) - bytes);
}

/// Writes the header of each kind of message, and says whether it can be sent.
class HeaderEncoder {
public:
    HeaderEncoder(std::string& out, const Limits& limits) : json_(out), limits_(limits) {}

    Errc finish() {
        json_.close();
        return outcome_;
    }

    void operator()(const Hello& m) {
        json_.text("role", name_of(m.role));
        name("token", m.token);
        json_.number("protocol", m.protocol);
        json_.number("realm", m.realm);
        json_.begin("engine");
        json_.put("{\"name\":");
        quote_name(m.engine_name);
        json_.put(",\"version\":");
        quote_name(m.engine_version);
        json_.put(",\"user_agent\":");
        quote_name(m.user_agent);
        json_.put("}");
        if (m.capabilities) capabilities(*m.capabilities);
    }
    void operator()(const Ready& m) {
        integer("id", m.id);
        name("model", m.model);
        if (m.unloaded) return json_.boolean("unloaded", true);
        if (m.provider) json_.text("provider", name_of(*m.provider));
        json_.boolean("is_fallback_adapter", m.is_fallback_adapter);
        specs("inputs", m.inputs);
        specs("outputs", m.outputs);
        quantity("fetch_ms", m.fetch_ms);
        quantity("create_ms", m.create_ms);
    }
    void operator()(const LoadModel& m) {
        integer("id", m.id);
        name("model", m.model);
        name("url", m.url);
        integer("bytes", m.bytes);
        json_.begin("providers");
        list(m.providers, [&](Provider provider) { json_.quote(name_of(provider)); });
    }
    void operator()(const Progress& m) {
        integer("id", m.id);
        name("model", m.model);
        name("phase", m.phase);
        integer("loaded", m.loaded);
        integer("total", m.total);
    }
    void operator()(const UnloadModel& m) {
        integer("id", m.id);
        name("model", m.model);
    }
    void operator()(const Run& m) {
        integer("id", m.id);
        json_.number("attempt", m.attempt);
        name("operation", m.operation);
        if (!m.model.empty()) name("model", m.model);
        if (!m.parameters.empty()) object("parameters", m.parameters);
        if (!m.module_url.empty()) name("module_url", m.module_url);
        tensors(m.tensors);
    }
    void operator()(const RunResult& m) {
        integer("id", m.id);
        json_.number("attempt", m.attempt);
        if (m.provider) json_.text("provider", name_of(*m.provider));
        json_.boolean("is_fallback_adapter", m.is_fallback_adapter);
        quantity("queue_ms", m.queue_ms);
        quantity("compute_ms", m.compute_ms);
        if (!m.info.empty()) object("info", m.info);
        tensors(m.tensors);
    }
    void operator()(const RemoteError& m) {
        integer("id", m.id);
        json_.number("attempt", m.attempt);
        json_.text("code", name_of(m.code));
        text("message", m.message);
    }
    void operator()(const Ping& m) { integer("sequence", m.sequence); }
    void operator()(const Pong& m) { integer("sequence", m.sequence); }
    void operator()(const Cancel& m) {
        integer("id", m.id);
        json_.number("attempt", m.attempt);
    }
    void operator()(const Drain& m) { json_.boolean("restart_compute", m.restart_compute); }
    void operator()(const Bye& m) { text("reason", m.reason); }
    void operator()(const PageEvent& m) {
        name("type", m.type);
        text("message", m.message);
    }

private:
    void fail(Errc code) {
        if (outcome_ == Errc::ok) outcome_ = code;
    }
    void check_text(std::string_view value, std::size_t bytes_max) {
        if (value.size() > bytes_max) return fail(Errc::message_too_large);
        if (!is_utf8(value)) fail(Errc::invalid_request);
    }
    void name(std::string_view key, std::string_view value) {
        check_text(value, limits_.name_bytes_max);
        json_.text(key, value);
    }
    void quote_name(std::string_view value) {
        check_text(value, limits_.name_bytes_max);
        json_.quote(value);
    }
    void text(std::string_view key, std::string_view value) {
        check_text(value, limits_.text_bytes_max);
        json_.text(key, value);
    }
    void integer(std::string_view key, std::uint64_t value) {
        if (value > integer_max) fail(Errc::invalid_request);
        json_.number(key, value);
    }
    void quantity(std::string_view key, double value) {
        check_quantity(value);
        json_.number(key, value);
    }
    void check_quantity(double value) {
        if (!is_quantity(value)) fail(Errc::invalid_request);
    }
    void object(std::string_view key, std::string_view json) {
        if (json.size() > limits_.header_bytes_max) return fail(Errc::message_too_large);
        // It stands one level deep in the header.
        if (!is_json_object(json, limits_.json_depth_max - 1)) return fail(Errc::invalid_request);
        json_.raw(key, json);
    }
    template <class Values, class Write>
    void list(const Values& values, Write write) {
        if (values.size() > limits_.list_count_max) return fail(Errc::message_too_large);
        json_.put("[");
        bool is_first = true;
        for (const auto& value : values) {
            if (!is_first) json_.put(",");
            is_first = false;
            write(value);
        }
        json_.put("]");
    }
    void shape(const Shape& dimensions, std::int64_t dimension_min) {
        if (dimensions.size() > limits_.dimension_count_max) fail(Errc::message_too_large);
        list(dimensions, [&](std::int64_t dimension) {
            if (!is_integer(dimension, dimension_min)) fail(Errc::invalid_request);
            json_.append(dimension);
        });
    }
    template <class Described> // Tensor or TensorSpec
    void described(const Described& what, std::int64_t dimension_min) {
        json_.put("{\"name\":");
        quote_name(what.name);
        json_.put(",\"dtype\":");
        json_.quote(name_of(what.dtype));
        json_.put(",\"shape\":");
        shape(what.shape, dimension_min);
        json_.put("}");
    }
    void specs(std::string_view key, const std::vector<TensorSpec>& values) {
        json_.begin(key);
        list(values, [&](const TensorSpec& spec) { described(spec, free_dimension); });
    }
    void tensors(const std::vector<Tensor>& values) {
        if (values.size() > limits_.tensor_count_max) return fail(Errc::message_too_large);
        json_.begin("tensors");
        list(values, [&](const Tensor& tensor) {
            if (!tensor.is_consistent()) fail(Errc::invalid_request);
            described(tensor, 0);
        });
    }
    void capabilities(const Capabilities& c);

    JsonWriter json_;
    const Limits& limits_;
    Errc outcome_{Errc::ok};
};

inline void HeaderEncoder::capabilities(const Capabilities& c) {
    const auto flag = [](bool value) { return value ? "true" : "false"; };
    json_.begin("capabilities");
    json_.put("{\"webgpu\":{\"available\":");
    json_.put(flag(c.webgpu.available));
    const std::pair<std::string_view, const std::string*> texts[] = {
        {",\"vendor\":", &c.webgpu.vendor},
        {",\"architecture\":", &c.webgpu.architecture},
        {",\"device\":", &c.webgpu.device},
        {",\"description\":", &c.webgpu.description}};
    for (const auto& [key, value] : texts) {
        json_.put(key);
        quote_name(*value);
    }
    json_.put(",\"is_fallback_adapter\":");
    json_.put(flag(c.webgpu.is_fallback_adapter));
    json_.put(",\"limits\":{");
    if (c.webgpu.limits.size() > limits_.list_count_max) return fail(Errc::message_too_large);
    for (std::size_t i = 0; i < c.webgpu.limits.size(); ++i) {
        if (i != 0) json_.put(",");
        quote_name(c.webgpu.limits[i].first);
        json_.put(":");
        json_.append(c.webgpu.limits[i].second);
        if (c.webgpu.limits[i].second > integer_max) fail(Errc::invalid_request);
    }
    json_.put("}},\"webnn\":{\"available\":");
    json_.put(flag(c.webnn.available));
    json_.put(",\"device_types\":");
    list(c.webnn.device_types, [&](const std::string& type) { quote_name(type); });
    json_.put("},\"wasm\":{\"simd\":");
    json_.put(flag(c.wasm_simd));
    json_.put(",\"threads\":");
    json_.put(flag(c.wasm_threads));
    json_.put("},\"memory\":{\"device_memory_gib\":");
    check_quantity(c.device_memory_gib);
    json_.append(c.device_memory_gib);
    json_.put(",\"js_heap_bytes_max\":");
    json_.append(c.js_heap_bytes_max);
    if (c.js_heap_bytes_max > integer_max) fail(Errc::invalid_request);
    json_.put("},\"cross_origin_isolated\":");
    json_.put(flag(c.cross_origin_isolated));
    json_.put("}");
}

inline void put_little_endian(char* to, std::uint32_t value) noexcept {
    for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (8 * i));
}

inline const std::vector<Tensor>* tensors_of(const Message& message) noexcept {
    if (const auto* run = std::get_if<Run>(&message)) return &run->tensors;
    if (const auto* result = std::get_if<RunResult>(&message)) return &result->tensors;
    return nullptr;
}

} // namespace detail

inline Errc encode(const Message& message, const Limits& limits, EncodedFrame& frame) {
    frame.head.assign(prefix_bytes, '\0');
    frame.payloads.clear();
    detail::HeaderEncoder header(frame.head, limits);
    std::visit(header, message);
    if (const Errc code = header.finish(); code != Errc::ok) return code;
    const std::size_t header_bytes = frame.head.size() - prefix_bytes;
    if (header_bytes > limits.header_bytes_max) return Errc::message_too_large;
    std::memcpy(frame.head.data(), "EVP1", 4);
    frame.head[4] = 1;
    frame.head[5] = static_cast<char>(kind_of(message));
    detail::put_little_endian(frame.head.data() + 8, static_cast<std::uint32_t>(header_bytes));
    frame.head.append(detail::padding_after(frame.head.size()), '\0');
    frame.bytes = frame.head.size();
    if (const auto* tensors = detail::tensors_of(message))
        for (const Tensor& tensor : *tensors) {
            const auto bytes = tensor.data.bytes;
            if (bytes.empty()) continue;
            const std::size_t padding = detail::padding_after(bytes.size());
            frame.payloads.push_back(bytes);
            if (padding != 0) frame.payloads.push_back(std::span(detail::zeros).first(padding));
            frame.bytes += bytes.size() + padding;
        }
    return frame.bytes > limits.frame_bytes_max ? Errc::message_too_large : Errc::ok;
}

inline std::vector<std::byte> EncodedFrame::joined() const {
    std::vector<std::byte> out;
    out.reserve(bytes);
    const auto head_bytes = std::as_bytes(std::span(head));
    out.insert(out.end(), head_bytes.begin(), head_bytes.end());
    for (const auto& payload : payloads) out.insert(out.end(), payload.begin(), payload.end());
    return out;
}

} // namespace everpool::wire
