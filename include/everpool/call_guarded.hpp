// Everpool: a call behind a circuit breaker, judged by predicates over its result and its error.
// SPDX-License-Identifier: BSL-1.0
//
//     const auto judge =
//         judged_by([](const Reply& reply) { return outcome_if(reply.status < 500); },
//                   [](std::exception_ptr) { return Outcome::failure; });
//     const auto clock = [] { return std::chrono::steady_clock::now(); };
//     std::optional<Reply> reply = call_guarded(breaker, clock, judge, [&] { return ask(); });
//
// For a blocking call. An asynchronous one takes a permit itself, moves it into its handler, and
// records there: permit.record(judge(result), now).
#pragma once

#include "everpool/circuit_breaker.hpp"
#include "everpool/error.hpp"

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace everpool {

constexpr Outcome outcome_if(bool is_good) noexcept {
    return is_good ? Outcome::success : Outcome::failure;
}

/// What an error of a pool says of the worker that it came from: a lost worker or GPU is fatal; the
/// caller's mistakes, cancellation and a full queue say nothing; everything else is a failure.
constexpr Outcome outcome_of(Errc code) noexcept {
    switch (code) {
    case Errc::ok: return Outcome::success;
    case Errc::worker_lost:
    case Errc::outcome_unknown:
    case Errc::device_lost: return Outcome::fatal;
    // A caller's mistake by is_callers_mistake(), but these depend on the worker that is asked.
    case Errc::model_rejected:
    case Errc::provider_unavailable:
    case Errc::operation_failed: return Outcome::failure;
    case Errc::queue_full:
    case Errc::no_worker_available:
    case Errc::cancelled:
    case Errc::pool_not_running:
    case Errc::pool_draining:
    case Errc::already_started: return Outcome::ignored;
    default: return is_callers_mistake(code) ? Outcome::ignored : Outcome::failure;
    }
}

/// Two predicates as one function object. Both give an Outcome.
template <class OfResult, class OfError>
struct Judge {
    OfResult of_result;
    OfError of_error;

    template <class Result>
    requires std::is_invocable_r_v<Outcome, const OfResult&, const Result&>
        Outcome operator()(const Result& result) const {
        return of_result(result);
    }
    Outcome operator()(std::exception_ptr error) const { return of_error(std::move(error)); }
};

template <class OfResult, class OfError>
Judge<OfResult, OfError> judged_by(OfResult of_result, OfError of_error) {
    return {std::move(of_result), std::move(of_error)};
}

/// What call_guarded() gives: the call's result if it was made, or for a call that returns nothing
/// whether it was made.
template <class Call>
using GuardedResult = std::conditional_t<std::is_void_v<std::invoke_result_t<Call&>>, bool,
                                         std::optional<std::invoke_result_t<Call&>>>;

/// What `call` returns, or nothing if the breaker does not let it pass. `now()` is read before and
/// after. What `call` throws is judged, recorded and thrown on. A call that returns nothing has
/// succeeded if it does not throw. If a predicate throws, the permit is dropped.
template <class Traits, class Now, class JudgeOfCall, class Call>
GuardedResult<Call> call_guarded(BasicCircuitBreaker<Traits>& breaker, Now now,
                                 const JudgeOfCall& judge, Call call) {
    constexpr bool returns_nothing = std::is_void_v<std::invoke_result_t<Call&>>;
    GuardedResult<Call> result{};
    auto permit = breaker.try_acquire(now());
    if (!permit) return result;
    try {
        if constexpr (returns_nothing) call();
        else result.emplace(call());
    } catch (...) {
        permit.record(judge(std::current_exception()), now());
        throw;
    }
    if constexpr (returns_nothing) {
        permit.record(Outcome::success, now());
        result = true;
    } else {
        permit.record(judge(*result), now());
    }
    return result;
}

} // namespace everpool
