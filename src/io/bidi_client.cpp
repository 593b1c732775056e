// SPDX-License-Identifier: BSL-1.0
#include "io/bidi_client.hpp"

#include <boost/asio/ip/tcp.hpp>
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

constexpr std::size_t message_bytes_max = std::size_t{16} << 20;

class BeastBidiClient final : public BidiClient,
                              public std::enable_shared_from_this<BeastBidiClient> {
public:
    BeastBidiClient(asio::any_io_executor strand, std::chrono::milliseconds command_timeout,
                    EventHandler on_event, std::function<void()> on_lost)
        : ws_(strand),
          commands_(std::make_shared<PendingCommands>(strand, command_timeout)),
          on_event_(std::move(on_event)),
          on_lost_(std::move(on_lost)) {
        ws_.read_message_max(message_bytes_max);
    }

    void async_connect(std::uint16_t port, ConnectHandler handler) override {
        host_ = "127.0.0.1:" + std::to_string(port);
        ws_.next_layer().async_connect(
            {asio::ip::address_v4::loopback(), port},
            [self = shared_from_this(), handler = std::move(handler)](error_code ec) {
                if (ec || self->is_closed_) return handler(ec);
                self->ws_.async_handshake(self->host_, "/session",
                                          [self, handler](error_code failed) {
                                              if (!failed) self->read_more();
                                              handler(failed);
                                          });
            });
    }

    void send(const char* method, json::object parameters,
              PendingCommands::Handler handler) override {
        const std::uint64_t id = commands_->add(method, std::move(handler));
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
    void close_socket() noexcept {
        if (std::exchange(is_closed_, true)) return;
        on_event_ = nullptr;
        on_lost_ = nullptr;
        error_code ignored;
        ws_.next_layer().close(ignored);
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
            if (on_event_ && method && method->is_string() && parameters && parameters->is_object())
                on_event_({method->get_string().data(), method->get_string().size()},
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
        commands_->fail_all(ec);
        if (lost) lost();
    }

    beast::websocket::stream<asio::ip::tcp::socket, false> ws_;
    std::shared_ptr<PendingCommands> commands_;
    EventHandler on_event_;
    std::function<void()> on_lost_;
    std::string host_;
    std::deque<std::string> outgoing_;
    beast::flat_buffer incoming_;
    bool is_closed_{false};
};

} // namespace

std::shared_ptr<BidiClient> BidiClient::make(asio::any_io_executor strand,
                                             std::chrono::milliseconds command_timeout,
                                             EventHandler on_event, std::function<void()> on_lost) {
    return std::make_shared<BeastBidiClient>(std::move(strand), command_timeout,
                                             std::move(on_event), std::move(on_lost));
}

} // namespace everpool::io
