// What the tests of the codec share: messages of every kind, frames made by hand, and decoding
// them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/wire/codec.hpp"
#include "support/catch.hpp"
#include "support/wire_meaning.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::wire {

using test::meaning_of;
using Bytes = std::vector<std::byte>;

inline void append(Bytes& to, std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    to.insert(to.end(), bytes.begin(), bytes.end());
}

/// A frame with this header, put together without the encoder. `payload` is appended as it is.
inline Bytes frame_of(Kind kind, std::string_view header, std::string_view payload = {}) {
    Bytes out;
    append(out, "EVP1");
    out.push_back(std::byte{1});
    out.push_back(static_cast<std::byte>(kind));
    out.resize(8);
    for (int shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<std::byte>(header.size() >> shift));
    out.resize(16);
    append(out, header);
    out.resize((out.size() + 7) / 8 * 8);
    append(out, payload);
    return out;
}

struct Decoded {
    DecodeResult result;
    Message message;
    std::shared_ptr<const Bytes> frame; ///< what the tensors view
};

inline Decoded decoded(Bytes frame, const Limits& limits = {}) {
    Decoded out{DecodeResult::ok, {}, std::make_shared<const Bytes>(std::move(frame))};
    out.result = decode(*out.frame, out.frame, limits, out.message);
    return out;
}

inline std::string verdict(Bytes frame, const Limits& limits = {}) {
    return std::string(name_of(decoded(std::move(frame), limits).result));
}

inline std::string verdict(Kind kind, std::string_view header, std::string_view payload = {}) {
    return verdict(frame_of(kind, header, payload));
}

inline Bytes encoded(const Message& message, const Limits& limits = {}) {
    EncodedFrame frame;
    REQUIRE(encode(message, limits, frame) == Errc::ok);
    Bytes bytes = frame.joined();
    REQUIRE(bytes.size() == frame.bytes);
    return bytes;
}

inline Errc encode_outcome(const Message& message, const Limits& limits = {}) {
    EncodedFrame frame;
    return encode(message, limits, frame);
}

inline std::string header_text(const Bytes& frame) {
    const auto bytes =
        std::to_integer<std::size_t>(frame.at(8)) | std::to_integer<std::size_t>(frame.at(9)) << 8;
    return {reinterpret_cast<const char*>(frame.data()) + prefix_bytes, bytes};
}

inline Tensor bytes_tensor(std::string name, std::size_t count, DataType dtype = DataType::uint8) {
    auto tensor = Tensor::of<std::uint8_t>(std::move(name), {}, std::vector<std::uint8_t>(1, 7));
    auto owner = std::make_shared<std::vector<std::uint8_t>>(count * element_bytes(dtype));
    for (std::size_t i = 0; i < owner->size(); ++i) (*owner)[i] = static_cast<std::uint8_t>(i + 1);
    tensor.shape = {static_cast<std::int64_t>(count)};
    tensor.dtype = dtype;
    tensor.data = {owner, std::as_bytes(std::span(std::as_const(*owner)))};
    return tensor;
}

inline Capabilities full_capabilities() {
    Capabilities c;
    c.webgpu = {true,
                "intel",
                "xe",
                "0x9a49",
                "Iris \"Xe\"",
                true,
                {{"maxBufferSize", integer_max}, {"maxBindGroups", 4}}};
    c.webnn = {true, {"cpu", "npu"}};
    c.wasm_simd = c.wasm_threads = c.cross_origin_isolated = true;
    c.device_memory_gib = 0.5;
    c.js_heap_bytes_max = 4294705152;
    return c;
}

/// Each kind at least twice: with everything that it can say, and with as little as possible.
inline std::vector<Message> samples() {
    const std::string odd_text = "\xc3\xbc \xf0\x9f\x98\x80 \"\\/\b\f\n\r\t\x01\x1f\x7f";
    Run run;
    run.id = integer_max;
    run.attempt = UINT32_MAX;
    run.operation = "inference";
    run.model = "mlp";
    run.module_url = "modules/top_k";
    run.parameters = R"({"k":5,"nested":{"list":[1,null,true,"x"]}})";
    run.tensors = {Tensor::of<float>("x", {2, 2}, {1, -2, 0.5f, 4}), bytes_tensor("odd", 3),
                   Tensor::of<double>("empty", {0, 7}, {})};
    RunResult result;
    result.id = 7;
    result.attempt = 2;
    result.provider = Provider::webgpu;
    result.is_fallback_adapter = true;
    result.queue_ms = 0.25;
    result.compute_ms = 1234.5;
    result.info = R"({"searched":1.5})";
    result.tensors = {Tensor::of<std::int64_t>("scalar", {}, {-1})};
    const TensorSpec spec{"x", DataType::float16, {-1, 0, 224}};
    return {
        Hello{Channel::control, "secret", 1, 3, "firefox", "128.0", "Mozilla/5.0", {}},
        Hello{Channel::data, "", 2, 0, "", "", odd_text, full_capabilities()},
        Hello{Channel::data, "t", 1, 1, "e", "v", "u", Capabilities{}},
        Ready{1, "mlp", false, Provider::webnn, true, {spec}, {spec, spec}, 12.5, 3},
        Ready{2, "mlp", true, {}, false, {}, {}, 0, 0},
        Ready{3, "", false, {}, false, {}, {}, 0, 0},
        LoadModel{
            4, "mlp", "models/mlp", 18224, {Provider::webnn, Provider::webgpu, Provider::wasm}},
        LoadModel{},
        Progress{4, "mlp", "fetch", 1024, 18224},
        Progress{},
        UnloadModel{5, odd_text},
        UnloadModel{},
        run,
        Run{},
        result,
        RunResult{},
        RemoteError{7, 2, Errc::device_lost, odd_text},
        RemoteError{0, 0, Errc::protocol_error, ""},
        Ping{integer_max},
        Ping{},
        Pong{1},
        Pong{},
        Cancel{7, UINT32_MAX},
        Cancel{},
        Drain{true},
        Drain{false},
        Bye{"done"},
        Bye{},
        PageEvent{"device_lost", odd_text},
        PageEvent{},
    };
}

} // namespace everpool::wire
