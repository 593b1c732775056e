// Tests: a WebDriver that says what the test wants, over a real socket on the test's own event
// loop.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/webdriver_endpoint.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

class ScriptedDriver {
public:
    struct Asked {
        std::string verb, target, body, host;
        int connection; ///< the how-manieth, from 1
    };
    struct Reply {
        std::string bytes;        ///< as they go out, header and all
        bool closes_after{false}; ///< the connection, when they are out
        bool is_silent{false};    ///< says nothing, until answer_late
    };
    using Script = std::function<Reply(const Asked&)>;

    ScriptedDriver(boost::asio::io_context& context, Script script)
        : acceptor_(context, {boost::asio::ip::address_v4::loopback(), 0}),
          script_(std::move(script)) {
        accept();
    }

    /// An answer as a driver gives it.
    static Reply answer(const std::string& body, int status = 200) {
        return {"HTTP/1.1 " + std::to_string(status) +
                " Whatever\r\nContent-Type: application/json\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body};
    }
    static Reply value(const std::string& json) { return answer("{\"value\":" + json + "}"); }
    static Reply error(const std::string& error, const std::string& message, int status) {
        return answer(R"({"value":{"error":")" + error + R"(","message":")" + message +
                          R"(","stacktrace":""}})",
                      status);
    }
    static Reply silence() { return {.bytes = {}, .is_silent = true}; }

    [[nodiscard]] browser::WebDriverEndpoint endpoint() const {
        return {"127.0.0.1", acceptor_.local_endpoint().port(), ""};
    }
    /// Answers after all what this connection has asked last and was answered with silence.
    void answer_late(int connection, Reply late) {
        reply(peers_.at(static_cast<std::size_t>(connection) - 1), std::move(late));
    }
    /// Nobody can connect any more.
    void stop_listening() { acceptor_.close(); }

    std::vector<Asked> asked; ///< in the order of arrival

private:
    struct Peer {
        explicit Peer(boost::asio::ip::tcp::socket from) : socket(std::move(from)) {}
        boost::asio::ip::tcp::socket socket;
        boost::beast::flat_buffer buffer;
        boost::beast::http::request<boost::beast::http::string_body> request;
        std::string outgoing;
        int number{0};
    };

    void accept() {
        acceptor_.async_accept(
            [this](boost::system::error_code ec, boost::asio::ip::tcp::socket socket) {
                if (ec) return;
                const auto peer = std::make_shared<Peer>(std::move(socket));
                peer->number = ++connections_;
                peers_.push_back(peer);
                read(peer);
                accept();
            });
    }

    void read(const std::shared_ptr<Peer>& peer) {
        peer->request = {};
        boost::beast::http::async_read(
            peer->socket, peer->buffer, peer->request,
            [this, peer](boost::system::error_code ec, std::size_t) {
                if (ec) return peer->socket.close();
                asked.push_back({std::string(peer->request.method_string()),
                                 std::string(peer->request.target()), peer->request.body(),
                                 std::string(peer->request["Host"]), peer->number});
                reply(peer, script_(asked.back()));
            });
    }

    void reply(const std::shared_ptr<Peer>& peer, Reply reply) {
        if (reply.is_silent) return;
        peer->outgoing = std::move(reply.bytes);
        boost::asio::async_write(
            peer->socket, boost::asio::buffer(peer->outgoing),
            [this, peer, closes = reply.closes_after](boost::system::error_code ec, std::size_t) {
                if (ec || closes) return peer->socket.close();
                read(peer);
            });
    }

    boost::asio::ip::tcp::acceptor acceptor_;
    Script script_;
    std::vector<std::shared_ptr<Peer>> peers_; ///< silent ones stay open
    int connections_{0};
};

} // namespace everpool::tests
