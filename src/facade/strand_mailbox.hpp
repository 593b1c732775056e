// Everpool facade: how the log's own thread reaches the pool's strand.
// SPDX-License-Identifier: BSL-1.0
//
// A host may hold on to ResourcePool::state() after the pool, its strand and the context behind
// that are gone, and the log may still have answers to give. They end here: a closed mailbox takes
// nothing. What is posted keeps nothing alive, so the pool never dies on the log's thread. The lock
// is an exception from "one strand, no locks": it is taken per answer of the disk.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include <mutex>
#include <optional>
#include <utility>

namespace everpool::facade {

class StrandMailbox {
public:
    explicit StrandMailbox(boost::asio::any_io_executor strand) : strand_(std::move(strand)) {}

    template <class Handler>
    void post(Handler&& handler) {
        const std::scoped_lock lock(mutex_);
        if (strand_) boost::asio::post(*strand_, std::forward<Handler>(handler));
    }

    /// Waits for a post in progress; later ones do nothing.
    void close() noexcept {
        const std::scoped_lock lock(mutex_);
        strand_.reset();
    }

private:
    std::mutex mutex_;
    std::optional<boost::asio::any_io_executor> strand_;
};

} // namespace everpool::facade
