// Tests: a real bridge on a thread of its own, and a record of what it told.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/bridge.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace everpool::test {

inline constexpr io::BridgeConfig bridge_config_for_tests{
    .frame_bytes_max = 64 << 20,
    .write_queue_bytes_max = 128 << 20,
};

/// "/w/<token>/" of a worker page's URL.
std::string page_path(const std::string& url);

class BridgeHost final : public io::BridgeListener {
public:
    struct Told {
        enum class What { hello, message, closed } what;
        WorkerId worker;
        Generation generation;
        wire::Channel channel;
        wire::Message message; ///< of hello and message
        error_code ec;         ///< of closed
        std::uint16_t close_code{0};
    };

    explicit BridgeHost(io::BridgeConfig config = bridge_config_for_tests);
    ~BridgeHost() override;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] io::BridgeStats stats();
    [[nodiscard]] io::ReceiveBufferStats receive_buffers();

    /// Runs `body(bridge)` where the bridge lives, and waits for it.
    template <class Body>
    auto with(Body body) {
        std::packaged_task<decltype(body(std::declval<io::Bridge&>()))()> task(
            [&] { return body(*bridge_); });
        auto future = task.get_future();
        boost::asio::post(context_, [&task] { task(); });
        return future.get();
    }

    /// The path of the worker's page: "/w/<token>/".
    std::string admit(std::uint32_t worker, std::uint64_t generation = 1);
    error_code send(std::uint32_t worker, wire::Channel channel, const wire::Message& message);

    /// What was told next; waits for it. Empty after ten seconds.
    std::optional<Told> next();
    /// True if nothing has been told that next() has not given out, once all that is on its way to
    /// the bridge's thread was handled.
    bool is_quiet();

    /// From the bridge's own thread, inside the callback, on the next thing told.
    void on_next(std::function<void(io::Bridge&)> action);
    void destroy_bridge();
    /// Destroys the bridge inside the next callback.
    void destroy_bridge_in_next_callback();

private:
    void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) override;
    void on_message(WorkerId, Generation, wire::Channel, wire::Message) override;
    void on_closed(WorkerId, Generation, wire::Channel, error_code, std::uint16_t) override;
    void tell(Told told);

    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::unique_ptr<io::Bridge> bridge_; ///< lives on thread_
    std::uint16_t port_{0};
    bool destroys_bridge_{false};
    std::function<void(io::Bridge&)> action_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Told> told_;
    std::thread thread_;
};

} // namespace everpool::test
