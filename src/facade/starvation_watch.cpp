// SPDX-License-Identifier: BSL-1.0
#include "facade/starvation_watch.hpp"

#include "everpool/browser/answering_threads.hpp"
#include "io/linux/waiting_threads.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace everpool::facade {
namespace {

/// Who is ready to run has usually run within a few milliseconds, though the machine is busy. Well
/// below core::SessionFsm::look_time, since the answer is of use until then; the second after a
/// first look that took long itself.
constexpr std::chrono::milliseconds starvation_time{40}, starvation_time_min{10};

} // namespace

void StarvationWatch::watch(int group, BrowserEngine engine) {
    group_ = group;
    engine_ = engine;
    io::NamedThreads compute(group, browser::compute_thread(engine));
    // A loop in a thread that is given up goes on for 2 s in Chromium. Firefox stops it, and uses
    // threads again.
    if (engine != BrowserEngine::gecko) compute.leave_out(compute_);
    compute_ = std::move(compute);
    start_over();
}

void StarvationWatch::start_over() {
    last_asked_ = last_answered_ = 0;
    has_moved_on_ = false;
}

void StarvationWatch::on_ping(std::uint64_t sequence) {
    if (std::exchange(has_moved_on_, false) || last_answered_ == last_asked_) compute_.start_over();
    last_asked_ = sequence;
}

void StarvationWatch::on_pong(std::uint64_t sequence) {
    if (sequence <= last_answered_ || sequence > last_asked_) return;
    last_answered_ = sequence;
    if (last_answered_ != last_asked_) compute_.start_over(); // it has answered until now
}

void StarvationWatch::look(Told told) {
    if (group_ == 0) return;
    const auto began_at = std::chrono::steady_clock::now();
    io::WaitingThreads waiting(group_, browser::answering_threads(engine_));
    const auto timer = std::make_shared<boost::asio::steady_timer>(
        strand_, std::max(began_at + starvation_time,
                          std::chrono::steady_clock::now() + starvation_time_min));
    timer->async_wait([timer, waiting = std::move(waiting), compute = compute_, engine = engine_,
                       told = std::move(told)](boost::system::error_code) mutable {
        waiting.look_again();
        told({.does_any_wait = waiting.are_there_any(),
              .does_compute_wait = waiting.has(browser::compute_thread(engine)),
              .compute_ran = compute.ran()});
    });
}

} // namespace everpool::facade
