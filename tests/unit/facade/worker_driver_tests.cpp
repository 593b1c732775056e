// What a page may say, at any time and of anything, without more than being ignored: a page may be
// compromised, and what it sends must not end the host.
// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_driver.hpp"

#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <cstdint>
#include <utility>
#include <vector>

using namespace everpool;
using facade::ModelRegistry;
using facade::WorkerDriver;
using facade::WorkerSurroundings;

namespace {

/// The pool hears nothing of a worker that has no browser.
class DeafListener final : public io::BridgeListener {
    void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) override {}
    void on_message(WorkerId, Generation, wire::Channel, wire::Message) override {}
    void on_closed(WorkerId, Generation, wire::Channel, error_code) override {}
};

/// A worker whose browser was never started, and what it reports.
class Scene {
public:
    [[nodiscard]] const std::vector<core::Event>& reports() const { return reports_; }

    void hear(wire::Message message) {
        worker_.on_message(wire::Channel::data, std::move(message));
    }

private:
    boost::asio::io_context context_{1};
    boost::asio::any_io_executor strand_{boost::asio::make_strand(context_)};
    DeafListener listener_;
    io::BrowserNest nest_;
    io::Bridge bridge_{strand_, {.frame_bytes_max = 1 << 20, .write_queue_bytes_max = 1 << 20},
                       listener_};
    ModelRegistry models_{{ModelSpec{.name = "m", .file = "m.onnx"}}};
    std::vector<core::Event> reports_;
    WorkerSurroundings surroundings_{strand_, nest_, bridge_, models_, Duration::zero(),
                                     [this](const core::Event& event) { reports_.push_back(event); },
                                     [](PoolEvent) {}};
    WorkerDriver worker_{WorkerId{0}, BrowserSpec{}, surroundings_};
};

} // namespace

TEST_CASE("an answer to a question that was never asked means nothing") {
    Scene scene;
    wire::Ready ready;
    wire::RunResult result;
    wire::RemoteError error;
    for (const std::uint64_t id : {0U, 1U, 2U}) {
        ready.id = result.id = error.id = id;
        CHECK_NOTHROW(scene.hear(ready));
        CHECK_NOTHROW(scene.hear(result));
        CHECK_NOTHROW(scene.hear(error));
    }
    CHECK(scene.reports().empty());
}
