// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_pages.hpp"

#include "everpool/browser/bidi_address.hpp"
#include "io/json_text.hpp"
#include "io/webdriver_capabilities.hpp"

#include <utility>

namespace everpool::io {

namespace json = boost::json;
using Lane = WebDriverClient::Lane;

WebDriverClient::Handler WebDriverPages::without_value(Handler handler) {
    return
        [handler = std::move(handler)](error_code ec, Diagnostics diagnostics, const json::value&) {
            handler(ec, std::move(diagnostics));
        };
}

void WebDriverPages::begin(json::object capabilities, std::chrono::milliseconds timeout,
                           VersionHandler handler) {
    const auto weak = weak_from_this();
    auto plainer = without_bidi(capabilities);
    client_->new_session(
        std::move(capabilities), timeout,
        [weak, timeout, plainer = std::move(plainer), handler = std::move(handler)](
            error_code ec, Diagnostics diagnostics, const json::value& agreed) {
            const auto self = weak.lock();
            const bool is_too_new =
                ec && plainer && diagnostics.remote_text.starts_with("invalid argument");
            if (self && is_too_new) return self->begin(*plainer, timeout, handler);
            if (ec || !self) return handler(ec, std::move(diagnostics), {});
            self->on_session(agreed, handler);
        });
}

void WebDriverPages::on_session(const json::value& agreed, VersionHandler handler) {
    begin_bidi(text_at(agreed, "webSocketUrl"),
               [weak = weak_from_this(), version = text_at(agreed, "browserVersion"),
                handler = std::move(handler)] {
                   if (const auto self = weak.lock()) self->take_first_window(version, handler);
               });
}

void WebDriverPages::begin_bidi(const std::string& address, std::function<void()> done) {
    const auto where = browser::bidi_address_from(address, client_->endpoint(), is_driver_ours_);
    if (!where) return done();
    bidi_ = std::make_shared<WebDriverBidi>(client_->strand(), client_->command_timeout(),
                                            [weak = weak_from_this()](const PageId& context) {
                                                if (const auto self = weak.lock())
                                                    self->on_context_ended(context);
                                            });
    bidi_->begin(*where, std::move(done));
}

void WebDriverPages::take_first_window(std::string version, VersionHandler handler) {
    client_->window(
        [weak = weak_from_this(), version = std::move(version),
         handler = std::move(handler)](error_code ec, Diagnostics why, const json::value& window) {
            const auto self = weak.lock();
            if (self && !ec && window.is_string())
                self->spare_ = self->current_ = window.get_string().c_str();
            handler(ec, std::move(why), version);
        });
}

void WebDriverPages::enqueue(Operation operation) {
    operations_.push_back(std::move(operation));
    if (!is_busy_) run_next();
}

void WebDriverPages::run_next() {
    if (operations_.empty()) return;
    is_busy_ = true;
    const Operation next = std::move(operations_.front());
    operations_.pop_front();
    next([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->is_busy_ = false;
        self->run_next();
    });
}

/// Makes it the current window.
void WebDriverPages::select(const PageId& window, Handler handler) {
    if (window == current_) return handler({}, {}); // only within operations, never within a call
    if (held_ != 0) {
        held_selection_ = [weak = weak_from_this(), window, handler = std::move(handler)] {
            if (const auto self = weak.lock()) self->select(window, handler);
        };
        return;
    }
    current_.clear();
    client_->switch_to_window(window,
                              [weak = weak_from_this(), window, handler = std::move(handler)](
                                  error_code ec, Diagnostics why, const json::value&) {
                                  if (const auto self = weak.lock(); self && !ec)
                                      self->current_ = window;
                                  handler(ec, std::move(why));
                              });
}

void WebDriverPages::visit(PageId page, const std::string& url, Handler handler) {
    select(page, [weak = weak_from_this(), url, handler = std::move(handler)](error_code ec,
                                                                              Diagnostics why) {
        const auto self = weak.lock();
        if (ec || !self) return handler(ec, std::move(why));
        self->client_->navigate(url, without_value(handler));
    });
}

void WebDriverPages::open(std::string url, PageHandler handler) {
    enqueue([weak = weak_from_this(), url = std::move(url),
             handler = std::move(handler)](const std::function<void()>& done) {
        const auto self = weak.lock();
        if (!self) return;
        self->keep_a_window([weak, url, handler, done](error_code ec, Diagnostics why) {
            const auto again = weak.lock();
            if (!again) return;
            if (ec) {
                handler(ec, std::move(why), {});
                return done();
            }
            const PageId page = again->spare_;
            again->visit(page, url,
                         [weak, page, handler, done](error_code failed, Diagnostics how) {
                             if (const auto last = weak.lock(); last && !failed) {
                                 last->spare_.clear();
                                 last->pages_[page] = {};
                             }
                             handler(failed, std::move(how), failed ? PageId() : page);
                             done();
                         });
        });
    });
}

/// Afterwards spare_ is a window.
void WebDriverPages::keep_a_window(Handler handler) {
    if (!spare_.empty()) return handler({}, {});
    // A window is opened from the current one, which may be a closed one.
    const PageId from = pages_.empty() ? current_ : pages_.begin()->first;
    select(from,
           [weak = weak_from_this(), handler = std::move(handler)](error_code ec, Diagnostics why) {
               const auto self = weak.lock();
               if (ec || !self) return handler(ec, std::move(why));
               self->client_->new_window(
                   [weak, handler](error_code failed, Diagnostics how, const json::value& window) {
                       const auto again = weak.lock();
                       if (again && !failed) again->spare_ = text_at(window, "handle");
                       if (again && !failed && again->spare_.empty()) {
                           failed = how.last_cause = Errc::protocol_error;
                           how.message = "the WebDriver command POST /window/new got no window";
                       }
                       handler(failed, std::move(how));
                   });
           });
}

/// WebKitWebDriver dies (SIGABRT) if a window is closed while it begins a script there: it asks the
/// browser something first, and then wants the window. (Seen in one of four closed pages that hung,
/// when a question was sent because the one before it had just timed out.) So none begins over
/// WebDriver from now on, and the browser answers something else before the window is closed.
void WebDriverPages::close(PageId page, Handler handler) {
    if (const auto found = pages_.find(page); found != pages_.end()) {
        found->second.is_end_news = false;
        found->second.is_closing = true;
    }
    // What waits in this lane is for the current window.
    if (page == current_)
        client_->drop_unsent(Lane::page_questions, make_error_code(Errc::worker_lost));
    enqueue([weak = weak_from_this(), page = std::move(page),
             handler = std::move(handler)](const std::function<void()>& done) {
        const auto finish = [weak, page, handler, done](error_code ec, Diagnostics why) {
            if (const auto self = weak.lock()) self->pages_.erase(page);
            handler(ec, std::move(why));
            done();
        };
        const auto self = weak.lock();
        if (!self) return;
        const auto close_it = [weak, page, finish](error_code ec, Diagnostics why) {
            const auto again = weak.lock();
            if (ec || !again) return finish(ec, std::move(why));
            again->select(page, [weak, finish](error_code failed, Diagnostics how) {
                const auto last = weak.lock();
                if (failed || !last) return finish(failed, std::move(how));
                last->current_.clear();
                last->client_->close_window(without_value(finish));
            });
        };
        const bool is_last = self->pages_.size() <= 1;
        if (is_last && self->spare_.empty()) return self->keep_a_window(close_it);
        self->client_->window_handles(
            question_timeout, [close_it](error_code, auto&&...) { close_it({}, {}); },
            Lane::commands);
    });
}

void WebDriverPages::navigate(PageId page, std::string url, Handler handler) {
    enqueue([weak = weak_from_this(), page = std::move(page), url = std::move(url),
             handler = std::move(handler)](const std::function<void()>& done) {
        const auto self = weak.lock();
        if (!self) return;
        if (const auto at = self->pages_.find(page); at != self->pages_.end()) ++at->second.loads;
        self->visit(page, url, [weak, page, handler, done](error_code ec, Diagnostics why) {
            if (const auto again = weak.lock(); again && !ec)
                if (const auto at = again->pages_.find(page); at != again->pages_.end()) {
                    ++at->second.loads;
                    at->second.is_end_news = !at->second.is_closing; // if it dies again
                }
            handler(ec, std::move(why));
            done();
        });
    });
}

void WebDriverPages::cut(error_code cause) {
    const auto self = shared_from_this(); // a handler may drop us
    pages_.clear();
    if (bidi_) bidi_->close(cause); // what it was asked goes on to the client, and completes there
    client_->close(cause);
    // What had not begun yet finds the client closed, and completes with the same.
}

void WebDriverPages::leave(error_code cause, std::function<void()> done) {
    const auto self = shared_from_this();
    pages_.clear();
    if (bidi_) bidi_->close(cause);
    client_->leave(cause, std::move(done));
}

void WebDriverPages::forget() noexcept {
    on_lost_ = nullptr;
    operations_.clear();
    held_selection_ = nullptr;
    if (bidi_) bidi_->forget();
    client_->forget();
}

} // namespace everpool::io
