// Everpool doors: a WebDriver BiDi connection, to Firefox itself or by way of a driver.
// SPDX-License-Identifier: BSL-1.0
//
// A WebSocket client without an Origin header (with one Firefox answers 400), one reader for ever.
// Beast stays behind this header.
#pragma once

#include "everpool/browser/bidi_address.hpp"
#include "io/pending_commands.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace everpool::io {

class BidiClient {
public:
    using EventHandler = std::function<void(std::string_view method, const boost::json::object&)>;
    using ConnectHandler = std::function<void(error_code)>;

    virtual ~BidiClient() = default;

    /// Not called any more after close() or forget(). An error is final: make another one.
    /// worker_unresponsive: not there within the command timeout.
    virtual void async_connect(const browser::BidiAddress& address, ConnectHandler handler) = 0;
    /// `timeout`: of this command, if it is not that of all. Once the connection is closed or lost
    /// the handler gets worker_lost, never inside the call.
    virtual void send(const char* method, boost::json::object parameters,
                      PendingCommands::Handler handler,
                      std::optional<std::chrono::milliseconds> timeout) = 0;
    void send(const char* method, boost::json::object parameters,
              PendingCommands::Handler handler) {
        send(method, std::move(parameters), std::move(handler), std::nullopt);
    }
    /// Closes the socket; pending commands complete with this cause. Neither handler is called.
    virtual void close(error_code cause) = 0;
    /// Closes the socket; nobody is called any more.
    virtual void forget() noexcept = 0;

    /// `on_event`: what the browser tells by itself. `on_lost`: the connection has ended by itself,
    /// and what was pending has completed.
    /// A message beyond `message_bytes_max` ends it. Of commands that nobody takes 256 wait; the
    /// next ones complete with queue_full.
    static std::shared_ptr<BidiClient> make(boost::asio::any_io_executor strand,
                                            std::chrono::milliseconds command_timeout,
                                            EventHandler on_event, std::function<void()> on_lost,
                                            std::size_t message_bytes_max = std::size_t{16} << 20);
};

} // namespace everpool::io
