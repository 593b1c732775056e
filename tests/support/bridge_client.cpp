// SPDX-License-Identifier: BSL-1.0
#include "support/bridge_client.hpp"

#include "everpool/wire/codec.hpp"
#include "everpool/wire/limits.hpp"
#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>

namespace everpool::test {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::ip::tcp;

std::string authority(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

tcp::socket connect(asio::io_context& context, std::uint16_t port) {
    tcp::socket socket(context);
    socket.connect({asio::ip::address_v4::loopback(), port});
    const timeval limit{10, 0}; // a read that gets nothing fails instead of hanging the test
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return socket;
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
}

template <class Fields>
std::map<std::string, std::string> fields_of(const Fields& fields) {
    std::map<std::string, std::string> out;
    for (const auto& field : fields)
        out[lower(std::string(field.name_string()))] = std::string(field.value());
    return out;
}

} // namespace

struct HttpClient::State {
    explicit State(std::uint16_t port) : socket(connect(context, port)) {}

    asio::io_context context;
    tcp::socket socket;
    beast::flat_buffer buffer;

    HttpAnswer read(bool is_head) {
        http::response_parser<http::string_body> parser;
        parser.body_limit(boost::none);
        parser.skip(is_head);
        http::read(socket, buffer, parser);
        const auto& message = parser.get();
        return {message.result_int(), fields_of(message), message.body()};
    }
};

HttpClient::HttpClient(std::uint16_t port) : state_(std::make_unique<State>(port)) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::ask(const HttpQuestion& question) {
    const auto port = state_->socket.remote_endpoint().port();
    std::string text = question.method + " " + question.target + " HTTP/1.1\r\nHost: " +
                       (question.host.empty() ? authority(port) : question.host) + "\r\n";
    for (const auto& [name, value] : question.fields) text += name + ": " + value + "\r\n";
    asio::write(state_->socket, asio::buffer(text + "\r\n"));
    return state_->read(question.method == "HEAD");
}

HttpAnswer HttpClient::ask_raw(std::string_view bytes) {
    write_raw(bytes);
    return state_->read(false);
}

void HttpClient::write_raw(std::string_view bytes) {
    asio::write(state_->socket, asio::buffer(bytes.data(), bytes.size()));
}

bool HttpClient::is_ended_within(std::chrono::milliseconds limit) {
    pollfd readable{state_->socket.native_handle(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(limit.count())) != 1) return false;
    char byte = 0;
    error_code ec;
    return state_->socket.read_some(asio::buffer(&byte, 1), ec) == 0 && ec;
}

HttpAnswer http_ask(std::uint16_t port, const HttpQuestion& question) {
    return HttpClient(port).ask(question);
}

struct WebSocketClient::State {
    asio::io_context context;
    websocket::stream<tcp::socket> ws{context};
    websocket::response_type answer;
};

WebSocketClient::WebSocketClient(std::uint16_t port, const WebSocketRequest& request)
    : state_(std::make_unique<State>()) {
    auto& ws = state_->ws;
    ws.next_layer() = connect(state_->context, port);
    ws.next_layer().set_option(tcp::no_delay(true));
    ws.read_message_max(0);
    ws.auto_fragment(false);
    websocket::permessage_deflate deflate;
    deflate.client_enable = request.offers_deflate;
    ws.set_option(deflate);
    ws.set_option(websocket::stream_base::decorator([&](websocket::request_type& message) {
        const std::string origin = request.origin.value_or("http://" + authority(port));
        if (!origin.empty()) message.set(http::field::origin, origin);
        if (!request.subprotocol.empty())
            message.set(http::field::sec_websocket_protocol, request.subprotocol);
    }));
    error_code ec;
    ws.handshake(state_->answer, request.host.empty() ? authority(port) : request.host,
                 request.path, ec);
    if (ec && ec != websocket::error::upgrade_declined) throw boost::system::system_error(ec);
}

WebSocketClient::WebSocketClient(WebSocketClient&&) noexcept = default;
WebSocketClient::~WebSocketClient() = default;

unsigned WebSocketClient::status() const { return state_->answer.result_int(); }

std::string WebSocketClient::field(const std::string& name) const {
    const auto fields = fields_of(state_->answer);
    const auto at = fields.find(name);
    return at == fields.end() ? std::string() : at->second;
}

void WebSocketClient::send(std::span<const std::byte> message) {
    state_->ws.binary(true);
    state_->ws.write(asio::buffer(message.data(), message.size()));
}

void WebSocketClient::send(const wire::Message& message) { send(encoded(message)); }

void WebSocketClient::send_text(std::string_view text) {
    state_->ws.text(true);
    state_->ws.write(asio::buffer(text.data(), text.size()));
}

void WebSocketClient::send_fragmented(std::span<const std::byte> message, std::size_t frame_bytes) {
    state_->ws.binary(true);
    while (!message.empty()) {
        const auto frame = message.first(std::min(frame_bytes, message.size()));
        message = message.subspan(frame.size());
        state_->ws.write_some(message.empty(), asio::buffer(frame.data(), frame.size()));
    }
}

void WebSocketClient::send_raw(std::span<const std::byte> bytes) {
    asio::write(state_->ws.next_layer(), asio::buffer(bytes.data(), bytes.size()));
}

WebSocketReading WebSocketClient::read() {
    beast::flat_buffer buffer;
    error_code ec;
    state_->ws.read(buffer, ec);
    if (!ec) {
        const auto* first = static_cast<const std::byte*>(buffer.data().data());
        return {true, Bytes(first, first + buffer.size()), 0};
    }
    if (ec == websocket::error::closed) return {false, {}, state_->ws.reason().code};
    // With a time limit on the socket, a blocking read that got nothing ends so.
    if (ec == asio::error::would_block) throw boost::system::system_error(ec, "nothing came");
    return {false, {}, 1006};
}

wire::Message WebSocketClient::read_message() {
    const WebSocketReading reading = read();
    REQUIRE(reading.is_message);
    const auto bytes = std::make_shared<const Bytes>(reading.message);
    wire::Message message;
    REQUIRE(wire::decode(*bytes, bytes, wire::Limits{}, message) == wire::DecodeResult::ok);
    return message;
}

unsigned WebSocketClient::read_close_code() {
    for (;;) {
        const WebSocketReading reading = read();
        if (!reading.is_message) return reading.close_code;
    }
}

void WebSocketClient::close() {
    error_code ec;
    state_->ws.close(websocket::close_code::normal, ec);
}

void WebSocketClient::drop() {
    error_code ec;
    state_->ws.next_layer().close(ec);
}

Bytes encoded(const wire::Message& message) {
    wire::EncodedFrame frame;
    REQUIRE(wire::encode(message, wire::Limits{}, frame) == Errc::ok);
    return frame.joined();
}

} // namespace everpool::test
