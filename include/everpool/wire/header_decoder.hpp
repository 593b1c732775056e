// Everpool wire: the fields of a header, from parsed JSON to a message.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/wire/decode_result.hpp"
#include "everpool/wire/json_member.hpp"
#include "everpool/wire/limits.hpp"
#include "everpool/wire/message.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::wire::detail {

/// Reads the fields of one header object. The first thing wrong is kept, and everything after it
/// gives defaults, so that a message is read in one go and judged at the end.
class HeaderDecoder {
public:
    /// `text` is what `header` was parsed from.
    HeaderDecoder(const boost::json::object& header, std::string_view text, const Limits& limits,
                  SharedBytes payload)
        : header_(&header), text_(text), limits_(limits), payload_(std::move(payload)) {}

    [[nodiscard]] DecodeResult result() const noexcept { return result_; }

    /// Whether all of the payload belongs to some tensor.
    void check_payload_is_used() {
        if (!payload_.bytes.empty()) fail(DecodeResult::length_mismatch);
    }

    Message read(Kind kind) {
        switch (kind) {
        case Kind::hello: return hello();
        case Kind::ready: return ready();
        case Kind::load_model: return load_model();
        case Kind::progress:
            return Progress{integer("id"), name("model"), name("phase"), integer("loaded"),
                            integer("total")};
        case Kind::unload_model: return UnloadModel{integer("id"), name("model")};
        case Kind::run: return run();
        case Kind::result: return run_result();
        case Kind::error: return remote_error();
        case Kind::ping: return Ping{integer("sequence")};
        case Kind::pong: return Pong{integer("sequence")};
        case Kind::cancel: return Cancel{integer("id"), small_integer("attempt")};
        case Kind::drain: return Drain{boolean("restart_compute")};
        case Kind::bye: return Bye{text("reason", limits_.text_bytes_max)};
        case Kind::event: return PageEvent{name("type"), text("message", limits_.text_bytes_max)};
        }
        fail(DecodeResult::unknown_kind);
        return {};
    }

private:
    using Value = boost::json::value;

    void fail(DecodeResult why) noexcept {
        if (result_ == DecodeResult::ok) result_ = why;
    }

    const Value* find(const boost::json::object& in, std::string_view key) noexcept {
        const Value* found = in.if_contains({key.data(), key.size()});
        if (found == nullptr) fail(DecodeResult::bad_field);
        return found;
    }
    /// A field that may be left out. The functions below take null for one that says nothing.
    [[nodiscard]] const Value* optional(std::string_view key) const noexcept {
        return header_->if_contains({key.data(), key.size()});
    }

    std::string text_of(const Value* value, std::size_t bytes_max) {
        if (value == nullptr) return {};
        const auto* string = value->if_string();
        if (string == nullptr || string->size() > bytes_max) {
            fail(DecodeResult::bad_field);
            return {};
        }
        return {string->data(), string->size()};
    }
    std::uint64_t integer_of(const Value* value) noexcept {
        if (value == nullptr) return 0;
        // A number that JavaScript wrote without a fraction has none here either.
        const auto* number = value->if_int64();
        if (number != nullptr && is_integer(*number, 0))
            return static_cast<std::uint64_t>(*number);
        fail(DecodeResult::bad_field);
        return 0;
    }
    double quantity_of(const Value* value) noexcept {
        if (value == nullptr) return 0;
        double number = -1;
        if (const auto* real = value->if_double()) number = *real;
        else if (const auto* whole = value->if_int64()) number = static_cast<double>(*whole);
        if (is_quantity(number)) return number;
        fail(DecodeResult::bad_field);
        return 0;
    }
    bool boolean_of(const Value* value) noexcept {
        if (value == nullptr) return false;
        if (const auto* flag = value->if_bool()) return *flag;
        fail(DecodeResult::bad_field);
        return false;
    }
    /// The array, or an empty one with a fault noted.
    const boost::json::array& array_of(const Value* value, std::size_t count_max) noexcept {
        static const boost::json::array none;
        const auto* array = value == nullptr ? nullptr : value->if_array();
        if (array != nullptr && array->size() <= count_max) return *array;
        fail(DecodeResult::bad_field);
        return none;
    }
    const boost::json::object& object_of(const Value* value) noexcept {
        static const boost::json::object none;
        const auto* object = value == nullptr ? nullptr : value->if_object();
        if (object != nullptr) return *object;
        fail(DecodeResult::bad_field);
        return none;
    }

    std::string text(std::string_view key, std::size_t bytes_max) {
        return text_of(find(*header_, key), bytes_max);
    }
    std::string name(std::string_view key) { return text(key, limits_.name_bytes_max); }
    std::string optional_name(std::string_view key) {
        return text_of(optional(key), limits_.name_bytes_max);
    }
    std::uint64_t integer(std::string_view key) noexcept { return integer_of(find(*header_, key)); }
    double quantity(std::string_view key) noexcept { return quantity_of(find(*header_, key)); }
    bool boolean(std::string_view key) noexcept { return boolean_of(find(*header_, key)); }
    std::uint32_t small_integer(std::string_view key) noexcept {
        const std::uint64_t value = integer(key);
        if (value > UINT32_MAX) fail(DecodeResult::bad_field);
        return static_cast<std::uint32_t>(value);
    }
    std::string json_object(std::string_view key) {
        const Value* value = optional(key);
        if (value == nullptr) return {};
        (void)object_of(value); // judged; what goes on is its text
        return std::string(member_text(text_, key));
    }
    std::optional<Provider> provider() {
        const Value* value = optional("provider");
        if (value == nullptr) return std::nullopt;
        const auto found = provider_from(text_of(value, limits_.name_bytes_max));
        if (!found) fail(DecodeResult::bad_field);
        return found;
    }

    /// Dimensions from `dimension_min` up: free_dimension for specs, 0 for tensors.
    Shape shape_of(const Value* value, std::int64_t dimension_min) {
        Shape shape;
        const auto& entries = array_of(value, limits_.dimension_count_max);
        shape.reserve(entries.size());
        for (const Value& entry : entries) {
            const auto* dimension = entry.if_int64();
            if (dimension == nullptr || !is_integer(*dimension, dimension_min)) {
                fail(DecodeResult::bad_field);
                return {};
            }
            shape.push_back(*dimension);
        }
        return shape;
    }
    DataType dtype_of(const Value* value) {
        const auto type = data_type_from(text_of(value, limits_.name_bytes_max));
        if (!type) fail(DecodeResult::bad_field);
        return type.value_or(DataType::float32);
    }
    std::vector<TensorSpec> specs(std::string_view key) {
        std::vector<TensorSpec> out;
        for (const Value& entry : array_of(find(*header_, key), limits_.list_count_max)) {
            const auto& object = object_of(&entry);
            TensorSpec spec;
            spec.name = text_of(find(object, "name"), limits_.name_bytes_max);
            spec.dtype = dtype_of(find(object, "dtype"));
            spec.shape = shape_of(find(object, "shape"), free_dimension);
            if (result_ != DecodeResult::ok) return out;
            out.push_back(std::move(spec));
        }
        return out;
    }

    std::vector<Tensor> tensors();
    bool take_payload(Tensor& tensor);
    Capabilities capabilities(const Value& value);
    void add_limit(Capabilities& to, std::string_view name, const Value& value) {
        if (name.size() > limits_.name_bytes_max) fail(DecodeResult::bad_field);
        else to.webgpu.limits.emplace_back(name, integer_of(&value));
    }

    Message hello() {
        Hello m;
        const std::string role = name("role");
        if (role != "control" && role != "data") fail(DecodeResult::bad_field);
        m.role = role == "control" ? Channel::control : Channel::data;
        m.token = name("token");
        m.protocol = small_integer("protocol");
        m.realm = small_integer("realm");
        const auto& engine = object_of(find(*header_, "engine"));
        m.engine_name = text_of(find(engine, "name"), limits_.name_bytes_max);
        m.engine_version = text_of(find(engine, "version"), limits_.name_bytes_max);
        m.user_agent = text_of(find(engine, "user_agent"), limits_.name_bytes_max);
        if (const Value* value = optional("capabilities")) m.capabilities = capabilities(*value);
        return m;
    }
    Message ready() {
        Ready m;
        m.id = integer("id");
        m.model = name("model");
        m.unloaded = boolean_of(optional("unloaded"));
        if (m.unloaded) return m;
        m.provider = provider();
        m.is_fallback_adapter = boolean("is_fallback_adapter");
        m.inputs = specs("inputs");
        m.outputs = specs("outputs");
        m.fetch_ms = quantity("fetch_ms");
        m.create_ms = quantity("create_ms");
        return m;
    }
    Message load_model() {
        LoadModel m{integer("id"), name("model"), name("url"), integer("bytes"), {}};
        for (const Value& entry : array_of(find(*header_, "providers"), limits_.list_count_max)) {
            const auto found = provider_from(text_of(&entry, limits_.name_bytes_max));
            if (!found) fail(DecodeResult::bad_field);
            m.providers.push_back(found.value_or(Provider::wasm));
        }
        return m;
    }
    Message run() {
        Run m;
        m.id = integer("id");
        m.attempt = small_integer("attempt");
        m.operation = name("operation");
        m.model = optional_name("model");
        m.module_url = optional_name("module_url");
        m.parameters = json_object("parameters");
        m.tensors = tensors();
        return m;
    }
    Message run_result() {
        RunResult m;
        m.id = integer("id");
        m.attempt = small_integer("attempt");
        m.provider = provider();
        // Left out where they are false or zero, as in every echo.
        m.is_fallback_adapter = boolean_of(optional("is_fallback_adapter"));
        m.queue_ms = quantity_of(optional("queue_ms"));
        m.compute_ms = quantity_of(optional("compute_ms"));
        m.info = json_object("info");
        m.tensors = tensors();
        return m;
    }
    /// A code of a newer page's is still a failure.
    static Errc code_from(std::string_view name) noexcept {
        constexpr std::string_view no_name = name_of(static_cast<Errc>(-1));
        for (int value = 1; value < 128; ++value)
            if (name_of(static_cast<Errc>(value)) == name && name != no_name)
                return static_cast<Errc>(value);
        return Errc::operation_failed;
    }
    Message remote_error() {
        RemoteError m;
        m.id = integer("id");
        m.attempt = small_integer("attempt");
        m.code = code_from(name("code"));
        m.message = text("message", limits_.text_bytes_max);
        return m;
    }

    const boost::json::object* header_;
    std::string_view text_;
    const Limits& limits_;
    SharedBytes payload_; ///< what no tensor has taken yet
    DecodeResult result_{DecodeResult::ok};
};

inline std::vector<Tensor> HeaderDecoder::tensors() {
    std::vector<Tensor> out;
    const auto& entries = array_of(find(*header_, "tensors"), limits_.tensor_count_max);
    if (result_ != DecodeResult::ok) return out;
    out.reserve(entries.size());
    for (const Value& entry : entries) {
        const auto& object = object_of(&entry);
        Tensor tensor;
        tensor.name = text_of(find(object, "name"), limits_.name_bytes_max);
        tensor.dtype = dtype_of(find(object, "dtype"));
        tensor.shape = shape_of(find(object, "shape"), 0);
        if (result_ == DecodeResult::bad_field) result_ = DecodeResult::bad_tensor;
        if (result_ != DecodeResult::ok || !take_payload(tensor)) return out;
        out.push_back(std::move(tensor));
    }
    return out;
}

inline bool HeaderDecoder::take_payload(Tensor& tensor) {
    const auto count = element_count(tensor.shape);
    const std::size_t each = element_bytes(tensor.dtype);
    if (!count || *count > integer_max / each) { // JavaScript has no such number
        fail(DecodeResult::bad_tensor);
        return false;
    }
    const std::uint64_t bytes = *count * each;
    const std::uint64_t padded = padded_bytes(bytes);
    auto& rest = payload_.bytes;
    if (padded > rest.size()) {
        fail(DecodeResult::length_mismatch);
        return false;
    }
    tensor.data = {payload_.owner, rest.first(static_cast<std::size_t>(bytes))};
    for (std::uint64_t at = bytes; at < padded; ++at)
        if (rest[static_cast<std::size_t>(at)] != std::byte{0}) fail(DecodeResult::bad_padding);
    rest = rest.subspan(static_cast<std::size_t>(padded));
    return result_ == DecodeResult::ok;
}

inline Capabilities HeaderDecoder::capabilities(const Value& value) {
    Capabilities c;
    const std::size_t text_max = limits_.name_bytes_max;
    const auto& all = object_of(&value);
    const auto& webgpu = object_of(find(all, "webgpu"));
    c.webgpu.available = boolean_of(find(webgpu, "available"));
    if (c.webgpu.available) {
        c.webgpu.vendor = text_of(find(webgpu, "vendor"), text_max);
        c.webgpu.architecture = text_of(find(webgpu, "architecture"), text_max);
        c.webgpu.device = text_of(find(webgpu, "device"), text_max);
        c.webgpu.description = text_of(find(webgpu, "description"), text_max);
        c.webgpu.is_fallback_adapter = boolean_of(find(webgpu, "is_fallback_adapter"));
        const auto& limits = object_of(find(webgpu, "limits"));
        if (limits.size() > limits_.list_count_max) fail(DecodeResult::bad_field);
        else
            for (const auto& limit : limits)
                add_limit(c, {limit.key().data(), limit.key().size()}, limit.value());
    }
    const auto& webnn = object_of(find(all, "webnn"));
    c.webnn.available = boolean_of(find(webnn, "available"));
    if (c.webnn.available)
        for (const Value& type : array_of(find(webnn, "device_types"), limits_.list_count_max))
            c.webnn.device_types.push_back(text_of(&type, text_max));
    const auto& wasm = object_of(find(all, "wasm"));
    c.wasm_simd = boolean_of(find(wasm, "simd"));
    c.wasm_threads = boolean_of(find(wasm, "threads"));
    const auto& memory = object_of(find(all, "memory"));
    c.device_memory_gib = quantity_of(find(memory, "device_memory_gib"));
    c.js_heap_bytes_max = integer_of(find(memory, "js_heap_bytes_max"));
    c.cross_origin_isolated = boolean_of(find(all, "cross_origin_isolated"));
    return c;
}

} // namespace everpool::wire::detail
