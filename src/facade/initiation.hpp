// Everpool facade: how what a caller asks for gets to the pool's strand, and its cancellation after
// it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "facade/pool_driver.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <utility>

namespace everpool::facade {

/// Calls `withdraw` on the strand when the handler's cancellation slot is signalled. The slot is
/// connected here, in the initiating call, because emitting and connecting must not race.
template <class Handler, class Withdraw>
void honour_cancellation(const std::shared_ptr<PoolDriver>& driver, Handler& handler,
                         Withdraw withdraw) {
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    if (!slot.is_connected()) return;
    using Type = boost::asio::cancellation_type;
    slot.assign([weak = std::weak_ptr<PoolDriver>(driver), withdraw](Type type) {
        const auto alive = weak.lock();
        if (!alive || type == Type::none) return;
        boost::asio::post(alive->strand(), [alive, withdraw] { withdraw(*alive); });
    });
}

/// Runs `body(driver, handler)` on the strand.
template <class Handler, class Body>
void on_strand(const std::shared_ptr<PoolDriver>& driver, Handler handler, Body body) {
    boost::asio::dispatch(driver->strand(),
                          [driver, handler = std::move(handler), body = std::move(body)]() mutable {
                              body(*driver, std::move(handler));
                          });
}

} // namespace everpool::facade
