// Everpool doors: a browser behind a WebDriver of its own, which is started here.
// SPDX-License-Identifier: BSL-1.0
//
//     driver (leader of the group) ── browser ── its page, network and GPU processes
//        └── Xvfb, for WebKitGTK, which does not run without a screen
//
// Nobody tells here that a process has died, so the processes are watched: that of the browser,
// whose end is the end of everything here, and those of the pages, whose end is a reason to ask the
// driver which page is lost. WebKitWebDriver ends its session when a page's process dies, 50 to 80
// ms after that; nothing but a new browser helps then, and every command says so at once. So if the
// process that was killed is known to be that of the only page, because the page computes there,
// the driver is not asked, and the session is taken to be over.
#pragma once

#include "io/browser_process.hpp"
#include "io/linux/process_watch.hpp"
#include "io/webdriver_pages.hpp"

#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

/// chromedriver and msedgedriver take a free port of IPv6 and then want the same one of IPv4, which
/// may be in use; then they exit with these words.
[[nodiscard]] constexpr bool has_found_no_port(std::string_view last_output) {
    return last_output.find("port not available") != std::string_view::npos;
}

class WebDriverBrowser final : public BrowserProcess {
public:
    WebDriverBrowser(boost::asio::any_io_executor strand, BrowserOptions options,
                     BrowserListener& listener)
        : BrowserProcess(strand, std::move(options), listener),
          launch_timer_(strand),
          look_timer_(strand) {}

    void async_open_page(std::string url, PageHandler handler) override;
    void async_close_page(PageId page, Handler handler) override;
    void async_reload_page(PageId page, std::string url, Handler handler) override;
    void async_ask_browser(Handler handler) override;
    void async_ask_page(PageId page, Handler handler) override;
    void async_execute(PageId page, PageThread thread, std::string script,
                       Handler handler) override;
    void follow_page(const PageId& page) override;
    [[nodiscard]] std::vector<int> processes(BrowserPart part) const override;
    [[nodiscard]] std::vector<int> working_pages() const override;
    void crash_page(const PageId& page) override;

private:
    void prepare(ChildOptions& child, const std::filesystem::path& profile) override;
    void on_started() override;
    [[nodiscard]] bool is_exit_by_chance(std::string_view last_output) const override {
        return has_found_no_port(last_output);
    }
    void ask_to_quit() override;
    void disconnect() override;
    void forget() noexcept override;

    void find_port();
    void begin_session(unsigned short port);
    void on_begun(error_code ec, const Diagnostics& diagnostics, std::string version);
    bool watch_browser();
    void await_browser();
    void on_browser_died(int wait_status);
    void watch_pages();
    void on_page_process_died(int process);
    void examine(int looks_left);

    boost::asio::steady_timer launch_timer_, look_timer_;
    std::shared_ptr<WebDriverPages> pages_; ///< null until the driver listens
    bool has_begun_{false};                 ///< its session
    bool is_cut_{false};
    std::vector<int> without_browser_; ///< of the group, before the session was asked for
    int looks_in_vain_{0};
    std::optional<ProcessWatch> browser_watch_;
    std::map<int, ProcessWatch> page_watches_; ///< by process
    /// The only process with a page that computes. 0: not known, or not since pages have changed.
    int computing_process_{0};
};

/// The driver's program for `spec`, or browser_not_found with a diagnostic that says what is
/// missing and what to install: the driver, or a screen for a browser that needs one.
std::filesystem::path find_webdriver(const BrowserSpec& spec, error_code& ec,
                                     Diagnostics& diagnostics);

/// A display server's program; empty if there is none.
std::filesystem::path find_display_server();

} // namespace everpool::io
