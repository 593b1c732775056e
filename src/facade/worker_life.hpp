// Everpool facade: a browser's life, as its worker hears of it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "facade/worker_driver.hpp"
#include "io/browser.hpp"

#include <memory>
#include <string>
#include <utility>

namespace everpool::facade {

/// One browser process from launch to exit. Outlives its driver's interest in it while it is being
/// closed; `owner` is null from then on.
struct WorkerDriver::BrowserLife final : io::BrowserListener {
    WorkerDriver* owner{nullptr};
    std::unique_ptr<io::Browser> browser;

    void on_browser_exited(int wait_status) override {
        if (owner == nullptr) return;
        WorkerDriver& driver = *owner;
        driver.let_go(false, [](error_code, Diagnostics) {});
        driver.page_.clear();
        driver.lost(core::LossCause::process_exited, ProcessExited{.wait_status = wait_status});
    }

    void on_page_crashed(const io::PageId& page, const std::string& reason) override {
        if (owner == nullptr || page != owner->page_) return;
        if (std::exchange(owner->has_crash_to_come_, false)) return owner->reload_page();
        owner->lost(core::LossCause::page_crashed, PageCrashed{.reason = reason});
    }
};

} // namespace everpool::facade
