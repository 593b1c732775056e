// The floor of scenarios: browsers that show the page of BareEcho, driven by the same code as a
// pool's.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/browser.hpp"
#include "scenario_report.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <everpool/everpool.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace scenario {

namespace asio = boost::asio;

class BareBrowsers final : everpool::io::BrowserListener {
public:
    BareBrowsers(asio::io_context& context, everpool::BrowserType type, std::size_t count,
                 const std::string& url) {
        everpool::BrowserSpec spec;
        spec.type = type;
        everpool::error_code ec;
        everpool::Diagnostics diagnostics;
        spec.executable = everpool::io::find_browser(spec, ec, diagnostics);
        if (ec) fail(diagnostics.text());
        for (std::size_t i = 0; i < count; ++i) {
            everpool::io::BrowserOptions options;
            options.spec = spec;
            options.nest = &nest_;
            options.directory = nest_.make_directory();
            browsers_.push_back(
                everpool::io::make_browser(asio::make_strand(context), std::move(options), *this));
            browsers_.back()->async_launch([this, i, url](everpool::error_code ec2,
                                                          everpool::Diagnostics d) {
                if (ec2) fail(d.text());
                browsers_[i]->async_open_page(url,
                                              [](everpool::error_code ec3, everpool::Diagnostics d3,
                                                 const everpool::io::PageId&) {
                                                  if (ec3) fail(d3.text());
                                              });
            });
        }
    }

    void close() {
        for (auto& browser : browsers_)
            browser->async_close(false, [](everpool::error_code, const everpool::Diagnostics&) {});
    }

private:
    void on_browser_exited(int) override {}
    void on_page_crashed(const everpool::io::PageId&, const std::string& reason) override {
        fail("a bare page crashed: " + reason);
    }

    everpool::io::BrowserNest nest_;
    std::vector<std::unique_ptr<everpool::io::Browser>> browsers_;
};

} // namespace scenario
