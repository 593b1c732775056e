// Everpool doors: the request that asks for an upgrade, on its way from HTTP to WebSocket.
// SPDX-License-Identifier: BSL-1.0
//
// A name of its own, so that only the two sources that know Beast anyway have to include it.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

namespace everpool::io {

struct UpgradeRequest {
    boost::beast::http::request<boost::beast::http::empty_body> message;
};

} // namespace everpool::io
