// Everpool browser: from what was seen to what failed.
// SPDX-License-Identifier: BSL-1.0
//
// A pure function, so that the same evidence is judged alike by a recovery, a dashboard and a test.
// The order of belief: the type of the evidence; the codes in it; the context; words in its texts.
// A text never overrules a type: a process that has ended is a crash, whatever it wrote before. It
// decides where the type leaves it open: an error that nothing caught, an operation that failed.
//
// Whether the operation may be repeated follows from the failure, and then from the phase: what may
// not be executed twice is repeated only if it had not been sent.
#pragma once

#include "everpool/browser/failure_fingerprint.hpp"
#include "everpool/browser/failure_sentence.hpp"
#include "everpool/browser/failure_words.hpp"
#include "everpool/browser/silence.hpp"
#include "everpool/browser_failure.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace everpool {

namespace browser::detail {

/// What the judgement of one piece of evidence comes to. `detail`, `text` and `stack` are what the
/// fingerprint is taken of.
struct Judgement {
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    FailureDomain domain{FailureDomain::operation};
    Retryability retryability{Retryability::retry_other_worker};
    std::string what;         ///< our words
    std::string detail{};     ///< ours, and the same for the same failure
    std::string_view text{};  ///< theirs
    std::string_view stack{}; ///< theirs
};

constexpr BrowserFailureCategory category_of(DeviceApi api) noexcept {
    return api == DeviceApi::webgpu ? BrowserFailureCategory::webgpu
                                    : BrowserFailureCategory::webnn;
}

/// What is to blame if the provider is: WASM is no interface of the browser's own.
constexpr BrowserFailureCategory category_of(const FailureContext& context) noexcept {
    if (context.provider == Provider::webgpu) return BrowserFailureCategory::webgpu;
    if (context.provider == Provider::webnn) return BrowserFailureCategory::webnn;
    return BrowserFailureCategory::unknown;
}

/// One overload for each kind of evidence.
class Judge {
public:
    explicit Judge(const FailureContext& context) noexcept : context_(context) {}

    Judgement operator()(const ProcessExited& seen) const {
        Judgement out{.category = BrowserFailureCategory::crash,
                      .domain = seen.process,
                      .retryability = seen.process == FailureDomain::gpu
                                          ? Retryability::retry_same_worker
                                          : Retryability::retry_other_worker,
                      .what = std::string(words_of(seen.process)),
                      .text = seen.output};
        if (seen.process == FailureDomain::gpu) out.category = category_of_gpu();
        const int signal = seen.signal();
        out.detail = std::string(name_of(seen.process));
        if (signal == 0) {
            out.what += " exited with code " + std::to_string(seen.exit_code());
            out.detail += " code " + std::to_string(seen.exit_code());
            return out;
        }
        out.what += " was ended by signal " + std::to_string(signal);
        if (const auto name = signal_name(signal); !name.empty())
            out.what += " (" + std::string(name) + ')';
        out.detail += " signal " + std::to_string(signal);
        return out;
    }

    Judgement operator()(const ConnectionClosed& seen) const {
        const std::string channel(name_of(seen.channel));
        return {.category = BrowserFailureCategory::connection,
                .domain = seen.channel == WorkerChannel::control   ? FailureDomain::browser
                          : seen.channel == WorkerChannel::compute ? FailureDomain::compute
                                                                   : FailureDomain::page,
                .retryability = Retryability::retry_other_worker,
                .what = "the " + channel + " connection closed with code " +
                        std::to_string(seen.close_code),
                .detail = channel + ' ' + std::to_string(seen.close_code)};
    }

    Judgement operator()(const PageCrashed& seen) const {
        const bool is_out_of_memory =
            contains_words(seen.reason, "oom") || contains_words(seen.reason, "memory");
        return {.category = is_out_of_memory ? BrowserFailureCategory::memory
                                             : BrowserFailureCategory::crash,
                .domain = FailureDomain::page,
                .retryability = Retryability::retry_other_worker,
                .what = "the page crashed",
                .text = seen.reason};
    }

    Judgement operator()(const ChannelsSilent& seen) const {
        const BrowserEngine engine =
            context_.browser ? engine_of(*context_.browser) : BrowserEngine::chromium;
        const Silence silence = diagnose_silence(engine, seen);
        const bool is_failure = silence != Silence::none && silence != Silence::busy;
        return {.category = !is_failure ? BrowserFailureCategory::unknown
                            : silence == Silence::network_service_stopped
                                ? BrowserFailureCategory::connection
                                : BrowserFailureCategory::timeout,
                .domain = domain_of(silence),
                .retryability =
                    is_failure ? Retryability::retry_other_worker : Retryability::retry_same_worker,
                .what = std::string(words_of(silence)),
                .detail = std::string(name_of(silence))};
    }

    Judgement operator()(const DeviceLost& seen) const {
        // The page destroyed it itself: nothing is wrong with the GPU, and much with the page.
        const bool is_own_doing = seen.reason == "destroyed";
        return {.category = category_of(seen.api),
                .domain = is_own_doing ? FailureDomain::compute : FailureDomain::gpu,
                .retryability = Retryability::retry_same_worker,
                .what = seen.api == DeviceApi::webgpu ? "the WebGPU device was lost"
                                                      : "the WebNN context was lost",
                .detail = is_own_doing ? "destroyed" : "lost",
                .text = seen.message.empty() ? seen.reason : seen.message};
    }

    Judgement operator()(const AdapterBecameFallback& seen) const {
        return {.category = BrowserFailureCategory::webgpu,
                .domain = FailureDomain::browser, // it stays so until the browser is made anew
                .retryability = Retryability::retry_other_worker,
                .what = "WebGPU runs on a software adapter now",
                .text = seen.adapter};
    }

    Judgement operator()(const UnhandledError& seen) const {
        Judgement out = judge_text(seen.message, seen.stack);
        out.what = "an error that nothing caught";
        return out;
    }

    Judgement operator()(const PageHidden&) const {
        return {.category = BrowserFailureCategory::resource,
                .domain = FailureDomain::page,
                .retryability = Retryability::retry_same_worker,
                .what = "the page is hidden, so the browser slows it down"};
    }

    Judgement operator()(const PageNavigated& seen) const {
        return {.category = BrowserFailureCategory::connection,
                .domain = FailureDomain::page,
                .retryability = Retryability::retry_other_worker,
                .what = "the page went elsewhere",
                .text = seen.url};
    }

    Judgement operator()(const MemoryPressure& seen) const {
        std::string what(words_of(seen.where));
        what += " uses " + std::to_string(seen.used_bytes >> 20) + " MiB";
        if (seen.limit_bytes != 0) what += " of " + std::to_string(seen.limit_bytes >> 20) + " MiB";
        return {.category = BrowserFailureCategory::memory,
                .domain = seen.where,
                .retryability = Retryability::retry_other_worker,
                .what = std::move(what),
                .detail = std::string(name_of(seen.where))};
    }

    Judgement operator()(const LatencyDrift& seen) const {
        return {.category = BrowserFailureCategory::resource,
                .domain = FailureDomain::compute,
                .retryability = Retryability::retry_other_worker,
                .what = seen.now == Duration{}
                            ? "operations take far longer than they used to"
                            : "operations take " + milliseconds(seen.now) + ", they used to take " +
                                  milliseconds(seen.usual)};
    }

    Judgement operator()(const WrongAnswer& seen) const {
        const BrowserFailureCategory category = category_of(context_);
        return {.category = category == BrowserFailureCategory::unknown
                                ? BrowserFailureCategory::api
                                : category,
                .domain = FailureDomain::compute,
                .retryability = Retryability::retry_other_worker,
                .what = "a wrong answer, found by " + std::string(name_of(seen.found_by)),
                .detail = std::string(name_of(seen.found_by))};
    }

    Judgement operator()(const LaunchFailed& seen) const {
        return {.category = BrowserFailureCategory::launch,
                .domain = FailureDomain::browser,
                .retryability = Retryability::retry_other_worker,
                .what =
                    "the browser did not become a worker (" + std::string(name_of(seen.code)) + ')',
                .detail = std::string(name_of(seen.code)),
                .text = seen.output};
    }

    Judgement operator()(const OperationFailed& seen) const {
        Judgement out = judge_code(seen.code);
        if (out.category == BrowserFailureCategory::unknown) {
            out = judge_text(seen.message, seen.stack);
            // Somebody who asks for a shape that is not there is answered so by every worker.
            if (is_callers_mistake(seen.code) && !is_trouble_of_worker(out.category))
                out.retryability = Retryability::not_retryable;
        }
        out.what = "the operation failed (" + std::string(name_of(seen.code)) + ')';
        out.detail = std::string(name_of(seen.code));
        out.text = seen.message;
        out.stack = seen.stack;
        return out;
    }

    Judgement operator()(const DeadlineExceeded& seen) const {
        // The thread answers and its model's GPU does not: no other sign is ever seen of a shader
        // without end. A silent thread computes itself.
        const bool waits_for_gpu = seen.compute == ChannelAnswer::answers &&
                                   category_of(context_) != BrowserFailureCategory::unknown;
        const FailureDomain domain = waits_for_gpu ? FailureDomain::gpu
                                     : seen.compute == ChannelAnswer::silent
                                         ? FailureDomain::compute
                                         : FailureDomain::operation;
        return {.category = waits_for_gpu ? category_of(context_) : BrowserFailureCategory::timeout,
                .domain = domain,
                .retryability = Retryability::retry_other_worker,
                .what = "no answer within " + milliseconds(seen.deadline) + " (" +
                        milliseconds(seen.elapsed) + " so far)",
                .detail = std::string(name_of(domain))};
    }

private:
    /// A GPU process that died: of whose interface we are, if that is known.
    [[nodiscard]] BrowserFailureCategory category_of_gpu() const noexcept {
        const auto category = category_of(context_);
        return category == BrowserFailureCategory::unknown ? BrowserFailureCategory::crash
                                                           : category;
    }

    static constexpr bool is_trouble_of_worker(BrowserFailureCategory category) noexcept {
        return category != BrowserFailureCategory::api &&
               category != BrowserFailureCategory::unknown;
    }

    [[nodiscard]] Judgement judge_text(std::string_view message, std::string_view stack) const {
        Judgement out{.text = message, .stack = stack};
        if (const FailureWords* found = find_failure_words(message)) {
            out.category = found->category;
            out.domain = found->domain;
        }
        return out;
    }

    /// Codes that leave nothing to be asked; unknown: the text decides.
    [[nodiscard]] Judgement judge_code(Errc code) const {
        using Kind = BrowserFailureCategory;
        switch (code) {
        case Errc::device_lost:
            return {.category = context_.provider == Provider::webnn ? Kind::webnn : Kind::webgpu,
                    .domain = FailureDomain::gpu,
                    .retryability = Retryability::retry_same_worker};
        case Errc::provider_unavailable: {
            const Kind category = category_of(context_);
            return {.category = category == Kind::unknown ? Kind::api : category,
                    .domain = FailureDomain::browser};
        }
        case Errc::browser_not_found:
        case Errc::browser_launch_failed:
            return {.category = Kind::launch, .domain = FailureDomain::browser};
        case Errc::worker_lost: return {.category = Kind::crash, .domain = FailureDomain::page};
        case Errc::outcome_unknown:
            return {.category = Kind::crash,
                    .domain = FailureDomain::page,
                    .retryability = Retryability::not_retryable};
        case Errc::worker_unresponsive:
            return {.category = Kind::timeout, .domain = FailureDomain::page};
        case Errc::deadline_exceeded:
            return {.category = Kind::timeout, .domain = FailureDomain::operation};
        case Errc::queue_full:
        case Errc::no_worker_available:
            return {.category = Kind::resource, .domain = FailureDomain::machine};
        case Errc::protocol_error:
        case Errc::bad_token:
        case Errc::bad_origin:
        case Errc::bad_host: return {.category = Kind::connection, .domain = FailureDomain::page};
        case Errc::invalid_request:
        case Errc::unknown_model:
        case Errc::unknown_operation:
        case Errc::invalid_input:
        case Errc::model_file_missing:
        case Errc::message_too_large:
        case Errc::cancelled:
            return {.category = Kind::api, .retryability = Retryability::not_retryable};
        default: return {};
        }
    }

    const FailureContext& context_;
};

inline Retryability retryability_in(Retryability by_failure,
                                    const FailureContext& context) noexcept {
    if (!context.is_idempotent && context.phase != FailurePhase::not_sent)
        return Retryability::not_retryable;
    return by_failure;
}

inline std::string message_of(const Judgement& judgement, const FailureContext& context) {
    constexpr std::size_t version_bytes_max = 64, model_bytes_max = 160, text_bytes_max = 256;
    std::string out = context.browser ? std::string(name_of(*context.browser)) : "a browser";
    if (!context.version.empty())
        out += ' ' + escape_remote_text(context.version, version_bytes_max);
    out += ": " + judgement.what;
    std::string about;
    if (!context.model.empty())
        about = "model '" + escape_remote_text(context.model, model_bytes_max) + '\'';
    if (context.provider)
        about += (about.empty() ? "provider " : " on ") + std::string(name_of(*context.provider));
    if (!about.empty()) out += " (" + about + ')';
    if (!judgement.text.empty())
        out += " [remote: " + escape_remote_text(judgement.text, text_bytes_max) + ']';
    return out;
}

} // namespace browser::detail

/// Judges what was seen. Never throws but for lack of memory; takes texts of any bytes and length.
///
/// Without `context.browser` a silence is judged as in Chromium, and the fingerprint says "any".
[[nodiscard]] inline BrowserFailure categorize_browser_failure(FailureEvidence evidence,
                                                               const FailureContext& context = {}) {
    const auto judgement = std::visit(browser::detail::Judge(context), evidence);
    BrowserFailure out;
    out.category = judgement.category;
    out.domain = judgement.domain;
    out.retryability = browser::detail::retryability_in(judgement.retryability, context);
    out.phase = context.phase;
    out.message = browser::detail::message_of(judgement, context);
    std::string detail(name_of(evidence));
    if (!judgement.detail.empty()) detail += ' ' + judgement.detail;
    out.fingerprint = browser::fingerprint_of(
        {.engine = context.browser ? name_of(engine_of(*context.browser)) : "any",
         .category = judgement.category,
         .detail = detail,
         .message = judgement.text,
         .stack = judgement.stack});
    out.evidence = std::move(evidence); // last: the judgement's texts are parts of it
    return out;
}

/// The same, of nothing but an error's text: that of an exception, of a log line. Taken for an
/// error that nothing caught, so that words decide.
[[nodiscard]] inline BrowserFailure categorize_browser_failure(std::string_view text,
                                                               const FailureContext& context = {}) {
    return categorize_browser_failure(FailureEvidence{UnhandledError{std::string(text), {}}},
                                      context);
}

} // namespace everpool
