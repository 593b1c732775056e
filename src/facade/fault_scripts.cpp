// SPDX-License-Identifier: BSL-1.0
#include "facade/fault_scripts.hpp"

#include <fmt/format.h>

#include <cassert>

namespace everpool::facade {

namespace {

template <class Value>
Value by(FaultIntensity intensity, Value mild, Value moderate, Value severe) {
    switch (intensity) {
    case FaultIntensity::mild: return mild;
    case FaultIntensity::moderate: return moderate;
    case FaultIntensity::severe: break;
    }
    return severe;
}

std::string loop(FaultIntensity intensity) {
    if (intensity == FaultIntensity::severe) return "for (;;) {}";
    return fmt::format("const end = performance.now() + {}; while (performance.now() < end) {{}}",
                       by(intensity, 500, 5000, 0));
}

/// Replaces a method until it is called, which it then does to itself and destroys what it was
/// called of.
std::string destroy_at_use(std::string_view kind, std::string_view method) {
    return fmt::format("const kind = {0}.prototype, use = kind.{1};"
                       "kind.{1} = function (...given) {{"
                       "  kind.{1} = use;"
                       "  const got = use.apply(this, given);"
                       "  this.destroy();"
                       "  return got;"
                       "}};",
                       kind, method);
}

/// Numbers are allocated in the engine's own heap, 1 MiB at a time.
std::string fill_memory(FaultIntensity intensity) {
    return fmt::format("const full = [];"
                       "for (let i = 0; i < {}; ++i) full.push(new Array(131072).fill(i + 0.5));",
                       by(intensity, 256, 1024, 4608));
}

/// Answers with a provider in them are a model's or a shader's. Their numbers stand at the frame's
/// end, in the order in which its header names them; see include/everpool/wire/README.md.
std::string falsify(FaultIntensity intensity) {
    return fmt::format(
        "const kind = WebSocket.prototype, send = kind.send, result = 7;"
        "const padded = (bytes) => Math.ceil(bytes / 8) * 8;"
        "kind.send = function (frame) {{"
        "  if (frame instanceof ArrayBuffer && new DataView(frame).getUint8(5) === result) {{"
        "    const length = new DataView(frame).getUint32(8, true);"
        "    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 16, "
        "length)));"
        "    let at = padded(16 + length);"
        "    for (const {{ dtype, shape }} of header.provider ? header.tensors : []) {{"
        "      if (dtype !== 'float32') break;"
        "      const count = shape.reduce((product, size) => product * size, 1);"
        "      const numbers = new Float32Array(frame, at, count);"
        "      numbers.forEach((value, i) => {{ numbers[i] = value * {}; }});"
        "      at += padded(4 * count);"
        "    }}"
        "  }}"
        "  return send.call(this, frame);"
        "}};",
        by(intensity, "1.01", "1.1", "-1"));
}

} // namespace

FaultScript script_of(Fault fault, FaultIntensity intensity) {
    using enum io::PageThread;
    switch (fault) {
    case Fault::main_loop: return {main, loop(intensity)};
    case Fault::worker_loop: return {compute, loop(intensity)};
    case Fault::page_reload: return {main, "location.reload();"};
    case Fault::page_navigate: return {main, "location.href = 'about:blank';"};
    case Fault::device_destroy:
        return {compute, destroy_at_use("GPUDevice", "createCommandEncoder")};
    case Fault::context_lost: return {compute, destroy_at_use("MLContext", "dispatch")};
    case Fault::oom: return {compute, fill_memory(intensity)};
    case Fault::wrong_answer: return {compute, falsify(intensity)};
    default: break;
    }
    assert(false && "this fault is not done by a script");
    return {};
}

/// What a compiler can see to be endless it may refuse or leave out, so the end is in the data.
std::string endless_shader(FaultIntensity intensity) {
    return fmt::format("@group(0) @binding(0) var<storage, read_write> y: array<u32>;"
                       "@compute @workgroup_size(1) fn main() {{"
                       "  var rounds = 0u;"
                       "  loop {{"
                       "    rounds += 1u;"
                       "    y[0] = y[0] * 1664525u + 1013904223u;"
                       "    if ({}) {{ break; }}"
                       "  }}"
                       "  y[1] = rounds;"
                       "}}",
                       by(intensity, "rounds == 50000000u", "rounds == 500000000u", "y[2] == 1u"));
}

} // namespace everpool::facade
