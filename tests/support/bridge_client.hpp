// Tests: a client of the bridge as rude as a test wants it, over real sockets on loopback.
// SPDX-License-Identifier: BSL-1.0
//
// Blocking, with a time limit on every read, and independent of the bridge's own code: the
// WebSocket is Beast's, the broken bytes are written by hand. Beast is included by
// bridge_client.cpp only.
#pragma once

#include "everpool/wire/message.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::test {

using Bytes = std::vector<std::byte>;

/// An answer; field names in lower case.
struct HttpAnswer {
    unsigned status{0};
    std::map<std::string, std::string> fields;
    std::string body;
};

struct HttpQuestion {
    std::string target;
    std::string method{"GET"};
    std::string host{}; ///< empty: the right one
    std::vector<std::pair<std::string, std::string>> fields{};
};

/// One keep-alive connection.
class HttpClient {
public:
    explicit HttpClient(std::uint16_t port);
    ~HttpClient();
    HttpAnswer ask(const HttpQuestion& question);
    /// Writes these bytes as they are and reads one answer.
    HttpAnswer ask_raw(std::string_view bytes);
    /// Writes these bytes as they are.
    void write_raw(std::string_view bytes);
    /// Has the other side ended the connection, without a word, within this time?
    bool is_ended_within(std::chrono::milliseconds limit);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// On a connection of its own.
HttpAnswer http_ask(std::uint16_t port, const HttpQuestion& question);

struct WebSocketRequest {
    std::string path;                       ///< "/w/<token>/data"
    std::string host{};                     ///< empty: the right one
    std::optional<std::string> origin{};    ///< none: the right one; empty text: no Origin field
    std::string subprotocol{"everpool.v1"}; ///< empty: no such field
    bool offers_deflate{false};
};

/// How a read ended: with a message, or with the connection.
struct WebSocketReading {
    bool is_message{false};
    Bytes message;
    unsigned close_code{0}; ///< 1006: without a close frame
};

class WebSocketClient {
public:
    WebSocketClient(std::uint16_t port, const WebSocketRequest& request);
    WebSocketClient(WebSocketClient&&) noexcept;
    ~WebSocketClient();

    /// Of the handshake: 101, or the refusal.
    [[nodiscard]] unsigned status() const;
    /// A field of the handshake's answer, by its lower-case name.
    [[nodiscard]] std::string field(const std::string& name) const;

    void send(std::span<const std::byte> message);
    void send(const wire::Message& message);
    void send_text(std::string_view text);
    /// In several frames of at most this many bytes, as Chromium sends large messages.
    void send_fragmented(std::span<const std::byte> message, std::size_t frame_bytes);
    /// Bytes as they are, below the WebSocket.
    void send_raw(std::span<const std::byte> bytes);

    WebSocketReading read();
    /// The next message, decoded. Fails the test if the connection ends instead.
    wire::Message read_message();
    /// Reads until the connection ends.
    unsigned read_close_code();

    /// Says goodbye properly.
    void close();
    /// Just goes.
    void drop();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// What a message looks like on the wire.
Bytes encoded(const wire::Message& message);

} // namespace everpool::test
