// Everpool: what a caller asks of the pool, and what comes back.
// SPDX-License-Identifier: BSL-1.0
//
//     Request request = Request::inference("mlp", {Tensor::of<float>("x", {1, 128}, values)});
//     request.timeout = 2s;
//
// Built-in operations:
//   echo       gives the inputs back, unchanged. No model.
//   inference  runs `model` on the inputs; outputs are the model's, by name.
//   compute    runs a WGSL shader; `parameters` is a JSON object:
//                {"wgsl": "...", "entry_point": "main", "workgroups": [x, y, z],
//                 "outputs": [{"name": "y", "dtype": "float32", "shape": [256, 256]}]}
//              Bindings of group 0: inputs first, in order, as read-only storage; then the outputs
//              as read_write storage.
//   any other  names an operation module, registered in ResourcePoolConfig::modules.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/priority.hpp"
#include "everpool/tensor.hpp"
#include "everpool/time.hpp"
#include "everpool/vote.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace everpool {

/// One operation. Its tensors' bytes must stay unchanged until it has completed (they are shared,
/// not copied, and may be sent again to another worker).
struct Request {
    std::string operation{"inference"};

    /// The model's registered name; required for `inference`, passed on to modules, else empty.
    std::string model{};

    std::vector<Tensor> inputs{};

    /// A JSON object for `compute` and for operation modules; empty means {}.
    std::string parameters{};

    /// From submission to answer, all attempts together. Positive; one that is longer than the
    /// clock counts means never. Empty: ResourcePoolConfig::default_timeout.
    std::optional<Duration> timeout{};

    /// Who is served first where several wait. See priority.hpp.
    Priority priority{Priority::normal};

    /// How long it may wait for its first worker. What happens then, says the policy of its
    /// priority. Positive; empty: QueuePolicy::timeout. A request of a lease waits for that worker
    /// until its deadline.
    std::optional<Duration> queue_timeout{};

    /// May it be executed a second time if the first worker died with it? Empty: yes for echo,
    /// inference and compute, no for operation modules.
    std::optional<bool> idempotent{};

    /// Executions at most, the first included. At most 100; 0: ResourcePoolConfig::max_attempts.
    std::uint32_t max_attempts{0};

    /// Prefer this browser for this request, over the preference of the model's family. A
    /// preference, not a condition: where none is free, another one answers.
    std::optional<BrowserType> browser{};

    /// So many workers execute it, of different engines where there are such, and a vote over their
    /// answers decides (vote.hpp); Result::votes says what it is worth. 1 to 7; 1: one worker,
    /// which is believed. Empty: by the pool's fault tolerance level, 3 at critical and 1 below.
    ///
    /// Only for idempotent requests without a lease; others are executed by one worker whatever is
    /// asked for. A pool that has fewer workers asks all it has: Votes::is_complete() tells. More
    /// than half of those asked must agree, so that of two both must: else it completes with
    /// answers_disagree, or with why they did not answer.
    std::optional<std::uint32_t> redundancy{};

    [[nodiscard]] static Request echo(std::vector<Tensor> inputs) {
        Request request;
        request.operation = "echo";
        request.inputs = std::move(inputs);
        return request;
    }

    [[nodiscard]] static Request inference(std::string model, std::vector<Tensor> inputs) {
        Request request;
        request.model = std::move(model);
        request.inputs = std::move(inputs);
        return request;
    }
};

/// Where an operation's time went. total >= queue + transfer + compute: lost attempts are in total
/// and in queue only.
struct Timing {
    Duration queue{};    ///< until the last attempt began, and in the worker's own queue
    Duration transfer{}; ///< last attempt: encoding, sockets, scheduling, decoding; 0 if it failed
    Duration compute{};  ///< last attempt: in the operation, by the worker's clock; 0 if it failed
    Duration total{};    ///< from submission to completion
};

/// One of several answers to a request, and who gave it.
struct Vote {
    std::uint32_t attempt{0};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    BrowserType browser{};
    std::string browser_version{};
    std::string adapter{};              ///< vendor and architecture of its GPU, by its own word
    std::optional<Provider> provider{}; ///< really used
    std::uint64_t digest{0};            ///< XXH64 of the outputs: names, types, shapes and bytes
    bool agrees{false};                 ///< with most of the others

    /// "worker 2 (firefox 152.0, wasm, adapter ..., answer 0123456789abcdef)"
    [[nodiscard]] std::string fingerprint() const;
};

/// What the vote on a request was worth. The verdict alone does not say: of two answers `agreed` is
/// no more than that both are alike, which at level critical is all that a pool of two workers can
/// give. is_complete() tells that from a vote of as many as were wished for.
struct Votes {
    std::uint32_t asked{1}; ///< answers that were wished for; fewer workers, fewer answers
    VoteVerdict verdict{VoteVerdict::no_quorum}; ///< no_quorum: there was one answer, if any
    std::vector<Vote> answers{};                 ///< those that were counted
    std::string text{};                          ///< VoteReport::text()

    /// Have as many answered as were wished for? Not where the pool has fewer workers, and not
    /// where a straggler was not waited for.
    [[nodiscard]] bool is_complete() const noexcept { return answers.size() >= asked; }

    [[nodiscard]] std::size_t agreeing() const noexcept {
        return static_cast<std::size_t>(
            std::ranges::count_if(answers, [](const Vote& one) { return one.agrees; }));
    }
};

/// The answer, or why there is none.
struct Result {
    std::vector<Tensor> outputs;

    WorkerId worker{WorkerId::none()}; ///< who had it last; none() if nobody ever had it
    BrowserType browser{};             ///< of that worker; meaningless if worker is none()
    std::string browser_version;       ///< "156.0.8078.79"
    std::optional<Provider> provider;  ///< really used; empty if no provider was involved
    bool is_fallback_adapter{false};   ///< WebGPU ran on a software adapter
    /// Nobody computed the outputs: FaultToleranceOptions::simulate made them up. Never set unless
    /// the host gave that function.
    bool is_simulated{false};
    std::uint32_t attempts{0}; ///< executions begun, 0 if it never left the queue
    /// Requests that were computed together, this one included (BatchingOptions): `timing.compute`
    /// is of all of them.
    std::uint32_t batch_size{1};
    Timing timing;
    std::optional<Votes> votes; ///< if several answers were asked for
    std::string info;           ///< JSON object that an operation module added, or empty
    Diagnostics diagnostics;    ///< filled in if the error_code is set, or attempts > 1
};

inline std::string Vote::fingerprint() const {
    constexpr const char* digits = "0123456789abcdef";
    std::string hash;
    for (int shift = 60; shift >= 0; shift -= 4) hash += digits[digest >> shift & 15U];
    std::string out = "worker " + std::to_string(worker.value) + " (";
    out += std::string(name_of(browser)) + ' ' + browser_version;
    if (provider) out += ", " + std::string(name_of(*provider));
    if (!adapter.empty()) out += ", adapter " + adapter;
    return out + ", answer " + hash + ')';
}

} // namespace everpool
