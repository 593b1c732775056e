// What the pages of a WebDriver session are asked, and in which window.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_pages.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace everpool::io {

namespace json = boost::json;
using Lane = WebDriverClient::Lane;

/// Asks with this page as the current window. One that is so already is asked at once; but not
/// before an operation that waits for the window, or it might wait for ever.
void WebDriverPages::in_window(PageId page, Question question, Handler handler) {
    const auto weak = weak_from_this();
    if (is_closing(page)) return refuse_closing(std::move(handler));
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
        const auto self = weak.lock();
        if (self && self->is_closing(page)) self->refuse_closing(finish);
        else if (self)
            self->select(page, [question, finish](error_code ec, Diagnostics why) {
                if (ec) return finish(ec, std::move(why));
                question(Lane::commands, finish);
            });
    });
}

bool WebDriverPages::is_closing(const PageId& page) const {
    const auto found = pages_.find(page);
    return found != pages_.end() && found->second.is_closing;
}

void WebDriverPages::refuse_closing(Handler handler) {
    Diagnostics why;
    why.message = "the page is being closed";
    why.last_cause = Errc::worker_lost;
    boost::asio::post(client_->strand(), [weak = weak_from_this(), why = std::move(why),
                                          handler = std::move(handler)]() mutable {
        const auto self = weak.lock();
        if (self && !self->client_->is_forgotten()) handler(Errc::worker_lost, std::move(why));
    });
}

void WebDriverPages::release() {
    if (--held_ == 0 && held_selection_) std::exchange(held_selection_, {})();
}

void WebDriverPages::ask_browser(Handler handler) {
    const auto ask = [weak = weak_from_this()](Handler answered) {
        const auto self = weak.lock();
        if (!self) return;
        // Not for longer than WebDriver is: others wait for their turn to ask.
        self->ask_over_bidi(
            [](const WebDriverBidi& bidi, Handler answer) {
                bidi.ask_browser(question_timeout, std::move(answer));
            },
            [weak](error_code, const Diagnostics&, const Handler& answer) {
                if (const auto again = weak.lock()) again->ask_for_handles(answer);
            },
            std::move(answered));
    };
    browser_question_.ask(std::move(handler), ask);
}

/// The list of windows comes from the browser process itself; a driver's status does not.
void WebDriverPages::ask_for_handles(Handler answered) {
    client_->window_handles(question_timeout, without_value(std::move(answered)),
                            Lane::browser_questions);
}

/// What BiDi refuses is asked again, because WebDriver knows better words for a page that is gone.
/// What is not answered over BiDi is not: WebDriver might hang with it.
void WebDriverPages::ask_over_bidi(const BidiQuestion& question, Otherwise otherwise,
                                   Handler handler) {
    if (!has_bidi()) return otherwise({}, {}, std::move(handler));
    question(*bidi_, [weak = weak_from_this(), otherwise = std::move(otherwise),
                      handler = std::move(handler)](error_code ec, Diagnostics why) {
        if (!weak.lock()) return;
        const bool is_final = !ec || ec == Errc::worker_unresponsive;
        if (is_final) return handler(ec, std::move(why));
        otherwise(ec, std::move(why), handler);
    });
}

void WebDriverPages::ask_page(PageId page, Handler handler) {
    ask_over_bidi(
        [page](const WebDriverBidi& bidi, Handler answered) {
            bidi.questions().ask_page(page, std::move(answered));
        },
        [weak = weak_from_this(), page](error_code, const Diagnostics&, Handler answered) {
            if (const auto self = weak.lock()) self->ask_page_alone(page, std::move(answered));
        },
        std::move(handler));
}

void WebDriverPages::ask_page_alone(PageId page, Handler handler) {
    const auto ask_it = [weak = weak_from_this()](Lane lane, const Handler& answered) {
        if (const auto self = weak.lock())
            self->client_->execute_sync("return 1", question_timeout, without_value(answered),
                                        lane);
    };
    const auto ask = [weak = weak_from_this(), page, ask_it](Handler answered) {
        const auto self = weak.lock();
        if (!self) return;
        if (self->pages_.contains(page)) self->in_window(page, ask_it, std::move(answered));
        else self->refuse_closing(std::move(answered)); // closed since
    };
    const auto found = pages_.find(page);
    if (found == pages_.end()) // the driver has words for it
        return in_window(std::move(page), ask_it, std::move(handler));
    found->second.question.ask(std::move(handler), ask);
}

void WebDriverPages::execute(PageId page, PageThread thread, std::string script, Handler handler) {
    const auto otherwise = [weak = weak_from_this(), page, thread,
                            script](error_code ec, Diagnostics why, Handler answered) {
        const auto self = weak.lock();
        if (!self) return;
        if (thread == PageThread::main)
            return self->execute_alone(page, script, std::move(answered));
        if (self->has_bidi()) return answered(ec, std::move(why)); // nobody else could know better
        self->ask_page_alone(page, [answered](error_code failed, Diagnostics how) {
            if (!failed) {
                failed = how.last_cause = Errc::unknown_operation;
                how.message = "WebDriver without BiDi reaches a page's main thread only";
            }
            answered(failed, std::move(how));
        });
    };
    ask_over_bidi(
        [page, thread, script](const WebDriverBidi& bidi, Handler answered) {
            bidi.questions().execute(page, thread, script, std::move(answered));
        },
        otherwise, std::move(handler));
}

void WebDriverPages::execute_alone(PageId page, std::string script, Handler handler) {
    const auto run = [weak = weak_from_this(), page, script = std::move(script)] {
        const auto self = weak.lock();
        if (!self || self->is_closing(page)) return;
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

} // namespace everpool::io
