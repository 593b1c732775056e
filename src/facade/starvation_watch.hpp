// Everpool facade: does a browser that is silent get no processor?
// SPDX-License-Identifier: BSL-1.0
//
// Its threads are looked at twice, with a short time between: who is ready and has hardly run waits
// for a processor. For how long the compute thread has run since its oldest unanswered ping tells
// whether it loops (everpool/core/starvation_answer.hpp).
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/core/event.hpp"
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

    /// The browser's processes are this group's, or none are. Its compute thread is new, and pings
    /// are counted anew.
    void watch(int group, BrowserEngine engine);
    /// The compute thread is the same, and pings are counted anew.
    void start_over();

    // What the compute thread is asked, numbered from 1, and what it answers.
    void on_ping(std::uint64_t sequence);
    void on_pong(std::uint64_t sequence);
    /// It has shown otherwise that it moves on.
    void on_sign_of_life() noexcept { has_moved_on_ = true; }

    using Told = std::function<void(core::ThreadsSeen)>;
    /// Called after some 40 ms; never, if no process is watched.
    void look(Told told);

private:
    boost::asio::any_io_executor strand_;
    int group_{0};
    BrowserEngine engine_{BrowserEngine::chromium};
    io::NamedThreads compute_; ///< counted since the oldest unanswered ping
    std::uint64_t last_asked_{0}, last_answered_{0};
    bool has_moved_on_{false}; ///< since the last ping
};

} // namespace everpool::facade
