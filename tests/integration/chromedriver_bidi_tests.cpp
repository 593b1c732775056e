// What a real chromedriver's WebDriver BiDi adds, and what becomes of it when its own page dies.
// SPDX-License-Identifier: BSL-1.0
#include "support/browser_rig.hpp"
#include "support/catch.hpp"
#include "support/webdriver_rig.hpp"

#include <signal.h>

#include <chrono>
#include <optional>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

std::optional<io::BrowserOptions> chromium_with_bidi() {
    auto options = options_of("Chromium by chromedriver");
    if (options) options->command_timeout = 3s;
    return options;
}

} // namespace

TEST_CASE("over BiDi all else answers while a page hangs") {
    auto options = chromium_with_bidi();
    if (!options) return;
    options->command_timeout = 10s; // all that is asked here comes within
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    const io::PageId other = rig.open_worker_page();
    CHECK_FALSE(execute(rig, page, io::PageThread::main, "for (;;);"));
    rig.run_until([&] { return ask_page(rig, page) == Errc::worker_unresponsive; });
    bool is_answered = false;
    rig.browser().async_ask_page(page, [&](error_code ec, const Diagnostics&) {
        CHECK(ec == Errc::worker_unresponsive);
        is_answered = true;
    });
    CHECK_FALSE(ask_browser(rig));
    CHECK_FALSE(ask_page(rig, other));
    CHECK_FALSE(execute(rig, page, io::PageThread::compute, "1"));
    CHECK_FALSE(is_answered);
    rig.run_until([&] { return is_answered; });
}

TEST_CASE("over BiDi the compute thread is reached, and hangs alone") {
    const auto options = chromium_with_bidi();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    CHECK_FALSE(execute(rig, page, io::PageThread::compute, "for (;;);"));
    rig.run_until([&] {
        return execute(rig, page, io::PageThread::compute, "1") == Errc::worker_unresponsive;
    });
    CHECK_FALSE(ask_page(rig, page));
    CHECK_FALSE(ask_browser(rig));
}

// Of such a page chromedriver's WebDriver says for ever that it has crashed.
TEST_CASE("over BiDi a page that came back after a crash answers, and its next crash is told") {
    const auto options = chromium_with_bidi();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    rig.browser().crash_page(page);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK_FALSE(rig.reload_worker_page(page).ec);
    CHECK_FALSE(ask_page(rig, page));
    CHECK(rig.crashes.size() == 1);
    rig.browser().crash_page(page);
    rig.run_until([&] { return rig.crashes.size() == 2; });
    CHECK(rig.crashes[1].page == page);
}

// With the pages' processes dies the one that does the driver's BiDi. Every new page would wait for
// it for ever, while WebDriver answers as if nothing had happened.
TEST_CASE("a browser whose BiDi has died is silent, so that another one is taken") {
    const auto options = chromium_with_bidi();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    for (const int process : rig.browser().processes(io::BrowserPart::page))
        ::kill(process, SIGKILL);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK(rig.crashes[0].page == page);
    CHECK(ask_browser(rig) == Errc::worker_unresponsive);
    rig.close(true);
    CHECK(rig.has_left_nothing());
}
