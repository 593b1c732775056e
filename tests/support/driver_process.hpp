// Tests: a chromedriver of somebody else's, for what is to be reached at an endpoint.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "io/linux/child_process.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/process_watch.hpp"
#include "io/webdriver_browser.hpp"
#include "support/browser_rig.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

#include <boost/asio/io_context.hpp>

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace everpool::tests {

inline const std::filesystem::path chromedriver = "/usr/bin/chromedriver";
inline const std::filesystem::path headless_shell = "/usr/lib/chromium/chromium-headless-shell";

/// Runs until it is destroyed, and with it all browsers that it has started.
class DriverProcess {
public:
    DriverProcess() {
        const std::string home = directory_.path.string() + "/home";
        std::filesystem::create_directory(home);
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (port_ == 0 && std::chrono::steady_clock::now() < deadline) {
            if (process_id() == 0) start(home);
            port_ = io::listening_port_of(process_id());
            context_.run_one_for(std::chrono::milliseconds{1});
        }
        INFO(child_->last_output());
        REQUIRE(port_ != 0);
    }

    [[nodiscard]] std::string endpoint() const {
        return "http://127.0.0.1:" + std::to_string(port_);
    }
    [[nodiscard]] int process_id() const { return child_ ? child_->process_id() : 0; }

    /// The browsers that it runs at present.
    [[nodiscard]] std::vector<int> browsers() const {
        std::vector<int> out = io::members_of_group(process_id());
        std::erase_if(out, [&](int process) {
            return io::parent_of(process) != process_id() || proc_file(process, "cmdline").empty();
        });
        return out;
    }

    /// A worker at this endpoint.
    [[nodiscard]] BrowserSpec spec() const {
        BrowserSpec out;
        out.type = BrowserType::chromium;
        out.executable = headless_shell;
        out.webdriver.endpoint = endpoint();
        return out;
    }

private:
    void start(const std::string& home) {
        const std::string last_output = child_ ? child_->last_output() : std::string();
        INFO(last_output);
        REQUIRE((!child_ || io::has_found_no_port(last_output)));
        child_ = std::make_shared<io::ChildProcess>(context_.get_executor());
        context_.restart();
        REQUIRE_FALSE(child_->start(
            {chromedriver, {"--port=0"}, {"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + home}},
            [](auto) {}, [] {}, [](int) {}));
    }

    TemporaryDirectory directory_;
    boost::asio::io_context context_;
    std::shared_ptr<io::ChildProcess> child_;
    unsigned short port_{0};
};

} // namespace everpool::tests
