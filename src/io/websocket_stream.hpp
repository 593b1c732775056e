// Everpool doors: the stream under Beast's WebSocket: reads from the socket, writes to the outbox.
// SPDX-License-Identifier: BSL-1.0
//
// What Beast itself writes (the handshake's answer, pongs, close frames) goes through the outbox,
// so that it never cuts into a message that is half written. Beast writes one thing at a time and
// waits until it is out.
#pragma once

#include "io/websocket_outbox.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/role.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace everpool::io {

class WebSocketStream {
public:
    using executor_type = WebSocketOutbox::Socket::executor_type;

    /// `on_close_frame`: Beast is about to send a close frame, for whatever reason. Messages that
    /// have not been begun are not sent any more (a peer that does not read must not delay the
    /// end).
    WebSocketStream(std::shared_ptr<WebSocketOutbox> outbox, std::function<void()> on_close_frame)
        : outbox_(std::move(outbox)), on_close_frame_(std::move(on_close_frame)) {}

    executor_type get_executor() noexcept { return outbox_->socket().get_executor(); }

    template <class Buffers, class Handler>
    auto async_read_some(const Buffers& buffers, Handler&& handler) {
        return outbox_->socket().async_read_some(buffers, std::forward<Handler>(handler));
    }

    template <class Buffers, class Handler>
    auto async_write_some(const Buffers& buffers, Handler&& handler) {
        std::vector<std::byte> bytes(boost::asio::buffer_size(buffers));
        boost::asio::buffer_copy(boost::asio::buffer(bytes), buffers);
        if (!bytes.empty() && bytes.front() == close_frame_begin && on_close_frame_) {
            outbox_->stop();
            std::exchange(on_close_frame_, nullptr)();
        }
        return boost::asio::async_initiate<Handler, void(error_code, std::size_t)>(
            [](auto completion, WebSocketOutbox* outbox, std::vector<std::byte> frame) {
                outbox->async_push_frame(std::move(frame), std::move(completion));
            },
            handler, outbox_.get(), std::move(bytes));
    }

    /// Found by Beast when the closing handshake is over, or has failed.
    template <class Handler>
    friend void async_teardown(boost::beast::role_type, WebSocketStream& stream,
                               Handler&& handler) {
        stream.outbox_->async_finish(std::forward<Handler>(handler));
    }
    friend void beast_close_socket(WebSocketStream& stream) { stream.outbox_->close(); }

private:
    /// FIN and opcode 8: no other frame of a server, and no HTTP answer, begins so.
    static constexpr std::byte close_frame_begin{0x88};

    std::shared_ptr<WebSocketOutbox> outbox_;
    std::function<void()> on_close_frame_;
};

} // namespace everpool::io
