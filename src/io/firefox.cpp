// SPDX-License-Identifier: BSL-1.0
#include "io/firefox.hpp"

#include "everpool/browser/firefox_announcement.hpp"
#include "everpool/browser/firefox_preferences.hpp"
#include "io/bidi_questions.hpp"
#include "io/engine_processes.hpp"
#include "io/json_text.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace everpool::io {

namespace json = boost::json;

namespace {

constexpr std::size_t line_bytes_max = 4096;
/// It shows its page of a crash within 60 ms, on a busy machine within half a second.
constexpr std::chrono::seconds revival_patience{3};

} // namespace

void Firefox::prepare(ChildOptions& child, const std::filesystem::path& profile) {
    std::ofstream file(profile / "user.js");
    file << browser::firefox_user_js(options().spec.extra_preferences);
    file.close();
    if (!file)
        throw std::system_error(std::make_error_code(std::errc::io_error), "cannot write user.js");
    child.arguments = {
        "--headless", "--no-remote", "--profile", profile.string(), "--remote-debugging-port", "0"};
    const auto& extra = options().spec.extra_arguments;
    child.arguments.insert(child.arguments.end(), extra.begin(), extra.end());
    for (const char* variable :
         {"MOZ_CRASHREPORTER_DISABLE=1", "MOZ_DATA_REPORTING=0", "MOZ_REMOTE_SETTINGS_DEVTOOLS=1"})
        child.environment.emplace_back(variable);
}

void Firefox::on_output(std::string_view piece) {
    if (bidi_) return;
    line_ += piece;
    for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
        const std::string line = line_.substr(0, end);
        line_.erase(0, end + 1);
        if (const auto port = browser::announced_port(line)) return connect(*port);
    }
    if (line_.size() > line_bytes_max) line_.clear();
}

void Firefox::connect(std::uint16_t port) {
    const auto weak = weak_self<Firefox>();
    // session.new is answered only when Firefox has started up, so a command may take as long.
    bidi_ = BidiClient::make(
        strand(), options().launch_timeout,
        [weak](std::string_view method, const json::object& parameters) {
            if (const auto self = weak.lock()) self->on_event(method, parameters);
        },
        [weak] {
            const auto self = weak.lock();
            if (!self) return;
            self->stop_following(); // its pages go with it
            self->control_lost();
        });
    bidi_->async_connect({"127.0.0.1", port, "/session"}, [weak](error_code ec) {
        const auto self = weak.lock();
        if (!self || !self->bidi_) return;
        if (ec)
            return self->launch_failed(ec, "does not accept a BiDi connection: " + ec.message());
        self->begin_session();
    });
}

void Firefox::begin_session() {
    bidi_->send(
        "session.new", {{"capabilities", json::object{}}},
        [weak = weak_self<Firefox>()](error_code ec, const Diagnostics& diagnostics,
                                      const json::value& result) {
            const auto self = weak.lock();
            if (!self || !self->bidi_) return;
            if (ec) return self->launch_failed(ec, diagnostics.text());
            const auto* object = result.if_object();
            const auto* capabilities =
                object == nullptr ? nullptr : object->if_contains("capabilities");
            const std::string version =
                capabilities == nullptr ? std::string() : text_at(*capabilities, "browserVersion");
            self->bidi_->send(
                "session.subscribe",
                {{"events", json::array{"browsingContext.contextDestroyed",
                                        "browsingContext.navigationCommitted"}}},
                [weak, version](error_code failed, const Diagnostics& why, const json::value&) {
                    const auto again = weak.lock();
                    if (!again) return;
                    if (failed) return again->launch_failed(failed, why.text());
                    again->launched(version);
                });
        });
}

void Firefox::async_open_page(std::string url, PageHandler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler), PageId());
    bidi_->send("browsingContext.create", {{"type", "window"}},
                [weak = weak_self<Firefox>(), url = std::move(url),
                 handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                               const json::value& result) mutable {
                    const auto self = weak.lock();
                    if (!ec && (!self || !self->bidi_)) ec = Errc::worker_lost;
                    if (ec) return handler(ec, diagnostics, {});
                    self->navigate(text_at(result, "context"), std::move(url), std::move(handler));
                });
}

void Firefox::navigate(PageId page, std::string url, PageHandler handler) {
    if (pages_.try_emplace(page).second) stop_following();
    bidi_->send("browsingContext.navigate", {{"context", page}, {"url", url}, {"wait", "none"}},
                [page, handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                                     const json::value&) {
                    handler(ec, diagnostics, page);
                });
}

void Firefox::async_close_page(PageId page, Handler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler));
    stop_following();
    if (const auto found = pages_.find(page); found != pages_.end())
        found->second.is_end_news = false;
    bidi_->send("browsingContext.close", {{"context", page}},
                [weak = weak_self<Firefox>(), page, handler = std::move(handler)](
                    error_code ec, const Diagnostics& diagnostics, const json::value&) {
                    if (const auto self = weak.lock()) self->forget_page(page);
                    handler(ec, diagnostics);
                });
}

void Firefox::async_reload_page(PageId page, std::string url, Handler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler));
    const auto found = pages_.find(page);
    if (found == pages_.end() || !found->second.is_dead)
        return reload(page, std::move(url), std::move(handler));
    auto& revival = found->second.revival;
    if (revival) complete_as_lost(std::move(revival->handler)); // it has been overtaken
    revival.emplace(std::move(url), std::move(handler), boost::asio::steady_timer(strand()));
    revival->patience.expires_after(revival_patience);
    revival->patience.async_wait([weak = weak_self<Firefox>(), page](error_code ec) {
        // It does not show that it knows of the death; then let us see how far a reload comes.
        if (const auto self = weak.lock(); self && !ec) self->revive(page);
    });
}

void Firefox::reload(const PageId& page, std::string url, Handler handler) {
    navigate(page, std::move(url),
             [weak = weak_self<Firefox>(), handler = std::move(handler)](
                 error_code ec, const Diagnostics& diagnostics, const PageId& reloaded) {
                 const auto self = weak.lock();
                 // If it dies again, that is news again; if it is dead, that is told already.
                 if (self && !ec)
                     if (const auto at = self->pages_.find(reloaded);
                         at != self->pages_.end() && !at->second.is_dead)
                         at->second.is_end_news = true;
                 handler(ec, diagnostics);
             });
}

void Firefox::revive(const PageId& page) {
    const auto found = pages_.find(page);
    if (found == pages_.end()) return;
    found->second.is_dead = false;
    if (auto revival = std::exchange(found->second.revival, std::nullopt))
        reload(page, std::move(revival->url), std::move(revival->handler));
}

void Firefox::forget_page(const PageId& page) {
    const auto found = pages_.find(page);
    if (found == pages_.end()) return;
    if (auto& revival = found->second.revival) complete_as_lost(std::move(revival->handler));
    pages_.erase(found);
}

void Firefox::async_ask_browser(Handler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler));
    bidi_->send("session.status", {},
                [handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                               const json::value&) { handler(ec, diagnostics); });
}

void Firefox::async_ask_page(PageId page, Handler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler));
    BidiQuestions(bidi_).ask_page(page, std::move(handler));
}

void Firefox::async_execute(PageId page, PageThread thread, std::string script, Handler handler) {
    if (!bidi_) return complete_as_lost(std::move(handler));
    BidiQuestions(bidi_).execute(page, thread, std::move(script), std::move(handler));
}

std::vector<int> Firefox::processes(BrowserPart part) const {
    if (process_id() == 0) return {};
    if (part == BrowserPart::browser) return {process_id()};
    return engine_processes(BrowserEngine::gecko, part, process_id());
}

/// Which page is in which process is not told, so that nothing is concluded of several.
void Firefox::follow_content_process(const PageId& page) {
    const std::vector<int> candidates = processes(BrowserPart::page);
    if (pages_.size() != 1 || candidates.size() != 1) return stop_following();
    if (candidates.front() == content_process_) return;
    content_process_ = candidates.front();
    content_watch_.emplace(strand(), content_process_, process_id(),
                           [weak = weak_self<Firefox>(), page] {
                               if (const auto self = weak.lock())
                                   self->on_content_process_died(page);
                           });
}

void Firefox::stop_following() {
    content_process_ = 0;
    content_watch_.reset();
}

void Firefox::on_content_process_died(const PageId& page) {
    stop_following();
    const auto found = pages_.find(page);
    if (found == pages_.end() || is_closing()) return;
    found->second.is_dead = true;
    on_page_gone(page, "content process died");
}

void Firefox::crash_page(const PageId&) {
    // Firefox has no command for it, and does not tell which process holds which page.
    for (const int pid : processes(BrowserPart::page)) ::kill(pid, SIGKILL);
}

void Firefox::ask_to_quit() {
    stop_following();
    if (bidi_) bidi_->send("browser.close", {}, [](error_code, auto&&...) {});
}

void Firefox::disconnect() {
    stop_following();
    while (!pages_.empty()) forget_page(PageId(pages_.begin()->first));
    if (const auto bidi = std::exchange(bidi_, nullptr)) bidi->close(Errc::worker_lost);
}

void Firefox::forget() noexcept {
    stop_following();
    pages_.clear();
    if (bidi_) bidi_->forget();
}

void Firefox::on_event(std::string_view method, const json::object& parameters) {
    const auto found = pages_.find(text_at(parameters, "context"));
    if (found == pages_.end()) return;
    const PageId page = found->first;
    if (method == "browsingContext.contextDestroyed") {
        stop_following();
        on_page_gone(page, "closed by itself");
        return forget_page(page);
    }
    // The tab of a dead content process shows a page of Firefox's own.
    if (text_at(parameters, "url").starts_with("about:tabcrashed")) {
        stop_following();
        on_page_gone(page, "content process died");
        return revive(page);
    }
    if (!found->second.revival) found->second.is_dead = false;
    follow_content_process(page);
}

/// Tells it once.
void Firefox::on_page_gone(const PageId& page, const char* reason) {
    const auto found = pages_.find(page);
    if (found == pages_.end() || !std::exchange(found->second.is_end_news, false)) return;
    if (listener() != nullptr && !is_closing()) listener()->on_page_crashed(page, reason);
}

} // namespace everpool::io
