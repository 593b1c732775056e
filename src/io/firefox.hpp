// Everpool doors: Firefox, controlled by WebDriver BiDi.
// SPDX-License-Identifier: BSL-1.0
//
// Firefox has no control pipe: it listens on a loopback port that it chooses and prints. It takes
// one session; if ours is lost it takes no other one, so then it is killed.
#pragma once

#include "io/bidi_client.hpp"
#include "io/browser_process.hpp"
#include "io/linux/process_watch.hpp"

#include <boost/asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace everpool::io {

class Firefox final : public BrowserProcess {
public:
    Firefox(boost::asio::any_io_executor strand, BrowserOptions options, BrowserListener& listener)
        : BrowserProcess(std::move(strand), std::move(options), listener) {}

    void async_open_page(std::string url, PageHandler handler) override;
    void async_close_page(PageId page, Handler handler) override;
    void async_reload_page(PageId page, std::string url, Handler handler) override;
    void async_ask_browser(Handler handler) override;
    void async_ask_page(PageId page, Handler handler) override;
    void async_execute(PageId page, PageThread thread, std::string script,
                       Handler handler) override;
    [[nodiscard]] std::vector<int> processes(BrowserPart part) const override;
    void crash_page(const PageId& page) override;

private:
    void prepare(ChildOptions& child, const std::filesystem::path& profile) override;
    void on_started() override {}
    void on_output(std::string_view piece) override;
    void ask_to_quit() override;
    void disconnect() override;
    void forget() noexcept override;

    void connect(std::uint16_t port);
    void begin_session();
    void navigate(PageId page, std::string url, PageHandler handler);
    void on_event(std::string_view method, const boost::json::object& parameters);

    void reload(const PageId& page, std::string url, Handler handler);
    void revive(const PageId& page);
    void forget_page(const PageId& page);
    void follow_content_process(const PageId& page);
    void stop_following();
    void on_content_process_died(const PageId& page);
    void on_page_gone(const PageId& page, const char* reason);

    /// A reload that waits until Firefox knows that the page's process is dead.
    struct Revival {
        std::string url;
        Handler handler;
        boost::asio::steady_timer patience;
    };
    struct Page {
        bool is_end_news{true}; ///< not asked for, and not told yet
        bool is_dead{false};    ///< and Firefox does not know it yet
        std::optional<Revival> revival{};
    };

    std::shared_ptr<BidiClient> bidi_;
    std::string line_; ///< what it has printed of the current line
    std::map<PageId, Page> pages_;
    int content_process_{0}; ///< of the only page, if it is known
    std::optional<ProcessWatch> content_watch_;
};

} // namespace everpool::io
