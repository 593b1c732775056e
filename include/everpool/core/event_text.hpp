// Everpool core: events and actions as text, one line each, for traces and failing tests.
// SPDX-License-Identifier: BSL-1.0
//
//     WorkerLost worker=1 generation=3 cause=page_crashed
//     Dispatch worker=0 generation=1 request=17 attempt=2
//
// Field names are the members' names; an id of none is "-", a time is in nanoseconds, never is
// "never". The text is stable: a trace of one version can be compared with that of another.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace everpool::core {

constexpr std::string_view name_of(LossCause cause) noexcept {
    switch (cause) {
    case LossCause::process_exited: return "process_exited";
    case LossCause::page_crashed: return "page_crashed";
    case LossCause::connection_closed: return "connection_closed";
    case LossCause::unresponsive: return "unresponsive";
    case LossCause::device_lost: return "device_lost";
    case LossCause::protocol_error: return "protocol_error";
    case LossCause::context_lost: return "context_lost";
    case LossCause::start_timed_out: return "start_timed_out";
    case LossCause::compute_hung: return "compute_hung";
    case LossCause::page_hung: return "page_hung";
    case LossCause::browser_hung: return "browser_hung";
    case LossCause::network_hung: return "network_hung";
    case LossCause::gpu_hung: return "gpu_hung";
    case LossCause::wrong_answer: return "wrong_answer";
    case LossCause::software_adapter: return "software_adapter";
    case LossCause::slow: return "slow";
    case LossCause::memory_exhausted: return "memory_exhausted";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(ControlQuestion question) noexcept {
    switch (question) {
    case ControlQuestion::browser: return "browser";
    case ControlQuestion::page: return "page";
    case ControlQuestion::starvation: return "starvation";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(Notice::What what) noexcept {
    switch (what) {
    case Notice::What::worker_starting: return "worker_starting";
    case Notice::What::worker_connected: return "worker_connected";
    case Notice::What::worker_ready: return "worker_ready";
    case Notice::What::worker_lost: return "worker_lost";
    case Notice::What::worker_failed: return "worker_failed";
    case Notice::What::worker_stopped: return "worker_stopped";
    case Notice::What::model_ready: return "model_ready";
    case Notice::What::model_rejected: return "model_rejected";
    case Notice::What::request_redispatched: return "request_redispatched";
    case Notice::What::fleet_failing: return "fleet_failing";
    case Notice::What::fleet_recovered: return "fleet_recovered";
    case Notice::What::worker_replaced: return "worker_replaced";
    }
    return "unrecognised";
}

/// Collects "Name field=value field=value".
class TextLine {
public:
    explicit TextLine(std::string_view name) : text_(name) {}

    template <class Tag, class Integer>
    TextLine& field(std::string_view name, StrongId<Tag, Integer> id) {
        return raw(name, id.is_none() ? std::string("-") : std::to_string(id.value));
    }
    TextLine& field(std::string_view name, TimePoint at) {
        return raw(name, at == never ? std::string("never")
                                     : std::to_string(at.time_since_epoch().count()));
    }
    TextLine& field(std::string_view name, Duration value) {
        return raw(name, std::to_string(value.count()));
    }
    TextLine& field(std::string_view name, bool value) { return raw(name, value ? "yes" : "no"); }
    TextLine& field(std::string_view name, std::uint8_t value) {
        return raw(name, std::to_string(value));
    }
    TextLine& field(std::string_view name, std::uint32_t value) {
        return raw(name, std::to_string(value));
    }
    TextLine& field(std::string_view name, std::uint64_t value) {
        return raw(name, std::to_string(value));
    }
    template <class Enum>
    requires std::is_enum_v<Enum> TextLine& field(std::string_view name, Enum value) {
        return raw(name, name_of(value));
    }

    [[nodiscard]] std::string take() { return std::move(text_); }

private:
    TextLine& raw(std::string_view name, std::string_view value) {
        text_ += ' ';
        text_ += name;
        text_ += '=';
        text_ += value;
        return *this;
    }

    std::string text_;
};

// Events
inline std::string text_of(const Start&) { return "Start"; }
inline std::string text_of(const Drain&) { return "Drain"; }
inline std::string text_of(const Stop&) { return "Stop"; }
inline std::string text_of(const Submit& event) {
    const RequestMeta& meta = event.meta;
    return TextLine("Submit")
        .field("id", meta.id)
        .field("model", meta.model)
        .field("copies", meta.copies)
        .field("may_hedge", meta.may_hedge)
        .field("priority", meta.priority)
        .field("timeout_action", meta.timeout_action)
        .field("lease", meta.lease)
        .field("deadline", meta.deadline)
        .field("queue_deadline", meta.queue_deadline)
        .field("waits_since", meta.waits_since)
        .field("bytes", meta.bytes)
        .field("batch", meta.batch)
        .field("rows", meta.rows)
        .field("preferred_browsers", meta.preferred_browsers)
        .field("work", std::uint32_t{meta.work})
        .field("max_attempts", meta.max_attempts)
        .field("idempotent", meta.idempotent)
        .take();
}
inline std::string text_of(const Cancel& event) {
    return TextLine("Cancel").field("id", event.id).take();
}
inline std::string text_of(const Acquire& event) {
    return TextLine("Acquire")
        .field("lease", event.lease)
        .field("model", event.model)
        .field("deadline", event.deadline)
        .field("preferred_browsers", event.preferred_browsers)
        .take();
}
inline std::string text_of(const Release& event) {
    return TextLine("Release").field("lease", event.lease).take();
}

/// Most events and actions begin with the worker and its generation.
template <class Value>
TextLine line_of_worker(std::string_view name, const Value& value) {
    TextLine line(name);
    line.field("worker", value.worker).field("generation", value.generation);
    return line;
}

inline std::string text_of(const WorkerConnected& event) {
    return line_of_worker("WorkerConnected", event).take();
}
inline std::string text_of(const WorkerStartFailed& event) {
    return line_of_worker("WorkerStartFailed", event)
        .field("code", event.code)
        .field("permanent", event.permanent)
        .take();
}
inline std::string text_of(const WorkerLost& event) {
    return line_of_worker("WorkerLost", event).field("cause", event.cause).take();
}
inline std::string text_of(const WorkerStopped& event) {
    return line_of_worker("WorkerStopped", event).take();
}
inline std::string text_of(const ModelLoaded& event) {
    return line_of_worker("ModelLoaded", event).field("model", event.model).take();
}
inline std::string text_of(const ModelWarmedUp& event) {
    return line_of_worker("ModelWarmedUp", event).field("model", event.model).take();
}
inline std::string text_of(const ModelRejected& event) {
    return line_of_worker("ModelRejected", event)
        .field("model", event.model)
        .field("code", event.code)
        .take();
}
inline std::string text_of(const Replied& event) {
    return line_of_worker("Replied", event)
        .field("request", event.request)
        .field("attempt", event.attempt)
        .field("code", event.code)
        .field("was_sent", event.was_sent)
        .take();
}
inline std::string text_of(const PongArrived& event) {
    return line_of_worker("PongArrived", event)
        .field("channel", event.channel)
        .field("sequence", event.sequence)
        .take();
}

inline std::string text_of(const ControlAnswered& event) {
    return line_of_worker("ControlAnswered", event)
        .field("question", event.question)
        .field("sequence", event.sequence)
        .field("does_any_wait", event.threads.does_any_wait)
        .field("does_compute_wait", event.threads.does_compute_wait)
        .field("compute_ran", event.threads.compute_ran)
        .take();
}

inline std::string text_of(const VotesCounted& event) {
    return TextLine("VotesCounted")
        .field("request", event.request)
        .field("verdict", event.verdict)
        .field("chosen", event.chosen)
        .field("agreeing", event.agreeing)
        .take();
}

// Actions
inline std::string text_of(const StartWorker& action) {
    const WorkerForm& form = action.form;
    TextLine line = line_of_worker("StartWorker", action);
    line.field("rung", action.rung)
        .field("cause", action.cause)
        .field("browser", form.browser)
        .field("adjustment", form.adjustment)
        .field("provider_turns", form.provider_turns);
    if (!action.like.is_none()) line.field("like", action.like);
    return line.take();
}
inline std::string text_of(const StopWorker& action) {
    return line_of_worker("StopWorker", action).field("graceful", action.graceful).take();
}
inline std::string text_of(const LoadModel& action) {
    return line_of_worker("LoadModel", action).field("model", action.model).take();
}
inline std::string text_of(const WarmUpModel& action) {
    return line_of_worker("WarmUpModel", action).field("model", action.model).take();
}
inline std::string text_of(const Dispatch& action) {
    TextLine line = line_of_worker("Dispatch", action);
    line.field("request", action.request).field("attempt", action.attempt);
    if (action.is_beside) line.field("is_beside", true);
    if (action.batch != 0) line.field("batch", action.batch);
    return line.take();
}
inline std::string text_of(const SendCancel& action) {
    return line_of_worker("SendCancel", action)
        .field("request", action.request)
        .field("attempt", action.attempt)
        .take();
}
inline std::string text_of(const SendPing& action) {
    return line_of_worker("SendPing", action)
        .field("channel", action.channel)
        .field("sequence", action.sequence)
        .take();
}
inline std::string text_of(const AskControl& action) {
    return line_of_worker("AskControl", action)
        .field("question", action.question)
        .field("sequence", action.sequence)
        .take();
}
inline std::string text_of(const CountVotes& action) {
    TextLine line("CountVotes");
    line.field("request", action.request);
    for (std::size_t i = 0; i < action.count; ++i) line.field("attempt", action.attempts[i]);
    return line.take();
}
inline std::string text_of(const Complete& action) {
    TextLine line("Complete");
    line.field("request", action.request).field("code", action.code);
    line.field("attempts", action.attempts).field("worker", action.worker);
    if (action.attempt != 0) line.field("attempt", action.attempt);
    return line.take();
}
inline std::string text_of(const LeaseGranted& action) {
    return TextLine("LeaseGranted")
        .field("lease", action.lease)
        .field("worker", action.worker)
        .field("generation", action.generation)
        .take();
}
inline std::string text_of(const LeaseEnded& action) {
    return TextLine("LeaseEnded").field("lease", action.lease).field("code", action.code).take();
}
inline std::string text_of(const StartFinished& action) {
    return TextLine("StartFinished").field("code", action.code).take();
}
inline std::string text_of(const DrainFinished&) { return "DrainFinished"; }
inline std::string text_of(const StopFinished&) { return "StopFinished"; }
/// Only the fields that mean something for what is told.
inline std::string text_of(const Notice& action) {
    using What = Notice::What;
    TextLine line("Notice");
    line.field("what", action.what).field("worker", action.worker);
    line.field("generation", action.generation);
    if (action.what == What::worker_lost || action.what == What::fleet_failing)
        line.field("cause", action.cause);
    if (action.found_by) line.field("found_by", *action.found_by);
    if (action.operations != 0) line.field("operations", action.operations);
    if (action.what == What::worker_starting || action.what == What::worker_ready ||
        action.what == What::worker_replaced)
        line.field("rung", action.rung);
    if (!action.other.is_none()) line.field("other", action.other);
    if (!action.model.is_none()) line.field("model", action.model);
    if (action.what == What::request_redispatched) line.field("request", action.request);
    if (action.code != Errc::ok) line.field("code", action.code);
    return line.take();
}

inline std::string text_of(const Event& event) {
    return std::visit([](const auto& one) { return text_of(one); }, event);
}
inline std::string text_of(const Action& action) {
    return std::visit([](const auto& one) { return text_of(one); }, action);
}

/// For test frameworks and logs.
inline std::ostream& operator<<(std::ostream& out, const Event& event) {
    return out << text_of(event);
}
inline std::ostream& operator<<(std::ostream& out, const Action& action) {
    return out << text_of(action);
}

} // namespace everpool::core
