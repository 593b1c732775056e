// SPDX-License-Identifier: BSL-1.0
#include "io/websocket_outbox.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace everpool::io {
namespace {

namespace asio = boost::asio;

/// Chunks kept for their vectors' memory.
constexpr std::size_t spare_count_max = 4;

/// A buffer sequence that refers to buffers held elsewhere, so that Asio copies two pointers.
struct BufferList {
    using value_type = asio::const_buffer;
    using const_iterator = const asio::const_buffer*;
    const_iterator first, last;
    [[nodiscard]] const_iterator begin() const noexcept { return first; }
    [[nodiscard]] const_iterator end() const noexcept { return last; }
};

/// The header of an unmasked, final, binary frame.
void append_frame_header(std::vector<std::byte>& out, std::uint64_t payload_bytes) {
    std::array<std::byte, 10> header{std::byte{0x82}};
    std::size_t length_bytes = 0;
    if (payload_bytes < 126) {
        header[1] = static_cast<std::byte>(payload_bytes);
    } else {
        const bool is_short = payload_bytes <= 0xffff;
        header[1] = std::byte{is_short ? std::uint8_t{126} : std::uint8_t{127}};
        length_bytes = is_short ? 2 : 8;
        for (std::size_t i = 0; i < length_bytes; ++i)
            header[1 + length_bytes - i] = static_cast<std::byte>(payload_bytes >> (8 * i) & 0xff);
    }
    out.insert(out.end(), header.data(), header.data() + 2 + length_bytes);
}

void append(std::vector<std::byte>& out, asio::const_buffer part) {
    const auto* first = static_cast<const std::byte*>(part.data());
    out.insert(out.end(), first, first + part.size());
}

} // namespace

WebSocketOutbox::WebSocketOutbox(Socket socket, std::uint64_t bytes_max)
    : socket_(std::move(socket)), bytes_max_(bytes_max) {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored); // NOLINT: ignored on purpose
}

error_code WebSocketOutbox::push_message(std::span<const asio::const_buffer> parts,
                                         Owners& owners) {
    if (is_stopped_) return Errc::worker_lost;
    std::size_t bytes = 0;
    for (const asio::const_buffer& part : parts) bytes += part.size();
    if (bytes > bytes_max_ || bytes_queued_ > bytes_max_ - bytes) return Errc::queue_full;

    const bool is_copied = bytes <= copy_bytes_max;
    Chunk& chunk = is_copied ? open_batch() : new_chunk();
    const std::size_t copied_before = chunk.copied.size();
    std::size_t bytes_elsewhere = 0;
    append_frame_header(chunk.copied, bytes);
    for (const asio::const_buffer& part : parts) {
        if (is_copied || &part == parts.data()) {
            append(chunk.copied, part);
        } else if (part.size() != 0) {
            chunk.elsewhere.push_back(part);
            bytes_elsewhere += part.size();
        }
    }
    if (!is_copied) chunk.owners.swap(owners);
    const std::size_t pushed = chunk.copied.size() - copied_before + bytes_elsewhere;
    chunk.bytes += pushed;
    bytes_queued_ += pushed;
    write();
    return {};
}

void WebSocketOutbox::async_push_frame(std::vector<std::byte> bytes, WriteHandler handler) {
    if (failure_ || !socket_.is_open()) {
        asio::post(socket_.get_executor(), [handler = std::move(handler), ec = failure_]() mutable {
            handler(ec ? ec : error_code(asio::error::operation_aborted), 0);
        });
        return;
    }
    Chunk& chunk = new_chunk();
    chunk.copied = std::move(bytes);
    chunk.bytes = chunk.copied.size();
    chunk.on_written = std::move(handler);
    bytes_queued_ += chunk.bytes;
    write();
}

void WebSocketOutbox::stop() {
    is_stopped_ = true;
    std::deque<Chunk> kept;
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
        if (i < chunks_in_flight_ || chunks_[i].on_written) kept.push_back(std::move(chunks_[i]));
        else bytes_queued_ -= chunks_[i].bytes;
    }
    chunks_.swap(kept);
}

void WebSocketOutbox::async_finish(OnceHandler<error_code> handler) {
    is_stopped_ = true;
    on_finished_ = std::move(handler);
    // Posted: it must not complete inside the initiating call.
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->finish_if_drained(); });
}

void WebSocketOutbox::close() noexcept {
    is_stopped_ = true;
    error_code ignored;
    socket_.close(ignored); // NOLINT: there is nobody left to tell
}

WebSocketOutbox::Chunk& WebSocketOutbox::new_chunk() {
    if (spare_.empty()) return chunks_.emplace_back();
    chunks_.push_back(std::move(spare_.back()));
    spare_.pop_back();
    return chunks_.back();
}

WebSocketOutbox::Chunk& WebSocketOutbox::open_batch() {
    if (chunks_.size() > chunks_in_flight_) {
        Chunk& last = chunks_.back();
        if (last.elsewhere.empty() && !last.on_written && last.copied.size() < batch_bytes_max)
            return last;
    }
    return new_chunk();
}

void WebSocketOutbox::write() {
    if (chunks_in_flight_ != 0 || chunks_.empty()) return;
    std::size_t count = 0;
    std::size_t skip = front_offset_;
    const auto gather = [&](asio::const_buffer part) {
        const std::size_t skipped = std::min(skip, part.size());
        skip -= skipped;
        part += skipped;
        if (part.size() != 0) gathered_[count++] = part;
        return count < gathered_.size();
    };
    for (const Chunk& chunk : chunks_) {
        ++chunks_in_flight_;
        bool has_room = gather(asio::buffer(chunk.copied));
        for (const asio::const_buffer& part : chunk.elsewhere)
            if (!has_room || !(has_room = gather(part))) break;
        if (!has_room) break;
    }
    socket_.async_write_some(BufferList{gathered_.data(), gathered_.data() + count},
                             [self = shared_from_this()](error_code ec, std::size_t bytes) {
                                 self->on_write(ec, bytes);
                             });
}

void WebSocketOutbox::on_write(error_code ec, std::size_t bytes) {
    if (ec) return fail(ec);
    ++writes_;
    chunks_in_flight_ = 0;
    bytes_queued_ -= bytes;
    front_offset_ += bytes;
    std::vector<std::pair<WriteHandler, std::size_t>> written; // allocates for Beast's frames only
    while (!chunks_.empty() && front_offset_ >= chunks_.front().bytes) {
        Chunk& front = chunks_.front();
        front_offset_ -= front.bytes;
        if (front.on_written) written.emplace_back(std::move(front.on_written), front.bytes);
        // Moved from: empty, as a spare one has to be.
        recycle(std::move(front));
        chunks_.pop_front();
    }
    write();
    for (auto& [handler, count] : written) handler(error_code{}, count);
    finish_if_drained();
}

void WebSocketOutbox::recycle(Chunk chunk) {
    chunk.owners.clear();
    chunk.elsewhere.clear();
    if (spare_.size() >= spare_count_max || chunk.copied.capacity() > 2 * batch_bytes_max) return;
    chunk.copied.clear();
    chunk.bytes = 0;
    spare_.push_back(std::move(chunk));
}

void WebSocketOutbox::fail(error_code ec) {
    if (!failure_) failure_ = ec;
    close();
    std::deque<Chunk> lost;
    lost.swap(chunks_);
    chunks_in_flight_ = 0;
    front_offset_ = 0;
    bytes_queued_ = 0;
    for (Chunk& chunk : lost)
        if (chunk.on_written) chunk.on_written(failure_, 0);
    finish_if_drained();
}

void WebSocketOutbox::finish_if_drained() {
    if (!on_finished_ || !chunks_.empty()) return;
    error_code ec = failure_;
    if (!ec) socket_.shutdown(Socket::shutdown_send, ec);
    on_finished_(ec);
}

} // namespace everpool::io
