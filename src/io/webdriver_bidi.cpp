// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_bidi.hpp"

#include "io/json_text.hpp"

#include <boost/json/array.hpp>

#include <cstddef>
#include <utility>

namespace everpool::io {

namespace json = boost::json;

namespace {

/// As of a driver's other answers.
constexpr std::size_t message_bytes_max = std::size_t{1} << 20;

} // namespace

void WebDriverBidi::begin(const browser::BidiAddress& address, std::function<void()> done) {
    when_begun_ = std::move(done);
    const auto weak = weak_from_this();
    client_ = BidiClient::make(
        strand_, connect_timeout,
        [weak](std::string_view method, const json::object& parameters) {
            if (const auto self = weak.lock()) self->on_event(method, parameters);
        },
        [weak] {
            if (const auto self = weak.lock()) self->is_usable_ = false;
        },
        message_bytes_max);
    client_->async_connect(address, [weak](error_code ec) {
        const auto self = weak.lock();
        if (!self) return;
        if (ec) return self->finish_beginning(false);
        self->subscribe();
    });
}

void WebDriverBidi::subscribe() {
    client_->send(
        "session.subscribe", {{"events", json::array{"browsingContext.contextDestroyed"}}},
        [weak = weak_from_this()](error_code ec, const Diagnostics&, const json::value&) {
            // Who knows no such event, and says so, can still be asked.
            const bool is_deaf = ec == Errc::worker_lost || ec == Errc::worker_unresponsive;
            if (const auto self = weak.lock()) self->finish_beginning(!is_deaf);
        });
}

void WebDriverBidi::finish_beginning(bool is_usable) {
    const auto done = std::exchange(when_begun_, nullptr);
    if (!done) return; // closed meanwhile
    is_usable_ = is_usable;
    if (!is_usable) client_->close(Errc::worker_lost);
    done();
}

void WebDriverBidi::ask_browser(std::chrono::milliseconds timeout, Handler handler) const {
    client_->send(
        "browsingContext.getTree", {{"maxDepth", 0}},
        [handler = std::move(handler)](error_code ec, const Diagnostics& diagnostics,
                                       const json::value&) { handler(ec, diagnostics); },
        timeout);
}

void WebDriverBidi::on_event(std::string_view method, const json::object& parameters) {
    if (method != "browsingContext.contextDestroyed" || !on_ended_) return;
    const EndHandler on_ended = on_ended_; // it may have us forget it
    on_ended(text_at(parameters, "context"));
}

void WebDriverBidi::close(error_code cause) {
    const auto self = shared_from_this(); // a handler may drop us
    is_usable_ = false;
    if (client_) client_->close(cause);
    if (const auto done = std::exchange(when_begun_, nullptr)) done();
}

void WebDriverBidi::forget() noexcept {
    is_usable_ = false;
    on_ended_ = nullptr;
    when_begun_ = nullptr;
    if (client_) client_->forget();
}

} // namespace everpool::io
