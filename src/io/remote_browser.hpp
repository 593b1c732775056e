// Everpool doors: a browser at a WebDriver endpoint that somebody else runs.
// SPDX-License-Identifier: BSL-1.0
//
//     idle -- async_launch --> beginning -- begun --> running -- async_close --> ending --> closed
//       |                         |  |                                             ^ ^
//       |                         |  +-- async_close --> (begun) ------------------+ |
//       |                         +-- too late --> overdue -- async_close -----------+
//       +-- async_close ------------------------------------------------------------------> closed
//
// It is a session, not a process: nothing of it can be watched, stopped or killed here, and
// on_browser_exited is never called. What becomes of it is seen from its page's connections, from
// the answers to its next command, and from what its BiDi tells.
//
// A grid is to keep none of our sessions. One that begins after its close was asked for is ended as
// soon as it has begun, and so is one that begins after its launch was given up (overdue). Ending
// takes close_grace at most; what it has not ended by then is seen to behind the close's back, for
// a minute at most. Until then the close's handlers are kept, though they have been called, and
// with them whoever owns us. Who destroys us before that leaves a session that has not begun yet to
// the endpoint's own rules: nobody has its name.
#pragma once

#include "io/browser.hpp"
#include "io/webdriver_pages.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace everpool::io {

class RemoteBrowser final : public AbandonableBrowser,
                            public std::enable_shared_from_this<RemoteBrowser> {
public:
    RemoteBrowser(boost::asio::any_io_executor strand, BrowserOptions options,
                  BrowserListener& listener);

    void async_launch(Handler handler) override;
    void async_open_page(std::string url, PageHandler handler) override;
    void async_close_page(PageId page, Handler handler) override;
    void async_reload_page(PageId page, std::string url, Handler handler) override;
    void async_ask_browser(Handler handler) override;
    void async_ask_page(PageId page, Handler handler) override;
    void async_execute(PageId page, PageThread thread, std::string script,
                       Handler handler) override;
    [[nodiscard]] std::vector<int> processes(BrowserPart) const override { return {}; }
    void async_close(bool graceful, Handler handler) override;
    [[nodiscard]] int process_id() const noexcept override { return 0; }
    [[nodiscard]] const std::string& version() const noexcept override { return version_; }
    /// By Chromium's own page for it; other engines have none, and there nothing happens.
    void crash_page(const PageId& page) override;
    /// Ends the session too, without waiting for an answer. After a close whose handlers are gone
    /// there is none any more.
    void abandon() noexcept override;

private:
    enum class Phase : std::uint8_t { idle, beginning, overdue, running, ending, closed };

    void on_begun(error_code ec, Diagnostics diagnostics, std::string version);
    void finish_launch(error_code ec, Diagnostics diagnostics);
    void end_session();
    void finish_close();
    template <class Waiting, class... Nothing>
    void complete_as_lost(Waiting handler, Nothing... nothing);

    boost::asio::any_io_executor strand_;
    BrowserOptions options_;
    BrowserListener* listener_;
    Phase phase_{Phase::idle};
    bool is_close_wanted_{false};
    bool has_left_{false}; ///< the session is ended, or that is under way
    std::shared_ptr<WebDriverPages> pages_;
    boost::asio::steady_timer grace_timer_;
    Handler launch_handler_;
    std::vector<Handler> close_handlers_;
    std::vector<Handler> kept_handlers_; ///< called already; see above
    std::string version_;
};

} // namespace everpool::io
