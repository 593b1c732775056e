// Real browsers behind WebDriver: one that is started here, and one at somebody else's endpoint.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/named_threads.hpp"
#include "support/browser_rig.hpp"
#include "support/catch.hpp"
#include "support/driver_process.hpp"
#include "support/temporary_directory.hpp"
#include "support/webdriver_rig.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

TEST_CASE("a browser behind its own driver opens the worker page, quits, and leaves nothing") {
    const auto options = any_started_browser();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    CHECK(rig.browser().version().find('.') != std::string::npos);
    const auto browsers = rig.browser().processes(io::BrowserPart::browser);
    REQUIRE(browsers.size() == 1);
    CHECK(std::filesystem::read_symlink("/proc/" + std::to_string(browsers[0]) + "/exe") ==
          options->spec.executable);
    for (const int process : processes_of(rig.directory)) { // one group, its secrets its own
        if (proc_file(process, "environ").find("HOME=") == std::string::npos) continue;
        CHECK(::getpgid(process) == rig.browser().process_id());
        CHECK(proc_file(process, "environ").find("TMPDIR=" + rig.directory.string()) !=
              std::string::npos);
    }

    const io::PageId page = rig.open_worker_page();
    CHECK_FALSE(page.empty());
    const char* name = is_webkit(*options) ? "AppleWebKit" : "Chrome";
    CHECK(rig.hellos.at(0).user_agent.find(name) != std::string::npos);
    CHECK_FALSE(rig.browser().processes(io::BrowserPart::page).empty());
    CHECK_FALSE(ask_browser(rig));
    CHECK_FALSE(ask_page(rig, page));

    rig.close(true);
    CHECK(rig.has_left_nothing());
    CHECK(rig.exits.size() == 1);
    CHECK(rig.crashes.empty());
    CHECK(rig.browser().process_id() == 0);
}

TEST_CASE("pages come and go in one session, which survives the last of them") {
    const auto options = any_started_browser();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId first = rig.open_worker_page();
    const io::PageId second = rig.open_worker_page();
    CHECK(first != second);
    CHECK_FALSE(ask_page(rig, first)); // whichever is the current window
    CHECK_FALSE(ask_page(rig, second));
    CHECK_FALSE(rig.close_page(second).ec);
    CHECK_FALSE(rig.close_page(first).ec);
    const io::PageId third = rig.open_worker_page();
    CHECK_FALSE(ask_page(rig, third));
    CHECK(ask_page(rig, first) == Errc::worker_lost);
    CHECK(rig.crashes.empty());
    CHECK(rig.exits.empty());
}

TEST_CASE("a page is loaded anew in its place") {
    const auto options = any_started_browser();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    CHECK_FALSE(rig.reload_worker_page(page).ec);
    CHECK_FALSE(ask_page(rig, page));
}

TEST_CASE("a page's crash is told once, with its name") {
    const auto options = any_started_browser();
    if (!options) return;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    rig.browser().crash_page(page);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK(rig.crashes[0].page == page);
    CHECK_FALSE(rig.crashes[0].reason.empty());
    CHECK(rig.exits.empty());
    if (!is_webkit(*options)) return;
    // The session died with the page's process: everything that could be tried fails with the
    // driver's reason, so that a new browser is taken soon.
    // (While it ends the session, the driver knows no better than "unknown error" for a moment.)
    BrowserRig::Done opened = rig.open("about:blank");
    const auto limit = std::chrono::steady_clock::now() + 30s;
    while (opened.ec && opened.ec != Errc::worker_lost && std::chrono::steady_clock::now() < limit)
        opened = rig.open("about:blank");
    CHECK(opened.ec == Errc::worker_lost);
    INFO(opened.diagnostics.text());
    CHECK(opened.diagnostics.remote_text.find("invalid session id") != std::string::npos);
    CHECK(rig.close_page(page).ec == Errc::worker_lost);
    rig.close(true);
    CHECK(rig.crashes.size() == 1);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a WebKit's page whose process is killed is told of without the driver") {
    const auto options = options_of("WebKit");
    if (!options) return;
    const bool is_page_first = GENERATE(true, false);
    CAPTURE(is_page_first);
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    rig.browser().follow_page(page);
    // The session began with a page of another process, which is kept.
    std::vector<int> processes = rig.browser().processes(io::BrowserPart::page);
    std::ranges::partition(processes, [&](int process) {
        return io::has_thread(process, "WebCore: Worker") == is_page_first;
    });
    REQUIRE(processes.size() == 2);
    for (const int process : processes) REQUIRE(::kill(process, SIGKILL) == 0);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK(rig.crashes[0].page == page);
    CHECK(rig.crashes[0].reason == "page process died");
    CHECK(rig.open("about:blank").ec == Errc::worker_lost); // nor is the session waited for
    CHECK(rig.exits.empty());
    rig.close(true);
    CHECK(rig.crashes.size() == 1);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a page whose main thread never comes back leaves the browser answering") {
    auto options = any_started_browser();
    if (!options) return;
    options->command_timeout = 3s;
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    CHECK_FALSE(execute(rig, page, io::PageThread::main, "for (;;);"));
    rig.run_until([&] { return ask_page(rig, page) == Errc::worker_unresponsive; });
    CHECK_FALSE(ask_browser(rig));
    CHECK_FALSE(rig.close_page(page).ec); // and lets itself be thrown away
    (void)rig.open_worker_page();
}

TEST_CASE("without BiDi the compute thread is out of a WebDriver's reach, and that is said") {
    auto options = any_started_browser();
    if (!options) return;
    if (!is_webkit(*options))
        options->spec.webdriver.capabilities_json = R"({"webSocketUrl":false})";
    BrowserRig rig(*options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    CHECK(execute(rig, page, io::PageThread::compute, "1") == Errc::unknown_operation);
    CHECK_FALSE(ask_page(rig, page));
    CHECK_FALSE(ask_browser(rig));
}

TEST_CASE("the death of a browser, or of its driver, is an event, and takes the rest along") {
    const auto options = any_started_browser();
    if (!options) return;
    const bool is_driver = GENERATE(false, true);
    CAPTURE(is_driver);
    BrowserRig rig(*options);
    require_launched(rig);
    (void)rig.open_worker_page();
    const int victim = is_driver ? rig.browser().process_id()
                                 : rig.browser().processes(io::BrowserPart::browser).at(0);
    // A stopped driver takes commands and answers none: this one is under way when it dies.
    REQUIRE(::kill(rig.browser().process_id(), SIGSTOP) == 0);
    std::optional<error_code> opened;
    rig.browser().async_open_page("about:blank",
                                  [&](error_code ec, Diagnostics, io::PageId) { opened = ec; });
    REQUIRE(::kill(victim, SIGKILL) == 0);
    rig.run_until([&] { return opened.has_value() && !rig.exits.empty(); });
    CHECK(*opened == Errc::worker_lost);
    REQUIRE(rig.exits.size() == 1);
    CHECK(io::exit_text(rig.exits[0]) == "was killed by signal 9");
    CHECK(rig.open("about:blank").ec == Errc::worker_lost);
    CHECK(rig.close_page("any").ec == Errc::worker_lost);
    rig.browser().crash_page("any");
    rig.close(true);
    CHECK(rig.has_left_nothing());
    CHECK(rig.exits.size() == 1);
}

TEST_CASE("a browser that dies while its session begins is not waited for") {
    const auto options = any_started_browser();
    if (!options) return;
    BrowserRig rig(*options);
    std::optional<BrowserRig::Done> done;
    rig.browser().async_launch([&](error_code ec, Diagnostics diagnostics) {
        done = BrowserRig::Done{ec, std::move(diagnostics), {}};
    });
    std::vector<int> browsers;
    rig.poll_until([&] {
        browsers = rig.browser().processes(io::BrowserPart::browser);
        return !browsers.empty();
    });
    REQUIRE(::kill(browsers[0], SIGKILL) == 0);
    rig.run_until([&] { return done.has_value(); });
    CHECK(done->ec == Errc::browser_launch_failed);
    INFO(done->diagnostics.text());
    CHECK(done->diagnostics.message.find(is_webkit(*options)
                                             ? "ended before its session had begun"
                                             : "does not begin a session") != std::string::npos);
    rig.close(true);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a browser behind a driver may be closed while it starts, and destroyed at any time") {
    const auto options = any_started_browser();
    if (!options) return;
    SECTION("closed") {
        BrowserRig rig(*options);
        std::optional<error_code> launched;
        rig.browser().async_launch([&](error_code ec, Diagnostics) { launched = ec; });
        rig.close(false);
        CHECK(launched == Errc::cancelled);
        CHECK(rig.has_left_nothing());
    }
    SECTION("destroyed") {
        const auto fail_if_called = [](auto&&...) { FAIL("called after its end"); };
        BrowserRig rig(*options);
        require_launched(rig);
        rig.browser().async_open_page("about:blank", fail_if_called);
        rig.destroy_browser();
        rig.run_until([&] { return processes_of(rig.directory).empty(); });
        CHECK(rig.exits.empty());
    }
}

TEST_CASE("a driver that is none fails to launch with words that say why") {
    auto options = options_of("Chromium by chromedriver");
    if (!options) return;
    options->spec.webdriver.driver = "/bin/false";
    BrowserRig rig(*options);
    const auto done = rig.launch();
    CHECK(done.ec == Errc::browser_launch_failed);
    INFO(done.diagnostics.text());
    CHECK(done.diagnostics.message.find("exited with status 1 before it answered") !=
          std::string::npos);
    rig.close(false);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a driver that finds its port taken is started again, but not for ever") {
    auto options = options_of("Chromium by chromedriver");
    if (!options) return;
    const TemporaryDirectory directory;
    const std::filesystem::path starts = directory.path / "starts";
    const int failures = GENERATE(1, 100);
    options->spec.webdriver.driver = directory.path / "driver";
    std::ofstream(options->spec.webdriver.driver)
        << "#!/bin/sh\necho start >> " << starts.string() << "\n[ $(wc -l < " << starts.string()
        << ") -gt " << failures << " ] && exec " << chromedriver.string()
        << " \"$@\"\necho 'IPv4 port not available. Exiting...'\nexit 1\n";
    std::filesystem::permissions(options->spec.webdriver.driver, std::filesystem::perms::owner_all);
    BrowserRig rig(*options);
    const auto done = rig.launch();
    INFO(done.diagnostics.text());
    std::ifstream written(starts);
    const auto started = std::count(std::istreambuf_iterator<char>(written), {}, '\n');
    if (failures == 1) {
        CHECK_FALSE(done.ec);
        CHECK(started >= 2); // the real one may find its port taken too
        (void)rig.open_worker_page();
    } else {
        CHECK(done.ec == Errc::browser_launch_failed);
        CHECK(done.diagnostics.remote_text.find("port not available") != std::string::npos);
        CHECK(started == 4);
    }
    rig.close(true);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("what the driver refuses to begin is told in its words") {
    auto options = options_of("Chromium by chromedriver");
    if (!options) return;
    options->spec.webdriver.capabilities_json = R"({"browserName":"netscape"})";
    BrowserRig rig(*options);
    const auto done = rig.launch();
    CHECK(done.ec == Errc::browser_launch_failed);
    INFO(done.diagnostics.text());
    CHECK(done.diagnostics.text().find("session not created") != std::string::npos);
    rig.close(false);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a session at an endpoint works as a browser does, and is ended with it") {
    if (!is_here(chromedriver) || !is_here(headless_shell)) return;
    DriverProcess driver;
    const bool is_closed = GENERATE(true, false);
    CAPTURE(is_closed);
    {
        io::BrowserOptions options;
        options.spec = driver.spec();
        BrowserRig rig(options);
        require_launched(rig);
        CHECK(driver.browsers().size() == 1);
        CHECK(rig.browser().version().find('.') != std::string::npos);
        CHECK(rig.browser().process_id() == 0);
        CHECK(rig.browser().processes(io::BrowserPart::browser).empty());
        const io::PageId page = rig.open_worker_page();
        CHECK_FALSE(ask_browser(rig));
        CHECK_FALSE(ask_page(rig, page));
        CHECK_FALSE(execute(rig, page, io::PageThread::compute, "1"));
        CHECK_FALSE(rig.reload_worker_page(page).ec);
        rig.browser().crash_page(page);
        rig.run_until([&] { return !rig.crashes.empty(); });
        CHECK(rig.crashes[0].page == page);
        if (is_closed) {
            rig.close(true);
            CHECK(rig.open("about:blank").ec == Errc::worker_lost);
        } else {
            rig.destroy_browser();
        }
        rig.run_until([&] { return driver.browsers().empty(); });
        CHECK(rig.exits.empty());
        CHECK(rig.has_left_nothing());
    }
    CHECK(::kill(driver.process_id(), 0) == 0); // which is not ours to end
}

TEST_CASE("a session that begins after its close was asked for is ended as well") {
    if (!is_here(chromedriver) || !is_here(headless_shell)) return;
    DriverProcess driver;
    io::BrowserOptions options;
    options.spec = driver.spec();
    BrowserRig rig(options);
    std::optional<error_code> launched;
    rig.browser().async_launch([&](error_code ec, Diagnostics) { launched = ec; });
    rig.close(false);
    CHECK(launched == Errc::cancelled);
    rig.run_until([&] { return driver.browsers().empty(); });
}

TEST_CASE("an endpoint where nobody is, or that dies, is told at once") {
    if (!is_here(chromedriver) || !is_here(headless_shell)) return;
    io::BrowserOptions options;
    {
        DriverProcess driver;
        options.spec = driver.spec();
        BrowserRig rig(options);
        require_launched(rig);
        const io::PageId page = rig.open_worker_page();
        ::kill(driver.process_id(), SIGKILL);
        rig.run_until([&] { return ask_browser(rig) == Errc::worker_lost; });
        CHECK(ask_page(rig, page) == Errc::worker_lost);
        rig.close(true);
    }
    BrowserRig rig(options);
    const auto done = rig.launch();
    CHECK(done.ec == Errc::browser_launch_failed);
    INFO(done.diagnostics.text());
    CHECK(done.diagnostics.message.find("finds nobody there") != std::string::npos);
    CHECK(done.diagnostics.message.find(options.spec.webdriver.endpoint) != std::string::npos);
    rig.close(true);
    CHECK(rig.has_left_nothing());
}
