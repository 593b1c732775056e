// Everpool doors: Chromium, Chrome and Edge, controlled by the Chrome DevTools Protocol by pipe.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/browser_process.hpp"
#include "io/pending_commands.hpp"

#include <array>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace everpool::io {

/// What stands after the executable: the table of flags, as this machine needs it.
std::vector<std::string> chromium_command_line(const BrowserSpec& spec,
                                               const std::filesystem::path& profile);

class Chromium final : public BrowserProcess {
public:
    Chromium(boost::asio::any_io_executor strand, BrowserOptions options,
             BrowserListener& listener);

    void async_open_page(std::string url, PageHandler handler) override;
    void async_close_page(PageId page, Handler handler) override;
    void async_reload_page(PageId page, std::string url, Handler handler) override;
    void async_ask_browser(Handler handler) override;
    void async_ask_page(PageId page, Handler handler) override;
    void async_execute(PageId page, PageThread thread, std::string script,
                       Handler handler) override;
    [[nodiscard]] std::vector<int> processes(BrowserPart part) const override;
    void crash_page(const PageId& page) override;

private:
    void prepare(ChildOptions& child, const std::filesystem::path& profile) override;
    void on_started() override;
    void ask_to_quit() override;
    void disconnect() override;
    void forget() noexcept override;

    /// Sends a command to the page's own session, which is opened for the first one.
    void send_to_page(const PageId& page, const char* method, boost::json::object parameters,
                      PendingCommands::Handler handler);
    void send(const char* method, const boost::json::object& parameters,
              PendingCommands::Handler handler, std::string_view session = {});
    void write_next();
    void read_more();
    void on_bytes(std::size_t bytes);
    void on_message(std::string_view text);
    void on_event(std::string_view method, std::string_view session,
                  const boost::json::object& parameters);
    void on_attached(std::string_view session, const boost::json::object& parameters);

    struct Page {
        bool is_expected_to_go{false}; ///< being closed, or its crash has been told
        std::string session;           ///< empty: none yet
        std::string compute_session;   ///< of its compute thread, once it was asked for
        std::vector<std::function<void(const std::string&)>> compute_waiters; ///< for that session
    };

    std::shared_ptr<PendingCommands> commands_;
    std::deque<std::string> outgoing_; ///< NUL-terminated; the first one is being written
    std::array<char, 16384> buffer_{};
    std::string incoming_;
    std::map<PageId, Page> pages_; ///< open pages
};

} // namespace everpool::io
