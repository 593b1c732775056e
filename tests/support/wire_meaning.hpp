// What a message says, as a JSON value: for comparing, and for printing what differs.
// SPDX-License-Identifier: BSL-1.0
//
// Every field is there, also one that the wire leaves out, so a field that a codec forgets is a
// difference. Written apart from both codecs, by the table in include/everpool/wire/README.md.
#pragma once

#include "everpool/wire/message.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace everpool::test {

namespace json = boost::json;

inline json::string text_of(std::string_view text) {
    return json::string(text.data(), text.size());
}

inline std::string_view kind_name(wire::Kind kind) {
    constexpr std::array<std::string_view, 14> names{
        "hello", "ready", "load_model", "progress", "unload_model", "run", "result",
        "error", "ping",  "pong",       "cancel",   "drain",        "bye", "event"};
    return names.at(static_cast<std::size_t>(kind) - 1);
}

/// Numbers without a fraction are integers, as in JSON text that JavaScript wrote.
inline json::value number_of(double number) {
    const bool is_integer = std::trunc(number) == number && std::abs(number) < 9e15;
    return is_integer ? json::value(static_cast<std::int64_t>(number)) : json::value(number);
}

inline std::string hex_of(std::span<const std::byte> bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const std::byte byte : bytes) {
        out += digits[std::to_integer<unsigned>(byte) >> 4];
        out += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return out;
}

/// One message's fields by their names on the wire.
class MeaningWriter {
public:
    json::object header;
    json::array tensors;

    void operator()(const wire::Hello& m) {
        put("role", text_of(wire::name_of(m.role)));
        put("token", text_of(m.token));
        put("protocol", m.protocol);
        put("realm", m.realm);
        put("engine", json::object{{"name", text_of(m.engine_name)},
                                   {"version", text_of(m.engine_version)},
                                   {"user_agent", text_of(m.user_agent)}});
        put("capabilities", m.capabilities ? json::value(meaning(*m.capabilities)) : nullptr);
    }
    void operator()(const wire::Ready& m) {
        put_id(m.id);
        put("model", text_of(m.model));
        put("unloaded", m.unloaded);
        put("provider", provider(m.provider));
        put("is_fallback_adapter", m.is_fallback_adapter);
        put("inputs", specs(m.inputs));
        put("outputs", specs(m.outputs));
        put("fetch_ms", number_of(m.fetch_ms));
        put("create_ms", number_of(m.create_ms));
    }
    void operator()(const wire::LoadModel& m) {
        put_id(m.id);
        put("model", text_of(m.model));
        put("url", text_of(m.url));
        put("bytes", static_cast<std::int64_t>(m.bytes));
        json::array providers;
        for (const Provider one : m.providers) providers.push_back(text_of(name_of(one)));
        put("providers", std::move(providers));
    }
    void operator()(const wire::Progress& m) {
        put_id(m.id);
        put("model", text_of(m.model));
        put("phase", text_of(m.phase));
        put("loaded", static_cast<std::int64_t>(m.loaded));
        put("total", static_cast<std::int64_t>(m.total));
    }
    void operator()(const wire::UnloadModel& m) {
        put_id(m.id);
        put("model", text_of(m.model));
    }
    void operator()(const wire::Run& m) {
        put_id(m.id);
        put("attempt", m.attempt);
        put("operation", text_of(m.operation));
        put("model", text_of(m.model));
        put("module_url", text_of(m.module_url));
        put("parameters", object(m.parameters));
        put_tensors(m.tensors);
    }
    void operator()(const wire::RunResult& m) {
        put_id(m.id);
        put("attempt", m.attempt);
        put("provider", provider(m.provider));
        put("is_fallback_adapter", m.is_fallback_adapter);
        put("queue_ms", number_of(m.queue_ms));
        put("compute_ms", number_of(m.compute_ms));
        put("info", object(m.info));
        put_tensors(m.tensors);
    }
    void operator()(const wire::RemoteError& m) {
        put_id(m.id);
        put("attempt", m.attempt);
        put("code", text_of(name_of(m.code)));
        put("message", text_of(m.message));
    }
    void operator()(const wire::Ping& m) { put_sequence(m.sequence); }
    void operator()(const wire::Pong& m) { put_sequence(m.sequence); }
    void operator()(const wire::Cancel& m) {
        put_id(m.id);
        put("attempt", m.attempt);
    }
    void operator()(const wire::Drain& m) { put("restart_compute", m.restart_compute); }
    void operator()(const wire::Bye& m) { put("reason", text_of(m.reason)); }
    void operator()(const wire::PageEvent& m) {
        put("type", text_of(m.type));
        put("message", text_of(m.message));
    }

private:
    void put(json::string_view key, json::value value) { header.emplace(key, std::move(value)); }
    void put_id(std::uint64_t id) { put("id", static_cast<std::int64_t>(id)); }
    void put_sequence(std::uint64_t sequence) {
        put("sequence", static_cast<std::int64_t>(sequence));
    }
    static json::value provider(std::optional<Provider> which) {
        return which ? json::value(text_of(name_of(*which))) : json::value(nullptr);
    }
    /// `parameters` and `info` are JSON text in a message.
    static json::value object(const std::string& text) {
        return text.empty() ? json::value(nullptr) : json::parse(text);
    }
    static json::array shape(const Shape& dimensions) {
        return json::array(dimensions.begin(), dimensions.end());
    }
    template <class Described> // Tensor or TensorSpec
    static json::object described(const Described& what) {
        return {{"name", text_of(what.name)},
                {"dtype", text_of(name_of(what.dtype))},
                {"shape", shape(what.shape)}};
    }
    static json::array specs(const std::vector<TensorSpec>& all) {
        json::array out;
        for (const TensorSpec& spec : all) out.push_back(described(spec));
        return out;
    }
    void put_tensors(const std::vector<Tensor>& all) {
        for (const Tensor& tensor : all) {
            json::object one = described(tensor);
            one.emplace("data", hex_of(tensor.data.bytes));
            tensors.push_back(std::move(one));
        }
    }
    static json::object meaning(const wire::Capabilities& c) {
        json::object limits;
        for (const auto& [name, limit] : c.webgpu.limits)
            limits[text_of(name)] = static_cast<std::int64_t>(limit);
        json::array types;
        for (const std::string& type : c.webnn.device_types) types.push_back(text_of(type));
        return {{"webgpu",
                 {{"available", c.webgpu.available},
                  {"vendor", text_of(c.webgpu.vendor)},
                  {"architecture", text_of(c.webgpu.architecture)},
                  {"device", text_of(c.webgpu.device)},
                  {"description", text_of(c.webgpu.description)},
                  {"is_fallback_adapter", c.webgpu.is_fallback_adapter},
                  {"limits", limits}}},
                {"webnn", {{"available", c.webnn.available}, {"device_types", types}}},
                {"wasm", {{"simd", c.wasm_simd}, {"threads", c.wasm_threads}}},
                {"memory",
                 {{"device_memory_gib", number_of(c.device_memory_gib)},
                  {"js_heap_bytes_max", static_cast<std::int64_t>(c.js_heap_bytes_max)}}},
                {"cross_origin_isolated", c.cross_origin_isolated}};
    }
};

/// {"kind": name, "header": every field, "tensors": [{name, dtype, shape, data in hex}]}
inline json::object meaning_of(const wire::Message& message) {
    MeaningWriter writer;
    std::visit(writer, message);
    return {{"kind", text_of(kind_name(wire::kind_of(message)))},
            {"header", std::move(writer.header)},
            {"tensors", std::move(writer.tensors)}};
}

} // namespace everpool::test
