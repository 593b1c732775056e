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

/// To the compute thread, as an event on the window: see src/web/drills.js.
std::string drill(Fault fault, std::string_view how = {}) {
    return fmt::format("dispatchEvent(new CustomEvent('everpool-drill',"
                       " {{ detail: {{ fault: '{}'{} }} }}));",
                       name_of(fault), how);
}

} // namespace

std::string script_of(Fault fault, FaultIntensity intensity) {
    switch (fault) {
    case Fault::main_loop: return loop(intensity);
    case Fault::page_reload: return "location.reload();";
    case Fault::page_navigate: return "location.href = 'about:blank';";
    case Fault::device_destroy:
    case Fault::context_lost: return drill(fault);
    case Fault::worker_loop:
        return drill(fault, by(intensity, ", ms: 500", ", ms: 5000", ", ms: null"));
    case Fault::oom:
        return drill(fault,
                     by(intensity, ", mebibytes: 256", ", mebibytes: 1024", ", mebibytes: 4608"));
    case Fault::wrong_answer:
        return drill(fault, by(intensity, ", factor: 1.01", ", factor: 1.1", ", factor: -1"));
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
