// Everpool doors: a WebDriver BiDi connection to Firefox.
// SPDX-License-Identifier: BSL-1.0
//
// A WebSocket client without an Origin header (with one Firefox answers 400), one reader for ever.
// Beast stays behind this header.
#pragma once

#include "io/pending_commands.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace everpool::io {

class BidiClient {
public:
    using EventHandler = std::function<void(std::string_view method, const boost::json::object&)>;
    using ConnectHandler = std::function<void(error_code)>;

    virtual ~BidiClient() = default;

    /// Connects to ws://127.0.0.1:port/session.
    virtual void async_connect(std::uint16_t port, ConnectHandler handler) = 0;
    virtual void send(const char* method, boost::json::object parameters,
                      PendingCommands::Handler handler) = 0;
    /// Closes the socket; pending commands complete with this cause. Neither handler is called.
    virtual void close(error_code cause) = 0;
    /// Closes the socket; nobody is called any more.
    virtual void forget() noexcept = 0;

    /// `on_event`: what the browser tells by itself. `on_lost`: the connection has ended.
    static std::shared_ptr<BidiClient> make(boost::asio::any_io_executor strand,
                                            std::chrono::milliseconds command_timeout,
                                            EventHandler on_event, std::function<void()> on_lost);
};

} // namespace everpool::io
