// Everpool doors: one HTTP connection to a WebDriver, and what waits for it.
// SPDX-License-Identifier: BSL-1.0
//
// A driver takes one command of a session at a time, so requests stand in a queue, and the next one
// is sent when the one before it has been answered. The connection is kept; one that the driver has
// closed meanwhile is opened again, and so is one on which an answer did not come in time, because
// HTTP/1.1 cannot take a request back. Beast stays behind this header.
//
// Threading: one strand. Handlers are never called inside send().
#pragma once

#include "everpool/browser/webdriver_endpoint.hpp"
#include "everpool/error.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace everpool::io {

/// What an answer may weigh, how many requests may wait, and for how long one that is late matters.
struct WebDriverLimits {
    std::size_t answer_bytes_max{std::size_t{1} << 20}; ///< of its body
    std::size_t queue_count_max{256};
    std::chrono::milliseconds patience{60'000}; ///< after a request's timeout, if it has `late`
};

class WebDriverChannel {
public:
    struct Answer {
        unsigned status{0}; ///< 0: there is none
        std::string body;
    };
    using LateHandler = std::function<void(Answer)>;
    /// HTTP's verb and what follows it: "POST", "/session".
    struct Request {
        const char* verb;
        std::string target; ///< the endpoint's path is put before it
        std::string body;   ///< JSON; empty for GET and DELETE
        std::chrono::milliseconds timeout;
        /// For a request whose answer names what somebody has to end. If it has gone out and is not
        /// answered in time, the handler is told so, but the answer is waited for, and comes here;
        /// one with status 0 if there will be none. Nothing else is sent meanwhile.
        LateHandler late{};
    };
    /// Errors: worker_unresponsive (not answered in time), worker_lost (nobody there, or cut off),
    /// message_too_large, protocol_error (no HTTP), queue_full. Which command it was, and why, say
    /// the diagnostics.
    using Handler = std::function<void(error_code, Diagnostics, Answer)>;

    virtual ~WebDriverChannel() = default;

    virtual void send(Request request, Handler handler) = 0;

    /// A handler was told that there was no answer in time, and `late` has still to be called.
    [[nodiscard]] virtual bool awaits_late_answer() const noexcept = 0;
    /// A request has gone out and is not answered yet.
    [[nodiscard]] virtual bool has_sent() const noexcept = 0;

    /// What has not gone out yet is not sent any more, and completes with worker_lost: soon, never
    /// within this call.
    virtual void drop_unsent(error_code cause) = 0;

    /// Closes the connection. What waits completes with worker_lost; nothing is sent any more.
    virtual void close(error_code cause) = 0;

    /// Closes the connection; nobody is called any more.
    virtual void forget() noexcept = 0;

    static std::shared_ptr<WebDriverChannel> make(boost::asio::any_io_executor strand,
                                                  browser::WebDriverEndpoint endpoint,
                                                  WebDriverLimits limits = {});

    // For a host that is going, where nothing asynchronous may run any more. Neither waits for an
    // answer, nor is anything to be sent afterwards.
    /// Sends this on the connection, if there is one and it is idle; then true. Does not block.
    [[nodiscard]] virtual bool try_send_last(const char* verb,
                                             const std::string& target) noexcept = 0;
    /// Sends this on a connection of its own, to the address that was connected to before: nothing
    /// is looked up. Blocks for as long as it takes to connect, two seconds at most.
    virtual void send_last(const char* verb, const std::string& target) noexcept = 0;
};

} // namespace everpool::io
