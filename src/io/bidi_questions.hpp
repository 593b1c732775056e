// Everpool doors: what is asked of a page over WebDriver BiDi, whoever's browser it is in.
// SPDX-License-Identifier: BSL-1.0
//
// A page is a browsing context, and each of its threads a realm, which is found by its kind. As in
// Chromium a script goes to a thread after a question only: one that never ends is never answered.
#pragma once

#include "io/bidi_client.hpp"
#include "io/browser.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace everpool::io {

class BidiQuestions {
public:
    using Handler = Browser::Handler;

    /// `timeout`: of each command, if it is not the client's.
    explicit BidiQuestions(std::shared_ptr<BidiClient> client,
                           std::optional<std::chrono::milliseconds> timeout = {})
        : client_(std::move(client)), timeout_(timeout) {}

    /// Errors of both: worker_lost (the connection is, or there is no such thread),
    /// worker_unresponsive (not answered in time), browser_launch_failed (refused; for one thing,
    /// there is no such page).
    void ask_page(const PageId& page, Handler handler) const;
    /// As Browser::async_execute.
    void execute(const PageId& page, PageThread thread, std::string script, Handler handler) const;

private:
    std::shared_ptr<BidiClient> client_;
    std::optional<std::chrono::milliseconds> timeout_;
};

} // namespace everpool::io
