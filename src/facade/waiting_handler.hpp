// Everpool facade: a caller's completion handler while its operation is under way.
// SPDX-License-Identifier: BSL-1.0
//
// Counts as outstanding work on the handler's own executor, so that a host's io_context does not
// run out of work, and return, between a submission and its completion.
#pragma once

#include "everpool/ids.hpp"

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <cstdint>
#include <utility>

namespace everpool::facade {

/// One call of somebody who waits, by which that call is cancelled. From 1.
using WaitTicket = StrongId<struct WaitTicketTag, std::uint64_t>;

template <class Signature>
class WaitingHandler {
public:
    using Handler = boost::asio::any_completion_handler<Signature>;

    WaitingHandler() = default;
    WaitingHandler(Handler handler, const boost::asio::any_io_executor& fallback)
        : work_(boost::asio::prefer(boost::asio::get_associated_executor(handler, fallback),
                                    boost::asio::execution::outstanding_work.tracked)),
          handler_(std::move(handler)) {}

    WaitingHandler(WaitingHandler&&) = default;
    /// By swap: assigning an any_completion_handler recurses without end in Boost 1.81.
    WaitingHandler& operator=(WaitingHandler&& other) noexcept {
        work_ = std::move(other.work_);
        handler_.swap(other.handler_);
        return *this;
    }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(handler_); }

    /// Posted to `executor`, and from there to the handler's own: never inside the initiating call,
    /// and never on a strand of ours that the handler could block.
    template <class... Results>
    void complete(const boost::asio::any_io_executor& executor, Results... results) {
        Handler handler(std::move(handler_));
        boost::asio::post(executor, boost::asio::append(std::move(handler), std::move(results)...));
        work_ = {};
    }

private:
    boost::asio::any_completion_executor work_;
    Handler handler_;
};

} // namespace everpool::facade
