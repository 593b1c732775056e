// SPDX-License-Identifier: BSL-1.0
#include "io/websocket_session.hpp"

#include "everpool/wire/codec.hpp"
#include "everpool/wire/limits.hpp"
#include "io/http_gate.hpp"
#include "io/http_upgrade_request.hpp"
#include "io/receive_size.hpp"
#include "io/websocket_outbox.hpp"
#include "io/websocket_stream.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace everpool::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

/// A hello is a header without tensors. Who has not said it yet gets no more memory than that.
constexpr std::uint64_t hello_bytes_max =
    (wire::prefix_bytes + wire::Limits{}.header_bytes_max + wire::payload_alignment - 1) /
    wire::payload_alignment * wire::payload_alignment;

std::span<const Tensor> tensors_of(const wire::Message& message) noexcept {
    if (const auto* run = std::get_if<wire::Run>(&message)) return run->tensors;
    if (const auto* result = std::get_if<wire::RunResult>(&message)) return result->tensors;
    return {};
}

class BeastWebSocketSession final : public WebSocketSession,
                                    public std::enable_shared_from_this<BeastWebSocketSession> {
public:
    BeastWebSocketSession(asio::ip::tcp::socket socket, SessionIdentity identity,
                          const SessionSetting& setting, WebSocketSessionOwner& owner,
                          BridgeStats& stats)
        : identity_(identity),
          config_(setting.config),
          limits_(limits_of(setting.config)),
          buffers_(setting.buffers),
          owner_(&owner),
          stats_(&stats),
          outbox_(
              std::make_shared<WebSocketOutbox>(std::move(socket), config_.write_queue_bytes_max)),
          deadline_(outbox_->socket().get_executor()),
          ws_(outbox_, [this] { limit_farewell(); }) {}

    void accept(const UpgradeRequest& request);

    const SessionIdentity& identity() const noexcept override { return identity_; }
    bool is_greeted() const noexcept override { return is_greeted_; }
    void greet() override;
    error_code send(const wire::Message& message) override;
    void refuse(std::string_view reason) override;
    void retire() override;
    void abort() noexcept override;

private:
    // What is this session doing?
    enum class Phase : unsigned char {
        opening, // the handshake's answer is being written
        open,    // messages come and go
        closing, // a close frame is due, was sent, or failed to be: waiting for the peer to go
        closed,  // the socket is closed
    };

    static wire::Limits limits_of(const BridgeConfig& config);

    void read_more();
    void on_read(error_code ec, std::size_t bytes);
    void on_frame();
    void on_read_failed(error_code ec);
    void make_room();
    void fault(StrandCounter BridgeStats::*counter, websocket::close_code code,
               std::string_view reason);
    void lose(error_code ec);
    void close_with(websocket::close_code code, std::string_view reason);
    void say_farewell();
    void drain();
    void finish() noexcept;
    void await_hello();
    void limit_farewell();

    const SessionIdentity identity_;
    const BridgeConfig config_;
    const wire::Limits limits_;
    const std::shared_ptr<ReceiveBufferPool> buffers_;
    WebSocketSessionOwner* owner_; ///< null: nobody listens any more
    BridgeStats* stats_;           ///< the owner's: only touched while owner_ is there
    std::shared_ptr<WebSocketOutbox> outbox_;
    asio::steady_timer deadline_;                  ///< of the hello, then of the farewell
    websocket::stream<WebSocketStream, false> ws_; // false: no permessage-deflate
    Phase phase_{Phase::opening};
    websocket::close_reason farewell_; ///< what the close frame says, once closing
    bool is_greeted_{false};
    ReceiveBuffer buffer_; ///< the message that is arriving
    std::size_t filled_{0};
    std::size_t message_bytes_{0}; ///< its length as its own header says; 0: not known (yet)
    wire::EncodedFrame encoded_;   ///< kept for its memory
    std::vector<asio::const_buffer> parts_;
    WebSocketOutbox::Owners owners_;
};

wire::Limits BeastWebSocketSession::limits_of(const BridgeConfig& config) {
    wire::Limits limits;
    limits.frame_bytes_max = config.frame_bytes_max;
    return limits;
}

// ---- opening ------------------------------------------------------------------------------------

void BeastWebSocketSession::accept(const UpgradeRequest& request) {
    ws_.read_message_max(std::min(config_.frame_bytes_max, hello_bytes_max));
    ws_.auto_fragment(false);
    ws_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
        response.set(beast::http::field::sec_websocket_protocol, websocket_subprotocol);
    }));
    await_hello();
    ws_.async_accept(request.message, [self = shared_from_this()](error_code ec) {
        if (self->phase_ == Phase::closing && !ec) return self->say_farewell();
        if (self->phase_ != Phase::opening) return self->finish();
        if (ec) return self->lose(ec);
        self->phase_ = Phase::open;
        self->buffer_ = self->buffers_->take(1);
        self->read_more();
    });
}

void BeastWebSocketSession::await_hello() {
    deadline_.expires_after(config_.hello_timeout);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
        if (ec || self->is_greeted_ || self->owner_ == nullptr) return;
        self->fault(&BridgeStats::hellos_missing, websocket::close_code::policy_error,
                    "no hello in time");
    });
}

void BeastWebSocketSession::greet() {
    is_greeted_ = true;
    deadline_.cancel();
    ws_.read_message_max(config_.frame_bytes_max);
}

// ---- reading ------------------------------------------------------------------------------------

void BeastWebSocketSession::read_more() {
    ws_.async_read_some(asio::buffer(buffer_.data() + filled_, buffer_.capacity() - filled_),
                        [self = shared_from_this()](error_code ec, std::size_t bytes) {
                            self->on_read(ec, bytes);
                        });
}

void BeastWebSocketSession::on_read(error_code ec, std::size_t bytes) {
    if (owner_ == nullptr) return; // the end is under way already, and nobody wants to hear of it
    if (ec) return on_read_failed(ec);
    if (phase_ != Phase::open) return;
    if (ws_.got_text())
        return fault(&BridgeStats::frames_malformed, websocket::close_code::unknown_data,
                     "messages are binary");
    filled_ += bytes;
    if (ws_.is_message_done()) on_frame();
    else make_room();
    if (phase_ == Phase::open) read_more();
}

void BeastWebSocketSession::on_frame() {
    ++stats_->frames_received;
    stats_->bytes_received += filled_;
    const std::span<const std::byte> bytes(buffer_.data(), filled_);
    // Only these two have tensors, which then keep the buffer; else it is used again at once.
    const bool has_tensors = may_carry_tensors(bytes);
    std::shared_ptr<const void> owner;
    if (has_tensors) owner = buffers_->share(std::move(buffer_));
    wire::Message message;
    const auto result = wire::decode(bytes, std::move(owner), limits_, message);
    if (has_tensors) buffer_ = buffers_->take(1);
    filled_ = 0;
    message_bytes_ = 0;
    if (result == wire::DecodeResult::frame_too_large)
        return fault(&BridgeStats::frames_too_large, websocket::close_code::too_big, "too large");
    if (result != wire::DecodeResult::ok)
        return fault(&BridgeStats::frames_malformed, websocket::close_code::protocol_error,
                     "not a message of everpool.v1");
    owner_->on_session_message(*this, std::move(message));
}

/// Sees to it that the next read has room. A large message arrives in several frames (Chromium cuts
/// at some 128 KiB), so its length is known from its own header, not from the WebSocket's.
void BeastWebSocketSession::make_room() try {
    if (is_greeted_ && message_bytes_ == 0)
        message_bytes_ = announced_frame_bytes({buffer_.data(), filled_}, limits_);
    const std::size_t rest_of_frame = ws_.read_size_hint(1);
    std::size_t wanted = std::max<std::size_t>(filled_ + rest_of_frame, message_bytes_);
    if (wanted <= buffer_.capacity()) return;
    if (message_bytes_ == 0) wanted = std::max(wanted, 2 * buffer_.capacity());
    ReceiveBuffer larger = buffers_->take(wanted);
    std::memcpy(larger.data(), buffer_.data(), filled_);
    std::swap(larger, buffer_);
    buffers_->give_back(std::move(larger));
} catch (const std::bad_alloc&) {
    // What a page announces must not end the host.
    fault(&BridgeStats::frames_too_large, websocket::close_code::too_big, "no memory for this");
}

void BeastWebSocketSession::on_read_failed(error_code ec) {
    if (ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow) {
        ++stats_->frames_too_large;
        ec = Errc::protocol_error;
    } else if (ec == websocket::condition::protocol_violation) {
        ++stats_->frames_malformed;
        ec = Errc::protocol_error;
    } else if (outbox_->failure()) {
        ec = outbox_->failure(); // the cause, of which the read's error is the consequence
    }
    lose(ec);
}

// ---- writing ------------------------------------------------------------------------------------

error_code BeastWebSocketSession::send(const wire::Message& message) {
    if (phase_ != Phase::open) return Errc::worker_lost;
    if (const Errc code = wire::encode(message, limits_, encoded_); code != Errc::ok) return code;
    parts_.clear();
    parts_.emplace_back(encoded_.head.data(), encoded_.head.size());
    for (const auto& payload : encoded_.payloads)
        parts_.emplace_back(payload.data(), payload.size());
    owners_.clear();
    if (encoded_.bytes > copy_bytes_max)
        for (const Tensor& tensor : tensors_of(message)) owners_.push_back(tensor.data.owner);
    if (const error_code ec = outbox_->push_message(parts_, owners_)) return ec;
    ++stats_->frames_sent;
    stats_->bytes_sent += encoded_.bytes;
    return {};
}

// ---- the end ------------------------------------------------------------------------------------

/// The peer broke the protocol, and Beast has not noticed.
void BeastWebSocketSession::fault(StrandCounter BridgeStats::*counter, websocket::close_code code,
                                  std::string_view reason) {
    ++(stats_->*counter);
    WebSocketSessionOwner* const owner = std::exchange(owner_, nullptr);
    close_with(code, reason);
    owner->on_session_closed(*this, Errc::protocol_error, no_close_code);
}

/// The stream has failed or was closed: all that could be said has been said by Beast.
void BeastWebSocketSession::lose(error_code ec) {
    WebSocketSessionOwner* const owner = std::exchange(owner_, nullptr);
    if (ec == Errc::protocol_error && phase_ != Phase::closed) {
        limit_farewell();
        drain();
    } else {
        finish();
    }
    std::uint16_t said = ws_.reason().code;
    if (said == websocket::close_code::none)
        said = ec == websocket::error::closed ? empty_close_code : no_close_code;
    owner->on_session_closed(*this, ec, said);
}

void BeastWebSocketSession::refuse(std::string_view reason) {
    owner_ = nullptr;
    close_with(websocket::close_code::policy_error, reason);
}

void BeastWebSocketSession::retire() {
    owner_ = nullptr;
    close_with(websocket::close_code::going_away, "replaced or dismissed");
}

void BeastWebSocketSession::abort() noexcept {
    owner_ = nullptr;
    finish();
}

void BeastWebSocketSession::close_with(websocket::close_code code, std::string_view reason) {
    if (phase_ == Phase::closed) return;
    const Phase was = std::exchange(phase_, Phase::closing);
    farewell_ = {code, beast::string_view(reason.data(), reason.size())};
    outbox_->stop();
    // The peer may hold the handshake's answer before we hear that it was written. It is connected
    // then, and is told why it is not any more, as soon as we do hear.
    if (was == Phase::opening) return limit_farewell();
    if (was != Phase::open || !ws_.is_open()) return finish();
    say_farewell();
}

void BeastWebSocketSession::say_farewell() {
    ws_.async_close(farewell_, [self = shared_from_this()](error_code) { self->finish(); });
}

/// To close with bytes unread would reset the connection, and the peer might never see the close
/// frame. The time limit runs since the close frame was written.
void BeastWebSocketSession::drain() {
    outbox_->socket().async_read_some(asio::buffer(buffer_.data(), buffer_.capacity()),
                                      [self = shared_from_this()](error_code ec, std::size_t) {
                                          if (ec) return self->finish();
                                          self->drain();
                                      });
}

void BeastWebSocketSession::limit_farewell() {
    phase_ = Phase::closing;
    deadline_.expires_after(config_.close_timeout);
    deadline_.async_wait([self = shared_from_this()](error_code ec) {
        if (!ec) self->finish();
    });
}

void BeastWebSocketSession::finish() noexcept {
    phase_ = Phase::closed;
    outbox_->close();
    deadline_.cancel();
}

} // namespace

std::shared_ptr<WebSocketSession>
start_websocket_session(asio::ip::tcp::socket socket, const UpgradeRequest& request,
                        SessionIdentity identity, const SessionSetting& setting,
                        WebSocketSessionOwner& owner, BridgeStats& stats) {
    auto session =
        std::make_shared<BeastWebSocketSession>(std::move(socket), identity, setting, owner, stats);
    session->accept(request);
    return session;
}

} // namespace everpool::io
