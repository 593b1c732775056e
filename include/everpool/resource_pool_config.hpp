// Everpool: the knobs of ResourcePool.
// SPDX-License-Identifier: BSL-1.0
//
// Every member has a default that works; `ResourcePoolConfig{.models = {...}}` is a complete
// configuration. A member out of its range makes ResourcePool's constructor throw
// std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/fault_tolerance_options.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/pool_event.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace everpool {

/// An operation of yours: an ES module that exports `async run(inputs, context)`. See
/// src/web/README.md for what it gets and gives.
struct OperationModule {
    /// How requests name it: 1 to 128 characters of [A-Za-z0-9._-]; not echo, inference or compute.
    std::string name{};
    /// The .js or .mjs file. Read when a worker imports it, so each worker life sees one version.
    std::filesystem::path file{};
};

/// Which browsers to prefer for a family of models, first choice first. An empty list: no
/// preference. chrome stands for chromium as well, as it is the same engine.
///
/// The defaults are the specification's: WebNN is best in Edge, so text goes there; compute shaders
/// for audio were measured faster in Firefox; vision and the rest go to Chrome. They are a starting
/// point, not a measurement of your models.
struct BrowserPreferences {
    std::vector<BrowserType> text{BrowserType::edge, BrowserType::chrome};
    std::vector<BrowserType> vision{BrowserType::chrome, BrowserType::edge};
    std::vector<BrowserType> audio{BrowserType::firefox, BrowserType::chrome};
    std::vector<BrowserType> multimodal{BrowserType::chrome, BrowserType::edge};
};

struct ResourcePoolConfig {
    // --- what the pool consists of ---------------------------------------------------------------

    /// The workers: one per browser process. Default: one Chromium. 1 to 64 workers in all.
    std::vector<BrowserSpec> browsers{BrowserSpec{}};

    /// Loaded and warmed up by every worker before it counts as ready. At most 256.
    std::vector<ModelSpec> models{};

    /// Your own operations. At most 256.
    std::vector<OperationModule> modules{};

    BrowserPreferences browser_preferences{};

    // --- what callers may expect -----------------------------------------------------------------

    /// For requests that do not say. Default 60 s; range 1 ms to 24 h.
    Duration default_timeout{std::chrono::seconds{60}};

    /// Executions of one request at most, the first included, for requests that do not say.
    /// Default 3; range 1 to 100. Only idempotent requests are ever executed twice.
    std::uint32_t max_attempts{3};

    /// Told of everything that happens to workers. Default: nobody. See pool_event.hpp for what it
    /// may do; it is not called any more when the pool's destructor has returned.
    PoolEventListener on_event{};

    /// What is remembered of all this, and whether it survives the host. Default: in memory only.
    FaultToleranceOptions fault_tolerance{};

    // --- when a worker counts as failed ----------------------------------------------------------

    /// From starting a browser to its last warm-up. Default 60 s, which allows for WebGPU's first
    /// shader compilation on a software adapter; range 1 s to 1 h.
    Duration start_timeout{std::chrono::seconds{60}};

    /// Each worker's compute thread and page thread are asked for a sign of life this often.
    /// Default 1 s; range 10 ms to 1 h.
    Duration ping_interval{std::chrono::seconds{1}};

    /// A page thread that has not answered for this long makes its worker unresponsive. Default
    /// 5 s, the specification's ping timeout; range 10 ms to 1 h.
    Duration ping_timeout{std::chrono::seconds{5}};

    /// The same for the compute thread, which cannot answer while one WASM inference runs: it must
    /// exceed the longest single inference. Default 30 s; range 10 ms to 24 h.
    Duration compute_ping_timeout{std::chrono::seconds{30}};

    /// The first restart is immediate; the n-th after it waits a random time of up to
    /// restart_delay_min * 2^(n-1), at most restart_delay_max. Defaults 100 ms and 10 s;
    /// ranges 1 ms to 1 h, and restart_delay_min to 24 h.
    Duration restart_delay_min{std::chrono::milliseconds{100}};
    Duration restart_delay_max{std::chrono::seconds{10}};

    /// Starts in a row that may fail before a worker is given up. Default 10; range 1 to 1000.
    std::uint32_t restart_count_max{10};

    /// How long async_stop waits for browsers to quit by themselves. Default 3 s; range 0 to 60 s;
    /// 0: kill at once.
    Duration stop_grace{std::chrono::seconds{3}};

    // --- limits ----------------------------------------------------------------------------------

    /// Requests that wait for a worker, at most; one more completes with queue_full.
    /// Default 1000; range 1 to 1000000.
    std::uint32_t queue_count_max{1000};

    /// Operations sent to one worker and not yet answered, at most. More than 1 hides the latency
    /// of the socket behind the computation; they are computed one after the other. Default 4;
    /// range 1 to 1024.
    std::uint32_t max_in_flight_per_worker{4};

    /// Payload bytes sent to one worker and not yet answered, at most; one larger request alone is
    /// allowed. Default 64 MiB; range 1 byte to 1 TiB. Leave alone unless inputs are huge.
    std::uint64_t in_flight_bytes_max{64ULL << 20};

    /// Largest message in either direction, request or result. Default 256 MiB; range 64 KiB to
    /// 1 GiB. Requests that are larger, or whose answer would be, complete with message_too_large.
    std::uint64_t frame_bytes_max{256ULL << 20};

    /// For choices that are left to chance (restart delays). 0, the default: seeded by the system.
    std::uint64_t seed{0};
};

} // namespace everpool
