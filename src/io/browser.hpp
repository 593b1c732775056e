// Everpool doors: one browser process under our control.
// SPDX-License-Identifier: BSL-1.0
//
// A Browser is launched once, opens pages in windows of their own, and is closed once. Chromium's
// family is controlled over a pipe (CDP, descriptors 3 and 4), Firefox over WebDriver BiDi, and
// WebKit, or whatever BrowserSpec::webdriver says, over WebDriver (classic, and BiDi where that is
// offered).
// Whatever becomes of it is told to the listener; nothing here decides what to do about it.
//
// Threading: every call and every callback on the executor given to make_browser (a strand).
// Lifetime: handlers are posted, never called inside the initiating call; after the destructor
// (which kills the process group and removes the directories, synchronously) none is called any
// more.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace everpool::io {

/// A page of a browser: CDP target id, BiDi browsing context or WebDriver window. Empty: none.
using PageId = std::string;

/// The processes of a browser that can fail apart from it.
enum class BrowserPart : std::uint8_t {
    browser, ///< parent of the others; the one that was launched, but for WebDriver's
    page,    ///< those that hold pages: renderers, content processes
    gpu,     ///< Chromium's GPU process, which also runs WebNN. Firefox has none here.
    network, ///< Chromium's network service: it carries the pages' connections. Firefox has none.
};

/// The threads of a worker page.
enum class PageThread : std::uint8_t { main, compute };

class BrowserListener {
public:
    virtual ~BrowserListener() = default;
    /// The browser process has exited (also after close), or cannot but exit at once: its number is
    /// still its own until it is reaped, and handlers that wait for the browser complete then. No
    /// other callback of the listener comes. Not called for a browser that has not been launched:
    /// the launch's handler tells it. Nor for one at an endpoint of somebody else's, which has no
    /// process here.
    virtual void on_browser_exited(int wait_status) = 0;
    /// The engine says that the page's process died, or that the page went away by itself. Over
    /// WebDriver, where nobody says that a process died, and of Firefox, which says it late, the
    /// page's process is watched.
    virtual void on_page_crashed(const PageId& page, const std::string& reason) = 0;
};

class BrowserNest;

struct BrowserOptions {
    BrowserSpec spec;                ///< spec.executable is resolved already
    std::filesystem::path directory; ///< private, exists, empty; HOME, TMPDIR, profile go inside
    BrowserNest* nest{nullptr};      ///< told of the process group; outlives the browser
    std::chrono::milliseconds launch_timeout{20'000};
    std::chrono::milliseconds command_timeout{10'000}; ///< of one command
    std::chrono::milliseconds close_grace{3'000};      ///< between asking and SIGKILL
};

class Browser {
public:
    using Handler = std::function<void(error_code, Diagnostics)>;
    using PageHandler = std::function<void(error_code, Diagnostics, PageId)>;

    virtual ~Browser() = default;

    /// Starts the process and its control channel. Errors: browser_not_found (there is no such
    /// program, so trying again is of no use), browser_launch_failed (with what the process wrote
    /// last, as remote text), cancelled (async_close was called meanwhile).
    virtual void async_launch(Handler handler) = 0;

    /// Opens `url` in a window of its own (Firefox: a context of its own) and completes when the
    /// navigation has been accepted, not when the page has loaded.
    virtual void async_open_page(std::string url, PageHandler handler) = 0;

    /// Closes a page; no on_page_crashed for it afterwards.
    virtual void async_close_page(PageId page, Handler handler) = 0;

    /// Loads `url` in the place of what the page holds; a page whose process has died comes back to
    /// life by it. Completes when the navigation has been accepted; error: the engine's refusal, or
    /// worker_unresponsive if it has not answered within command_timeout, as is usual for a page
    /// whose main thread never comes back.
    virtual void async_reload_page(PageId page, std::string url, Handler handler) = 0;

    /// Asks the browser for a sign of life over its control channel.
    virtual void async_ask_browser(Handler handler) = 0;
    /// Asks the page's main thread for one, over the same channel: it answers even if the page's
    /// own connections are dead.
    virtual void async_ask_page(PageId page, Handler handler) = 0;

    /// Runs a script in one of the page's threads; for drills. Completes as soon as the thread has
    /// answered a question and the script is on its way: one that never ends does not keep the
    /// caller. Errors: the engine's refusal (Firefox 153 refuses the compute thread), worker_lost,
    /// or unknown_operation (WebDriver without BiDi does not reach the compute thread).
    virtual void async_execute(PageId page, PageThread thread, std::string script,
                               Handler handler) = 0;

    /// The page's compute thread has connected, so that it can be seen which process the page is
    /// in: where the engine's own word of the page's death is late, it is waited for no longer.
    virtual void follow_page(const PageId& page) = 0;

    /// The processes of that part; empty if there is none, or before launch and after exit.
    [[nodiscard]] virtual std::vector<int> processes(BrowserPart part) const = 0;

    /// Those of its pages' processes whose page has begun to work; not one that the engine keeps
    /// ready for the next page, where that can be told (WebKit). Empty likewise.
    [[nodiscard]] virtual std::vector<int> working_pages() const {
        return processes(BrowserPart::page);
    }

    /// Asks the browser to quit, kills its process group after close_grace, reaps, and removes
    /// `directory`. `graceful` false: kills at once. Completes exactly once, with no error, when no
    /// process of the group and no directory is left. May be called after the exit, also inside
    /// on_browser_exited, to wait for that.
    virtual void async_close(bool graceful, Handler handler) = 0;

    /// The browser's (or its driver's) process id, 0 before launch and after exit, and of a browser
    /// at somebody else's endpoint.
    [[nodiscard]] virtual int process_id() const noexcept = 0;

    /// As the engine says it: "156.0.8078.79". Empty before launch.
    [[nodiscard]] virtual const std::string& version() const noexcept = 0;

    /// For tests and demonstrations of faults: make this page's process crash. CDP Page.crash,
    /// chrome://crash, or SIGKILL of the content processes.
    virtual void crash_page(const PageId& page) = 0;
};

/// What make_browser() gives out an owner of. It is shared with its own pending callbacks.
class AbandonableBrowser : public Browser {
public:
    /// Most engines are told of a page's death, or need not be told to look.
    void follow_page(const PageId&) override {}
    /// No callbacks any more; what there is of it is ended and its directory removed now.
    virtual void abandon() noexcept = 0;
};

/// "exited with status 1", "was killed by signal 9".
std::string exit_text(int wait_status);

/// The real executable of `spec`, or browser_not_found with a diagnostic that names what was looked
/// for, where, and which package to install. That is also the error if what drives it is missing: a
/// WebDriver, or a screen. At an endpoint nothing is looked for.
std::filesystem::path find_browser(const BrowserSpec& spec, error_code& ec,
                                   Diagnostics& diagnostics);

/// The executables of that type that are installed, in the order in which they are preferred. None
/// if what drives them is missing.
std::vector<std::filesystem::path> installed_browsers(BrowserType type);

std::unique_ptr<Browser> make_browser(boost::asio::any_io_executor strand, BrowserOptions options,
                                      BrowserListener& listener);

/// Owns the host's private directory (<temp>/everpool-<uid>/<random>, mode 0700, held by a file
/// lock) and the guardian process that kills the browsers and removes the directory if the host
/// dies. The constructor removes what dead hosts have left behind.
class BrowserNest {
public:
    BrowserNest();  ///< throws boost::system::system_error
    ~BrowserNest(); ///< removes the directory, ends the guardian
    BrowserNest(const BrowserNest&) = delete;
    BrowserNest& operator=(const BrowserNest&) = delete;

    /// A new empty directory for one browser.
    std::filesystem::path make_directory();
    /// From now on the guardian kills this process group if the host dies...
    void guard(int process_group);
    /// ...and from now on not any more.
    void release(int process_group);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace everpool::io
