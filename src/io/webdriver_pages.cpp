// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_pages.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
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
    client_->new_session(
        std::move(capabilities), timeout,
        [weak = weak_from_this(), handler = std::move(handler)](
            error_code ec, Diagnostics diagnostics, const json::value& agreed) {
            const auto self = weak.lock();
            if (ec || !self) return handler(ec, std::move(diagnostics), {});
            self->client_->window(
                [weak, handler, version = text_member(agreed, "browserVersion")](
                    error_code failed, Diagnostics why, const json::value& window) {
                    const auto again = weak.lock();
                    if (again && !failed && window.is_string())
                        again->spare_ = again->current_ = window.get_string().c_str();
                    handler(failed, std::move(why), version);
                });
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

/// Asks with this page as the current window. One that is so already is asked at once; but not
/// before an operation that waits for the window, or it might wait for ever.
void WebDriverPages::in_window(PageId page, Question question, Handler handler) {
    const auto weak = weak_from_this();
    if (page == current_ && !held_selection_) {
        ++held_;
        return question(Lane::page_questions,
                        [weak, handler = std::move(handler)](error_code ec, Diagnostics why) {
                            if (const auto self = weak.lock()) self->release();
                            handler(ec, std::move(why));
                        });
    }
    enqueue([weak, page = std::move(page), question = std::move(question),
             handler = std::move(handler)](const std::function<void()>& done) {
        const auto finish = [handler, done](error_code ec, Diagnostics why) {
            handler(ec, std::move(why));
            done();
        };
        if (const auto self = weak.lock())
            self->select(page, [question, finish](error_code ec, Diagnostics why) {
                if (ec) return finish(ec, std::move(why));
                question(Lane::commands, finish);
            });
    });
}

void WebDriverPages::release() {
    if (--held_ == 0 && held_selection_) std::exchange(held_selection_, {})();
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
                                 last->pages_[page] = false;
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
                       if (again && !failed) again->spare_ = text_member(window, "handle");
                       if (again && !failed && again->spare_.empty()) {
                           failed = how.last_cause = Errc::protocol_error;
                           how.message = "the WebDriver command POST /window/new got no window";
                       }
                       handler(failed, std::move(how));
                   });
           });
}

void WebDriverPages::close(PageId page, Handler handler) {
    if (const auto found = pages_.find(page); found != pages_.end()) found->second = true;
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
        if (self->pages_.size() > 1) close_it({}, {});
        else self->keep_a_window(close_it);
    });
}

void WebDriverPages::navigate(PageId page, std::string url, Handler handler) {
    enqueue([weak = weak_from_this(), page = std::move(page), url = std::move(url),
             handler = std::move(handler)](const std::function<void()>& done) {
        const auto self = weak.lock();
        if (!self) return;
        self->visit(page, url, [weak, page, handler, done](error_code ec, Diagnostics why) {
            // If it dies again, that is news again.
            if (const auto again = weak.lock(); again && !ec)
                if (const auto at = again->pages_.find(page); at != again->pages_.end())
                    at->second = false;
            handler(ec, std::move(why));
            done();
        });
    });
}

void WebDriverPages::ask_browser(Handler handler) {
    asking_next_.push_back(std::move(handler));
    if (asking_.empty()) ask_for_handles();
}

/// The list of windows comes from the browser process itself; a driver's status does not.
void WebDriverPages::ask_for_handles() {
    asking_.swap(asking_next_);
    client_->window_handles(
        question_timeout,
        [weak = weak_from_this()](error_code ec, const Diagnostics& why, const json::value&) {
            const auto self = weak.lock();
            if (!self) return;
            for (const Handler& handler : std::exchange(self->asking_, {})) handler(ec, why);
            if (!self->asking_next_.empty() && self->asking_.empty()) self->ask_for_handles();
        },
        Lane::browser_questions);
}

void WebDriverPages::ask_page(PageId page, Handler handler) {
    const auto ask = [weak = weak_from_this()](Lane lane, const Handler& answered) {
        if (const auto self = weak.lock())
            self->client_->execute_sync("return 1", question_timeout, without_value(answered),
                                        lane);
    };
    in_window(std::move(page), ask, std::move(handler));
}

void WebDriverPages::execute(PageId page, PageThread thread, std::string script, Handler handler) {
    if (thread == PageThread::compute)
        return ask_page(page, [handler = std::move(handler)](error_code ec, Diagnostics why) {
            if (!ec) {
                ec = why.last_cause = Errc::unknown_operation;
                why.message = "WebDriver reaches a page's main thread only";
            }
            handler(ec, std::move(why));
        });
    const auto run = [weak = weak_from_this(), script = std::move(script)] {
        const auto self = weak.lock();
        if (!self) return;
        // An endless script is never answered, and must not hold up the commands. It holds the
        // window for as long as a question may: it belongs to this page and to no other.
        ++self->held_;
        self->client_->execute_sync(
            "setTimeout(() => {" + script + "});", question_timeout,
            [weak](auto&&...) {
                if (const auto again = weak.lock()) again->release();
            },
            Lane::page_questions);
    };
    const auto ask_and_run = [weak = weak_from_this(), run](Lane lane, const Handler& answered) {
        const auto self = weak.lock();
        if (!self) return;
        self->client_->execute_sync(
            "return 1", question_timeout,
            [run, answered](error_code ec, Diagnostics why, const json::value&) {
                if (!ec) run();
                answered(ec, std::move(why));
            },
            lane);
    };
    in_window(std::move(page), ask_and_run, std::move(handler));
}

void WebDriverPages::examine() {
    client_->window_handles(
        question_timeout,
        [weak = weak_from_this()](error_code ec, const Diagnostics& why,
                                  const json::value& handles) {
            const auto self = weak.lock();
            if (!self) return;
            if (!ec) return self->lose_missing(handles);
            if (ec == Errc::worker_unresponsive) return; // the questions of others will find it
            const std::string reason = why.remote_text.empty() ? why.message : why.remote_text;
            const auto pages = self->pages_;
            for (const auto& [page, is_expected] : pages) self->lose(page, reason);
        },
        Lane::browser_questions);
}

/// Pages that have no window any more have closed themselves; one that has may still be dead.
void WebDriverPages::lose_missing(const json::value& handles) {
    const auto* list = handles.if_array();
    if (list == nullptr) return;
    const auto pages = pages_;
    for (const auto& [page, is_expected] : pages) {
        const bool is_there = std::ranges::any_of(*list, [&](const json::value& handle) {
            return handle.is_string() && handle.get_string() == page;
        });
        if (!is_there) {
            lose(page, "closed by itself");
            pages_.erase(page);
        } else if (!is_expected) {
            look_at(page);
        }
    }
}

void WebDriverPages::look_at(const PageId& page) {
    ask_page(page, [weak = weak_from_this(), page](error_code ec, const Diagnostics& why) {
        const auto self = weak.lock();
        // A page that is merely busy is left to those who ask it regularly.
        if (!self || !ec || ec == Errc::worker_unresponsive) return;
        self->lose(page, why.remote_text.empty() ? why.message : why.remote_text);
    });
}

void WebDriverPages::lose(const PageId& page, const std::string& reason) {
    const auto found = pages_.find(page);
    if (found == pages_.end() || std::exchange(found->second, true)) return;
    if (on_lost_) on_lost_(page, reason);
}

void WebDriverPages::cut(error_code cause) {
    const auto self = shared_from_this(); // a handler may drop us
    pages_.clear();
    client_->close(cause);
    // What had not begun yet finds the client closed, and completes with the same.
}

void WebDriverPages::leave(error_code cause, std::function<void()> done) {
    const auto self = shared_from_this();
    pages_.clear();
    client_->leave(cause, std::move(done));
}

void WebDriverPages::forget() noexcept {
    on_lost_ = nullptr;
    operations_.clear();
    held_selection_ = nullptr;
    client_->forget();
}

} // namespace everpool::io
