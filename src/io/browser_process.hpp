// Everpool doors: what every browser driver shares: its process, its directories, its end.
// SPDX-License-Identifier: BSL-1.0
//
//     idle -- async_launch --> launching -- launched() --> running
//       |                          |                          |
//       |                          +------ async_close -------+--> closing
//       |                          |                          |       |
//       |                          +-------- exit ------------+-------+--> settling --> closed
//       +-- async_close --------------------------------------------------------------->
//
// settling: the leader of the process group was reaped, the rest of the group was killed with it
// but may still be dying, and writing. It is left when the group is empty and the directory
// removed.
//
// A driver of an engine derives from it, talks to its engine, and calls launched() or
// launch_failed() once.
#pragma once

#include "io/browser.hpp"
#include "io/linux/child_process.hpp"
#include "io/linux/process_watch.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::io {

class BrowserProcess : public AbandonableBrowser,
                       public std::enable_shared_from_this<BrowserProcess> {
public:
    void async_launch(Handler handler) final;
    void async_close(bool graceful, Handler handler) final;
    [[nodiscard]] int process_id() const noexcept final {
        return child_ ? child_->process_id() : 0;
    }
    [[nodiscard]] const std::string& version() const noexcept final { return version_; }

    void abandon() noexcept final;

protected:
    BrowserProcess(boost::asio::any_io_executor strand, BrowserOptions options,
                   BrowserListener& listener);

    // What an engine's driver adds.
    /// Arguments, and whether there is a control pipe; may write into `profile`.
    virtual void prepare(ChildOptions& child, const std::filesystem::path& profile) = 0;
    virtual void on_started() = 0;              ///< the process runs
    virtual void on_output(std::string_view) {} ///< what it prints
    /// Of a process that has exited before it answered: the same start may well succeed at once.
    [[nodiscard]] virtual bool is_exit_by_chance(std::string_view /*last_output*/) const {
        return false;
    }
    virtual void ask_to_quit() = 0;
    /// Closes the control channel. What is pending completes with worker_lost.
    virtual void disconnect() = 0;
    /// The same, but nobody is called any more.
    virtual void forget() noexcept = 0;

    void launched(std::string version);
    void launch_failed(error_code cause, const std::string& why);
    /// Once, and nothing after it. Not of a browser that has not been launched.
    void tell_exit(int wait_status);
    /// The control channel is gone though the process may live: kills it.
    void control_lost();
    /// For a command when there is nobody to send it to. Never calls inside.
    template <class Handler, class... Nothing>
    void complete_as_lost(Handler handler, Nothing... nothing) {
        boost::asio::post(
            strand_, [weak = weak_from_this(), handler = std::move(handler), nothing...]() mutable {
                Diagnostics diagnostics;
                diagnostics.message = "the browser is not running";
                if (weak.lock()) handler(Errc::worker_lost, std::move(diagnostics), nothing...);
            });
    }

    [[nodiscard]] bool is_closing() const noexcept { return phase_ >= Phase::closing; }
    [[nodiscard]] const boost::asio::any_io_executor& strand() const noexcept { return strand_; }
    [[nodiscard]] const BrowserOptions& options() const noexcept { return options_; }
    [[nodiscard]] ChildProcess& child() noexcept { return *child_; }
    [[nodiscard]] BrowserListener* listener() const noexcept { return listener_; }
    /// A weak pointer that callbacks lock; null once abandoned.
    template <class Derived>
    [[nodiscard]] std::weak_ptr<Derived> weak_self() {
        return std::static_pointer_cast<Derived>(shared_from_this());
    }

private:
    enum class Phase : std::uint8_t { idle, launching, running, closing, settling, closed };

    void start();
    void watch_for_death();
    void on_exit(int status);
    void fail_launch(Errc code, error_code cause, const std::string& why);
    void finish_launch(error_code ec, Diagnostics diagnostics);
    void settle(int rounds_left);
    void finish_close();
    bool try_remove_directory() noexcept;

    boost::asio::any_io_executor strand_;
    BrowserOptions options_;
    BrowserListener* listener_;
    Phase phase_{Phase::idle};
    std::shared_ptr<ChildProcess> child_;
    int group_{0}; ///< the process group, from the start on
    int starts_{0};
    std::optional<ProcessWatch> death_watch_; ///< of the leader
    bool has_launched_{false};
    bool is_control_lost_{false};
    boost::asio::steady_timer timer_; ///< of the launch, then of the grace, then of settling
    Handler launch_handler_;
    std::vector<Handler> close_handlers_;
    std::string version_;
};

} // namespace everpool::io
