// Everpool doors: W3C WebDriver (classic), as far as a worker page needs it.
// SPDX-License-Identifier: BSL-1.0
//
//     const auto client = WebDriverClient::make(strand, {"127.0.0.1", 9515, ""});
//     client->new_session({{"alwaysMatch", {}}}, 20s, [](error_code, Diagnostics, value) {...});
//     client->navigate("http://...", ...);
//     client->delete_session(...);
//
// Commands of a session go one after the other, as the specification wants it. Questions that look
// for a sign of life have connections of their own, so that a command that hangs does not silence
// them: a driver that takes them side by side (WebKitWebDriver) answers them, one that does not
// (chromedriver) is then taken to be silent, which it is; WebDriverBidi is for that. The end of
// the session has one as well: it does not wait for what hangs.
//
// What a driver answers is not trusted: its size and depth are bounded, its words are remote text.
//
// Errors, each with diagnostics that name the command:
//   worker_lost            nobody there, cut off; the session or the window is gone
//   worker_unresponsive    not answered in time, by the driver or by the page ("timeout")
//   browser_launch_failed  refused in the driver's words
//   protocol_error         an answer that is no WebDriver's
//   message_too_large      an answer beyond WebDriverLimits::answer_bytes_max
#pragma once

#include "io/webdriver_channel.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace everpool::io {

class WebDriverClient : public std::enable_shared_from_this<WebDriverClient> {
public:
    using Milliseconds = std::chrono::milliseconds;
    /// `value` is that of the answer, and valid during the call only.
    using Handler = std::function<void(error_code, Diagnostics, const boost::json::value& value)>;

    /// Whose turn a command waits for.
    enum class Lane : std::uint8_t { commands, browser_questions, page_questions, end };

    static std::shared_ptr<WebDriverClient> make(boost::asio::any_io_executor strand,
                                                 const browser::WebDriverEndpoint& endpoint,
                                                 Milliseconds command_timeout,
                                                 WebDriverLimits limits = {});

    /// Begins a session; `capabilities` is the member of that name. The value has the capabilities
    /// that were agreed upon. One that is not there in time may still come, and its browser with
    /// it: it is waited for (WebDriverLimits::patience), and ended at once.
    /// \pre no session, and none to come
    void new_session(boost::json::object capabilities, Milliseconds timeout, Handler handler);
    /// Ends it, with all its windows; or the one that is late, when it has come.
    void delete_session(Handler handler);

    void navigate(const std::string& url, Handler handler);

    /// Runs the body of a function in the current window's main thread.
    void execute_sync(const std::string& script, Milliseconds timeout, Handler handler,
                      Lane lane = Lane::commands);

    /// The handle of the current window.
    void window(Handler handler);
    void window_handles(Milliseconds timeout, Handler handler, Lane lane = Lane::commands);
    /// The value's member "handle" is the new window's. It does not become the current one.
    void new_window(Handler handler);
    void switch_to_window(const std::string& handle, Handler handler);
    /// Closes the current window; the value lists those that are left. With the last one the
    /// session ends.
    void close_window(Handler handler);

    /// What has not gone out yet in this lane is not sent any more, and completes with worker_lost:
    /// soon, never within this call.
    void drop_unsent(Lane which, error_code cause);
    /// Cuts all connections. What waits completes with worker_lost; the session is not ended.
    void close(error_code cause);
    /// Cuts off as close() does, but goes on ending the session that there is, or that is late.
    /// `done` is called when there is none any more, or nothing more can be done about it.
    void leave(error_code cause, std::function<void()> done);
    /// The same as close(), but nobody is called any more.
    void forget() noexcept;
    /// For a destructor, after which nothing asynchronous may run any more: tells the endpoint to
    /// end the session, and does not wait for an answer. Blocks (two seconds at most) only if no
    /// connection is free for it. A session that is still to come cannot be ended so.
    void abandon_session() noexcept;

    [[nodiscard]] bool is_forgotten() const noexcept { return is_forgotten_; }
    [[nodiscard]] const boost::asio::any_io_executor& strand() const noexcept { return strand_; }
    [[nodiscard]] const browser::WebDriverEndpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] Milliseconds command_timeout() const noexcept { return command_timeout_; }
    [[nodiscard]] bool has_session() const noexcept { return !session_.empty(); }
    /// new_session has failed since it took too long, but its session may still come.
    [[nodiscard]] bool awaits_session() const noexcept;

private:
    WebDriverClient(boost::asio::any_io_executor strand, const browser::WebDriverEndpoint& endpoint,
                    Milliseconds command_timeout, WebDriverLimits limits);

    struct Command {
        Lane lane{Lane::commands};
        const char* verb;
        std::string target;
        boost::json::object body{};
        Milliseconds timeout;
        WebDriverChannel::LateHandler late{};
    };
    [[nodiscard]] WebDriverChannel& channel_of(Lane which) const;
    void send(Command command, Handler handler);
    /// Of the session: "/session/<id>" stands before the target.
    void send_in_session(Command command, Handler handler);
    void on_session_gone(std::string remote_text);
    void on_late_session(const WebDriverChannel::Answer& answer);
    void on_parted();

    boost::asio::any_io_executor strand_;
    browser::WebDriverEndpoint endpoint_;
    Milliseconds command_timeout_;
    std::vector<std::shared_ptr<WebDriverChannel>> lanes_; ///< by Lane
    std::string session_;
    std::string session_end_; ///< why there is none any more, in the driver's words
    bool is_ending_{false};   ///< delete_session is under way
    std::vector<std::function<void()>> when_parted_;
    bool is_forgotten_{false};
};

} // namespace everpool::io
