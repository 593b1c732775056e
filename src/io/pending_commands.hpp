// Everpool doors: commands sent to a browser and not yet answered. CDP and WebDriver BiDi alike
// number their commands and answer with the number.
// SPDX-License-Identifier: BSL-1.0
//
// Each command has a time limit, and each completes: answered, late, or cut off with the channel.
#pragma once

#include "everpool/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace everpool::io {

class PendingCommands : public std::enable_shared_from_this<PendingCommands> {
public:
    /// `result` is valid during the call only. Diagnostics carry the engine's words, if any.
    using Handler = std::function<void(error_code, Diagnostics, const boost::json::value& result)>;

    PendingCommands(boost::asio::any_io_executor strand, std::chrono::milliseconds timeout)
        : strand_(std::move(strand)), timeout_(timeout) {}

    /// The number of a new command, which may take `timeout`, or as long as all.
    std::uint64_t add(const char* method, Handler handler,
                      std::optional<std::chrono::milliseconds> timeout = {}) {
        const std::uint64_t id = ++last_id_;
        auto& command = commands_
                            .emplace(id, Command{method, std::move(handler),
                                                 boost::asio::steady_timer(strand_)})
                            .first->second;
        command.timer.expires_after(timeout.value_or(timeout_));
        command.timer.async_wait([weak = weak_from_this(), id](error_code ec) {
            const auto self = weak.lock();
            if (self && !ec)
                self->fail(id, Errc::worker_unresponsive, "was not answered in time", {});
        });
        return id;
    }

    /// False: no such command (any more).
    bool complete(std::uint64_t id, const boost::json::value& result) {
        const auto found = commands_.find(id);
        if (found == commands_.end()) return false;
        const Handler handler = std::move(found->second.handler);
        commands_.erase(found);
        handler({}, {}, result);
        return true;
    }

    void fail(std::uint64_t id, error_code ec, const char* why, std::string_view remote_text) {
        const auto found = commands_.find(id);
        if (found == commands_.end()) return;
        Diagnostics diagnostics = diagnostics_of(found->second, why);
        diagnostics.remote_text = escape_remote_text(remote_text);
        diagnostics.last_cause = ec;
        const Handler handler = std::move(found->second.handler);
        commands_.erase(found);
        handler(ec, std::move(diagnostics), boost::json::value());
    }

    /// The channel is gone. What handlers add is not failed: it goes to the next channel, or is
    /// late.
    void fail_all(error_code cause) {
        std::map<std::uint64_t, Command> cut_off;
        cut_off.swap(commands_);
        const auto self = shared_from_this(); // a handler may drop the channel
        for (auto& [id, command] : cut_off) {
            Diagnostics diagnostics = diagnostics_of(command, "was cut off");
            diagnostics.last_cause = cause;
            command.handler(Errc::worker_lost, std::move(diagnostics), boost::json::value());
        }
    }

    /// Forgets all of them without a call.
    void clear() noexcept { commands_.clear(); }

private:
    struct Command {
        const char* method;
        Handler handler;
        boost::asio::steady_timer timer;
    };

    static Diagnostics diagnostics_of(const Command& command, const char* why) {
        Diagnostics diagnostics;
        diagnostics.message = std::string("the browser command ") + command.method + ' ' + why;
        return diagnostics;
    }

    boost::asio::any_io_executor strand_;
    std::chrono::milliseconds timeout_;
    std::map<std::uint64_t, Command> commands_;
    std::uint64_t last_id_{0};
};

} // namespace everpool::io
