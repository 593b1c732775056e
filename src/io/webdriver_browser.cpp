// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_browser.hpp"

#include "everpool/browser/answering_threads.hpp"
#include "io/engine_processes.hpp"
#include "io/linux/named_threads.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/thread_file.hpp"
#include "io/virtual_display.hpp"
#include "io/webdriver_capabilities.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace everpool::io {

namespace {

/// Drivers listen within 40 ms; some do not say so.
constexpr std::chrono::milliseconds port_pause{5};
/// The driver starts its browser within some milliseconds. If there is none for 3 s, there was one.
constexpr std::chrono::milliseconds browser_pause{20};
constexpr int looks_in_vain_max = 150;
/// We know of a page process's end before its browser does (12 to 80 ms), so we ask more than once.
constexpr std::chrono::milliseconds look_pause{150};
constexpr int looks_max = 4;

} // namespace

void WebDriverBrowser::prepare(ChildOptions& child, const std::filesystem::path&) {
    error_code ec;
    Diagnostics diagnostics;
    child.executable = find_webdriver(options().spec, ec, diagnostics);
    if (ec) throw std::system_error(std::error_code(ec), diagnostics.message);
    child.arguments = {"--port=0"};
    if (options().spec.type != BrowserType::webkit) return;
    // No session bus is started for us, outside of our group and for ever, and no setting of the
    // user's is read or written.
    for (const char* variable :
         {"NO_AT_BRIDGE=1", "GSETTINGS_BACKEND=memory", "DBUS_SESSION_BUS_ADDRESS=disabled:"})
        child.environment.emplace_back(variable);
    put_on_display(child, options().directory, find_display_server());
}

void WebDriverBrowser::on_started() { find_port(); }

void WebDriverBrowser::find_port() {
    if (process_id() == 0 || is_closing() || is_cut_) return;
    if (const unsigned short port = listening_port_of(process_id())) return begin_session(port);
    launch_timer_.expires_after(port_pause);
    launch_timer_.async_wait([weak = weak_self<WebDriverBrowser>()](error_code ec) {
        if (const auto self = weak.lock(); self && !ec) self->find_port();
    });
}

void WebDriverBrowser::begin_session(unsigned short port) {
    const auto weak = weak_self<WebDriverBrowser>();
    pages_ = std::make_shared<WebDriverPages>(
        WebDriverClient::make(strand(), {"127.0.0.1", port, {}}, options().command_timeout),
        [weak](const PageId& page, const std::string& reason) {
            const auto self = weak.lock();
            if (self && self->listener() != nullptr && !self->is_closing())
                self->listener()->on_page_crashed(page, reason);
        },
        true);
    pages_->begin(webdriver_capabilities(options().spec, WebDriverPages::question_timeout),
                  options().launch_timeout,
                  [weak](error_code ec, const Diagnostics& diagnostics, std::string version) {
                      if (const auto self = weak.lock())
                          self->on_begun(ec, diagnostics, std::move(version));
                  });
    if (options().spec.type != BrowserType::webkit) return;
    without_browser_ = members_of_group(process_id());
    looks_in_vain_ = 0;
    await_browser();
}

void WebDriverBrowser::on_begun(error_code ec, const Diagnostics& diagnostics,
                                std::string version) {
    if (is_cut_) return;
    if (ec) return launch_failed(ec, "does not begin a session: " + diagnostics.text());
    has_begun_ = true;
    (void)watch_browser(); // anew: by now it has threads, whose end comes first
    launched(std::move(version));
}

/// \return whether it is there
bool WebDriverBrowser::watch_browser() {
    const std::vector<int> found = processes(BrowserPart::browser);
    if (found.empty()) return false;
    browser_watch_.emplace(strand(), found.front(), process_id(),
                           [weak = weak_self<WebDriverBrowser>(), browser = found.front()] {
                               if (const auto self = weak.lock())
                                   self->on_browser_died(wait_status_of(browser));
                           });
    return true;
}

/// WebKitWebDriver waits for ever for a browser that dies while the session begins. Others say why.
void WebDriverBrowser::await_browser() {
    if (process_id() == 0 || is_closing() || is_cut_ || has_begun_ || watch_browser()) return;
    // It may be something else before it is itself, but something of it is there and alive.
    const bool is_anything_there =
        std::ranges::any_of(members_of_group(process_id()), [this](int process) {
            return std::ranges::find(without_browser_, process) == without_browser_.end() &&
                   !command_line_of(process).empty();
        });
    looks_in_vain_ = is_anything_there ? 0 : looks_in_vain_ + 1;
    if (looks_in_vain_ > looks_in_vain_max) return on_browser_died(0);
    launch_timer_.expires_after(browser_pause);
    launch_timer_.async_wait([weak = weak_self<WebDriverBrowser>()](error_code ec) {
        if (const auto self = weak.lock(); self && !ec) self->await_browser();
    });
}

/// The driver would wait for the next session. What else ends now ends because of it.
void WebDriverBrowser::on_browser_died(int wait_status) {
    is_cut_ = true;
    look_timer_.cancel();
    page_watches_.clear();
    if (!has_begun_) return launch_failed(Errc::worker_lost, "ended before its session had begun");
    control_lost();
    tell_exit(wait_status);
}

void WebDriverBrowser::async_open_page(std::string url, PageHandler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler), PageId());
    computing_process_ = 0;
    pages_->open(std::move(url),
                 [weak = weak_self<WebDriverBrowser>(), handler = std::move(handler)](
                     error_code ec, Diagnostics diagnostics, PageId page) {
                     if (const auto self = weak.lock()) self->watch_pages();
                     handler(ec, std::move(diagnostics), std::move(page));
                 });
}

void WebDriverBrowser::async_close_page(PageId page, Handler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler));
    computing_process_ = 0;
    pages_->close(std::move(page), std::move(handler));
}

void WebDriverBrowser::async_reload_page(PageId page, std::string url, Handler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler));
    computing_process_ = 0;
    pages_->navigate(std::move(page), std::move(url),
                     [weak = weak_self<WebDriverBrowser>(),
                      handler = std::move(handler)](error_code ec, Diagnostics diagnostics) {
                         if (const auto self = weak.lock()) self->watch_pages();
                         handler(ec, std::move(diagnostics));
                     });
}

void WebDriverBrowser::async_ask_browser(Handler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler));
    pages_->ask_browser(std::move(handler));
}

void WebDriverBrowser::async_ask_page(PageId page, Handler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler));
    pages_->ask_page(std::move(page), std::move(handler));
}

void WebDriverBrowser::async_execute(PageId page, PageThread thread, std::string script,
                                     Handler handler) {
    if (!pages_ || is_cut_) return complete_as_lost(std::move(handler));
    pages_->execute(std::move(page), thread, std::move(script), std::move(handler));
}

std::vector<int> WebDriverBrowser::processes(BrowserPart part) const {
    if (process_id() == 0) return {};
    if (part != BrowserPart::browser)
        return engine_processes(engine_of(options().spec.type), part, process_id());
    const std::string program = options().spec.executable.string();
    std::vector<int> out = members_of_group(process_id());
    std::erase_if(out, [&](int process) {
        return parent_of(process) != process_id() || !command_line_of(process).starts_with(program);
    });
    return out;
}

void WebDriverBrowser::watch_pages() {
    for (const int process : processes(BrowserPart::page)) {
        if (page_watches_.contains(process)) continue;
        page_watches_.try_emplace(process, strand(), process, process_id(),
                                  [weak = weak_self<WebDriverBrowser>(), process] {
                                      if (const auto self = weak.lock())
                                          self->on_page_process_died(process);
                                  });
    }
}

void WebDriverBrowser::follow_page(const PageId&) {
    // The others' sessions go on without a page, so that there is time to ask.
    if (!pages_ || is_cut_ || engine_of(options().spec.type) != BrowserEngine::webkit) return;
    watch_pages();
    std::vector<int> working = working_pages();
    std::erase_if(working, [](int one) { return state_of_thread(one, one).is_stopped; }); // hung
    computing_process_ = working.size() == 1 ? working.front() : 0;
}

std::vector<int> WebDriverBrowser::working_pages() const {
    std::vector<int> out = processes(BrowserPart::page);
    if (engine_of(options().spec.type) != BrowserEngine::webkit) return out;
    const std::string_view name = browser::compute_thread(BrowserEngine::webkit);
    std::erase_if(out, [name](int process) { return !has_thread(process, name); });
    return out;
}

void WebDriverBrowser::on_page_process_died(int process) {
    page_watches_.erase(process);
    const bool is_of_followed = process == computing_process_;
    if (is_of_followed) computing_process_ = 0;
    if (!pages_ || is_cut_ || is_closing()) return;
    const std::vector<int> browsers = processes(BrowserPart::browser);
    if (browser_watch_ && (browsers.empty() || is_dying(browsers.front()))) return; // that tells
    // One that has ended by itself, or nobody knows how, may have been left by its page.
    if (!is_of_followed || wait_status_of(process) == 0 || !pages_->has_one_page())
        return examine(looks_max);
    look_timer_.cancel();
    pages_->lose_all("page process died");
    pages_->cut(Errc::worker_lost);
}

void WebDriverBrowser::examine(int looks_left) {
    if (!pages_ || is_cut_ || is_closing()) return;
    pages_->examine();
    if (looks_left <= 1) return;
    look_timer_.expires_after(look_pause);
    look_timer_.async_wait([weak = weak_self<WebDriverBrowser>(), looks_left](error_code ec) {
        if (const auto self = weak.lock(); self && !ec) self->examine(looks_left - 1);
    });
}

void WebDriverBrowser::crash_page(const PageId& page) {
    if (pages_ && !is_cut_ && is_chromium_family(options().spec.type)) return pages_->crash(page);
    // WebDriver has no command for it, and does not tell which process holds which page.
    for (const int process : processes(BrowserPart::page)) ::kill(process, SIGKILL);
}

void WebDriverBrowser::ask_to_quit() {
    // A driver that has no session any more goes on listening.
    const auto end_driver = [weak = weak_self<WebDriverBrowser>()](error_code, const Diagnostics&) {
        const auto self = weak.lock();
        if (self && self->process_id() != 0) ::kill(self->process_id(), SIGTERM);
    };
    browser_watch_.reset();
    page_watches_.clear();
    if (pages_) pages_->end(end_driver);
    else end_driver({}, {});
}

void WebDriverBrowser::disconnect() {
    is_cut_ = true;
    launch_timer_.cancel();
    look_timer_.cancel();
    browser_watch_.reset();
    page_watches_.clear();
    if (pages_) pages_->cut(Errc::worker_lost);
}

void WebDriverBrowser::forget() noexcept {
    is_cut_ = true;
    launch_timer_.cancel();
    look_timer_.cancel();
    browser_watch_.reset();
    page_watches_.clear();
    if (pages_) pages_->forget();
}

} // namespace everpool::io
