// Everpool doors: everything that one WebSocket connection still has to write, in order.
// SPDX-License-Identifier: BSL-1.0
//
// The outbox owns the socket and is its only writer. Messages are framed here (a server's frame is
// two to ten bytes of header before the payload, RFC 6455 section 5.2) instead of one asynchronous
// Beast operation each; Beast's own frames (handshake, pong, close) pass through the same queue.
// So:
//
//   - While a write is under way, everything that is pushed gathers behind it and goes out in the
//     next one: a burst of n small messages costs two system calls instead of n.
//   - Small messages are copied behind each other; large ones (above copy_bytes_max) are written
//     from where their tensors lie, and their owners are kept until the last byte is out.
//   - An idle connection writes at once, inside push_message().
//
// A write error closes the socket; the reader then fails and tells the rest of the world, so there
// is one way for a connection to end, not two.
//
// Threading: the socket's executor (a strand). Lifetime: shared, by itself while a write is under
// way.
#pragma once

#include "everpool/error.hpp"
#include "io/once_handler.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace everpool::io {

/// A message whose payloads are copied, if it has this many bytes at most: above it, one more entry
/// in a gathering write is cheaper than the copy.
inline constexpr std::size_t copy_bytes_max = 16 * 1024;
/// Small messages are packed into blocks of about this size.
inline constexpr std::size_t batch_bytes_max = 64 * 1024;

class WebSocketOutbox : public std::enable_shared_from_this<WebSocketOutbox> {
public:
    using Socket = boost::asio::ip::tcp::socket;
    using WriteHandler = OnceHandler<error_code, std::size_t>;
    using Owners = std::vector<std::shared_ptr<const void>>;

    WebSocketOutbox(Socket socket, std::uint64_t bytes_max);

    [[nodiscard]] Socket& socket() noexcept { return socket_; }
    /// Why the socket was closed, if it was because of a failed write.
    [[nodiscard]] error_code failure() const noexcept { return failure_; }
    /// Pushed, and not yet taken by the kernel.
    [[nodiscard]] std::uint64_t bytes_queued() const noexcept { return bytes_queued_; }

    /// Calls of the kernel so far that took something.
    [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }

    /// Queues one binary message made of these parts. The first one is always copied (it is the
    /// message's header, built anew for each); the others lie still while `owners` live, which are
    /// swapped away if they are needed. Errors: queue_full (bytes_max), worker_lost (closing or
    /// closed).
    error_code push_message(std::span<const boost::asio::const_buffer> parts, Owners& owners);

    /// Queues bytes that are framed already, by Beast. Completes when they have been written: Beast
    /// then does not answer pings faster than the peer reads the answers.
    void async_push_frame(std::vector<std::byte> bytes, WriteHandler handler);

    /// No more messages; those of which no byte has been written yet are forgotten.
    void stop();
    /// Completes when everything has been written and the sending side is shut down.
    void async_finish(OnceHandler<error_code> handler);
    /// Closes the socket now; what is queued is lost.
    void close() noexcept;

private:
    /// What is written as a whole: some copied bytes, then perhaps bytes that lie elsewhere.
    struct Chunk {
        std::vector<std::byte> copied;
        std::vector<boost::asio::const_buffer> elsewhere;
        Owners owners;
        WriteHandler on_written;
        std::size_t bytes{0};
    };

    Chunk& new_chunk();
    Chunk& open_batch();
    void write();
    void on_write(error_code ec, std::size_t bytes);
    void recycle(Chunk chunk);
    void fail(error_code ec);
    void finish_if_drained();

    Socket socket_;
    const std::uint64_t bytes_max_;
    std::deque<Chunk> chunks_;
    std::size_t chunks_in_flight_{0}; ///< at the front; must not be touched
    std::size_t front_offset_{0};     ///< bytes of the first chunk that have been written already
    std::uint64_t bytes_queued_{0};
    std::uint64_t writes_{0};
    std::array<boost::asio::const_buffer, 64> gathered_{};
    std::vector<Chunk> spare_; ///< chunks whose vectors are used again
    OnceHandler<error_code> on_finished_;
    error_code failure_;
    bool is_stopped_{false};
};

} // namespace everpool::io
