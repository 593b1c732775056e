// Real browsers behind their door: started, controlled, crashed, killed, closed, and gone.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_group.hpp"
#include "support/browser_rig.hpp"
#include "support/catch.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

io::BrowserOptions options_of(BrowserType type, std::filesystem::path executable = {}) {
    io::BrowserOptions options;
    options.spec.type = type;
    options.spec.executable = std::move(executable);
    error_code ec;
    Diagnostics diagnostics;
    options.spec.executable = io::find_browser(options.spec, ec, diagnostics);
    INFO(diagnostics.text());
    REQUIRE_FALSE(ec);
    return options;
}

/// The three kinds that behave differently. Each test that takes one runs with all of them.
io::BrowserOptions any_browser() {
    const std::string kind = GENERATE("headless shell", "Chromium", "Firefox");
    CAPTURE(kind);
    if (kind == "Firefox") return options_of(BrowserType::firefox);
    if (kind == "Chromium") return options_of(BrowserType::chromium, "/usr/lib/chromium/chromium");
    return options_of(BrowserType::chromium, "/usr/lib/chromium/chromium-headless-shell");
}

bool is_firefox(const io::BrowserOptions& options) {
    return options.spec.type == BrowserType::firefox;
}

void require_launched(BrowserRig& rig) {
    const BrowserRig::Done done = rig.launch();
    INFO(done.diagnostics.text());
    REQUIRE_FALSE(done.ec);
}

/// An executable file that goes away with the test.
class Script {
public:
    explicit Script(const std::string& text) {
        std::string name =
            (std::filesystem::temp_directory_path() / "everpool-test-XXXXXX").string();
        const int descriptor = ::mkstemp(name.data());
        REQUIRE(descriptor >= 0);
        ::close(descriptor);
        path = name;
        std::ofstream(path) << text;
        REQUIRE(::chmod(path.c_str(), 0700) == 0);
    }
    ~Script() { std::filesystem::remove(path); }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;
    std::filesystem::path path;
};

} // namespace

TEST_CASE("a browser opens the worker page, quits when asked, and leaves nothing") {
    const auto options = any_browser();
    BrowserRig rig(options);
    require_launched(rig);
    CHECK(rig.browser().process_id() != 0);
    CHECK(std::isdigit(rig.browser().version().front()) != 0);
    CHECK(rig.browser().version().find('.') != std::string::npos);
    CHECK_FALSE(processes_of(rig.directory).empty());

    CHECK_FALSE(rig.open_worker_page().empty());
    CHECK(rig.hellos.at(0).user_agent.find(is_firefox(options) ? "Firefox" : "Chrome") !=
          std::string::npos);

    rig.close(true);
    CHECK(rig.has_left_nothing());
    REQUIRE(rig.exits.size() == 1);
    CHECK(io::exit_text(rig.exits[0]) == "exited with status 0"); // it was not killed
    CHECK(rig.crashes.empty());
    CHECK(rig.browser().process_id() == 0);
}

TEST_CASE("what runs is the browser itself, with directories of its own and no secrets of ours") {
    ::setenv("EVERPOOL_TEST_SECRET", "of the host", 1);
    const auto options = any_browser();
    BrowserRig rig(options);
    require_launched(rig);
    const int pid = rig.browser().process_id();
    const std::string proc = "/proc/" + std::to_string(pid);
    CHECK(std::filesystem::read_symlink(proc + "/exe") == options.spec.executable);
    CHECK(::getpgid(pid) == pid);
    CHECK(::getsid(pid) == ::getsid(0)); // which shares processors with ours, not against it
    const std::string environment = proc_file(pid, "environ");
    for (const char* variable : {"HOME=", "TMPDIR=", "XDG_CONFIG_HOME=", "XDG_CACHE_HOME="})
        CHECK(environment.find(variable + rig.directory.string()) != std::string::npos);
    CHECK(environment.find("EVERPOOL_TEST_SECRET") == std::string::npos);
    struct stat status {};
    REQUIRE(::stat(rig.directory.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    // No port that anybody could connect to, but for Firefox, which knows no other way.
    const std::string arguments = proc_file(pid, "cmdline");
    CHECK((arguments.find("--remote-debugging-port") == std::string::npos) != is_firefox(options));
    CHECK((arguments.find("--no-sandbox") != std::string::npos) ==
          (!is_firefox(options) && ::geteuid() == 0));
    ::unsetenv("EVERPOOL_TEST_SECRET");
}

TEST_CASE("a page's crash is told once, with its name, and the browser opens another one") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    rig.browser().crash_page(page);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK(rig.crashes[0].page == page);
    CHECK_FALSE(rig.crashes[0].reason.empty());

    CHECK(rig.open_worker_page() != page);
    CHECK_FALSE(rig.close_page(page).ec); // the dead one can be closed
    CHECK(rig.crashes.size() == 1);
    CHECK(rig.exits.empty());
}

TEST_CASE("a page whose process has died is loaded anew, and told again if it dies again") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    for (std::size_t deaths = 1; deaths <= 2; ++deaths) {
        rig.browser().crash_page(page);
        rig.run_until([&] { return rig.crashes.size() >= deaths; });
        CHECK_FALSE(rig.reload_worker_page(page).ec);
        CHECK(rig.crashes.size() == deaths);
    }
    CHECK(rig.exits.empty());
}

TEST_CASE("a page whose hung process is killed and that is loaded anew at once is told of once") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    for (std::size_t deaths = 1; deaths <= 2; ++deaths) {
        const std::vector<int> processes = rig.browser().processes(io::BrowserPart::page);
        REQUIRE_FALSE(processes.empty());
        for (const int process : processes) ::kill(process, SIGSTOP);
        for (const int process : processes) ::kill(process, SIGKILL);
        // It may be the dying one yet that is asked.
        for (int i = 0; i < 100 && (rig.reload_worker_page(page).ec || rig.hellos.size() != 2);)
            ++i;
        REQUIRE(rig.hellos.size() == 2);
        rig.run_until([&] { return rig.crashes.size() >= deaths; });
        CHECK(rig.crashes.size() == deaths);
    }
    CHECK_FALSE(rig.close_page(page).ec);
    CHECK(rig.crashes.size() == 2);
    CHECK(rig.exits.empty());
}

TEST_CASE("a process that Firefox keeps ready for a page to come is no page's") {
    BrowserRig rig(options_of(BrowserType::firefox));
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    const std::vector<int> own = rig.browser().processes(io::BrowserPart::page);
    REQUIRE(own.size() == 1);
    const auto others = [&] {
        std::vector<int> out = io::members_of_group(rig.browser().process_id());
        std::erase_if(out, [&](int process) {
            return process == own[0] || !io::command_line_of(process).ends_with(" tab");
        });
        return out;
    };
    const std::vector<int> before = others();
    int kept_ready = 0;
    rig.poll_until([&] { // made 5 s after the page
        for (const int process : others())
            if (std::ranges::find(before, process) == before.end()) kept_ready = process;
        return kept_ready != 0;
    });
    CHECK(rig.browser().processes(io::BrowserPart::page) == own);
    REQUIRE(::kill(kept_ready, SIGKILL) == 0);
    CHECK_FALSE(rig.reload_worker_page(page).ec);
    CHECK(rig.browser().processes(io::BrowserPart::page) == own);
    CHECK(rig.crashes.empty());
}

TEST_CASE("a page that closes itself is told, one that is closed is not") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    CHECK_FALSE(rig.close_page(page).ec);

    const BrowserRig::Done leaving = rig.open("data:text/html,<script>window.close()</script>");
    REQUIRE_FALSE(leaving.ec);
    rig.run_until([&] { return !rig.crashes.empty(); });
    CHECK(rig.crashes.size() == 1);
    CHECK(rig.crashes[0].page == leaving.page);
    CHECK(rig.crashes[0].reason == "closed by itself");
}

// What it does there is not to be seen from here, but a thread that it keeps busy answers nobody.
TEST_CASE("a script reaches the thread that it is for, and no other one") {
    auto options = any_browser();
    options.command_timeout = 2s;
    BrowserRig rig(options);
    require_launched(rig);
    const io::PageId page = rig.open_worker_page();
    const auto execute = [&](io::PageThread thread, const std::string& script) {
        std::optional<error_code> done;
        rig.browser().async_execute(page, thread, script,
                                    [&](error_code ec, const Diagnostics&) { done = ec; });
        rig.run_until([&] { return done.has_value(); });
        return *done;
    };
    CHECK_FALSE(execute(io::PageThread::main, "1"));
    if (is_firefox(options)) { // 153 lists a worker's realm, and then finds none of that name
        CHECK(execute(io::PageThread::compute, "1") == Errc::browser_launch_failed);
        return;
    }
    CHECK_FALSE(execute(io::PageThread::compute, "1"));
    CHECK_FALSE(execute(io::PageThread::compute, "for (;;);"));
    CHECK_FALSE(execute(io::PageThread::main, "1"));
    CHECK(execute(io::PageThread::compute, "1") == Errc::worker_unresponsive);
}

TEST_CASE("a browser's death is an event, and what waits for it completes with the cause") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    (void)rig.open_worker_page();
    const int pid = rig.browser().process_id();

    // A stopped browser takes commands and answers none: this one is under way when it dies.
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    std::optional<error_code> opened;
    rig.browser().async_open_page("about:blank",
                                  [&](error_code ec, Diagnostics, io::PageId) { opened = ec; });
    REQUIRE(::kill(pid, SIGKILL) == 0);
    rig.run_until([&] { return opened.has_value() && !rig.exits.empty(); });
    CHECK(*opened == Errc::worker_lost);
    REQUIRE(rig.exits.size() == 1);
    CHECK(io::exit_text(rig.exits[0]) == "was killed by signal 9");
    rig.run_until([&] { return rig.browser().process_id() == 0; });

    CHECK(rig.open("about:blank").ec == Errc::worker_lost);
    CHECK(rig.close_page("any").ec == Errc::worker_lost);
    rig.browser().crash_page("any");
    rig.close(true);
    CHECK(rig.has_left_nothing());
    CHECK(rig.exits.size() == 1);
}

TEST_CASE("a browser that does not quit when asked is killed after the grace") {
    auto options = any_browser();
    options.close_grace = 200ms;
    BrowserRig rig(options);
    require_launched(rig);
    REQUIRE(::kill(rig.browser().process_id(), SIGSTOP) == 0);
    rig.close(true);
    CHECK(io::exit_text(rig.exits.at(0)) == "was killed by signal 9");
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a browser that is killed at once leaves nothing") {
    BrowserRig rig(any_browser());
    require_launched(rig);
    (void)rig.open_worker_page();
    rig.close(false);
    CHECK(rig.exits.size() == 1);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a browser may be closed while it starts") {
    BrowserRig rig(any_browser());
    std::optional<error_code> launched;
    rig.browser().async_launch([&](error_code ec, Diagnostics) { launched = ec; });
    rig.close(false);
    CHECK(launched == Errc::cancelled);
    CHECK(rig.has_left_nothing());
}

TEST_CASE("a browser may be destroyed at any time, and calls nobody after that") {
    const auto options = any_browser();
    const bool is_running = GENERATE(false, true);
    const auto fail_if_called = [](auto&&...) { FAIL("called after its end"); };
    BrowserRig rig(options);
    if (is_running) {
        require_launched(rig);
        rig.browser().async_open_page("about:blank", fail_if_called);
    } else {
        rig.browser().async_launch(fail_if_called);
    }
    const int pid = rig.browser().process_id();
    rig.destroy_browser();
    CHECK(::kill(pid, 0) != 0); // reaped
    // The rest of the group was killed with it; the kernel may still be at it.
    rig.run_until([&] { return processes_of(rig.directory).empty(); });
    CHECK(rig.exits.empty());
}

TEST_CASE("a browser that was never started is closed as well") {
    BrowserRig rig(any_browser());
    rig.close(true);
    CHECK(rig.exits.empty());
    CHECK(rig.has_left_nothing());
}

namespace {

/// What is told about a program that is no browser, by each of the two engines' drivers.
BrowserRig::Done launch_of(const std::filesystem::path& program, BrowserType type,
                           std::chrono::milliseconds launch_timeout = 10s) {
    io::BrowserOptions options;
    options.spec.type = type;
    options.spec.executable = program;
    options.launch_timeout = launch_timeout;
    BrowserRig rig(options);
    const BrowserRig::Done done = rig.launch();
    rig.close(false);
    CHECK(rig.has_left_nothing());
    CHECK(rig.exits.empty()); // the launch has told it
    return done;
}

bool mentions(const Diagnostics& diagnostics, const std::string& words) {
    INFO(diagnostics.text());
    return diagnostics.text().find(words) != std::string::npos;
}

} // namespace

TEST_CASE("a program that is no browser fails to launch with words that say why") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);

    SECTION("one that ends at once") {
        const auto done = launch_of("/bin/false", type);
        CHECK(done.ec == Errc::browser_launch_failed);
        CHECK(mentions(done.diagnostics, "'/bin/false' exited with status 1 before it answered"));
    }
    SECTION("one that says what is wrong, and ends") {
        const Script script("#!/bin/sh\necho 'no display, no fun' >&2\nexit 3\n");
        const auto done = launch_of(script.path, type);
        CHECK(done.ec == Errc::browser_launch_failed);
        CHECK(mentions(done.diagnostics, "exited with status 3"));
        CHECK(done.diagnostics.remote_text.find("no display, no fun") != std::string::npos);
    }
    SECTION("one that never answers") {
        const Script script("#!/bin/sh\nsleep 1000\n");
        const auto done = launch_of(script.path, type, 300ms);
        CHECK(done.ec == Errc::browser_launch_failed);
        CHECK(mentions(done.diagnostics, "did not answer within 300 ms"));
    }
    SECTION("one that answers rubbish") {
        const Script script("#!/bin/sh\n"
                            "echo 'WebDriver BiDi listening on ws://127.0.0.1:1'\n"
                            "printf 'rubbish\\0{}\\0' >&4\n"
                            "sleep 1000\n");
        const auto done = launch_of(script.path, type, 300ms);
        CHECK(done.ec == Errc::browser_launch_failed);
    }
    SECTION("a text file") {
        const Script text("This is not a program.\n");
        const auto done = launch_of(text.path, type);
        CHECK(done.ec == Errc::browser_not_found); // no later attempt would help
        CHECK(mentions(done.diagnostics, "cannot be started: Exec format error"));
    }
    SECTION("a file that is not there") {
        const auto done = launch_of("/nonexistent/browser", type);
        CHECK(done.ec == Errc::browser_not_found);
        CHECK(mentions(done.diagnostics, "cannot be started: No such file or directory"));
    }
}

TEST_CASE("a program that closes its control channel is told so") {
    const Script script("#!/bin/sh\nexec 3<&- 4>&-\nsleep 1000\n");
    const auto done = launch_of(script.path, BrowserType::chromium);
    CHECK(done.ec == Errc::browser_launch_failed);
    CHECK(mentions(done.diagnostics, "closed its control channel before it answered"));
}
