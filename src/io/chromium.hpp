// Everpool doors: Chromium, Chrome and Edge, controlled by the Chrome DevTools Protocol by pipe.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/browser_process.hpp"
#include "io/pending_commands.hpp"

#include <array>
#include <deque>
#include <map>
#include <string>

namespace everpool::io {

class Chromium final : public BrowserProcess {
public:
    Chromium(boost::asio::any_io_executor strand, BrowserOptions options,
             BrowserListener& listener);

    void async_open_page(std::string url, PageHandler handler) override;
    void async_close_page(PageId page, Handler handler) override;
    void crash_page(const PageId& page) override;

private:
    void prepare(ChildOptions& child, const std::filesystem::path& profile) override;
    void on_started() override;
    void ask_to_quit() override;
    void disconnect() override;
    void forget() noexcept override;

    void send(const char* method, const boost::json::object& parameters,
              PendingCommands::Handler handler, std::string_view session = {});
    void write_next();
    void read_more();
    void on_bytes(std::size_t bytes);
    void on_message(std::string_view text);
    void on_event(std::string_view method, const boost::json::object& parameters);

    std::shared_ptr<PendingCommands> commands_;
    std::deque<std::string> outgoing_; ///< NUL-terminated; the first one is being written
    std::array<char, 16384> buffer_{};
    std::string incoming_;
    std::map<PageId, bool> pages_; ///< open pages; true: being closed, its end is no news
};

} // namespace everpool::io
