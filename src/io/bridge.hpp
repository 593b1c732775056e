// Everpool doors: the HTTP and WebSocket server that worker pages are loaded from and talk to.
// SPDX-License-Identifier: BSL-1.0
//
// One server per pool, on 127.0.0.1 with a port chosen by the system. Paths:
//   /everpool/<script>.js            the worker page's scripts (embedded in the library)
//   /ort/<file>                      onnxruntime-web (embedded in the library)
//   /w/<token>/                      the worker page of the worker that the token was minted for
//   /w/<token>/control, .../data     its two WebSockets, subprotocol everpool.v1
//   /w/<token>/models/<name>         registered model files
//   /w/<token>/modules/<name>.js     registered operation modules
// Everything has an ETag, a correct MIME type, COOP same-origin, COEP require-corp, a strict CSP,
// Referrer-Policy no-referrer and X-Content-Type-Options nosniff. Every request must name the
// server's own Host; an upgrade must also come from its own Origin. Refusals are counted by reason.
//
// Threading: every call and every callback on the executor given to the constructor (a strand),
// except what is read from the BridgeStats.
#pragma once

#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/wire/message.hpp"
#include "io/bridge_stats.hpp"
#include "io/receive_buffer_pool.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace everpool::io {

/// What the pool hears from its workers' connections. `generation` is the one given to admit().
class BridgeListener {
public:
    virtual ~BridgeListener() = default;
    /// A connection said hello, with the right token in it. A second connection on the same channel
    /// replaces the first: the first is closed and says nothing more, not even on_closed.
    virtual void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) = 0;
    virtual void on_message(WorkerId, Generation, wire::Channel, wire::Message) = 0;
    /// The connection is gone: closed, failed, or thrown out for a protocol error (ec says which).
    /// `close_code` is the page's; 1005 if its close frame had none, 1006 if
    /// there was no close frame.
    virtual void on_closed(WorkerId, Generation, wire::Channel, error_code ec,
                           std::uint16_t close_code) = 0;
};

struct BridgeConfig {
    /// Frames above this are refused in both directions. See wire::limits.
    std::uint64_t frame_bytes_max;
    /// Bytes queued for one connection at most; send() refuses what exceeds it.
    std::uint64_t write_queue_bytes_max;
    /// Connections that have not (yet) said hello, at most; further ones wait in the backlog.
    std::uint32_t http_connection_count_max{256};
    /// Bytes of a request's line and fields together; more is answered 431.
    std::uint32_t request_header_bytes_max{8 * 1024};
    /// A request must have arrived, and each piece of an answer be taken, within this time.
    std::chrono::milliseconds request_timeout{15'000};
    /// An upgraded connection must say hello within this time.
    std::chrono::milliseconds hello_timeout{5'000};
    /// What a connection is given to answer our close frame and to go.
    std::chrono::milliseconds close_timeout{1'000};
    /// Memory of dropped messages that is kept for new ones, at most; 0 keeps none.
    std::uint64_t receive_bytes_idle_max{128ULL << 20};
};

class Bridge {
public:
    /// `stats` is counted in from now on; whoever shares it may read it from any thread, and after
    /// the bridge is gone. \pre stats is not null
    Bridge(boost::asio::any_io_executor strand, BridgeConfig config, BridgeListener& listener,
           std::shared_ptr<BridgeStats> stats = std::make_shared<BridgeStats>());
    ~Bridge(); ///< closes everything; no callback afterwards
    Bridge(const Bridge&) = delete;
    Bridge& operator=(const Bridge&) = delete;

    /// Binds to 127.0.0.1:0 and starts to accept.
    error_code listen();
    void close();
    [[nodiscard]] std::uint16_t port() const noexcept;
    [[nodiscard]] std::string origin() const; ///< "http://127.0.0.1:PORT"

    /// Serve this file as model / as operation module `name`. Read on each request, never cached.
    void add_model(std::string name, std::filesystem::path file);
    void add_module(std::string name, std::filesystem::path file);
    [[nodiscard]] static std::string model_path(std::string_view name);  ///< relative to the page
    [[nodiscard]] static std::string module_path(std::string_view name); ///< relative to the page

    /// Mints a token for this life of the worker, revokes the previous one (closing its connections
    /// silently) and returns the page's URL. That tells the page frame_bytes_max, so that an answer
    /// beyond it becomes an error instead of costing the connection.
    std::string admit(WorkerId worker, Generation generation);
    /// The same page's connections, seen from now on as those of a new generation (its compute
    /// thread is about to be replaced). The data connection is dropped silently; control stays.
    void promote(WorkerId worker, Generation generation);
    /// The same, and both connections stay.
    void renew(WorkerId worker, Generation generation);
    /// Revokes the worker's token and closes its connections silently.
    void revoke(WorkerId worker);
    /// Ends the worker's connections at once, as a network that fails; the listener is told of
    /// each.
    void cut(WorkerId worker);

    /// Encodes and queues. Errors: message_too_large, queue_full (write_queue_bytes_max),
    /// worker_lost (no such connection), invalid_request (tensor not consistent, parameters not a
    /// JSON object). Nothing has been sent if an error is returned.
    error_code send(WorkerId worker, wire::Channel channel, const wire::Message& message);

    [[nodiscard]] const BridgeStats& stats() const noexcept;
    /// Memory for messages: fresh from the system, used again, kept.
    [[nodiscard]] ReceiveBufferStats receive_buffers() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace everpool::io
