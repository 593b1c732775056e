// SPDX-License-Identifier: BSL-1.0
#include "io/remote_browser.hpp"

#include "io/webdriver_capabilities.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace everpool::io {

RemoteBrowser::RemoteBrowser(boost::asio::any_io_executor strand, BrowserOptions options,
                             BrowserListener& listener)
    : strand_(strand), options_(std::move(options)), listener_(&listener), grace_timer_(strand) {}

template <class Waiting, class... Nothing>
void RemoteBrowser::complete_as_lost(Waiting handler, Nothing... nothing) {
    boost::asio::post(
        strand_, [weak = weak_from_this(), handler = std::move(handler), nothing...]() mutable {
            Diagnostics diagnostics;
            diagnostics.message = "the browser has no session";
            if (const auto self = weak.lock(); self && self->listener_ != nullptr)
                handler(Errc::worker_lost, std::move(diagnostics), nothing...);
        });
}

void RemoteBrowser::async_launch(Handler handler) {
    phase_ = Phase::beginning;
    launch_handler_ = std::move(handler);
    const auto endpoint = browser::webdriver_endpoint_from(options_.spec.webdriver.endpoint);
    if (!endpoint) {
        phase_ = Phase::closed;
        Diagnostics why;
        why.message = fmt::format("'{}' is no WebDriver endpoint",
                                  escape_remote_text(options_.spec.webdriver.endpoint, 200));
        return finish_launch(Errc::browser_not_found, std::move(why));
    }
    const auto weak = weak_from_this();
    pages_ = std::make_shared<WebDriverPages>(
        WebDriverClient::make(strand_, *endpoint, options_.command_timeout),
        [weak](const PageId& page, const std::string& reason) {
            const auto self = weak.lock();
            if (self && self->listener_ != nullptr && !self->is_close_wanted_)
                self->listener_->on_page_crashed(page, reason);
        },
        false);
    pages_->begin(webdriver_capabilities(options_.spec, WebDriverPages::question_timeout),
                  options_.launch_timeout,
                  [weak](error_code ec, Diagnostics diagnostics, std::string version) {
                      if (const auto self = weak.lock())
                          self->on_begun(ec, std::move(diagnostics), std::move(version));
                  });
}

void RemoteBrowser::on_begun(error_code ec, Diagnostics diagnostics, std::string version) {
    if (is_close_wanted_) return end_session();
    if (!ec) {
        phase_ = Phase::running;
        version_ = std::move(version);
        return finish_launch({}, {});
    }
    phase_ = pages_->client().awaits_session() ? Phase::overdue : Phase::closed;
    diagnostics.message = fmt::format("{} at {}: {}", name_of(options_.spec.type),
                                      options_.spec.webdriver.endpoint, diagnostics.message);
    diagnostics.remedy = "is the driver running, does it have such a browser, and room for one?";
    if (!diagnostics.last_cause) diagnostics.last_cause = ec;
    finish_launch(Errc::browser_launch_failed, std::move(diagnostics));
}

void RemoteBrowser::finish_launch(error_code ec, Diagnostics diagnostics) {
    if (!launch_handler_) return;
    boost::asio::post(strand_,
                      [weak = weak_from_this(), ec, handler = std::exchange(launch_handler_, {}),
                       diagnostics = std::move(diagnostics)] {
                          const auto self = weak.lock();
                          if (self && self->listener_ != nullptr) handler(ec, diagnostics);
                      });
}

void RemoteBrowser::async_open_page(std::string url, PageHandler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler), PageId());
    pages_->open(std::move(url), std::move(handler));
}

void RemoteBrowser::async_close_page(PageId page, Handler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler));
    pages_->close(std::move(page), std::move(handler));
}

void RemoteBrowser::async_reload_page(PageId page, std::string url, Handler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler));
    pages_->navigate(std::move(page), std::move(url), std::move(handler));
}

void RemoteBrowser::async_ask_browser(Handler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler));
    pages_->ask_browser(std::move(handler));
}

void RemoteBrowser::async_ask_page(PageId page, Handler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler));
    pages_->ask_page(std::move(page), std::move(handler));
}

void RemoteBrowser::async_execute(PageId page, PageThread thread, std::string script,
                                  Handler handler) {
    if (phase_ != Phase::running) return complete_as_lost(std::move(handler));
    pages_->execute(std::move(page), thread, std::move(script), std::move(handler));
}

void RemoteBrowser::crash_page(const PageId& page) {
    if (phase_ != Phase::running || !is_chromium_family(options_.spec.type)) return;
    pages_->crash(page);
}

void RemoteBrowser::async_close(bool, Handler handler) {
    close_handlers_.push_back(std::move(handler));
    finish_launch(Errc::cancelled, {"the browser was closed while it was starting", {}, {}, {}});
    const bool is_first = !std::exchange(is_close_wanted_, true);
    if (phase_ == Phase::running || phase_ == Phase::overdue) return end_session();
    if (phase_ == Phase::beginning || phase_ == Phase::ending) return; // it ends by itself
    if (!is_first && close_handlers_.size() > 1) return;
    phase_ = Phase::closed;
    boost::asio::post(strand_, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->finish_close();
    });
}

void RemoteBrowser::end_session() {
    phase_ = Phase::ending;
    const auto finish = [weak = weak_from_this()](error_code, auto&&...) {
        const auto self = weak.lock();
        if (self && self->phase_ == Phase::ending) self->finish_close();
    };
    pages_->end(finish);
    grace_timer_.expires_after(options_.close_grace);
    grace_timer_.async_wait([finish](error_code ec) {
        if (!ec) finish({});
    });
}

void RemoteBrowser::finish_close() {
    phase_ = Phase::closed;
    grace_timer_.cancel();
    const auto keep = shared_from_this(); // a handler may drop us
    const auto handlers = std::exchange(close_handlers_, {});
    if (pages_ && !std::exchange(has_left_, true)) {
        kept_handlers_ = handlers;
        pages_->leave(Errc::worker_lost, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) std::exchange(self->kept_handlers_, {});
        });
    }
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory, ignored);
    for (const Handler& handler : handlers) handler({}, {});
}

void RemoteBrowser::abandon() noexcept {
    listener_ = nullptr;
    launch_handler_ = nullptr;
    // They may hold the last reference to who is destroying us.
    const auto handlers = std::exchange(close_handlers_, {});
    const auto kept = std::exchange(kept_handlers_, {});
    phase_ = Phase::closed;
    grace_timer_.cancel();
    if (pages_) {
        pages_->client().abandon_session(); // over the connections that there are
        pages_->forget();
    }
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory, ignored);
}

} // namespace everpool::io
