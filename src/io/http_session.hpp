// Everpool doors: one HTTP connection, until it ends or is upgraded.
// SPDX-License-Identifier: BSL-1.0
//
// GET and HEAD, keep-alive, one request at a time. Embedded files are written from where they lie;
// registered files are streamed from disk in small pieces. Each step of a request or an answer has
// a time limit, so a client that dawdles frees its place by and by.
#pragma once

#include "io/bridge.hpp"
#include "io/http_gate.hpp"
#include "io/web_content.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <string>

namespace everpool::io {

struct UpgradeRequest; // http_upgrade_request.hpp

/// What a client may do wrong before there is a request to judge.
enum class HttpFault : unsigned char {
    malformed,  ///< not HTTP, too long, with a body, or an upgrade with something behind it
    unfinished, ///< begun, and not complete in time or before the client hung up
};

/// What a connection needs of its bridge. Shared, so that it outlives the last handler.
class HttpSessionOwner {
public:
    [[nodiscard]] virtual HttpVerdict judge(const HttpRequestFacts& request) = 0;
    [[nodiscard]] virtual const WebContent& content() const = 0;
    [[nodiscard]] virtual const BridgeConfig& config() const = 0;
    [[nodiscard]] virtual const std::string& security_policy() const = 0; ///< the CSP field's text
    /// The connection asks to be upgraded and may be: it is the owner's from now on.
    virtual void on_http_upgrade(boost::asio::ip::tcp::socket socket, const UpgradeRequest& request,
                                 const HttpVerdict& verdict) = 0;
    virtual void on_http_fault(HttpFault fault) = 0;
    /// The connection has ended without an upgrade. Last call.
    virtual void on_http_closed() = 0;

protected:
    ~HttpSessionOwner() = default;
};

class HttpSession {
public:
    virtual ~HttpSession() = default;
    /// Closes the socket now.
    virtual void abort() noexcept = 0;
};

std::shared_ptr<HttpSession> start_http_session(boost::asio::ip::tcp::socket socket,
                                                std::shared_ptr<HttpSessionOwner> owner);

} // namespace everpool::io
