// Everpool facade: writes recoveries down, shows them to any thread, and tells who waits for one.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/recovery_history.hpp"
#include "everpool/recovery_manager.hpp"
#include "facade/waiting_handler.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace everpool::facade {

/// Everything on the pool's strand, but read().
class RecoveryDesk {
public:
    using Waiting = WaitingHandler<void(error_code, RecoveryRecord)>;

    explicit RecoveryDesk(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    /// Before the first notice. `browsers_total`: of the slots, those that are to have a browser.
    void open(core::RecoveryScope scope, std::size_t browsers_total, std::string strategy,
              FaultToleranceLevel level) {
        ready_.assign(scope.worker_count, false);
        history_ = core::RecoveryHistory(std::move(scope), kept);
        const std::scoped_lock lock(mutex_);
        shown_.strategy = std::move(strategy);
        shown_.level = level;
        shown_.browsers_total = static_cast<std::uint32_t>(browsers_total);
    }

    void on(const core::Notice& notice, BrowserType browser, TimePoint now) {
        using What = core::Notice::What;
        if (notice.worker.value >= ready_.size()) return;
        if (notice.what == What::fleet_failing || notice.what == What::fleet_recovered)
            return show_fleet(notice, now);
        if (notice.what == What::model_ready) return history_.on(notice, browser, now);
        const bool is_end =
            notice.what == What::worker_ready || notice.what == What::worker_replaced ||
            notice.what == What::worker_failed || notice.what == What::worker_stopped;
        if (!is_end && notice.what != What::worker_lost && notice.what != What::worker_starting)
            return;
        ready_[notice.worker.value] = notice.what == What::worker_ready;
        const std::uint64_t ended_before = history_.total().attempts;
        history_.on(notice, browser, now);
        publish();
        if (!is_end) return;
        const error_code ec = notice.what == What::worker_ready      ? error_code{}
                              : notice.what == What::worker_replaced ? error_code{}
                              : notice.what == What::worker_stopped  ? error_code(Errc::cancelled)
                                                                     : error_code(notice.code);
        const bool has_ended = history_.total().attempts != ended_before;
        end(notice.worker, ec, has_ended ? history_.ended().back() : RecoveryRecord{});
    }

    /// Until the recovery of that worker ends.
    void wait(WorkerId worker, WaitTicket ticket, Waiting waiting) {
        waiting_.push_back({worker, ticket, std::move(waiting)});
    }
    /// That one does not wait any longer; the recovery goes on.
    void withdraw(WaitTicket ticket) {
        const auto found = std::ranges::find(waiting_, ticket, &Waiter::ticket);
        if (found == waiting_.end()) return; // it has been told already
        found->waiting.complete(executor_, error_code(Errc::cancelled), RecoveryRecord{});
        waiting_.erase(found);
    }

    /// Nobody waits any longer.
    void end_all(error_code ec) {
        auto all = std::exchange(waiting_, {});
        for (Waiter& one : all) one.waiting.complete(executor_, ec, RecoveryRecord{});
    }

    [[nodiscard]] RecoverySnapshot read() const {
        const std::scoped_lock lock(mutex_);
        return shown_;
    }

private:
    static constexpr std::size_t kept = 64;

    struct Waiter {
        WorkerId worker;
        WaitTicket ticket;
        Waiting waiting;
    };

    void show_fleet(const core::Notice& notice, TimePoint now) {
        const std::scoped_lock lock(mutex_);
        shown_.fleet_failure.reset();
        if (notice.what == core::Notice::What::fleet_recovered) return;
        shown_.fleet_failure = {.prober = notice.worker,
                                .code = notice.code,
                                .cause = std::string(core::name_of(notice.cause)),
                                .since = now};
    }

    void end(WorkerId worker, error_code ec, const RecoveryRecord& record) {
        std::vector<Waiter> rest;
        auto all = std::exchange(waiting_, {});
        for (Waiter& one : all) {
            if (one.worker == worker) one.waiting.complete(executor_, ec, record);
            else rest.push_back(std::move(one));
        }
        waiting_ = std::move(rest);
    }

    void publish() {
        const std::scoped_lock lock(mutex_);
        shown_.total = history_.total();
        for (std::size_t i = 0; i < shown_.by_category.size(); ++i)
            shown_.by_category[i] = history_.of(browser_failure_categories[i]);
        for (std::size_t i = 0; i < shown_.by_browser.size(); ++i)
            shown_.by_browser[i] = history_.of(browser_types[i]);
        for (std::size_t i = 0; i < shown_.by_strategy.size(); ++i)
            shown_.by_strategy[i] = history_.of(recovery_strategies[i]);
        for (std::size_t i = 0; i < shown_.by_family.size(); ++i)
            shown_.by_family[i] = history_.of(model_families[i]);
        for (std::size_t i = 0; i < shown_.by_rung.size(); ++i)
            shown_.by_rung[i] = history_.of(recovery_rungs[i]);
        shown_.under_way.clear();
        shown_.browsers_ready = 0;
        for (std::uint32_t i = 0; i < ready_.size(); ++i) {
            if (ready_[i]) ++shown_.browsers_ready;
            if (const RecoveryRecord* record = history_.under_way(WorkerId{i}))
                shown_.under_way.push_back(*record);
        }
        shown_.last.assign(history_.ended().begin(), history_.ended().end());
    }

    boost::asio::any_io_executor executor_;
    core::RecoveryHistory history_{core::RecoveryScope{}};
    std::vector<bool> ready_; ///< by worker
    std::vector<Waiter> waiting_;

    mutable std::mutex mutex_; ///< for what is shown
    RecoverySnapshot shown_;
};

} // namespace everpool::facade
