// Which pages of a WebDriver session are lost, and how that is found out.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_pages.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace everpool::io {

namespace json = boost::json;
using Lane = WebDriverClient::Lane;

namespace {

std::string reason_of(const Diagnostics& why) {
    return why.remote_text.empty() ? why.message : why.remote_text;
}

} // namespace

void WebDriverPages::examine() {
    client_->window_handles(
        question_timeout,
        [weak = weak_from_this()](error_code ec, const Diagnostics& why,
                                  const json::value& handles) {
            const auto self = weak.lock();
            if (!self) return;
            if (!ec) return self->lose_missing(handles);
            if (ec == Errc::worker_unresponsive) return; // the questions of others will find it
            self->lose_all(reason_of(why));
        },
        Lane::browser_questions);
}

/// Pages that have no window any more have closed themselves; one that has may still be dead.
void WebDriverPages::lose_missing(const json::value& handles) {
    const auto* list = handles.if_array();
    if (list == nullptr) return;
    const auto pages = pages_;
    for (const auto& [id, page] : pages) {
        const bool is_there = std::ranges::any_of(*list, [&](const json::value& handle) {
            return handle.is_string() && handle.get_string() == id;
        });
        if (!is_there) {
            lose(id, "closed by itself");
            pages_.erase(id);
        } else if (page.is_end_news) {
            look_at(id);
        }
    }
}

/// WebDriver is asked, since BiDi only keeps silent about a page whose process died. But of a page
/// that came back after that, chromedriver says for ever that it crashed; then BiDi knows better.
void WebDriverPages::look_at(const PageId& page) {
    const auto weak = weak_from_this();
    ask_page_alone(page, [weak, page](error_code ec, const Diagnostics& why) {
        const auto self = weak.lock();
        // A page that is merely busy is left to those who ask it regularly.
        if (!self || !ec || ec == Errc::worker_unresponsive) return;
        const int loads = self->loads_of(page);
        if (loads == 0 || !self->bidi_) return self->lose(page, reason_of(why));
        if (!self->has_bidi()) return; // nobody knows; its connections tell if it dies
        self->bidi_->questions().ask_page(page, [weak, page, loads, reason = reason_of(why)](
                                                    error_code failed, const Diagnostics&) {
            // Of a dead page BiDi keeps silent; what it refuses is asked while a page is loaded.
            const auto again = weak.lock();
            if (!again || failed != Errc::worker_unresponsive) return;
            // One that is loaded meanwhile answers as another one, or not at all.
            if (again->loads_of(page) == loads) again->lose(page, reason);
        });
    });
}

int WebDriverPages::loads_of(const PageId& page) const {
    const auto found = pages_.find(page);
    return found == pages_.end() ? 0 : found->second.loads;
}

void WebDriverPages::on_context_ended(const PageId& page) {
    if (page == spare_) spare_.clear();
    const auto found = pages_.find(page);
    if (found == pages_.end() || !found->second.is_end_news) return; // it is being closed
    lose(page, "closed by itself");
    pages_.erase(page);
}

void WebDriverPages::lose(const PageId& page, const std::string& reason) {
    const auto found = pages_.find(page);
    if (found == pages_.end() || !std::exchange(found->second.is_end_news, false)) return;
    if (on_lost_) on_lost_(page, reason);
}

void WebDriverPages::lose_all(const std::string& reason) {
    const auto pages = pages_;
    for (const auto& [id, page] : pages) lose(id, reason);
}

void WebDriverPages::crash(PageId page) {
    enqueue([weak = weak_from_this(), page = std::move(page)](const std::function<void()>& done) {
        const auto self = weak.lock();
        if (!self) return;
        // Whatever it answers, the page is looked at after it.
        self->visit(page, "chrome://crash", [weak, done](error_code, const Diagnostics&) {
            if (const auto again = weak.lock()) again->examine();
            done();
        });
    });
}

} // namespace everpool::io
