// Tests: the BiDi side of a driver, that says what the test wants, over a real WebSocket on the
// test's own event loop.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

/// Takes one connection after the other.
class ScriptedBidi {
public:
    struct Asked {
        std::string method;
        boost::json::object params;
    };
    /// The member "result" of the answer, as JSON; empty: none comes.
    using Script = std::function<std::optional<std::string>(const Asked&)>;

    ScriptedBidi(boost::asio::io_context& context, Script script)
        : acceptor_(context, {boost::asio::ip::address_v4::loopback(), 0}),
          script_(std::move(script)) {
        accept();
    }

    [[nodiscard]] std::string address() const {
        return "ws://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) +
               "/session/s-1";
    }
    [[nodiscard]] bool has_been_asked(const std::string& method) const {
        for (const Asked& one : asked)
            if (one.method == method) return true;
        return false;
    }

    /// To the last connection, as it stands here.
    void say(std::string text) {
        peer_->outgoing.push_back(std::move(text));
        if (peer_->outgoing.size() == 1) write(peer_);
    }
    void hang_up() { peer_->ws.next_layer().close(); }
    /// Nobody can connect any more.
    void stop_listening() { acceptor_.close(); }

    std::vector<Asked> asked; ///< in the order of arrival
    int connections{0};

private:
    struct Peer {
        explicit Peer(boost::asio::ip::tcp::socket from) : ws(std::move(from)) {}
        boost::beast::websocket::stream<boost::asio::ip::tcp::socket> ws;
        boost::beast::flat_buffer buffer;
        std::deque<std::string> outgoing;
    };

    void accept() {
        acceptor_.async_accept(
            [this](boost::system::error_code ec, boost::asio::ip::tcp::socket socket) {
                if (ec) return;
                ++connections;
                peer_ = std::make_shared<Peer>(std::move(socket));
                peer_->ws.async_accept([this, peer = peer_](boost::system::error_code failed) {
                    if (!failed) read(peer);
                });
                accept();
            });
    }

    void read(const std::shared_ptr<Peer>& peer) {
        peer->ws.async_read(peer->buffer, [this, peer](boost::system::error_code ec, std::size_t) {
            if (ec) return;
            answer(boost::beast::buffers_to_string(peer->buffer.data()));
            peer->buffer.clear();
            read(peer);
        });
    }

    void answer(const std::string& text) {
        const boost::json::object message = boost::json::parse(text).as_object();
        asked.push_back(
            {message.at("method").as_string().c_str(), message.at("params").as_object()});
        if (const auto result = script_(asked.back()))
            say(R"({"type":"success","id":)" + boost::json::serialize(message.at("id")) +
                R"(,"result":)" + *result + "}");
    }

    void write(const std::shared_ptr<Peer>& peer) {
        peer->ws.async_write(boost::asio::buffer(peer->outgoing.front()),
                             [this, peer](boost::system::error_code ec, std::size_t) {
                                 if (ec) return;
                                 peer->outgoing.pop_front();
                                 if (!peer->outgoing.empty()) write(peer);
                             });
    }

    boost::asio::ip::tcp::acceptor acceptor_;
    Script script_;
    std::shared_ptr<Peer> peer_;
};

} // namespace everpool::tests
