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

/// What an answer may weigh, and how many requests may wait.
struct WebDriverLimits {
    std::size_t answer_bytes_max{std::size_t{1} << 20}; ///< of its body
    std::size_t queue_count_max{256};
};

class WebDriverChannel {
public:
    /// HTTP's verb and what follows it: "POST", "/session".
    struct Request {
        const char* verb;
        std::string target; ///< the endpoint's path is put before it
        std::string body;   ///< JSON; empty for GET and DELETE
        std::chrono::milliseconds timeout;
    };
    struct Answer {
        unsigned status{0};
        std::string body;
    };
    /// Errors: worker_unresponsive (not answered in time), worker_lost (nobody there, or cut off),
    /// message_too_large, protocol_error (no HTTP), queue_full. Which command it was, and why, say
    /// the diagnostics.
    using Handler = std::function<void(error_code, Diagnostics, Answer)>;

    virtual ~WebDriverChannel() = default;

    virtual void send(Request request, Handler handler) = 0;

    /// Closes the connection. What waits completes with worker_lost; nothing is sent any more.
    virtual void close(error_code cause) = 0;

    /// Closes the connection; nobody is called any more.
    virtual void forget() noexcept = 0;

    static std::shared_ptr<WebDriverChannel> make(boost::asio::any_io_executor strand,
                                                  browser::WebDriverEndpoint endpoint,
                                                  WebDriverLimits limits = {});

    /// For a host that is going: sends this on a connection of its own and does not wait for an
    /// answer. Blocks for as long as it takes to connect, two seconds at most.
    static void send_and_forget(const browser::WebDriverEndpoint& endpoint, const char* verb,
                                const std::string& target) noexcept;
};

} // namespace everpool::io
