// Everpool facade: does a browser that is silent get no processor?
// SPDX-License-Identifier: BSL-1.0
//
// Its threads are looked at twice, with a short time between: who is ready and has hardly run waits
// for a processor. A loop may be met so as well, between two of its turns. What tells them apart is
// how long the compute thread has run since it was asked: a loop takes what it gets, and answers
// with none of it.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/time.hpp"
#include "io/linux/named_threads.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <utility>

namespace everpool::facade {

/// Of one browser that was started on this machine. Used on one strand.
class StarvationWatch {
public:
    explicit StarvationWatch(boost::asio::any_io_executor strand) : strand_(std::move(strand)) {}

    /// The browser's processes are this group's, or none are; its compute thread is new.
    void watch(int group, BrowserEngine engine);

    // What the compute thread is asked, in the order of its sequence, and what it answers.
    void on_ping(std::uint64_t sequence);
    void on_pong(std::uint64_t sequence);

    /// `is_compute`: the compute thread is one of those that wait. `compute_ran`: for so long, since
    /// it was asked what it has not answered.
    using Told = std::function<void(bool is_compute, Duration compute_ran)>;
    /// Called after some 40 ms if threads without which nobody answers wait for a processor, and
    /// not otherwise.
    void look(Told told);

private:
    boost::asio::any_io_executor strand_;
    int group_{0};
    BrowserEngine engine_{BrowserEngine::chromium};
    io::NamedThreads compute_; ///< counted since the oldest question that is not answered
    std::uint64_t last_asked_{0}, last_answered_{0};
};

} // namespace everpool::facade
