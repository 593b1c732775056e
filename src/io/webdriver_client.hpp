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
// (chromedriver) is then taken to be silent, which it is.
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
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

class WebDriverClient : public std::enable_shared_from_this<WebDriverClient> {
public:
    using Milliseconds = std::chrono::milliseconds;
    /// `value` is that of the answer, and valid during the call only.
    using Handler = std::function<void(error_code, Diagnostics, const boost::json::value& value)>;

    /// Whose turn a command waits for.
    enum class Lane { commands, browser_questions, page_questions };

    static std::shared_ptr<WebDriverClient> make(boost::asio::any_io_executor strand,
                                                 browser::WebDriverEndpoint endpoint,
                                                 Milliseconds command_timeout,
                                                 WebDriverLimits limits = {});

    /// Begins a session; `capabilities` is the member of that name. The value has the capabilities
    /// that were agreed upon. \pre no session
    void new_session(boost::json::object capabilities, Milliseconds timeout, Handler handler);
    /// Ends it, with all its windows.
    void delete_session(Handler handler);
    /// Whether the driver would take a new session; asks the driver, not the browser.
    void status(Handler handler);

    void navigate(const std::string& url, Handler handler);
    void refresh(Handler handler);

    /// Runs the body of a function in the current window's main thread.
    void execute_sync(const std::string& script, Milliseconds timeout, Handler handler,
                      Lane lane = Lane::commands);
    /// The same; the script calls its last argument to say that it is done.
    void execute_async(const std::string& script, Milliseconds timeout, Handler handler);

    /// The handle of the current window.
    void window(Handler handler);
    void window_handles(Milliseconds timeout, Handler handler, Lane lane = Lane::commands);
    /// The value's member "handle" is the new window's. It does not become the current one.
    void new_window(Handler handler);
    void switch_to_window(const std::string& handle, Handler handler);
    /// Closes the current window; the value lists those that are left. With the last one the
    /// session ends.
    void close_window(Handler handler);

    /// Cuts all connections. What waits completes with worker_lost; the session is not ended.
    void close(error_code cause);
    /// The same, but nobody is called any more.
    void forget() noexcept;
    /// For a host that is going: ends the session without waiting for an answer.
    void abandon_session() noexcept;

    [[nodiscard]] bool has_session() const noexcept { return !session_.empty(); }

private:
    WebDriverClient(boost::asio::any_io_executor strand, browser::WebDriverEndpoint endpoint,
                    Milliseconds command_timeout, WebDriverLimits limits);

    struct Command {
        Lane lane{Lane::commands};
        const char* verb;
        std::string target;
        boost::json::object body{};
        Milliseconds timeout;
    };
    void send(Command command, Handler handler);
    /// Of the session: "/session/<id>" stands before the target.
    void send_in_session(Command command, Handler handler);
    void on_session_gone(std::string remote_text);

    boost::asio::any_io_executor strand_;
    browser::WebDriverEndpoint endpoint_;
    Milliseconds command_timeout_;
    std::vector<std::shared_ptr<WebDriverChannel>> lanes_; ///< by Lane
    std::string session_;
    std::string session_end_; ///< why there is none any more, in the driver's words
    bool is_forgotten_{false};
};

/// The text of a member of an object; empty if it is no object, or has no such text.
std::string text_member(const boost::json::value& value, std::string_view key);

} // namespace everpool::io
