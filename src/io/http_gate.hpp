// Everpool doors: who may have what. The decision on each HTTP request, apart from any socket.
// SPDX-License-Identifier: BSL-1.0
//
// Against whom: any program of any user on this machine can connect to 127.0.0.1, and any web page
// in any browser can make its browser do so.
//
//   Host        must be exactly ours: a foreign page that re-points its own name at 127.0.0.1 (DNS
//               rebinding) sends that name. Checked first, on every request.
//   token       opens everything under /w/<token>/: the page, the models, the sockets.
//   Origin      a WebSocket is not bound by the same-origin policy, so a foreign page could try to
//               open one; browsers name the page's origin truthfully.
//   subprotocol what does not speak everpool.v1 is not a worker page.
#pragma once

#include "everpool/ids.hpp"
#include "everpool/wire/message.hpp"
#include "io/token.hpp"

#include <string_view>

namespace everpool::io {

inline constexpr std::string_view websocket_subprotocol = "everpool.v1";

/// A request as the gate sees it. An absent field is an empty text.
struct HttpRequestFacts {
    std::string_view target; ///< as sent, query included
    std::string_view host, origin, subprotocols;
    bool is_http_1_1{false};
    bool names_host_once{false}; ///< exactly one Host field
    bool is_get{false}, is_head{false};
    bool is_upgrade{false};
};

enum class HttpRefusal : unsigned char {
    none,
    version,          ///< 505
    host,             ///< 421 Misdirected Request
    method,           ///< 405
    target,           ///< 400: no absolute path
    token,            ///< 403
    origin,           ///< 403
    subprotocol,      ///< 400
    upgrade_required, ///< 426: a socket's path, asked for as a file
    not_found,        ///< 404
};

enum class HttpRoute : unsigned char {
    shared_file, ///< `path` is absolute
    worker_page, ///< worker.html
    worker_file, ///< `path` is relative to the worker's page
    socket,      ///< `worker`, `channel`
};

struct HttpVerdict {
    HttpRefusal refusal{HttpRefusal::none};
    HttpRoute route{HttpRoute::shared_file};
    std::string_view path; ///< a part of the request's target, without query
    WorkerId worker{WorkerId::none()};
    wire::Channel channel{};
};

class HttpGate {
public:
    /// \pre authority is "127.0.0.1:PORT", origin "http://127.0.0.1:PORT"; both outlive the gate
    HttpGate(std::string_view authority, std::string_view origin, const LiveTokens& tokens) noexcept
        : authority_(authority), origin_(origin), tokens_(&tokens) {}

    [[nodiscard]] HttpVerdict judge(const HttpRequestFacts& request) const noexcept;

private:
    [[nodiscard]] HttpVerdict judge_worker_path(const HttpRequestFacts& request,
                                                std::string_view below) const noexcept;

    std::string_view authority_, origin_;
    const LiveTokens* tokens_;
};

} // namespace everpool::io
