// Everpool doors: the pages of one WebDriver session.
// SPDX-License-Identifier: BSL-1.0
//
// WebDriver has one current window, which most commands mean without saying so. What is more than
// one command (switch to the window, then navigate it) is an operation here, and operations run one
// after the other, so that none finds another one's window. What is asked of the page that is the
// current window needs no switch, and does not wait for the operation under way, which may hang;
// but it holds the window: none switches to another one until it is answered, or its time is over.
//
// Where the driver offers WebDriver BiDi, questions and scripts go over that: they need no current
// window, reach the compute thread, and are answered while a command hangs. Where it does not, or
// when that fails, WebDriver goes on alone. A window's handle is the name of its BiDi context.
//
// A session ends with its last window. So it always keeps one: the one that it began with, or one
// that is opened before the last page is closed. The next page takes that.
#pragma once

#include "io/browser.hpp"
#include "io/shared_question.hpp"
#include "io/webdriver_bidi.hpp"
#include "io/webdriver_client.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace everpool::io {

class WebDriverPages : public std::enable_shared_from_this<WebDriverPages> {
public:
    using Handler = Browser::Handler;
    using PageHandler = Browser::PageHandler;
    using VersionHandler = std::function<void(error_code, Diagnostics, std::string version)>;
    /// The page is gone or dead, and why.
    using LostHandler = std::function<void(const PageId& page, const std::string& reason)>;

    /// `is_driver_ours`: started here, so that it may name another port of its host for BiDi.
    WebDriverPages(std::shared_ptr<WebDriverClient> client, LostHandler on_lost,
                   bool is_driver_ours)
        : client_(std::move(client)),
          on_lost_(std::move(on_lost)),
          is_driver_ours_(is_driver_ours) {}

    /// How long a page's main thread may take to answer a question without BiDi. A driver that
    /// takes one command at a time is deaf meanwhile. Over BiDi it is the client's command timeout.
    static constexpr std::chrono::milliseconds question_timeout{1000};

    /// `capabilities` as webdriver_capabilities() makes them. A driver so old that it does not know
    /// the word for BiDi refuses all of them, and is asked again without it.
    void begin(boost::json::object capabilities, std::chrono::milliseconds timeout,
               VersionHandler handler);
    void end(Handler handler) { client_->delete_session(without_value(std::move(handler))); }

    void open(std::string url, PageHandler handler);
    void close(PageId page, Handler handler);
    void navigate(PageId page, std::string url, Handler handler);
    /// Asked again before it has answered, the next answer is for all who ask meanwhile.
    void ask_browser(Handler handler);
    /// The same without BiDi, where worker_lost is the answer of a page that is being closed.
    void ask_page(PageId page, Handler handler);
    /// As Browser::async_execute: a question first, then the script. Without BiDi the compute
    /// thread is out of reach (unknown_operation).
    void execute(PageId page, PageThread thread, std::string script, Handler handler);

    /// Something of the browser has ended: looks which pages are lost, and tells.
    void examine();
    /// One is open, and neither being closed nor told to be lost.
    [[nodiscard]] bool has_one_page() const noexcept {
        return pages_.size() == 1 && pages_.begin()->second.is_end_news;
    }
    /// It is known without any look that no page is left: tells that.
    void lose_all(const std::string& reason);
    /// Has a page of Chromium crash, by Chromium's own page for it.
    void crash(PageId page);

    /// Cuts everything off; what waits completes with worker_lost.
    void cut(error_code cause);
    /// The same, but ends the session, now or when it comes; `done`: as WebDriverClient::leave.
    void leave(error_code cause, std::function<void()> done);
    /// The same, but nobody is called any more.
    void forget() noexcept;

    [[nodiscard]] WebDriverClient& client() noexcept { return *client_; }
    /// Questions go over BiDi at present.
    [[nodiscard]] bool has_bidi() const noexcept { return bidi_ && bidi_->is_usable(); }

private:
    struct Page {
        bool is_end_news{true}; ///< not asked for, and not told yet
        int loads{0};           ///< anew, in its place: begun, and done
        bool is_closing{false};
        SharedQuestion question{}; ///< without BiDi
    };
    /// Completes when it is done, whatever became of it.
    using Operation = std::function<void(std::function<void()> done)>;
    /// Asks something of the current window.
    using Question = std::function<void(WebDriverClient::Lane lane, Handler answered)>;
    using BidiQuestion = std::function<void(const WebDriverBidi& bidi, Handler answered)>;
    /// What to do without BiDi, or when it has failed with this.
    using Otherwise = std::function<void(error_code, Diagnostics, Handler)>;

    void on_session(const boost::json::value& agreed, VersionHandler handler);
    void begin_bidi(const std::string& address, std::function<void()> done);
    void take_first_window(std::string version, VersionHandler handler);
    void ask_over_bidi(const BidiQuestion& question, Otherwise otherwise, Handler handler);
    void ask_page_alone(PageId page, Handler handler);
    void execute_alone(PageId page, std::string script, Handler handler);
    void on_context_ended(const PageId& page);
    [[nodiscard]] int loads_of(const PageId& page) const;

    void enqueue(Operation operation);
    void run_next();
    void select(const PageId& window, Handler handler);
    void in_window(PageId page, Question question, Handler handler);
    [[nodiscard]] bool is_closing(const PageId& page) const;
    void refuse_closing(Handler handler);
    void release();
    void visit(PageId page, const std::string& url, Handler handler);
    void keep_a_window(Handler handler);
    void ask_for_handles(Handler answered);
    void look_at(const PageId& page);
    void lose(const PageId& page, const std::string& reason);
    void lose_missing(const boost::json::value& handles);
    static WebDriverClient::Handler without_value(Handler handler);

    std::shared_ptr<WebDriverClient> client_;
    LostHandler on_lost_;
    bool is_driver_ours_;
    std::shared_ptr<WebDriverBidi> bidi_; ///< null: not offered
    std::map<PageId, Page> pages_;        ///< the open ones
    PageId spare_;                        ///< a window that shows nothing; empty: none
    PageId current_;                      ///< empty: not known
    std::deque<Operation> operations_;
    bool is_busy_{false};                  ///< an operation is under way
    int held_{0};                          ///< by how many questions the window is
    std::function<void()> held_selection_; ///< of the operation under way; empty: none waits
    SharedQuestion browser_question_;
};

} // namespace everpool::io
