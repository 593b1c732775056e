// Tests: a configuration said in full, and compared in full.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/config_source.hpp"
#include "facade/config_members.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>

namespace everpool::tests {

/// Every member that can be said, with its default.
inline constexpr const char* default_text = R"({
  "browsers": [{"type": "chromium", "count": 1, "executable": "", "extra_arguments": [],
                "extra_preferences": {},
                "webdriver": {"endpoint": "", "driver": "", "capabilities_json": ""}}],
  "standby_count": null, "remote_alternatives": [], "models": [], "modules": [],
  "browser_preferences": {"text": ["edge", "chrome"], "vision": ["chrome", "edge"],
                          "audio": ["firefox", "chrome"], "multimodal": ["chrome", "edge"]},
  "default_timeout": "60s", "max_attempts": 3,
  "hedge": {"enabled": true, "quantile": 0.95, "delay_min": "5ms", "sample_count_min": 50,
            "budget": {"percent_per_success": 20, "saved_max": 100, "floor": 3,
                       "floor_interval": "10s"}},
  "vote": {"float32": {"atol": 1e-4, "rtol": 1e-3}, "float64": {"atol": 1e-9, "rtol": 1e-6},
           "float16": {"atol": 1e-2, "rtol": 1e-2}, "decisions": []},
  "fault_tolerance": {"level": "medium", "recovery_strategy": "progressive",
                      "state_directory": "", "orphans": "redispatch",
                      "request_bytes_kept": "64KiB", "checkpoint_interval": "1min",
                      "commit_interval": "5ms", "recovery": "point_in_time"},
  "queue_policies": {
    "high": {"count_max": null, "timeout": null, "timeout_action": "reject"},
    "normal": {"count_max": null, "timeout": null, "timeout_action": "reject"},
    "low": {"count_max": null, "timeout": null, "timeout_action": "reject"}},
  "priority_aging": "5s", "start_timeout": "1min", "page_start_timeout": "15s",
  "ping_interval": "100ms", "acceptable_pause": "0.75s", "ping_timeout": "3s",
  "compute_ping_timeout": "30s", "hung_operation_grace": "1s", "canary_interval": "60s",
  "restart_delay_min": "100ms", "restart_delay_max": "10s", "restart_healthy_after": "1min",
  "restart_count_max": 10, "restart_intensity": 5, "restart_period": "60s",
  "fleet_window": "5min", "stop_grace": "3s", "queue_count_max": 1000,
  "max_in_flight_per_worker": 4, "in_flight_bytes_max": "64MiB", "frame_bytes_max": 268435456,
  "seed": 0
})";

/// Every one of them, and none with its default.
inline constexpr const char* other_text = R"({
  "browsers": [{"type": "firefox", "count": 2, "executable": "/opt/firefox",
                "extra_arguments": ["--safe-mode", "a,b"], "extra_preferences": {"a.b": "5"},
                "webdriver": {"endpoint": "http://grid:4444", "driver": "",
                              "capabilities_json": "{\"platformName\":\"linux\"}"}},
               {"type": "edge", "webdriver": {"driver": "/opt/msedgedriver"}}],
  "standby_count": 2,
  "remote_alternatives": [{"type": "webkit", "webdriver": {"endpoint": "http://mac:4444"}}],
  "models": [{"name": "mlp", "file": "models/mlp.onnx", "family": "vision",
              "providers": ["wasm", "webgpu"],
              "batching": {"max_batch": 32, "max_delay": "2ms", "preferred_sizes": [8, 16]}}],
  "modules": [{"name": "mine", "file": "mine.mjs"}],
  "browser_preferences": {"text": ["webkit"], "vision": ["firefox", "edge"], "audio": [],
                          "multimodal": ["chromium"]},
  "default_timeout": "1.5s", "max_attempts": 7,
  "hedge": {"enabled": false, "quantile": 0.5, "delay_min": "100us", "sample_count_min": 100,
            "budget": {"percent_per_success": 10, "saved_max": 50, "floor": 1,
                       "floor_interval": "1h"}},
  "vote": {"float32": {"atol": 0, "rtol": 0.5}, "float64": {"atol": 1, "rtol": 0.25},
           "float16": {"atol": 2.5, "rtol": 0}, "decisions": ["logits", "tokens"]},
  "fault_tolerance": {"level": "critical", "recovery_strategy": "failover",
                      "state_directory": "state", "orphans": "give_up",
                      "request_bytes_kept": "1MiB", "checkpoint_interval": "0s",
                      "commit_interval": "250us", "recovery": "salvage"},
  "queue_policies": {
    "high": {"count_max": 1, "timeout": "1ms", "timeout_action": "delay"},
    "normal": {"count_max": 20, "timeout": "2s", "timeout_action": "delay"},
    "low": {"count_max": 300, "timeout": "24h", "timeout_action": "delay"}},
  "priority_aging": "0s", "start_timeout": "2min", "page_start_timeout": "16s",
  "ping_interval": "101ms", "acceptable_pause": "751ms", "ping_timeout": "4s",
  "compute_ping_timeout": "31s", "hung_operation_grace": "2s", "canary_interval": "61s",
  "restart_delay_min": "99ms", "restart_delay_max": "11s", "restart_healthy_after": "62s",
  "restart_count_max": 11, "restart_intensity": 6, "restart_period": "63s",
  "fleet_window": "6min", "stop_grace": "2s", "queue_count_max": 200,
  "max_in_flight_per_worker": 5, "in_flight_bytes_max": "1GiB", "frame_bytes_max": 65536,
  "seed": 18446744073709551615
})";

/// Of what only a program can set: both have it, or neither. (The pool's own types have no ==.)
template <class T>
bool is_same(const T& a, const T& b) {
    if constexpr (facade::HasMembers<T>) {
        bool out = true;
        facade::Members<T>::for_each([&](auto member) {
            constexpr auto at = decltype(member)::at;
            out = out && is_same(a.*at, b.*at);
        });
        return out;
    } else if constexpr (facade::OfProgram<T>) {
        return static_cast<bool>(a) == static_cast<bool>(b);
    } else if constexpr (facade::Optional<T>) {
        return a.has_value() == b.has_value() && (!a || is_same(*a, *b));
    } else if constexpr (requires { requires facade::HasMembers<typename T::value_type>; }) {
        return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return is_same(x, y); });
    } else {
        return a == b;
    }
}

/// What is said of a mistake; empty: nothing.
inline std::string complaint(const std::function<ResourcePoolConfig()>& read) {
    try {
        (void)read();
        return {};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

} // namespace everpool::tests
