// Everpool doors: what a bridge is made of.
// SPDX-License-Identifier: BSL-1.0
//
//     acceptor --> HttpSession --(gate: Host, token, Origin, subprotocol)--> WebSocketSession
//                                                                                |
//     Seat of a worker: generation, control, data  <--(hello: role, token)-------+
//
// A connection belongs to a worker from its upgrade on, but sits down only when its hello was
// right; until then it counts as one of http_connection_count_max, and the listener knows nothing
// of it.
#pragma once

#include "io/bridge.hpp"
#include "io/http_gate.hpp"
#include "io/http_session.hpp"
#include "io/token.hpp"
#include "io/web_content.hpp"
#include "io/websocket_session.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace everpool::io {

struct Bridge::State final : std::enable_shared_from_this<Bridge::State>,
                             HttpSessionOwner,
                             WebSocketSessionOwner {
public:
    State(boost::asio::any_io_executor strand, BridgeConfig config, BridgeListener& listener,
          std::shared_ptr<BridgeStats> stats);

    error_code listen();
    void close();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const std::string& origin() const noexcept { return origin_; }
    [[nodiscard]] const BridgeStats& stats() const noexcept { return *stats_; }
    [[nodiscard]] ReceiveBufferStats receive_buffers() const { return setting_.buffers->stats(); }
    [[nodiscard]] WebContent& web_content() noexcept { return content_; }

    std::string admit(WorkerId worker, Generation generation);
    void promote(WorkerId worker, Generation generation);
    void renew(WorkerId worker, Generation generation);
    void revoke(WorkerId worker);
    void cut(WorkerId worker);
    error_code send(WorkerId worker, wire::Channel channel, const wire::Message& message);

    // What the HTTP connections ask and tell.
    HttpVerdict judge(const HttpRequestFacts& request) override;
    const WebContent& content() const override { return content_; }
    const BridgeConfig& config() const override { return setting_.config; }
    const std::string& security_policy() const override { return security_policy_; }
    void on_http_upgrade(boost::asio::ip::tcp::socket socket, const UpgradeRequest& request,
                         const HttpVerdict& verdict) override;
    void on_http_fault(HttpFault fault) override;
    void on_http_closed() override;

    // What the WebSocket connections tell.
    void on_session_message(WebSocketSession& session, wire::Message message) override;
    void on_session_closed(WebSocketSession& session, error_code ec,
                           std::uint16_t close_code) override;

private:
    using SessionPointer = std::shared_ptr<WebSocketSession>;

    /// A worker's place: who it is now, and its connections that have said hello.
    struct Seat {
        Generation generation;
        std::array<SessionPointer, 2> connections; ///< by Channel
        SessionPointer& at(wire::Channel channel) {
            return connections[static_cast<std::size_t>(channel)];
        }
    };

    void accept();
    void on_accepted(error_code ec, boost::asio::ip::tcp::socket socket);
    void free_http_place();
    void on_first_message(WebSocketSession& session, wire::Message message);
    void refuse(WebSocketSession& session, std::string_view reason);
    /// Closes this worker's connections on this channel, whether they have said hello or not.
    void retire_connections(WorkerId worker, wire::Channel channel);
    SessionPointer take_session(const WebSocketSession& session);

    BridgeListener* listener_; ///< null once closed
    const SessionSetting setting_;
    const std::shared_ptr<BridgeStats> stats_;
    WebContent content_;
    LiveTokens tokens_;
    boost::asio::ip::tcp::acceptor acceptor_;
    boost::asio::steady_timer accept_pause_;
    std::uint16_t port_{0};
    std::string authority_, origin_, security_policy_;
    std::unordered_map<WorkerId, Seat> seats_;
    std::vector<SessionPointer> sessions_;                 ///< all that speak to us
    std::vector<std::weak_ptr<WebSocketSession>> leaving_; ///< retired ones, for close()
    std::vector<std::weak_ptr<HttpSession>> http_sessions_;
    std::uint32_t http_connection_count_{0};
    bool is_accepting_{false};
};

} // namespace everpool::io
