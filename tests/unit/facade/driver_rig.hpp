// Tests: what a worker slot leans on, where no browser is ever started.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "facade/model_registry.hpp"
#include "facade/worker_driver.hpp"
#include "io/bridge.hpp"
#include "io/browser.hpp"
#include "support/run_until.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <vector>

namespace everpool::tests {

class DriverRig {
public:
    [[nodiscard]] facade::WorkerSurroundings& surroundings() noexcept { return surroundings_; }
    [[nodiscard]] const std::vector<core::Event>& reports() const noexcept { return reports_; }
    [[nodiscard]] const boost::asio::any_io_executor& strand() const noexcept { return strand_; }
    void settle() { tests::settle(context_); }
    /// Works until this is so. \return whether it has become so, which is not waited for for ever
    template <class Condition>
    bool work_until(Condition is_so) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (!is_so() && std::chrono::steady_clock::now() < end) {
            context_.restart();
            context_.run_for(std::chrono::milliseconds{5}); // what is waited for need not be ours
        }
        return is_so();
    }

private:
    /// The pool hears nothing of a worker that has no browser.
    class DeafListener final : public io::BridgeListener {
        void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) override {}
        void on_message(WorkerId, Generation, wire::Channel, wire::Message) override {}
        void on_closed(WorkerId, Generation, wire::Channel, error_code, std::uint16_t) override {}
    };

    boost::asio::io_context context_{1};
    boost::asio::any_io_executor strand_{boost::asio::make_strand(context_)};
    DeafListener listener_;
    io::BrowserNest nest_;
    io::Bridge bridge_{
        strand_, {.frame_bytes_max = 1 << 20, .write_queue_bytes_max = 1 << 20}, listener_};
    facade::ModelRegistry models_{
        {ModelSpec{.name = "m", .file = "m.onnx", .providers = {Provider::webgpu}}}};
    std::vector<core::Event> reports_;
    facade::WorkerSurroundings surroundings_{
        strand_,          nest_,
        bridge_,          models_,
        Duration::zero(), [this](const core::Event& event) { reports_.push_back(event); },
        [](PoolEvent) {}};
};

} // namespace everpool::tests
