// SPDX-License-Identifier: BSL-1.0
#include "io/bridge_state.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address_v4.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace everpool::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using wire::Channel;

/// How long accepting rests when the process has no descriptors left.
constexpr std::chrono::milliseconds accept_pause{100};

const BridgeConfig& checked(const BridgeConfig& config) {
    const auto require = [](bool holds, const char* message) {
        if (!holds) throw std::invalid_argument(message);
    };
    require(config.frame_bytes_max >= 1024, "BridgeConfig::frame_bytes_max must be >= 1024");
    require(config.write_queue_bytes_max >= config.frame_bytes_max,
            "BridgeConfig::write_queue_bytes_max must be >= frame_bytes_max");
    require(config.http_connection_count_max > 0,
            "BridgeConfig::http_connection_count_max must be > 0");
    require(config.request_header_bytes_max >= 1024,
            "BridgeConfig::request_header_bytes_max must be >= 1024");
    require(config.request_timeout.count() > 0, "BridgeConfig::request_timeout must be > 0");
    require(config.hello_timeout.count() > 0, "BridgeConfig::hello_timeout must be > 0");
    require(config.close_timeout.count() > 0, "BridgeConfig::close_timeout must be > 0");
    return config;
}

/// What a page may say after its hello, see the table in include/everpool/wire/README.md.
bool may_say(Channel channel, wire::Kind kind) noexcept {
    switch (kind) {
    case wire::Kind::error:
    case wire::Kind::pong:
    case wire::Kind::bye:
    case wire::Kind::event: return true;
    case wire::Kind::ready:
    case wire::Kind::progress:
    case wire::Kind::result: return channel == Channel::data;
    default: return false;
    }
}

/// Forgets those that are gone already, so that the list is never longer than what lives.
template <class T>
void remember(std::vector<std::weak_ptr<T>>& list, const std::shared_ptr<T>& one) {
    std::erase_if(list, [](const std::weak_ptr<T>& other) { return other.expired(); });
    list.push_back(one);
}

} // namespace

Bridge::State::State(asio::any_io_executor strand, BridgeConfig config, BridgeListener& listener,
                     std::shared_ptr<BridgeStats> stats)
    : listener_(&listener),
      setting_{checked(config), ReceiveBufferPool::create(config.receive_bytes_idle_max)},
      stats_(std::move(stats)),
      acceptor_(strand),
      accept_pause_(strand) {}

error_code Bridge::State::listen() {
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), 0);
    error_code ec;
    if (!ec) acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) port_ = acceptor_.local_endpoint(ec).port();
    if (ec) {
        error_code ignored;
        acceptor_.close(ignored);
        return ec;
    }
    authority_ = "127.0.0.1:" + std::to_string(port_);
    origin_ = "http://" + authority_;
    // The page runs its own scripts, compiles WebAssembly, and talks to this server, nothing else.
    // connect-src names the WebSocket beside 'self': older engines do not take it as the same
    // origin.
    security_policy_ = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
                       "worker-src 'self' blob:; connect-src 'self' ws://" +
                       authority_ + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    accept();
    return {};
}

void Bridge::State::close() {
    listener_ = nullptr;
    error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
    for (const auto& session : sessions_) session->abort();
    for (const auto& session : leaving_)
        if (const auto one = session.lock()) one->abort();
    for (const auto& session : http_sessions_)
        if (const auto one = session.lock()) one->abort();
    sessions_.clear();
    leaving_.clear();
    seats_.clear();
}

// ---- accepting ----------------------------------------------------------------------------------

void Bridge::State::accept() {
    if (is_accepting_ || !acceptor_.is_open()) return;
    if (http_connection_count_ >= setting_.config.http_connection_count_max) return;
    is_accepting_ = true;
    acceptor_.async_accept([self = shared_from_this()](error_code ec, tcp::socket socket) {
        self->is_accepting_ = false;
        self->on_accepted(ec, std::move(socket));
    });
}

void Bridge::State::on_accepted(error_code ec, tcp::socket socket) {
    if (listener_ == nullptr) return;
    if (ec) {
        // Out of descriptors, or the client went away again: rest, so as not to spin, and go on.
        accept_pause_.expires_after(accept_pause);
        accept_pause_.async_wait([self = shared_from_this()](error_code stopped) {
            if (!stopped) self->accept();
        });
        return;
    }
    ++http_connection_count_;
    remember(http_sessions_, start_http_session(std::move(socket), shared_from_this()));
    accept();
}

void Bridge::State::free_http_place() {
    --http_connection_count_;
    accept();
}

// ---- HTTP ---------------------------------------------------------------------------------------

HttpVerdict Bridge::State::judge(const HttpRequestFacts& request) {
    ++stats_->http_requests;
    const HttpVerdict verdict = HttpGate(authority_, origin_, tokens_).judge(request);
    switch (verdict.refusal) {
    case HttpRefusal::token: ++stats_->refused_token; break;
    case HttpRefusal::origin: ++stats_->refused_origin; break;
    case HttpRefusal::host: ++stats_->refused_host; break;
    case HttpRefusal::subprotocol: ++stats_->refused_subprotocol; break;
    default: break;
    }
    return verdict;
}

void Bridge::State::on_http_upgrade(tcp::socket socket, const UpgradeRequest& request,
                                    const HttpVerdict& verdict) {
    if (listener_ == nullptr) return;
    ++stats_->upgrades;
    sessions_.push_back(start_websocket_session(
        std::move(socket), request, {verdict.worker, verdict.channel}, setting_, *this, *stats_));
}

void Bridge::State::on_http_fault(HttpFault fault) {
    ++(fault == HttpFault::malformed ? stats_->requests_malformed : stats_->requests_unfinished);
}

void Bridge::State::on_http_closed() { free_http_place(); }

// ---- workers ------------------------------------------------------------------------------------

std::string Bridge::State::admit(WorkerId worker, Generation generation) {
    revoke(worker);
    seats_[worker].generation = generation;
    return origin_ + "/w/" + tokens_.mint(worker) +
           "/?frame_bytes_max=" + std::to_string(setting_.config.frame_bytes_max);
}

void Bridge::State::promote(WorkerId worker, Generation generation) {
    const auto seat = seats_.find(worker);
    if (seat == seats_.end()) return;
    seat->second.generation = generation;
    retire_connections(worker, Channel::data);
}

void Bridge::State::renew(WorkerId worker, Generation generation) {
    const auto seat = seats_.find(worker);
    if (seat != seats_.end()) seat->second.generation = generation;
}

void Bridge::State::revoke(WorkerId worker) {
    tokens_.revoke(worker);
    retire_connections(worker, Channel::control);
    retire_connections(worker, Channel::data);
    seats_.erase(worker);
}

void Bridge::State::cut(WorkerId worker) {
    const auto self = shared_from_this(); // the listener may destroy the bridge
    for (const Channel channel : {Channel::data, Channel::control}) {
        // The listener may have revoked the worker when it heard of the first one.
        const auto seat = seats_.find(worker);
        if (seat == seats_.end() || !seat->second.at(channel)) continue;
        const SessionPointer session = seat->second.at(channel);
        session->abort();
        on_session_closed(*session, boost::asio::error::connection_reset, no_close_code);
    }
}

error_code Bridge::State::send(WorkerId worker, Channel channel, const wire::Message& message) {
    const auto seat = seats_.find(worker);
    error_code ec = Errc::worker_lost;
    if (seat != seats_.end())
        if (const SessionPointer& session = seat->second.at(channel)) ec = session->send(message);
    if (ec) ++stats_->sends_refused;
    return ec;
}

void Bridge::State::retire_connections(WorkerId worker, Channel channel) {
    std::vector<SessionPointer> retired;
    std::erase_if(sessions_, [&](SessionPointer& session) {
        const SessionIdentity& identity = session->identity();
        if (identity.worker != worker || identity.channel != channel) return false;
        retired.push_back(std::move(session));
        return true;
    });
    if (const auto seat = seats_.find(worker); seat != seats_.end())
        seat->second.at(channel).reset();
    for (const SessionPointer& session : retired) {
        if (!session->is_greeted()) free_http_place();
        session->retire();
        remember(leaving_, session);
    }
}

Bridge::State::SessionPointer Bridge::State::take_session(const WebSocketSession& session) {
    const auto at = std::ranges::find(sessions_, &session, &SessionPointer::get);
    if (at == sessions_.end()) return nullptr;
    SessionPointer taken = std::move(*at);
    sessions_.erase(at);
    return taken;
}

// ---- WebSocket ----------------------------------------------------------------------------------

void Bridge::State::on_session_message(WebSocketSession& session, wire::Message message) {
    const auto self = shared_from_this(); // the listener may destroy the bridge
    if (!session.is_greeted()) return on_first_message(session, std::move(message));
    const auto [worker, channel] = session.identity();
    if (!may_say(channel, wire::kind_of(message)))
        return refuse(session, "this kind is not the page's to send here");
    listener_->on_message(worker, seats_.at(worker).generation, channel, std::move(message));
}

void Bridge::State::on_first_message(WebSocketSession& session, wire::Message message) {
    const auto [worker, channel] = session.identity();
    auto* hello = std::get_if<wire::Hello>(&message);
    if (hello == nullptr || hello->role != channel)
        return refuse(session, "the first message must be hello, with the path's role");
    if (!tokens_.belongs(worker, hello->token)) {
        ++stats_->refused_token;
        return refuse(session, "hello has another token than the path");
    }
    session.greet();
    Seat& seat = seats_.at(worker);
    SessionPointer& place = seat.at(channel);
    if (place) {
        ++stats_->connections_replaced;
        place->retire();
        remember(leaving_, take_session(*place));
    }
    place = *std::ranges::find(sessions_, &session, &SessionPointer::get);
    free_http_place();
    listener_->on_hello(worker, seat.generation, channel, std::move(*hello));
}

void Bridge::State::refuse(WebSocketSession& session, std::string_view reason) {
    ++stats_->frames_unexpected;
    session.refuse(reason);
    on_session_closed(session, Errc::protocol_error, no_close_code);
}

void Bridge::State::on_session_closed(WebSocketSession& session, error_code ec,
                                      std::uint16_t close_code) {
    const auto self = shared_from_this();
    const auto [worker, channel] = session.identity();
    const SessionPointer gone = take_session(session);
    remember(leaving_, gone);
    if (!session.is_greeted()) return free_http_place();
    Seat& seat = seats_.at(worker);
    seat.at(channel).reset();
    listener_->on_closed(worker, seat.generation, channel, ec, close_code);
}

} // namespace everpool::io
