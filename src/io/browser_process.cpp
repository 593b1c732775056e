// SPDX-License-Identifier: BSL-1.0
#include "io/browser_process.hpp"

#include "io/chromium.hpp"
#include "io/firefox.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
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
        "PATH=", "LANG=", "LC_", "TZ=", "LD_LIBRARY_PATH=", "VK_", "LIBGL_", "MESA_", "DRI_",
        "NVIDIA_", "CUDA_", "__GLX_", "__EGL_", "FONTCONFIG_"};
    for (const std::string_view beginning : beginnings)
        if (variable.starts_with(beginning)) return true;
    return false;
}

std::vector<std::string> environment_in(const fs::path& directory) {
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable)
        if (is_inherited(*variable)) out.emplace_back(*variable);
    // Chromium leaves litter in TMPDIR and crash dumps in HOME, whatever its profile.
    for (const auto& [name, folder] : {std::pair{"HOME", "home"}, {"TMPDIR", "tmp"},
                                       {"XDG_CONFIG_HOME", "config"}, {"XDG_CACHE_HOME", "cache"},
                                       {"XDG_RUNTIME_DIR", "run"}}) {
        fs::create_directory(directory / folder);
        fs::permissions(directory / folder, fs::perms::owner_all);
        out.push_back(fmt::format("{}={}", name, (directory / folder).string()));
    }
    return out;
}

} // namespace

BrowserProcess::BrowserProcess(boost::asio::any_io_executor strand, BrowserOptions options,
                               BrowserListener& listener)
    : strand_(strand), options_(std::move(options)), listener_(&listener), timer_(strand) {}

void BrowserProcess::async_launch(Handler handler) {
    phase_ = Phase::launching;
    launch_handler_ = std::move(handler);
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
    if (ec) return launch_failed(ec, "cannot be started: " + ec.message());
    if (options_.nest != nullptr) options_.nest->guard(process_id());
    timer_.expires_after(options_.launch_timeout);
    timer_.async_wait([weak](error_code waited) {
        const auto self = weak.lock();
        if (!self || waited || self->phase_ != Phase::launching) return;
        self->launch_failed(Errc::browser_launch_failed,
                            fmt::format("did not answer within {} ms",
                                        self->options_.launch_timeout.count()));
    });
    on_started();
}

void BrowserProcess::launched(std::string version) {
    if (phase_ != Phase::launching) return;
    phase_ = Phase::running;
    timer_.cancel();
    version_ = std::move(version);
    finish_launch({}, {});
}

void BrowserProcess::launch_failed(error_code cause, const std::string& why) {
    if (!launch_handler_) return;
    Diagnostics diagnostics;
    diagnostics.message = fmt::format("{} '{}' {}", name_of(options_.spec.type),
                                      options_.spec.executable.string(), why);
    diagnostics.remedy = "start it by hand to see what it misses; is it a browser of that type?";
    if (child_) diagnostics.remote_text = escape_remote_text(child_->last_output());
    diagnostics.last_cause = cause;
    timer_.cancel();
    if (child_) child_->kill_group();
    finish_launch(Errc::browser_launch_failed, std::move(diagnostics));
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
    if (child_) child_->kill_group(); // on_exit tells it
}

void BrowserProcess::async_close(bool graceful, Handler handler) {
    close_handlers_.push_back(std::move(handler));
    const bool is_first = !is_closing();
    if (is_first) phase_ = Phase::closing;
    launch_handler_ = nullptr;
    if (process_id() == 0) {
        boost::asio::post(strand_, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->on_exit(0);
        });
        return;
    }
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
    const Phase was = std::exchange(phase_, Phase::closed);
    timer_.cancel();
    disconnect();
    if (was == Phase::launching) // the launch's handler tells it
        launch_failed(Errc::browser_launch_failed,
                      fmt::format("exited with wait status {:#x} before it answered", status));
    remove_directory();
    // What is called may destroy us: nothing of ours is touched after that.
    const auto keep = shared_from_this();
    const auto handlers = std::exchange(close_handlers_, {});
    if ((was == Phase::running || was == Phase::closing) && listener_ != nullptr)
        listener_->on_browser_exited(status);
    for (const Handler& handler : handlers) handler({}, {});
}

void BrowserProcess::remove_directory() noexcept {
    for (int round = 0; round < 10; ++round) {
        std::error_code ec;
        fs::remove_all(options_.directory, ec);
        if (!ec) return;
    }
}

void BrowserProcess::abandon() noexcept {
    listener_ = nullptr;
    launch_handler_ = nullptr;
    close_handlers_.clear();
    phase_ = Phase::closed;
    timer_.cancel();
    disconnect();
    if (child_) child_->abandon();
    remove_directory();
}

namespace {

/// What make_browser gives out. The process object is shared with its own pending callbacks; this is
/// the one reference that counts.
class OwnedBrowser final : public Browser {
public:
    explicit OwnedBrowser(std::shared_ptr<BrowserProcess> process) : process_(std::move(process)) {}
    ~OwnedBrowser() override { process_->abandon(); }

    void async_launch(Handler handler) override { process_->async_launch(std::move(handler)); }
    void async_open_page(std::string url, PageHandler handler) override {
        process_->async_open_page(std::move(url), std::move(handler));
    }
    void async_close_page(PageId page, Handler handler) override {
        process_->async_close_page(std::move(page), std::move(handler));
    }
    void async_close(bool graceful, Handler handler) override {
        process_->async_close(graceful, std::move(handler));
    }
    int process_id() const noexcept override { return process_->process_id(); }
    const std::string& version() const noexcept override { return process_->version(); }
    void crash_page(const PageId& page) override { process_->crash_page(page); }

private:
    std::shared_ptr<BrowserProcess> process_;
};

} // namespace

std::unique_ptr<Browser> make_browser(boost::asio::any_io_executor strand, BrowserOptions options,
                                      BrowserListener& listener) {
    if (is_chromium_family(options.spec.type))
        return std::make_unique<OwnedBrowser>(
            std::make_shared<Chromium>(std::move(strand), std::move(options), listener));
    return std::make_unique<OwnedBrowser>(
        std::make_shared<Firefox>(std::move(strand), std::move(options), listener));
}

} // namespace everpool::io
