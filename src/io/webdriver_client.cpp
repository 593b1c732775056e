// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_client.hpp"

#include "io/json_text.hpp"

#include <boost/asio/post.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace everpool::io {

namespace json = boost::json;

namespace {

constexpr std::size_t depth_max = 32;
/// A session's id and a window's handle become part of a path.
constexpr std::size_t name_bytes_max = 256;

bool is_name(std::string_view text) {
    const auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !text.empty() && text.size() <= name_bytes_max && text != "." && text != ".." &&
           std::ranges::all_of(text, is_allowed);
}

/// What a W3C error code means to a worker.
Errc meaning_of(std::string_view error) {
    struct Meaning {
        std::string_view error;
        Errc code;
    };
    static constexpr std::array meanings{
        Meaning{"invalid session id", Errc::worker_lost},
        Meaning{"no such window", Errc::worker_lost},
        Meaning{"timeout", Errc::worker_unresponsive},
        Meaning{"script timeout", Errc::worker_unresponsive},
    };
    const auto found = std::ranges::find(meanings, error, &Meaning::error);
    return found == meanings.end() ? Errc::browser_launch_failed : found->code;
}

struct Read {
    Errc code{Errc::ok};
    const char* why{""};
    std::string remote_text{};
    json::value value{};
};

/// What an answer says. Only 200 is a success, and only {"value": ...} is an answer.
Read read_answer(const WebDriverChannel::Answer& answer) {
    json::parse_options options;
    options.max_depth = depth_max;
    json::error_code failed;
    json::value all =
        json::parse({answer.body.data(), answer.body.size()}, failed, json::storage_ptr(), options);
    auto* object = failed ? nullptr : all.if_object();
    auto* value = object == nullptr ? nullptr : object->if_contains("value");
    if (value == nullptr)
        return {Errc::protocol_error, "got an answer that is no WebDriver's",
                "HTTP " + std::to_string(answer.status) + ' ' + answer.body};
    if (answer.status == 200) return {Errc::ok, "", {}, std::move(*value)};
    const std::string error = text_at(*value, "error");
    if (error.empty())
        return {Errc::protocol_error, "got an error that is no WebDriver's",
                "HTTP " + std::to_string(answer.status) + ' ' + answer.body};
    const std::string words = text_at(*value, "message");
    return {meaning_of(error), "was refused", words.empty() ? error : error + ": " + words};
}

} // namespace

std::shared_ptr<WebDriverClient> WebDriverClient::make(boost::asio::any_io_executor strand,
                                                       const browser::WebDriverEndpoint& endpoint,
                                                       Milliseconds command_timeout,
                                                       WebDriverLimits limits) {
    return std::shared_ptr<WebDriverClient>(
        new WebDriverClient(std::move(strand), endpoint, command_timeout, limits));
}

WebDriverClient::WebDriverClient(boost::asio::any_io_executor strand,
                                 const browser::WebDriverEndpoint& endpoint,
                                 Milliseconds command_timeout, WebDriverLimits limits)
    : strand_(strand), endpoint_(endpoint), command_timeout_(command_timeout) {
    for (std::size_t i = 0; i <= static_cast<std::size_t>(Lane::end); ++i)
        lanes_.push_back(WebDriverChannel::make(strand, endpoint, limits));
}

WebDriverChannel& WebDriverClient::channel_of(Lane which) const {
    return *lanes_[static_cast<std::size_t>(which)];
}

void WebDriverClient::send(Command command, Handler handler) {
    WebDriverChannel& channel = channel_of(command.lane);
    const std::string name = std::string(command.verb) + ' ' + command.target;
    const bool has_body = std::string_view(command.verb) == "POST";
    channel.send({command.verb, std::move(command.target),
                  has_body ? json::serialize(command.body) : std::string(), command.timeout,
                  std::move(command.late)},
                 [weak = weak_from_this(), name, handler = std::move(handler)](
                     error_code ec, Diagnostics diagnostics, WebDriverChannel::Answer answer) {
                     if (ec) return handler(ec, std::move(diagnostics), json::value());
                     Read read = read_answer(answer);
                     if (read.code == Errc::ok) return handler({}, {}, read.value);
                     diagnostics.message = "the WebDriver command " + name + ' ' + read.why;
                     diagnostics.remote_text = escape_remote_text(read.remote_text);
                     diagnostics.last_cause = read.code;
                     const bool is_session_gone =
                         read.remote_text.starts_with("invalid session id");
                     if (const auto self = weak.lock(); self && is_session_gone)
                         self->on_session_gone(diagnostics.remote_text);
                     handler(read.code, std::move(diagnostics), json::value());
                 });
}

/// A driver could only say once more that there is no such session, and some (a grid) take their
/// time about it.
void WebDriverClient::send_in_session(Command command, Handler handler) {
    if (has_session()) {
        command.target = "/session/" + session_ + command.target;
        return send(std::move(command), std::move(handler));
    }
    Diagnostics diagnostics;
    diagnostics.message = std::string("the WebDriver command ") + command.verb + ' ' +
                          command.target + " has no session to go to";
    diagnostics.remote_text = session_end_;
    diagnostics.last_cause = Errc::worker_lost;
    boost::asio::post(strand_, [weak = weak_from_this(), diagnostics = std::move(diagnostics),
                                handler = std::move(handler)]() mutable {
        const auto self = weak.lock();
        if (self && !self->is_forgotten_)
            handler(Errc::worker_lost, std::move(diagnostics), json::value());
    });
}

void WebDriverClient::on_session_gone(std::string remote_text) {
    if (!has_session()) return;
    session_.clear();
    session_end_ = std::move(remote_text);
}

void WebDriverClient::new_session(json::object capabilities, Milliseconds timeout,
                                  Handler handler) {
    const auto begun = [weak = weak_from_this(), handler = std::move(handler)](
                           error_code ec, Diagnostics diagnostics, const json::value& value) {
        const auto self = weak.lock();
        if (ec || !self) return handler(ec, std::move(diagnostics), value);
        const std::string session = text_at(value, "sessionId");
        if (!is_name(session)) {
            diagnostics.message = "the WebDriver command POST /session got no session";
            diagnostics.remote_text = escape_remote_text(json::serialize(value));
            diagnostics.last_cause = Errc::protocol_error;
            return handler(Errc::protocol_error, std::move(diagnostics), json::value());
        }
        self->session_ = session;
        const auto* agreed = value.get_object().if_contains("capabilities");
        handler({}, {}, agreed == nullptr ? json::value() : *agreed);
    };
    send({.verb = "POST",
          .target = "/session",
          .body = {{"capabilities", std::move(capabilities)}},
          .timeout = timeout,
          .late =
              [weak = weak_from_this()](const WebDriverChannel::Answer& answer) {
                  if (const auto self = weak.lock()) self->on_late_session(answer);
              }},
         begun);
}

bool WebDriverClient::awaits_session() const noexcept {
    return channel_of(Lane::commands).awaits_late_answer();
}

void WebDriverClient::on_late_session(const WebDriverChannel::Answer& answer) {
    const Read read = read_answer(answer);
    const std::string session =
        read.code == Errc::ok ? text_at(read.value, "sessionId") : std::string();
    if (!is_name(session)) return on_parted(); // there is nothing to end, or no word for it
    session_ = session;
    delete_session([](auto&&...) {});
}

void WebDriverClient::delete_session(Handler handler) {
    if (awaits_session() || is_ending_) {
        when_parted_.emplace_back(
            [handler = std::move(handler)] { handler({}, {}, json::value()); });
        return;
    }
    is_ending_ = true;
    send_in_session({.lane = Lane::end, .verb = "DELETE", .timeout = command_timeout_},
                    [weak = weak_from_this(), handler = std::move(handler)](
                        error_code ec, Diagnostics diagnostics, const json::value& value) {
                        const auto self = weak.lock();
                        if (self && !ec) self->session_.clear();
                        handler(ec, std::move(diagnostics), value);
                        if (self) self->on_parted();
                    });
}

void WebDriverClient::on_parted() {
    is_ending_ = false;
    for (const auto& told : std::exchange(when_parted_, {})) told();
}

void WebDriverClient::navigate(const std::string& url, Handler handler) {
    send_in_session(
        {.verb = "POST", .target = "/url", .body = {{"url", url}}, .timeout = command_timeout_},
        std::move(handler));
}

void WebDriverClient::execute_sync(const std::string& script, Milliseconds timeout, Handler handler,
                                   Lane lane) {
    send_in_session({.lane = lane,
                     .verb = "POST",
                     .target = "/execute/sync",
                     .body = {{"script", script}, {"args", json::array{}}},
                     .timeout = timeout},
                    std::move(handler));
}

void WebDriverClient::window(Handler handler) {
    send_in_session({.verb = "GET", .target = "/window", .timeout = command_timeout_},
                    std::move(handler));
}

void WebDriverClient::window_handles(Milliseconds timeout, Handler handler, Lane lane) {
    send_in_session({.lane = lane, .verb = "GET", .target = "/window/handles", .timeout = timeout},
                    std::move(handler));
}

void WebDriverClient::new_window(Handler handler) {
    send_in_session({.verb = "POST",
                     .target = "/window/new",
                     .body = {{"type", "window"}},
                     .timeout = command_timeout_},
                    std::move(handler));
}

void WebDriverClient::switch_to_window(const std::string& handle, Handler handler) {
    send_in_session({.verb = "POST",
                     .target = "/window",
                     .body = {{"handle", handle}},
                     .timeout = command_timeout_},
                    std::move(handler));
}

void WebDriverClient::close_window(Handler handler) {
    send_in_session({.verb = "DELETE", .target = "/window", .timeout = command_timeout_},
                    std::move(handler));
}

void WebDriverClient::drop_unsent(Lane which, error_code cause) {
    channel_of(which).drop_unsent(cause);
}

void WebDriverClient::close(error_code cause) {
    const auto self = shared_from_this(); // a handler may drop us
    for (const auto& lane : lanes_) lane->close(cause);
}

void WebDriverClient::leave(error_code cause, std::function<void()> done) {
    const auto self = shared_from_this(); // a handler may drop us
    // An end that could not be brought about is not tried again by abandon_session().
    when_parted_.emplace_back([weak = weak_from_this(), done = std::move(done)] {
        if (const auto again = weak.lock()) again->session_.clear();
        done();
    });
    for (const Lane each : {Lane::commands, Lane::browser_questions, Lane::page_questions})
        if (!channel_of(each).awaits_late_answer()) channel_of(each).close(cause);
    // If there is none, that is told, and we are done as well.
    if (!is_ending_ && !awaits_session()) delete_session([](auto&&...) {});
}

void WebDriverClient::forget() noexcept {
    is_forgotten_ = true;
    when_parted_.clear();
    for (const auto& lane : lanes_) lane->forget();
}

void WebDriverClient::abandon_session() noexcept {
    if (!has_session()) return;
    const std::string target = "/session/" + std::exchange(session_, {});
    if (channel_of(Lane::end).has_sent()) return; // it has been told
    for (const auto& lane : lanes_)
        if (lane->try_send_last("DELETE", target)) return;
    channel_of(Lane::commands).send_last("DELETE", target);
}

} // namespace everpool::io
