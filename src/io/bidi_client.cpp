// SPDX-License-Identifier: BSL-1.0
#include "io/bidi_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <deque>
#include <utility>

namespace everpool::io {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;

namespace {

constexpr std::size_t outgoing_count_max = 256;

class BeastBidiClient final : public BidiClient,
                              public std::enable_shared_from_this<BeastBidiClient> {
public:
    BeastBidiClient(asio::any_io_executor strand, std::chrono::milliseconds command_timeout,
                    EventHandler on_event, std::function<void()> on_lost,
                    std::size_t message_bytes_max)
        : ws_(strand),
          commands_(std::make_shared<PendingCommands>(strand, command_timeout)),
          on_event_(std::move(on_event)),
          on_lost_(std::move(on_lost)),
          connect_timeout_(command_timeout),
          resolver_(strand),
          timer_(strand) {
        ws_.read_message_max(message_bytes_max);
    }

    void async_connect(const browser::BidiAddress& address, ConnectHandler handler) override {
        on_connected_ = std::move(handler);
        target_ = address.target;
        const bool is_v6 = address.host.find(':') != std::string::npos;
        host_ =
            (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
        timer_.expires_after(connect_timeout_);
        timer_.async_wait([weak = weak_from_this()](error_code ec) {
            const auto self = weak.lock();
            if (self && !ec) self->finish_connecting(Errc::worker_unresponsive);
        });
        error_code ec; // an address needs no resolver, which would start a thread
        const auto numeric = asio::ip::make_address(address.host, ec);
        if (!ec)
            return ws_.next_layer().async_connect(
                {numeric, address.port},
                [self = shared_from_this()](error_code failed) { self->on_socket(failed); });
        resolver_.async_resolve(address.host, std::to_string(address.port),
                                [self = shared_from_this()](error_code failed, const auto& found) {
                                    if (failed || self->is_closed_) return self->on_socket(failed);
                                    asio::async_connect(self->ws_.next_layer(), found,
                                                        [self](error_code refused, const auto&) {
                                                            self->on_socket(refused);
                                                        });
                                });
    }

    using BidiClient::send;
    void send(const char* method, json::object parameters, PendingCommands::Handler handler,
              std::optional<std::chrono::milliseconds> timeout) override {
        const std::uint64_t id = commands_->add(method, std::move(handler), timeout);
        if (is_closed_) return refuse(id, Errc::worker_lost, "has no connection to go to");
        if (outgoing_.size() >= outgoing_count_max)
            return refuse(id, Errc::queue_full, "waits behind others that nobody takes");
        outgoing_.push_back(json::serialize(
            json::object{{"id", id}, {"method", method}, {"params", std::move(parameters)}}));
        if (outgoing_.size() == 1) write_next();
    }

    void close(error_code cause) override {
        close_socket();
        commands_->fail_all(cause);
    }

    void forget() noexcept override {
        close_socket();
        commands_->clear();
    }

private:
    void refuse(std::uint64_t id, Errc code, const char* why) {
        asio::post(ws_.get_executor(), [weak = std::weak_ptr(commands_), id, code, why] {
            if (const auto commands = weak.lock()) commands->fail(id, code, why, {});
        });
    }

    void close_socket() noexcept {
        if (std::exchange(is_closed_, true)) return;
        on_event_ = nullptr;
        on_lost_ = nullptr;
        on_connected_ = nullptr;
        timer_.cancel();
        resolver_.cancel();
        error_code ignored;
        ws_.next_layer().close(ignored);
    }

    void on_socket(error_code ec) {
        if (ec || is_closed_) return finish_connecting(ec);
        error_code ignored;
        ws_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
        ws_.async_handshake(host_, target_, [self = shared_from_this()](error_code failed) {
            self->finish_connecting(failed);
        });
    }

    void finish_connecting(error_code ec) {
        const ConnectHandler handler = std::exchange(on_connected_, nullptr);
        if (!handler) return; // closed, or too late
        timer_.cancel();
        if (ec) close_socket();
        else read_more();
        handler(ec);
    }

    void write_next() {
        ws_.async_write(asio::buffer(outgoing_.front()),
                        [self = shared_from_this()](error_code ec, std::size_t) {
                            if (self->is_closed_) return;
                            if (ec) return self->lose(ec);
                            self->outgoing_.pop_front();
                            if (!self->outgoing_.empty()) self->write_next();
                        });
    }

    void read_more() {
        ws_.async_read(incoming_, [self = shared_from_this()](error_code ec, std::size_t) {
            if (self->is_closed_) return;
            if (ec) return self->lose(ec);
            const std::string text = beast::buffers_to_string(self->incoming_.data());
            self->incoming_.clear();
            self->on_message(text);
            if (!self->is_closed_) self->read_more();
        });
    }

    void on_message(std::string_view text) {
        error_code ec;
        const json::value message = json::parse({text.data(), text.size()}, ec);
        const auto* object = ec ? nullptr : message.if_object();
        const auto* type = object == nullptr ? nullptr : object->if_contains("type");
        if (type == nullptr || !type->is_string()) return;
        const json::string& kind = type->get_string();
        if (kind == "event") {
            const auto* method = object->if_contains("method");
            const auto* parameters = object->if_contains("params");
            const EventHandler on_event = on_event_; // it may close us
            if (on_event && method && method->is_string() && parameters && parameters->is_object())
                on_event({method->get_string().data(), method->get_string().size()},
                         parameters->get_object());
            return;
        }
        const auto* id = object->if_contains("id");
        if (id == nullptr || !id->is_int64()) return;
        const auto number = static_cast<std::uint64_t>(id->get_int64());
        if (kind == "success") {
            const auto* result = object->if_contains("result");
            commands_->complete(number, result == nullptr ? json::value() : *result);
        } else {
            const auto* words = object->if_contains("message");
            const bool has_words = words != nullptr && words->is_string();
            commands_->fail(
                number, Errc::browser_launch_failed, "was refused",
                has_words ? std::string_view(words->get_string().data(), words->get_string().size())
                          : std::string_view());
        }
    }

    void lose(error_code ec) {
        const auto lost = std::exchange(on_lost_, nullptr);
        close_socket();
        commands_->fail_all(ec);
        if (lost) lost();
    }

    beast::websocket::stream<asio::ip::tcp::socket, false> ws_;
    std::shared_ptr<PendingCommands> commands_;
    EventHandler on_event_;
    std::function<void()> on_lost_;
    std::chrono::milliseconds connect_timeout_;
    asio::ip::tcp::resolver resolver_;
    asio::steady_timer timer_; ///< of the connecting
    ConnectHandler on_connected_;
    std::string host_, target_;
    std::deque<std::string> outgoing_;
    beast::flat_buffer incoming_;
    bool is_closed_{false};
};

} // namespace

std::shared_ptr<BidiClient> BidiClient::make(asio::any_io_executor strand,
                                             std::chrono::milliseconds command_timeout,
                                             EventHandler on_event, std::function<void()> on_lost,
                                             std::size_t message_bytes_max) {
    return std::make_shared<BeastBidiClient>(std::move(strand), command_timeout,
                                             std::move(on_event), std::move(on_lost),
                                             message_bytes_max);
}

} // namespace everpool::io
