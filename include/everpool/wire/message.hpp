// Everpool: the messages of everpool.v1, as values. The codec (codec.hpp) turns them into bytes.
// SPDX-License-Identifier: BSL-1.0
//
// A frame is one binary WebSocket message:
//
//     offset  bytes
//          0      4   magic "EVP1"
//          4      1   version, 1
//          5      1   kind, see Kind
//          6      2   reserved, 0
//          8      4   header_bytes, little-endian: length of the JSON header
//         12      4   reserved, 0
//         16      -   JSON header: one object, UTF-8, exactly header_bytes long
//          -      -   zeros up to the next multiple of 8 from the frame's start
//          -      -   tensor payloads in the order of the header's "tensors" array, each followed by
//                     zeros up to a multiple of 8 (also the last one)
//
// "tensors" is an array of {"name": string, "dtype": "float32"..., "shape": [ints >= 0]}; lengths and
// offsets follow from it and are not sent, so they cannot lie. The frame's length must be exact.
//
// Every worker has two connections: `control`, held by the page's main thread, and `data`, held by
// the page's compute thread. Kinds, who sends them (H host, P page) and where, and their header:
//
//  hello        P both     {"role":"control"|"data","token":s,"protocol":1,"realm":n,
//                           "engine":{"name":s,"version":s,"user_agent":s},"capabilities":{...}}
//                          first message on a connection. realm counts the page's compute threads
//                          from 1. capabilities only on data, see Capabilities.
//  ready        P data     {"id":n,"model":s,"provider":s,"is_fallback_adapter":b,
//                           "inputs":[tensor spec],"outputs":[tensor spec],
//                           "fetch_ms":x,"create_ms":x}   answers load_model; a free dimension is -1
//                          {"id":n,"model":s,"unloaded":true}   answers unload_model
//  load_model   H data     {"id":n,"model":s,"url":s,"bytes":n,"providers":[s...]}
//  progress     P data     {"id":n,"model":s,"phase":"fetch"|"create","loaded":n,"total":n}
//  unload_model H data     {"id":n,"model":s}
//  run          H data     {"id":n,"attempt":n,"operation":s,"model":s,"parameters":{...},
//                           "module_url":s,"tensors":[...]}   model, parameters, module_url optional
//  result       P data     {"id":n,"attempt":n,"provider":s,"is_fallback_adapter":b,
//                           "queue_ms":x,"compute_ms":x,"info":{...},"tensors":[...]}
//                          only id, attempt and tensors are required
//  error        P both     {"id":n,"attempt":n,"code":s,"message":s}  code: an Errc's name; id 0: of
//                          no request. Also answers load_model (id, attempt 0).
//  ping         H both     {"sequence":n}
//  pong         P both     {"sequence":n}     by the thread that holds the connection
//  cancel       H data     {"id":n,"attempt":n}
//  drain        H control  {"restart_compute":b}   finish what runs; with true: throw the compute
//                          thread away and start a new one (which says hello with realm + 1)
//  bye          both both  {"reason":s}       the sender closes the connection after this
//  event        P both     {"type":"device_lost"|"page_hidden"|"page_visible"|"unhandled_error",
//                           "message":s}
//
// Unknown fields are ignored, so that fields can be added; an unknown kind is a protocol error.
#pragma once

#include "everpool/error.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/tensor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace everpool::wire {

enum class Kind : std::uint8_t {
    hello = 1, ready = 2, load_model = 3, progress = 4, unload_model = 5, run = 6, result = 7,
    error = 8, ping = 9, pong = 10, cancel = 11, drain = 12, bye = 13, event = 14,
};

/// Which of a worker's two connections.
enum class Channel : std::uint8_t { control, data };

constexpr std::string_view name_of(Channel channel) noexcept {
    return channel == Channel::control ? "control" : "data";
}

/// What a worker found on itself, by trying, not by looking whether an API exists.
/// On the wire: {"webgpu":{"available":b,"vendor":s,"architecture":s,"device":s,"description":s,
/// "is_fallback_adapter":b,"limits":{"maxBufferSize":n,...}},"webnn":{"available":b,
/// "device_types":[s]},"wasm":{"simd":b,"threads":b},"memory":{"device_memory_gib":x,
/// "js_heap_bytes_max":n},"cross_origin_isolated":b}
struct Capabilities {
    struct WebGpu {
        bool available{false};
        std::string vendor, architecture, device, description;
        bool is_fallback_adapter{false};
        /// The adapter's limits by their WebGPU names, in the order received.
        std::vector<std::pair<std::string, std::uint64_t>> limits;
        friend bool operator==(const WebGpu&, const WebGpu&) = default;
    } webgpu;
    struct WebNn {
        bool available{false};
        std::vector<std::string> device_types; ///< "cpu", "gpu", "npu": those that gave a context
        friend bool operator==(const WebNn&, const WebNn&) = default;
    } webnn;
    bool wasm_simd{false};
    bool wasm_threads{false}; ///< shared memory usable: cross-origin isolated, and threads compile
    double device_memory_gib{0};        ///< navigator.deviceMemory, 0 = unknown
    std::uint64_t js_heap_bytes_max{0}; ///< performance.memory.jsHeapSizeLimit, 0 = unknown
    bool cross_origin_isolated{false};
    friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct Hello {
    Channel role{};
    std::string token;
    std::uint32_t protocol{1};
    std::uint32_t realm{0};
    std::string engine_name, engine_version, user_agent;
    std::optional<Capabilities> capabilities;
    friend bool operator==(const Hello&, const Hello&) = default;
};

struct Ready {
    std::uint64_t id{0};
    std::string model;
    bool unloaded{false};
    std::optional<Provider> provider;
    bool is_fallback_adapter{false};
    std::vector<TensorSpec> inputs, outputs;
    double fetch_ms{0}, create_ms{0};
    friend bool operator==(const Ready&, const Ready&) = default;
};

struct LoadModel {
    std::uint64_t id{0};
    std::string model, url;
    std::uint64_t bytes{0};
    std::vector<Provider> providers;
    friend bool operator==(const LoadModel&, const LoadModel&) = default;
};

struct Progress {
    std::uint64_t id{0};
    std::string model, phase;
    std::uint64_t loaded{0}, total{0};
    friend bool operator==(const Progress&, const Progress&) = default;
};

struct UnloadModel {
    std::uint64_t id{0};
    std::string model;
    friend bool operator==(const UnloadModel&, const UnloadModel&) = default;
};

struct Run {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    std::string operation, model, module_url;
    std::string parameters; ///< JSON object text, validated by the encoder; empty = none
    std::vector<Tensor> tensors;
};

struct RunResult {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    std::optional<Provider> provider;
    bool is_fallback_adapter{false};
    double queue_ms{0}, compute_ms{0};
    std::string info; ///< JSON object text, or empty
    std::vector<Tensor> tensors;
};

struct RemoteError {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    Errc code{Errc::operation_failed}; ///< a name that is unknown here decodes to operation_failed
    std::string message;               ///< theirs: escape before showing
    friend bool operator==(const RemoteError&, const RemoteError&) = default;
};

struct Ping { std::uint64_t sequence{0}; friend bool operator==(const Ping&, const Ping&) = default; };
struct Pong { std::uint64_t sequence{0}; friend bool operator==(const Pong&, const Pong&) = default; };

struct Cancel {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    friend bool operator==(const Cancel&, const Cancel&) = default;
};

struct Drain { bool restart_compute{false}; friend bool operator==(const Drain&, const Drain&) = default; };
struct Bye { std::string reason; friend bool operator==(const Bye&, const Bye&) = default; };

struct PageEvent {
    std::string type, message;
    friend bool operator==(const PageEvent&, const PageEvent&) = default;
};

/// In the order of Kind, so that kind == index() + 1.
using Message = std::variant<Hello, Ready, LoadModel, Progress, UnloadModel, Run, RunResult,
                             RemoteError, Ping, Pong, Cancel, Drain, Bye, PageEvent>;

inline Kind kind_of(const Message& message) noexcept {
    return static_cast<Kind>(message.index() + 1);
}

} // namespace everpool::wire
