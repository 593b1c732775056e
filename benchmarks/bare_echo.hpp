// The floor of the bridge scenario: the barest Beast WebSocket server and the barest page that echo
// bytes between a host and a browser's dedicated Worker. No protocol, no pool, no safety.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace scenario {

namespace asio = boost::asio;
namespace beast = boost::beast;

class BareEcho {
public:
    /// Accepts pages on 127.0.0.1; calls `ready` when `count` of them have connected.
    BareEcho(asio::io_context& context, std::size_t count, std::function<void()> ready)
        : acceptor_(context, {asio::ip::address_v4::loopback(), 0}), count_(count),
          ready_(std::move(ready)) {
        accept();
    }

    [[nodiscard]] std::string url() const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/";
    }

    /// Sends `payload` to page number `page` and calls `done` when as many bytes have come back.
    void echo(std::size_t page, asio::const_buffer payload, std::function<void()> done) {
        Connection& to = *connections_.at(page);
        to.waiting.push_back({payload.size(), std::move(done)});
        to.outgoing.push_back(payload);
        if (to.outgoing.size() == 1) write(to);
    }

    void close() {
        closing_ = true;
        beast::error_code ignored;
        acceptor_.close(ignored);
        for (auto& connection : connections_) connection->ws.next_layer().close(ignored);
    }

private:
    struct Connection {
        explicit Connection(asio::ip::tcp::socket socket) : ws(std::move(socket)) {}
        beast::websocket::stream<asio::ip::tcp::socket> ws;
        beast::flat_buffer incoming;
        beast::http::request<beast::http::empty_body> request;
        beast::http::response<beast::http::string_body> response;
        std::deque<asio::const_buffer> outgoing;
        std::deque<std::pair<std::size_t, std::function<void()>>> waiting;
    };
    using Shared = std::shared_ptr<Connection>;

    static constexpr std::string_view page_html =
        "<!doctype html><meta charset=utf-8><script src=/page.js></script>";
    static constexpr std::string_view page_js = "new Worker('/worker.js');";
    static constexpr std::string_view worker_js =
        "const ws = new WebSocket(`ws://${location.host}/echo`);"
        "ws.binaryType = 'arraybuffer';"
        "ws.onmessage = (event) => ws.send(event.data);";

    void accept() {
        acceptor_.async_accept([this](beast::error_code ec, asio::ip::tcp::socket socket) {
            if (ec) return;
            socket.set_option(asio::ip::tcp::no_delay(true));
            serve(std::make_shared<Connection>(std::move(socket)));
            accept();
        });
    }

    void serve(const Shared& connection) {
        connection->request = {};
        beast::http::async_read(
            connection->ws.next_layer(), connection->incoming, connection->request,
            [this, connection](beast::error_code ec, std::size_t) {
                if (ec) return;
                if (beast::websocket::is_upgrade(connection->request)) return upgrade(connection);
                answer(connection);
            });
    }

    void answer(const Shared& connection) {
        const std::string_view target = connection->request.target();
        auto& response = connection->response;
        response = {beast::http::status::ok, 11};
        response.set(beast::http::field::content_type,
                     target == "/" ? "text/html" : "text/javascript");
        response.body() = target == "/" ? page_html : target == "/page.js" ? page_js : worker_js;
        response.prepare_payload();
        beast::http::async_write(connection->ws.next_layer(), response,
                                 [this, connection](beast::error_code ec, std::size_t) {
                                     if (!ec) serve(connection);
                                 });
    }

    void upgrade(const Shared& connection) {
        connection->ws.async_accept(connection->request, [this, connection](beast::error_code ec) {
            if (ec) return;
            connection->ws.binary(true);
            connection->ws.auto_fragment(false);
            connection->ws.read_message_max(std::size_t{1} << 30);
            connection->incoming.clear();
            connections_.push_back(connection);
            read(*connection);
            if (connections_.size() == count_) ready_();
        });
    }

    void write(Connection& connection) {
        connection.ws.async_write(connection.outgoing.front(),
                                  [this, &connection](beast::error_code ec, std::size_t) {
                                      if (ec) return fail("write", ec);
                                      connection.outgoing.pop_front();
                                      if (!connection.outgoing.empty()) write(connection);
                                  });
    }

    void read(Connection& connection) {
        connection.ws.async_read(
            connection.incoming, [this, &connection](beast::error_code ec, std::size_t bytes) {
                if (ec) return fail("read", ec);
                auto [expected, done] = std::move(connection.waiting.front());
                connection.waiting.pop_front();
                if (bytes != expected) return fail("echo of a wrong length", {});
                connection.incoming.clear();
                read(connection);
                done();
            });
    }

    void fail(const char* what, beast::error_code ec) const {
        if (closing_) return;
        std::fprintf(stderr, "bare echo: %s: %s\n", what, ec.message().c_str());
        std::exit(1);
    }

    asio::ip::tcp::acceptor acceptor_;
    std::size_t count_;
    std::function<void()> ready_;
    std::vector<Shared> connections_;
    bool closing_{false};
};

} // namespace scenario
