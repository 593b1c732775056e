// Everpool doors: the WebDriver BiDi side of a WebDriver session, where its driver offers one.
// SPDX-License-Identifier: BSL-1.0
//
//     nothing -- begin --> connecting -- subscribed --> usable -- close, or lost --> over
//                               +---------- refused, or too late ---------------------^
//
// A session has one such connection in its life. Whoever finds it not usable goes on by WebDriver
// alone, which can do all but reach the compute thread, and answer for a page that came back after
// a crash.
//
// chromedriver's BiDi is a script in a hidden page of the browser (the mapper). It answers while a
// command of WebDriver hangs, and while a page does. What it tells of a page whose process died is
// nothing: the context stays, no event comes, and what is asked of it is never answered.
//
// If the mapper's own process dies, the driver still answers session.status and nothing else, so
// the browser is asked for its contexts. Every new page and worker of the browser then waits for
// the mapper for ever. So a BiDi that keeps silent is a browser that does, whatever WebDriver says;
// only a connection that breaks leaves a browser of use.
#pragma once

#include "everpool/browser/bidi_address.hpp"
#include "io/bidi_client.hpp"
#include "io/bidi_questions.hpp"
#include "io/browser.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/json/object.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

namespace everpool::io {

class WebDriverBidi : public std::enable_shared_from_this<WebDriverBidi> {
public:
    using Handler = Browser::Handler;
    /// This context is no more: a page's, or any other one's.
    using EndHandler = std::function<void(const PageId& context)>;

    /// How long the connection may take, and then its first answer. A launch waits for both.
    static constexpr std::chrono::milliseconds connect_timeout{3000};

    WebDriverBidi(boost::asio::any_io_executor strand, std::chrono::milliseconds question_timeout,
                  EndHandler on_ended)
        : strand_(std::move(strand)),
          question_timeout_(question_timeout),
          on_ended_(std::move(on_ended)) {}

    /// `done` is called once, whatever became of it; not inside the call.
    void begin(const browser::BidiAddress& address, std::function<void()> done);

    [[nodiscard]] bool is_usable() const noexcept { return is_usable_; }

    /// \pre is_usable()
    void ask_browser(std::chrono::milliseconds timeout, Handler handler) const;
    /// \pre is_usable()
    [[nodiscard]] BidiQuestions questions() const {
        return BidiQuestions(client_, question_timeout_);
    }

    /// What waits completes with worker_lost.
    void close(error_code cause);
    /// The same, but nobody is called any more.
    void forget() noexcept;

private:
    void subscribe();
    void finish_beginning(bool is_usable);
    void on_event(std::string_view method, const boost::json::object& parameters);

    boost::asio::any_io_executor strand_;
    std::chrono::milliseconds question_timeout_;
    EndHandler on_ended_;
    std::function<void()> when_begun_;
    std::shared_ptr<BidiClient> client_; ///< null before begin()
    bool is_usable_{false};
};

} // namespace everpool::io
