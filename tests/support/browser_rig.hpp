// Tests: one real browser under the door's control, a bridge that serves it the worker page, and a
// record of what they tell. Single-threaded: the test runs the event loop until what it waits for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/bridge.hpp"
#include "io/browser.hpp"
#include "support/catch.hpp"
#include "support/processes.hpp"
#include "support/run_until.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

class BrowserRig final : io::BrowserListener, io::BridgeListener {
public:
    /// How a command completed.
    struct Done {
        error_code ec;
        Diagnostics diagnostics;
        io::PageId page;
    };
    struct Crash {
        io::PageId page;
        std::string reason;
    };

    /// \pre options.spec.executable is set
    explicit BrowserRig(io::BrowserOptions options) {
        options.directory = nest_.make_directory();
        options.nest = &nest_;
        directory = options.directory;
        REQUIRE_FALSE(bridge_->listen());
        browser_ = io::make_browser(context_.get_executor(), std::move(options), *this);
    }

    BrowserRig(const BrowserRig&) = delete;
    BrowserRig& operator=(const BrowserRig&) = delete;
    /// What the bridge says to its connections at the end is sent before the event loop is gone.
    ~BrowserRig() {
        browser_.reset();
        bridge_.reset();
        context_.restart();
        context_.run_for(std::chrono::seconds{1});
    }

    /// Runs the event loop until this is true. Fails the test if it does not become so in time.
    template <class Condition>
    void run_until(Condition is_true) {
        REQUIRE(tests::run_until(context_, is_true, std::chrono::seconds{60}));
    }

    /// The same, of what no event tells.
    template <class Condition>
    void poll_until(Condition is_true) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        context_.restart();
        while (!is_true() && std::chrono::steady_clock::now() < end)
            context_.run_one_for(std::chrono::milliseconds{10});
        REQUIRE(is_true());
    }

    Done launch() {
        std::optional<Done> done;
        browser_->async_launch(into(done));
        CHECK_FALSE(done); // never inside
        run_until([&] { return done.has_value(); });
        return *done;
    }

    Done open(const std::string& url) {
        std::optional<Done> done;
        browser_->async_open_page(url,
                                  [&](error_code ec, Diagnostics diagnostics, io::PageId page) {
                                      done = Done{ec, std::move(diagnostics), std::move(page)};
                                  });
        CHECK_FALSE(done);
        run_until([&] { return done.has_value(); });
        return *done;
    }

    /// Opens the worker page and waits until its two connections have said hello.
    io::PageId open_worker_page() {
        ++generation_.value;
        hellos.clear();
        const Done done = open(bridge_->admit(WorkerId{0}, generation_));
        INFO(done.diagnostics.text());
        REQUIRE_FALSE(done.ec);
        run_until([&] { return hellos.size() == 2; });
        return done.page;
    }

    /// Loads the worker page anew in the place of what the page holds, and waits for its hellos, or
    /// until it is told that the page has crashed.
    Done reload_worker_page(const io::PageId& page) {
        ++generation_.value;
        hellos.clear();
        const std::size_t told = crashes.size();
        std::optional<Done> done;
        browser_->async_reload_page(page, bridge_->admit(WorkerId{0}, generation_), into(done));
        CHECK_FALSE(done);
        run_until([&] {
            return done.has_value() && (done->ec || hellos.size() == 2 || crashes.size() != told);
        });
        return *done;
    }

    Done close_page(const io::PageId& page) {
        std::optional<Done> done;
        browser_->async_close_page(page, into(done));
        CHECK_FALSE(done);
        run_until([&] { return done.has_value(); });
        return *done;
    }

    void close(bool graceful) {
        std::optional<Done> done;
        browser_->async_close(graceful, into(done));
        CHECK_FALSE(done);
        run_until([&] { return done.has_value(); });
        CHECK_FALSE(done->ec);
    }

    [[nodiscard]] io::Browser& browser() { return *browser_; }
    void destroy_browser() { browser_.reset(); }

    /// Directory and processes are gone, at the latest two seconds after the end. Chromium's crash
    /// handlers have sessions of their own, and exit when they notice that their browser died.
    [[nodiscard]] bool has_left_nothing() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{2};
        while (!processes_of(directory).empty() && std::chrono::steady_clock::now() < deadline)
            context_.run_one_for(std::chrono::milliseconds{10});
        return processes_of(directory).empty() && !std::filesystem::exists(directory);
    }

    std::filesystem::path directory;
    std::vector<wire::Hello> hellos;
    std::vector<Crash> crashes;
    std::vector<int> exits; ///< wait statuses

private:
    static io::Browser::Handler into(std::optional<Done>& done) {
        return [&done](error_code ec, Diagnostics diagnostics) {
            done = Done{ec, std::move(diagnostics), {}};
        };
    }

    void on_browser_exited(int wait_status) override { exits.push_back(wait_status); }
    void on_page_crashed(const io::PageId& page, const std::string& reason) override {
        crashes.push_back({page, reason});
    }
    void on_hello(WorkerId, Generation generation, wire::Channel, wire::Hello hello) override {
        if (generation == generation_) hellos.push_back(std::move(hello));
    }
    void on_message(WorkerId, Generation, wire::Channel, wire::Message) override {}
    void on_closed(WorkerId, Generation, wire::Channel, error_code, std::uint16_t) override {}

    boost::asio::io_context context_{1};
    io::BrowserNest nest_;
    std::optional<io::Bridge> bridge_{
        std::in_place, context_.get_executor(),
        io::BridgeConfig{.frame_bytes_max = 16 << 20, .write_queue_bytes_max = 32 << 20},
        static_cast<io::BridgeListener&>(*this)};
    Generation generation_{};
    std::unique_ptr<io::Browser> browser_;
};

} // namespace everpool::tests
