// Everpool: the knobs of ResourcePool.
// SPDX-License-Identifier: BSL-1.0
//
// Every member has a default that works; `ResourcePoolConfig{.models = {...}}` is a complete
// configuration. A member out of its range makes ResourcePool's constructor throw
// std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/fault_tolerance_options.hpp"
#include "everpool/hedge_options.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/pool_event.hpp"
#include "everpool/priority.hpp"
#include "everpool/time.hpp"
#include "everpool/vote.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
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

    /// Further workers, which are ready like the others, with the same models, and are given work
    /// only while one of the others is missing: what that one had goes to them at once. They are of
    /// the next browser type in the order of the models' family that is installed, or else like the
    /// first of `browsers`. Default: 1 at the fault tolerance levels high and critical, else 0;
    /// range 0 to 8. All workers, two more for the strategy parallel included, are at most 64.
    std::optional<std::uint32_t> standby_count{};

    /// Browsers on other machines, which a worker may turn to when nothing on its own helps
    /// (RecoveryRung::other_machine), in this order. Each has a WebDriverOptions::endpoint, whose
    /// comment says what the way there must be like, and the count 1: it is no worker, but what any
    /// worker may become, each in a session of its own there. After a healthy spell a worker goes
    /// back to what it was at its next restart. Browsers that are installed here need not be named.
    /// Default: none; at most 16.
    std::vector<BrowserSpec> remote_alternatives{};

    /// Loaded by every worker, and warmed up if ModelSpec::warm_up says how, before it counts as
    /// ready. At most 256.
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

    /// When a second worker is asked because the first one is late. See hedge_options.hpp.
    HedgeOptions hedge{};

    /// How far answers of several workers may be apart, where a vote decides. See vote.hpp, and
    /// Request::redundancy.
    VoteOptions vote{};

    /// Told of everything that happens to workers. Default: nobody. See pool_event.hpp for what it
    /// may do; it is not called any more when the pool's destructor has returned.
    PoolEventListener on_event{};

    /// What is remembered of all this, and whether it survives the host. Default: in memory only.
    FaultToleranceOptions fault_tolerance{};

    /// How requests of each priority wait: how many, how long, and what then. Default: as
    /// queue_count_max and their own deadlines say. See priority.hpp.
    QueuePolicies queue_policies{};

    /// A request is served before those of the next higher priority that are submitted so much
    /// later. Default 5 s; range 0 to 24 h; 0: priorities make no difference to the order.
    Duration priority_aging{std::chrono::seconds{5}};

    // --- when a worker counts as failed ----------------------------------------------------------

    /// From starting a browser to its last warm-up. Default 60 s, which allows for WebGPU's first
    /// shader compilation on a software adapter; range 1 s to 1 h.
    Duration start_timeout{std::chrono::seconds{60}};

    /// The same for a recovery that keeps the browser: a page that does not come back soon is
    /// replaced with its browser. Default 15 s; range 100 ms to 1 h; at most start_timeout counts.
    Duration page_start_timeout{std::chrono::seconds{15}};

    /// Each worker's compute thread, page thread and browser are asked for a sign of life this
    /// often. Default 100 ms; range 10 ms to 30 s. With the default a hang of the browser or the page
    /// was found after 0.9 to 1.0 s (p95) on two busy processors, a loop in the compute thread, or
    /// one that fills its heap, after 0.7 s; see benchmarks/README.md.
    Duration ping_interval{std::chrono::milliseconds{100}};

    /// So much longer than usual any of them may be silent: a page collects garbage, a machine
    /// schedules somebody else. Half of it for a compute thread that has used its processor time for
    /// longer than its work takes: it loops. Default 750 ms; range 0 to 1 h.
    Duration acceptable_pause{std::chrono::milliseconds{750}};

    /// Silence of this length counts as a hang whatever was usual. Shorter silence does not, as
    /// long as threads of a browser on this machine are ready to run and get no processor, and for
    /// as long again (acceptable_pause at most), unless its compute thread has got some and not
    /// answered. Default 3 s; range ping_interval to 1 h.
    Duration ping_timeout{std::chrono::seconds{3}};

    /// The compute thread cannot answer while one WASM inference runs. How long inferences take is
    /// learnt, model by model; until enough is known, a worker may be silent this long under one.
    /// Must exceed the longest. Default 30 s; range 10 ms to 24 h.
    Duration compute_ping_timeout{std::chrono::seconds{30}};

    /// A worker that does not end an operation that was cancelled, or whose deadline is over, has
    /// as long for it as such operations take at most, and at least this. Then it counts as hung:
    /// an endless shader shows in no other way. Default 1 s; range 10 ms to 1 h.
    Duration hung_operation_grace{std::chrono::seconds{1}};

    /// A ready worker runs one of its models' warm-up inferences again this often, in turn; an
    /// answer that is not the expected one counts as a failure of the worker. Default 60 s; 0:
    /// never; range 10 ms to 24 h. Models without a WarmUp::answer are passed over.
    Duration canary_interval{std::chrono::seconds{60}};

    /// The first restart has no delay; the n-th after it waits a random time of up to
    /// restart_delay_min * 2^(n-1), at most restart_delay_max. Defaults 100 ms and 10 s; ranges 1 ms
    /// to 1 h, and restart_delay_min to 24 h. A browser is started 50 ms after the one before it
    /// was lost at the soonest, in which those who answer in its place have the processors; if
    /// nobody does, it does not wait for that.
    Duration restart_delay_min{std::chrono::milliseconds{100}};
    Duration restart_delay_max{std::chrono::seconds{10}};

    /// A worker that has worked for so long before it failed begins anew: its next restart is
    /// the first, and its recoveries so far are forgotten. Default 60 s; range 0 to 24 h; 0:
    /// always.
    Duration restart_healthy_after{std::chrono::seconds{60}};

    /// Starts in a row that may fail before a worker is given up. Default 10; range 1 to 1000.
    std::uint32_t restart_count_max{10};

    /// More recoveries of one worker than this within restart_period do not help, however well each
    /// ends: from then on they begin a level higher (the browser instead of its page, other
    /// settings instead of the same) until it has been healthy. Default 5; range 1 to 1000.
    std::uint32_t restart_intensity{5};
    /// Default 60 s; range 0 to 24 h; 0: it never happens too often.
    Duration restart_period{std::chrono::seconds{60}};

    /// If within this time the starts of all workers fail twice in a row, and for the same reason,
    /// one of them goes on trying and the others wait for it (PoolEvent::Kind::fleet_failing).
    /// Default 5 min; range 1 s to 24 h. Must exceed the time that a start takes to fail.
    Duration fleet_window{std::chrono::minutes{5}};

    /// How long async_stop waits for browsers to quit by themselves. Default 3 s; range 0 to 60 s;
    /// 0: kill at once.
    Duration stop_grace{std::chrono::seconds{3}};

    // --- limits ----------------------------------------------------------------------------------

    /// Requests of one priority that wait for a worker, at most; one more of it completes with
    /// queue_full, whatever the others have room for. Default 1000; range 1 to 1000000.
    std::uint32_t queue_count_max{1000};

    /// Operations sent to one worker and not yet answered, at most. More than 1 hides the latency
    /// of the socket behind the computation; they are computed one after the other. A batch counts
    /// as one, and of what may go in batches (BatchingOptions) 2 are sent at most. Default 4; range
    /// 1 to 1024.
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
