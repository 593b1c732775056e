// Everpool: error codes, and the diagnostics that travel with them.
// SPDX-License-Identifier: BSL-1.0
//
// Expected trouble (no worker in time, a model the runtime refuses, a lost device) is reported as a
// boost::system::error_code of the category below, never as an exception from an asynchronous
// operation. The code says what happened in terms a program can branch on; `Diagnostics` says to a
// person which thing is to blame and what to do about it.
//
//     auto [ec, result] = co_await pool.async_run(request, as_tuple(use_awaitable));
//     if (ec == everpool::Errc::unknown_model)
//         log(result.diagnostics.text()); // "no model named 'bert'; ... registered: mlp, audio"
//
// Three questions can be asked of any code without knowing the enumerators:
//   is_retryable(e)       may the same request succeed on another worker, or later?
//   is_callers_mistake(e) must the caller change the request, the model or the configuration?
//   ec == boost::system::errc::...  (cancelled, deadline_exceeded, queue_full map to generic codes)
#pragma once

#include "everpool/utf8.hpp"

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace everpool {

/// What went wrong. Values are stable: they are written into logs; new ones are only appended.
enum class Errc {
    ok = 0,

    // The caller must change something.
    invalid_request = 1,      ///< a field of the request is out of range or contradictory
    unknown_model = 2,        ///< no model of that name is registered
    unknown_operation = 3,    ///< neither built in nor registered as an operation module
    invalid_input = 4,        ///< a tensor's name, dtype or shape is not what the model takes
    model_file_missing = 5,   ///< the model's file cannot be opened
    model_rejected = 6,       ///< the runtime cannot load the file, or its warm-up was wrong
    message_too_large = 7,    ///< the request or its answer exceeds wire::limits
    browser_not_found = 8,    ///< no executable of that browser could be discovered
    provider_unavailable = 9, ///< none of the model's execution providers works on that worker
    operation_failed = 10,    ///< the operation itself threw: a shader error, a module's exception

    // Trouble on the way; the same request may succeed elsewhere or later.
    browser_launch_failed = 20, ///< the executable started but never became a worker
    worker_lost = 21,           ///< the worker died and no attempt was left (nothing is unknown: it
                                ///< was idempotent, or had not been sent)
    outcome_unknown = 22,       ///< the worker died after the request was sent, which must not be
                                ///< repeated: it may or may not have been executed
    worker_unresponsive = 23,   ///< the worker stopped answering pings
    device_lost = 24,           ///< the GPU device or WebNN context was lost under the operation
    deadline_exceeded = 25,     ///< not answered within the request's timeout
    queue_full = 26,          ///< as many requests of its priority wait as may, see queue_count_max
    no_worker_available = 27, ///< every worker has failed for good, so waiting is pointless
    answers_disagree = 28,    ///< several workers were asked, and nobody can say who is right
    queue_timeout = 29,       ///< it waited for a worker for as long as its queue policy allows

    // Life cycle.
    cancelled = 40,        ///< the caller cancelled it, or the pool was stopped under it
    pool_not_running = 41, ///< before async_start was called, or after async_stop
    pool_draining = 42,    ///< async_drain was called: what is queued finishes, nothing is added
    already_started = 43,  ///< async_start was called before, or the pool has been stopped

    // A peer broke the protocol; the connection is refused or closed, and counted.
    protocol_error = 60, ///< a frame that is not everpool.v1
    bad_token = 61,      ///< an upgrade without a valid worker token
    bad_origin = 62,     ///< an upgrade from a foreign page
    bad_host = 63,       ///< a request for a foreign host name (DNS rebinding)

    // State that is kept on disk.
    storage_full = 70,         ///< no room left on the device (or a quota); nothing was lost
    storage_failed = 71,       ///< the system reported an I/O error
    storage_in_use = 72,       ///< another process, or another object of this one, has it open
    storage_damaged = 73,      ///< a checksum does not fit, and the mode forbids a cut
    storage_newer_format = 74, ///< written by a newer version of this library
    storage_not_writable = 75, ///< a read-only file system, or permissions
    invalid_transaction = 76,  ///< it would break an invariant of the state, so nothing was changed

    internal_error = 90, ///< a broken invariant: a bug of ours; the pool stops, the host goes on
};

/// The category of every `Errc`. Thread-safe; lives for the whole program.
const boost::system::error_category& error_category() noexcept;

inline boost::system::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

using boost::system::error_code;

/// True if another worker, or the same one later, may well succeed with the very same request.
constexpr bool is_retryable(Errc code) noexcept {
    switch (code) {
    case Errc::browser_launch_failed:
    case Errc::worker_lost:
    case Errc::worker_unresponsive:
    case Errc::device_lost:
    case Errc::queue_full:
    case Errc::queue_timeout: return true;
    default: return false;
    }
}

/// True if repeating the request unchanged is pointless.
constexpr bool is_callers_mistake(Errc code) noexcept {
    return code >= Errc::invalid_request && code <= Errc::operation_failed;
}

/// The enumerator's own name ("unknown_model"); "unrecognised" for a value that is none.
constexpr std::string_view name_of(Errc code) noexcept {
    switch (code) {
    case Errc::ok: return "ok";
    case Errc::invalid_request: return "invalid_request";
    case Errc::unknown_model: return "unknown_model";
    case Errc::unknown_operation: return "unknown_operation";
    case Errc::invalid_input: return "invalid_input";
    case Errc::model_file_missing: return "model_file_missing";
    case Errc::model_rejected: return "model_rejected";
    case Errc::message_too_large: return "message_too_large";
    case Errc::browser_not_found: return "browser_not_found";
    case Errc::provider_unavailable: return "provider_unavailable";
    case Errc::operation_failed: return "operation_failed";
    case Errc::browser_launch_failed: return "browser_launch_failed";
    case Errc::worker_lost: return "worker_lost";
    case Errc::outcome_unknown: return "outcome_unknown";
    case Errc::worker_unresponsive: return "worker_unresponsive";
    case Errc::device_lost: return "device_lost";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::queue_full: return "queue_full";
    case Errc::no_worker_available: return "no_worker_available";
    case Errc::answers_disagree: return "answers_disagree";
    case Errc::queue_timeout: return "queue_timeout";
    case Errc::cancelled: return "cancelled";
    case Errc::pool_not_running: return "pool_not_running";
    case Errc::pool_draining: return "pool_draining";
    case Errc::already_started: return "already_started";
    case Errc::protocol_error: return "protocol_error";
    case Errc::bad_token: return "bad_token";
    case Errc::bad_origin: return "bad_origin";
    case Errc::bad_host: return "bad_host";
    case Errc::storage_full: return "storage_full";
    case Errc::storage_failed: return "storage_failed";
    case Errc::storage_in_use: return "storage_in_use";
    case Errc::storage_damaged: return "storage_damaged";
    case Errc::storage_newer_format: return "storage_newer_format";
    case Errc::storage_not_writable: return "storage_not_writable";
    case Errc::invalid_transaction: return "invalid_transaction";
    case Errc::internal_error: return "internal_error";
    }
    return "unrecognised";
}

/// What a person needs beside the code. `message` is written by this library. `remote_text` was
/// written by a browser, a page or a model runtime: it is bounded, escaped and shown as theirs.
struct Diagnostics {
    std::string message{};     ///< names the culprit: "model 'mlp', input 'x': expected ..."
    std::string remedy{};      ///< what to do about it; empty where nothing sensible can be said
    std::string remote_text{}; ///< the remote side's own words, escaped, at most 1024 bytes
    error_code last_cause{};   ///< the cause beneath: the last attempt's error, an errno

    /// "message; remedy [remote: ...]" on one line.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const Diagnostics&, const Diagnostics&) = default;
};

/// A system_error that carries its diagnostics. Thrown by what has no other way to tell: the
/// blocking calls of `Runtime`, and BrowserStateManager's constructor. Never by async_ functions.
class Error : public boost::system::system_error {
public:
    Error(error_code code, Diagnostics diagnostics)
        : system_error(code, diagnostics.text()), diagnostics_(std::move(diagnostics)) {}

    [[nodiscard]] const Diagnostics& diagnostics() const noexcept { return diagnostics_; }

private:
    Diagnostics diagnostics_;
};

/// Bounds and escapes text that came from outside: control characters, quotes and backslashes
/// become C escapes, invalid UTF-8 bytes become \xNN, and anything past `bytes_max` becomes "...".
std::string escape_remote_text(std::string_view text, std::size_t bytes_max = 1024);

// -------------------------------------------------------------------------------------------------

namespace detail {

class ErrorCategory final : public boost::system::error_category {
public:
    // A fixed id makes categories from two copies of this header (two shared objects) equal.
    constexpr ErrorCategory() noexcept : error_category(0xe7e2'9001'5c0d'e001ULL) {}

    [[nodiscard]] const char* name() const noexcept override { return "everpool"; }

    [[nodiscard]] std::string message(int value) const override {
        return std::string(name_of(static_cast<Errc>(value)));
    }

    [[nodiscard]] boost::system::error_condition
    default_error_condition(int value) const noexcept override {
        namespace generic = boost::system::errc;
        switch (static_cast<Errc>(value)) {
        case Errc::cancelled: return generic::make_error_condition(generic::operation_canceled);
        case Errc::deadline_exceeded:
        case Errc::queue_timeout: return generic::make_error_condition(generic::timed_out);
        case Errc::queue_full:
            return generic::make_error_condition(generic::resource_unavailable_try_again);
        case Errc::message_too_large: return generic::make_error_condition(generic::message_size);
        case Errc::model_file_missing:
            return generic::make_error_condition(generic::no_such_file_or_directory);
        default: return {value, *this};
        }
    }
};

} // namespace detail

inline const boost::system::error_category& error_category() noexcept {
    static constexpr detail::ErrorCategory instance;
    return instance;
}

inline std::string Diagnostics::text() const {
    std::string line = message;
    if (!remedy.empty()) line += (line.empty() ? "" : "; ") + remedy;
    if (!remote_text.empty()) line += " [remote: " + remote_text + "]";
    return line;
}

inline std::string escape_remote_text(std::string_view text, std::size_t bytes_max) {
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        std::string piece;
        const char c = text[at];
        const auto value = static_cast<unsigned char>(c);
        const std::size_t bytes = utf8_sequence_bytes(text, at);
        if (c == '\n') piece = "\\n";
        else if (c == '\t') piece = "\\t";
        else if (c == '\r') piece = "\\r";
        else if (c == '\\' || c == '"') piece = {'\\', c};
        else if (bytes == 0 || (bytes == 1 && (value < 0x20 || value == 0x7f))) {
            piece = {'\\', 'x', digits[value >> 4], digits[value & 15]};
        } else {
            piece = std::string(text.substr(at, bytes));
        }
        if (out.size() + piece.size() + 3 > bytes_max) return out + "...";
        out += piece;
        at += bytes == 0 ? 1 : bytes;
    }
    return out;
}

} // namespace everpool

template <>
struct boost::system::is_error_code_enum<everpool::Errc> : std::true_type {};
