// SPDX-License-Identifier: BSL-1.0
#include "io/browser_process.hpp"

#include "io/chromium.hpp"
#include "io/firefox.hpp"
#include "io/linux/process_group.hpp"
#include "io/remote_browser.hpp"
#include "io/webdriver_browser.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <system_error>
#include <utility>

extern char** environ;

namespace everpool::io {

namespace fs = std::filesystem;

namespace {

/// What a browser inherits: how to find things, and how to find the GPU. Nothing else of the host's
/// environment is a browser's business.
bool is_inherited(std::string_view variable) {
    constexpr std::array<std::string_view, 14> beginnings = {
        "PATH=", "LANG=", "LC_",     "TZ=",   "LD_LIBRARY_PATH=", "VK_",    "LIBGL_",
        "MESA_", "DRI_",  "NVIDIA_", "CUDA_", "__GLX_",           "__EGL_", "FONTCONFIG_"};
    for (const std::string_view beginning : beginnings)
        if (variable.starts_with(beginning)) return true;
    return false;
}

std::vector<std::string> environment_in(const fs::path& directory) {
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable)
        if (is_inherited(*variable)) out.emplace_back(*variable);
    // Chromium leaves litter in TMPDIR and crash dumps in HOME, whatever its profile.
    for (const auto& [name, folder] : {std::pair{"HOME", "home"},
                                       {"TMPDIR", "tmp"},
                                       {"XDG_CONFIG_HOME", "config"},
                                       {"XDG_CACHE_HOME", "cache"},
                                       {"XDG_RUNTIME_DIR", "run"}}) {
        fs::create_directory(directory / folder);
        fs::permissions(directory / folder, fs::perms::owner_all);
        out.push_back(fmt::format("{}={}", name, (directory / folder).string()));
    }
    return out;
}

/// No later attempt would start this file either.
bool is_no_program(error_code ec) {
    using namespace boost::system::errc;
    return ec == no_such_file_or_directory || ec == permission_denied ||
           ec == executable_format_error;
}

bool is_killed(int wait_status) {
    return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL;
}

/// A second at most: a process in the middle of a broken system call cannot even be killed.
constexpr std::chrono::milliseconds settle_pause{5};
constexpr int settle_rounds_max = 200;
/// Of a process whose start fails by chance.
constexpr int starts_max = 4;

} // namespace

std::string exit_text(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return fmt::format("was killed by signal {}", WTERMSIG(wait_status));
    return fmt::format("exited with status {}", WEXITSTATUS(wait_status));
}

BrowserProcess::BrowserProcess(boost::asio::any_io_executor strand, BrowserOptions options,
                               BrowserListener& listener)
    : strand_(strand), options_(std::move(options)), listener_(&listener), timer_(strand) {}

void BrowserProcess::async_launch(Handler handler) {
    phase_ = Phase::launching;
    launch_handler_ = std::move(handler);
    timer_.expires_after(options_.launch_timeout);
    timer_.async_wait([weak = weak_from_this()](error_code waited) {
        const auto self = weak.lock();
        if (!self || waited || self->phase_ != Phase::launching) return;
        self->launch_failed(
            Errc::browser_launch_failed,
            fmt::format("did not answer within {} ms", self->options_.launch_timeout.count()));
    });
    start();
}

void BrowserProcess::start() {
    ++starts_;
    ChildOptions child;
    child.executable = options_.spec.executable;
    try {
        child.environment = environment_in(options_.directory);
        const fs::path profile = options_.directory / "profile";
        fs::create_directory(profile);
        prepare(child, profile);
    } catch (const std::system_error& error) {
        return launch_failed(error.code(), error.what());
    }
    child_ = std::make_shared<ChildProcess>(strand_);
    const auto weak = weak_from_this();
    const error_code ec = child_->start(
        child,
        [weak](std::string_view piece) {
            if (const auto self = weak.lock()) self->on_output(piece);
        },
        [weak] {
            const auto self = weak.lock();
            if (self && self->options_.nest != nullptr)
                self->options_.nest->release(self->process_id());
        },
        [weak](int status) {
            if (const auto self = weak.lock()) self->on_exit(status);
        });
    if (ec)
        return fail_launch(is_no_program(ec) ? Errc::browser_not_found
                                             : Errc::browser_launch_failed,
                           ec, "cannot be started: " + ec.message());
    group_ = process_id();
    if (options_.nest != nullptr) options_.nest->guard(group_);
    on_started();
}

void BrowserProcess::launched(std::string version) {
    if (phase_ != Phase::launching) return;
    phase_ = Phase::running;
    has_launched_ = true;
    timer_.cancel();
    version_ = std::move(version);
    watch_for_death();
    finish_launch({}, {});
}

/// Its exit comes when its memory has been given back. Whoever waits for an answer of its pages is
/// told before; what waits for the browser itself completes with its exit.
void BrowserProcess::watch_for_death() {
    death_watch_.emplace(strand_, process_id(), process_id(), [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self && self->phase_ == Phase::running)
            self->tell_exit(wait_status_of(self->process_id()));
    });
}

void BrowserProcess::tell_exit(int status) {
    if (!has_launched_) return;
    if (auto* const to = std::exchange(listener_, nullptr)) to->on_browser_exited(status);
}

void BrowserProcess::launch_failed(error_code cause, const std::string& why) {
    fail_launch(Errc::browser_launch_failed, cause, why);
}

void BrowserProcess::fail_launch(Errc code, error_code cause, const std::string& why) {
    if (!launch_handler_) return;
    Diagnostics diagnostics;
    diagnostics.message = fmt::format("{} '{}' {}", name_of(options_.spec.type),
                                      options_.spec.executable.string(), why);
    diagnostics.remedy = "start it by hand to see what it misses; is it a browser of that type?";
    if (child_) diagnostics.remote_text = escape_remote_text(child_->last_output());
    diagnostics.last_cause = cause;
    timer_.cancel();
    if (child_) child_->kill_group();
    finish_launch(code, std::move(diagnostics));
}

void BrowserProcess::finish_launch(error_code ec, Diagnostics diagnostics) {
    if (!launch_handler_) return;
    boost::asio::post(strand_, [weak = weak_from_this(), ec, handler = std::move(launch_handler_),
                                diagnostics = std::move(diagnostics)] {
        if (weak.lock()) handler(ec, diagnostics);
    });
    launch_handler_ = nullptr;
}

void BrowserProcess::control_lost() {
    if (phase_ == Phase::closing) return; // it was asked to quit; its grace is running
    is_control_lost_ = true;
    if (child_) child_->kill_group(); // on_exit tells it
}

void BrowserProcess::async_close(bool graceful, Handler handler) {
    close_handlers_.push_back(std::move(handler));
    finish_launch(Errc::cancelled, {"the browser was closed while it was starting", {}, {}, {}});
    if (phase_ == Phase::settling) return;
    if (process_id() == 0) { // never started, or closed before
        phase_ = Phase::closed;
        boost::asio::post(strand_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->finish_close();
        });
        return;
    }
    const bool is_first = std::exchange(phase_, Phase::closing) != Phase::closing;
    if (!graceful) return child_->kill_group();
    if (!is_first) return;
    ask_to_quit();
    timer_.expires_after(options_.close_grace);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
        const auto self = weak.lock();
        if (self && !ec) self->child_->kill_group();
    });
}

void BrowserProcess::on_exit(int status) {
    const auto keep = shared_from_this(); // what is called may destroy the browser
    if (phase_ == Phase::launching && launch_handler_ && starts_ < starts_max &&
        is_exit_by_chance(child_->last_output()))
        return start();
    timer_.cancel();
    death_watch_.reset();
    const Phase was = std::exchange(phase_, Phase::settling);
    if (was == Phase::launching) // the launch's handler tells it
        launch_failed(Errc::browser_launch_failed,
                      is_control_lost_ && is_killed(status)
                          ? std::string("closed its control channel before it answered")
                          : exit_text(status) + " before it answered");
    else tell_exit(status);
    // After the cause came its consequences.
    disconnect();
    if (phase_ == Phase::settling) settle(settle_rounds_max);
}

/// The group was killed before its leader was reaped, but the kernel takes a while to end processes
/// with hundreds of mappings, and until then they may still write.
void BrowserProcess::settle(int rounds_left) {
    if (rounds_left == 0 || (is_group_gone(group_) && try_remove_directory())) {
        phase_ = Phase::closed;
        return finish_close();
    }
    timer_.expires_after(settle_pause);
    timer_.async_wait([weak = weak_from_this(), rounds_left](error_code ec) {
        const auto self = weak.lock();
        if (self && !ec) self->settle(rounds_left - 1);
    });
}

void BrowserProcess::finish_close() {
    (void)try_remove_directory(); // of a browser that was never started
    const auto keep = shared_from_this();
    for (const Handler& handler : std::exchange(close_handlers_, {})) handler({}, {});
}

bool BrowserProcess::try_remove_directory() noexcept {
    std::error_code ec;
    fs::remove_all(options_.directory, ec);
    return !ec;
}

void BrowserProcess::abandon() noexcept {
    listener_ = nullptr;
    launch_handler_ = nullptr;
    // They may hold the last reference to who is destroying us.
    const auto handlers = std::exchange(close_handlers_, {});
    phase_ = Phase::closed;
    timer_.cancel();
    death_watch_.reset();
    forget();
    if (child_) child_->abandon();
    // What is still dying may add files meanwhile; what is then left goes with the nest.
    for (int round = 0; round < 10 && !try_remove_directory(); ++round) {}
}

namespace {

/// What make_browser gives out. The process object is shared with its own pending callbacks; this
/// is the one reference that counts.
class OwnedBrowser final : public Browser {
public:
    explicit OwnedBrowser(std::shared_ptr<AbandonableBrowser> process)
        : process_(std::move(process)) {}
    ~OwnedBrowser() override { process_->abandon(); }

    void async_launch(Handler handler) override { process_->async_launch(std::move(handler)); }
    void async_open_page(std::string url, PageHandler handler) override {
        process_->async_open_page(std::move(url), std::move(handler));
    }
    void async_close_page(PageId page, Handler handler) override {
        process_->async_close_page(std::move(page), std::move(handler));
    }
    void async_reload_page(PageId page, std::string url, Handler handler) override {
        process_->async_reload_page(std::move(page), std::move(url), std::move(handler));
    }
    void async_ask_browser(Handler handler) override {
        process_->async_ask_browser(std::move(handler));
    }
    void async_ask_page(PageId page, Handler handler) override {
        process_->async_ask_page(std::move(page), std::move(handler));
    }
    void async_execute(PageId page, PageThread thread, std::string script,
                       Handler handler) override {
        process_->async_execute(std::move(page), thread, std::move(script), std::move(handler));
    }
    void follow_page(const PageId& page) override { process_->follow_page(page); }
    std::vector<int> working_pages() const override { return process_->working_pages(); }
    std::vector<int> processes(BrowserPart part) const override {
        return process_->processes(part);
    }
    void async_close(bool graceful, Handler handler) override {
        process_->async_close(graceful, std::move(handler));
    }
    int process_id() const noexcept override { return process_->process_id(); }
    const std::string& version() const noexcept override { return process_->version(); }
    void crash_page(const PageId& page) override { process_->crash_page(page); }

private:
    std::shared_ptr<AbandonableBrowser> process_;
};

template <class Kind>
std::unique_ptr<Browser> own(boost::asio::any_io_executor strand, BrowserOptions options,
                             BrowserListener& listener) {
    return std::make_unique<OwnedBrowser>(
        std::make_shared<Kind>(std::move(strand), std::move(options), listener));
}

} // namespace

std::unique_ptr<Browser> make_browser(boost::asio::any_io_executor strand, BrowserOptions options,
                                      BrowserListener& listener) {
    if (!options.spec.webdriver.endpoint.empty())
        return own<RemoteBrowser>(std::move(strand), std::move(options), listener);
    if (options.spec.is_webdriver())
        return own<WebDriverBrowser>(std::move(strand), std::move(options), listener);
    if (is_chromium_family(options.spec.type))
        return own<Chromium>(std::move(strand), std::move(options), listener);
    return own<Firefox>(std::move(strand), std::move(options), listener);
}

} // namespace everpool::io
