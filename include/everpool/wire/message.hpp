// Everpool: the messages of everpool.v1, as values. The codec (codec.hpp) turns them into bytes.
// SPDX-License-Identifier: BSL-1.0
//
// README.md has the protocol: what each field may be, who sends what, limits and errors. In short,
// a frame is one binary WebSocket message:
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
//          -      -   tensor payloads in the order of the header's "tensors", each followed by
//                     zeros up to a multiple of 8 (also the last one)
//
// Fields have the names on the wire that they have here, except that an engine's stand together.
// "H" is the host, "P" the page; control and data are a worker's two connections.
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

/// P, both: the first message on a connection.
struct Hello {
    Channel role{};
    std::string token;
    std::uint32_t protocol{1};
    std::uint32_t realm{0}; ///< counts the page's compute threads from 1
    std::string engine_name, engine_version, user_agent;
    std::optional<Capabilities> capabilities; ///< on data only
    friend bool operator==(const Hello&, const Hello&) = default;
};

/// P, data: answers load_model, or unload_model; then `unloaded`, and nothing below it counts.
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

/// H, data. `url` is relative to the page.
struct LoadModel {
    std::uint64_t id{0};
    std::string model, url;
    std::uint64_t bytes{0};
    std::vector<Provider> providers;
    friend bool operator==(const LoadModel&, const LoadModel&) = default;
};

/// P, data: of loading. `phase` is "fetch" or "create".
struct Progress {
    std::uint64_t id{0};
    std::string model, phase;
    std::uint64_t loaded{0}, total{0};
    friend bool operator==(const Progress&, const Progress&) = default;
};

/// H, data.
struct UnloadModel {
    std::uint64_t id{0};
    std::string model;
    friend bool operator==(const UnloadModel&, const UnloadModel&) = default;
};

/// H, data. `model`, `module_url` and `parameters` are left out where they are empty.
struct Run {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    std::string operation, model, module_url;
    std::string parameters; ///< JSON object text, validated by the encoder; empty = none
    std::vector<Tensor> tensors;
};

/// P, data: answers run.
struct RunResult {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    std::optional<Provider> provider;
    bool is_fallback_adapter{false};
    double queue_ms{0}, compute_ms{0};
    std::string info; ///< JSON object text, or empty
    std::vector<Tensor> tensors;
};

/// P, both: answers run, load_model (attempt 0), or nothing that was asked (id 0).
struct RemoteError {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    Errc code{Errc::operation_failed}; ///< a name that is unknown here decodes to operation_failed
    std::string message;               ///< theirs: escape before showing
    friend bool operator==(const RemoteError&, const RemoteError&) = default;
};

/// H, both.
struct Ping {
    std::uint64_t sequence{0};
    friend bool operator==(const Ping&, const Ping&) = default;
};

/// P, both: by the thread that holds the connection.
struct Pong {
    std::uint64_t sequence{0};
    friend bool operator==(const Pong&, const Pong&) = default;
};

/// H, data.
struct Cancel {
    std::uint64_t id{0};
    std::uint32_t attempt{0};
    friend bool operator==(const Cancel&, const Cancel&) = default;
};

/// H, control: finish what runs. Or throw the compute thread away at once and start the next one.
struct Drain {
    bool restart_compute{false};
    friend bool operator==(const Drain&, const Drain&) = default;
};

/// Both, both: the sender closes the connection after this.
struct Bye {
    std::string reason;
    friend bool operator==(const Bye&, const Bye&) = default;
};

/// P, both. `type` is "device_lost", "page_hidden", "page_visible" or "unhandled_error".
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
