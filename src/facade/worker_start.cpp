// Everpool facade: how a worker begins a life, from a new thread in its page to a new browser.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/profile.hpp"
#include "everpool/recovery_rung.hpp"
#include "facade/worker_life.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/process_identity.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace everpool::facade {

using core::LossCause;
using wire::Channel;

namespace {

/// A page whose connections are gone, or whose process was killed, may be dying, and its network
/// service may be: either refuses to be navigated until it is known to be dead. Both were seen to
/// take some 20 to 100 ms. With WebKitGTK there is such a pause before the first try as well, if
/// connections are gone: the end of a page that lives is in the way of those who answer in its
/// place. (The p95 of their answers was 70 ms without it, 15 to 18 with it; Chromium's and
/// Firefox's was below 12 without.)
constexpr int reload_tries = 100;
constexpr std::chrono::milliseconds reload_pause{30};

} // namespace

void WorkerDriver::start(const core::StartWorker& action) {
    generation_ = action.generation;
    rung_ = action.rung;
    if (action.form.browser != form_.browser) gpu_ = Gpu::none; // of another browser
    form_ = action.form;
    question_ = {};
    if (action.rung <= RecoveryRung::recreate_device) return keep_connections();
    has_data_ = false;
    const BrowserEngine engine = engine_of(spec().type);
    // A hung part answers nobody, and would take what is made anew down with it. A WebKit's session
    // ends with its network process.
    if (action.cause == LossCause::gpu_hung) kill_part(io::BrowserPart::gpu);
    if (action.cause == LossCause::network_hung && kill_part(io::BrowserPart::network) &&
        engine == BrowserEngine::webkit && !replaces_browser(action.rung))
        return fail_start("the session ends with the network process, which hung");
    // A page that loops takes processor time from the one that replaces it, and one whose process
    // stands still, or hardly moves, is not closed. A WebKit's session would end with its page, so
    // that is stopped, and killed when its successor has come.
    const bool is_page_stuck =
        (action.cause == LossCause::page_hung || action.cause == LossCause::slow) &&
        action.rung == RecoveryRung::new_page;
    const bool has_killed_page =
        is_page_stuck && engine != BrowserEngine::webkit && kill_part(io::BrowserPart::page);
    if (is_page_stuck && engine == BrowserEngine::webkit && !page_.empty()) stop_page();
    if (action.rung <= RecoveryRung::replace_compute) return restart_compute();
    has_control_ = false;
    // Firefox opens a window more slowly than it gives one that it has a new page in a new process.
    const bool keeps_window = has_killed_page && engine == BrowserEngine::gecko && !page_.empty();
    has_crash_to_come_ = keeps_window || (action.rung == RecoveryRung::reload_page &&
                                          action.cause == LossCause::connection_closed);
    with_.bridge.revoke(id_);
    if ((keeps_window || action.rung == RecoveryRung::reload_page) && life_ && !page_.empty()) {
        if (action.cause == LossCause::connection_closed && engine == BrowserEngine::webkit)
            return reload_page_soon(reload_tries);
        return reload_page(
            has_crash_to_come_ || action.cause == LossCause::network_hung ? reload_tries : 0);
    }
    if (!replaces_browser(action.rung) && life_) {
        if (page_.empty()) return open_page();
        return life_->browser->async_close_page(
            std::exchange(page_, {}),
            in_this_life([](WorkerDriver& self, error_code ec, Diagnostics why) {
                if (ec && !self.stopped_.empty()) return self.start_failed(ec, std::move(why));
                self.open_page();
            }));
    }
    page_.clear();
    if (!life_) return launch();
    let_go(false, in_this_life([](WorkerDriver& self, error_code, Diagnostics) { self.launch(); }));
}

void WorkerDriver::reload_page(int more_tries) {
    life_->browser->async_reload_page(
        page_, with_.bridge.admit(id_, generation_),
        in_this_life([which = ++reload_count_, more_tries](WorkerDriver& self, error_code ec,
                                                           Diagnostics why) {
            if (which != self.reload_count_) return; // the page died under it, and it was repeated
            if (ec && ec != Errc::worker_lost && more_tries > 0)
                return self.reload_page_soon(more_tries - 1);
            if (ec) self.start_failed(ec, std::move(why));
        }));
}

/// Unless it is begun anew until then.
void WorkerDriver::reload_page_soon(int more_tries) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(with_.strand, reload_pause);
    timer->async_wait(
        [timer, next = in_this_life([which = reload_count_, more_tries](WorkerDriver& self) {
                    if (which == self.reload_count_ && self.life_ && !self.page_.empty())
                        self.reload_page(more_tries);
                })](error_code) { next(); });
}

/// Until kill_stopped(), or its browser's end.
void WorkerDriver::stop_page() {
    if (!life_) return;
    for (const int process : life_->browser->working_pages()) {
        stopped_.push_back(io::identity_of(process));
        io::send_signal(process, io::ProcessSignal::stop);
    }
}

/// Their windows are closed, and a successor has come.
void WorkerDriver::kill_stopped() {
    for (const ProcessIdentity& one : std::exchange(stopped_, {}))
        if (io::exists(one)) io::send_signal(one.pid, io::ProcessSignal::kill);
}

/// \return whether there was a process to be killed
bool WorkerDriver::kill_part(io::BrowserPart part) {
    if (!life_) return false;
    const std::vector<int> processes = life_->browser->processes(part);
    for (const int process : processes) io::send_signal(process, io::ProcessSignal::kill);
    return !processes.empty();
}

void WorkerDriver::launch() {
    io::BrowserOptions options;
    options.spec = spec();
    if (form_.adjustment != 0) {
        auto adjusted = browser::adjusted_settings(spec().type, form_.adjusted_for, with_.family,
                                                   form_.adjustment);
        // The host's own come last, and win.
        auto& arguments = options.spec.extra_arguments;
        arguments.insert(arguments.begin(), adjusted.arguments.begin(), adjusted.arguments.end());
        auto& preferences = options.spec.extra_preferences;
        preferences.insert(preferences.begin(), adjusted.preferences.begin(),
                           adjusted.preferences.end());
    }
    options.nest = &with_.nest;
    options.close_grace = std::chrono::duration_cast<std::chrono::milliseconds>(with_.stop_grace);
    try {
        options.directory = with_.nest.make_directory();
    } catch (const boost::system::system_error& error) {
        return start_failed(
            error.code(),
            {error.what(), "free space in the temporary directory", {}, error.code()});
    }
    if (launches_to_fail_ > 0)
        if (const error_code ec = sabotage(options))
            return start_failed(ec, {ec.message(), {}, {}, ec});
    stopped_.clear();
    life_ = std::make_shared<BrowserLife>();
    life_->owner = this;
    life_->browser = io::make_browser(with_.strand, std::move(options), *life_);
    life_->browser->async_launch(
        in_this_life([](WorkerDriver& self, error_code ec, Diagnostics diagnostics) {
            if (ec) return self.start_failed(ec, std::move(diagnostics));
            self.version_ = self.life_ ? self.life_->browser->version() : std::string();
            if (self.life_ && self.with_.launched) self.with_.launched(self.id_);
            self.open_page();
        }));
}

void WorkerDriver::open_page() {
    if (!life_) // it exited while its old page was being closed; on_browser_exited has told
        return;
    life_->browser->async_open_page(
        with_.bridge.admit(id_, generation_),
        in_this_life([](WorkerDriver& self, error_code ec, Diagnostics why, io::PageId page) {
            if (ec) return self.start_failed(ec, std::move(why));
            self.page_ = std::move(page);
            self.follow_page();
        }));
}

/// As soon as it is known which page it is, and that it computes.
void WorkerDriver::follow_page() {
    if (has_data_ && life_ && !page_.empty()) life_->browser->follow_page(page_);
}

/// The page has let go of what it lost, and takes models again as it is.
void WorkerDriver::keep_connections() {
    with_.bridge.renew(id_, generation_);
    starvation_.start_over();
    if (!has_control_ || !has_data_) return fail_start("a connection of the page is gone");
    // Never inside start(): the core is still handing out its actions.
    boost::asio::post(with_.strand, in_this_life([](WorkerDriver& self) {
                          self.with_.report(core::WorkerConnected{self.id_, self.generation_});
                      }));
}

/// The worker is lost for this rung. Not inside start(), as above.
void WorkerDriver::fail_start(const char* why) {
    boost::asio::post(with_.strand, in_this_life([why](WorkerDriver& self) {
                          const error_code ec = Errc::worker_lost;
                          self.start_failed(ec, {why, {}, {}, ec});
                      }));
}

void WorkerDriver::restart_compute() {
    with_.bridge.promote(id_, generation_);
    const error_code ec = with_.bridge.send(id_, Channel::control, wire::Drain{true});
    if (ec) fail_start("the page's control connection is gone");
}

} // namespace everpool::facade
