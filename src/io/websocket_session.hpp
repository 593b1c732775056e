// Everpool doors: one upgraded connection of a worker page.
// SPDX-License-Identifier: BSL-1.0
//
// A session reads for ever: one read is always under way, and it is never cancelled, because a
// cancelled Beast read takes the stream with it. Time limits act on the socket instead.
//
//     opening --accepted--> waiting for hello --owner greets--> open --+
//        |                        |                                    |
//        +------------------------+------------------------------------+
//                                 |  retire(), refuse(), the peer closes or breaks the protocol,
//                                 v  a write fails
//                              closing: a close frame is sent, what still comes is thrown away,
//                                 |     at most close_timeout
//                                 v
//                               closed
//
// The owner is told of messages until it retires the session or on_session_closed was called, and
// of nothing afterwards. Threading: the socket's executor (a strand).
#pragma once

#include "io/bridge.hpp"
#include "io/receive_buffer_pool.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace everpool::io {

class WebSocketSession;
struct UpgradeRequest; // http_upgrade_request.hpp: Beast's request, seen by those who include Beast

/// Of a WebSocket that ended without a close frame, and with one that has no code (RFC 6455, section
/// 7.4.1).
inline constexpr std::uint16_t no_close_code = 1006, empty_close_code = 1005;

class WebSocketSessionOwner {
public:
    /// The owner may send, refuse, retire, or destroy everything in here.
    virtual void on_session_message(WebSocketSession& session, wire::Message message) = 0;
    /// Last call. protocol_error: thrown out by this side, and counted; otherwise why it ended.
    /// `close_code` is the peer's; one of the above if it sent none.
    virtual void on_session_closed(WebSocketSession& session, error_code ec,
                                   std::uint16_t close_code) = 0;

protected:
    ~WebSocketSessionOwner() = default;
};

/// Whose connection it is. Fixed when it was upgraded, by the token in its path.
struct SessionIdentity {
    WorkerId worker;
    wire::Channel channel{};
};

class WebSocketSession {
public:
    virtual ~WebSocketSession() = default;

    [[nodiscard]] virtual const SessionIdentity& identity() const noexcept = 0;
    [[nodiscard]] virtual bool is_greeted() const noexcept = 0;
    /// The hello was right: its time limit is off.
    virtual void greet() = 0;

    /// See Bridge::send.
    virtual error_code send(const wire::Message& message) = 0;

    /// Closes with 1008 and this reason; the owner hears nothing more. \pre reason is short
    virtual void refuse(std::string_view reason) = 0;
    /// Closes with 1001; the owner hears nothing more.
    virtual void retire() = 0;
    /// Closes the socket now; the owner hears nothing more.
    virtual void abort() noexcept = 0;
};

/// Everything that the sessions of one bridge share. Outlives the sessions' owner, not its calls.
struct SessionSetting {
    BridgeConfig config;
    std::shared_ptr<ReceiveBufferPool> buffers;
};

/// Accepts the upgrade and reads from then on. `stats` belongs to the owner and lives as long.
std::shared_ptr<WebSocketSession>
start_websocket_session(boost::asio::ip::tcp::socket socket, const UpgradeRequest& request,
                        SessionIdentity identity, const SessionSetting& setting,
                        WebSocketSessionOwner& owner, BridgeStats& stats);

} // namespace everpool::io
