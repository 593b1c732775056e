// What a page may say, at any time and of anything, without more than being ignored: a page may be
// compromised, and what it sends must not end the host.
// SPDX-License-Identifier: BSL-1.0
#include "driver_rig.hpp"
#include "facade/worker_driver.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

using namespace everpool;
using facade::WorkerDriver;

namespace {

/// A worker whose browser was never started, and what it reports.
class DriverScene {
public:
    [[nodiscard]] const std::vector<core::Event>& reports() const { return rig_.reports(); }

    /// The page says hello on both connections.
    void greet(bool has_gpu, bool is_software = false) {
        worker_.on_hello(wire::Channel::control, {});
        greet_anew(has_gpu, is_software);
    }
    /// Its new compute thread says hello, and what WebGPU it has.
    void greet_anew(bool has_gpu, bool is_software) {
        wire::Hello hello;
        hello.capabilities.emplace();
        hello.capabilities->webgpu.available = has_gpu;
        hello.capabilities->webgpu.is_fallback_adapter = is_software;
        worker_.on_hello(wire::Channel::data, hello);
    }
    /// Begins another life by that rung. There is no browser, so nothing else comes of it.
    void start(RecoveryRung rung) {
        worker_.start(
            {.worker = WorkerId{0}, .generation = {worker_.generation().value + 1}, .rung = rung});
    }
    [[nodiscard]] BrowserFailure failure(core::LossCause cause,
                                         std::optional<WrongAnswerFinder> found_by = {},
                                         std::uint32_t operations = 0) const {
        return worker_.failure_of({.what = core::Notice::What::worker_lost,
                                   .generation = worker_.generation(),
                                   .cause = cause,
                                   .found_by = found_by,
                                   .operations = operations});
    }

    void hear(wire::Message message) {
        worker_.on_message(wire::Channel::data, std::move(message));
    }

private:
    tests::DriverRig rig_;
    WorkerDriver worker_{WorkerId{0}, {BrowserSpec{}}, rig_.surroundings()};
};

} // namespace

TEST_CASE("an answer to a question that was never asked means nothing") {
    DriverScene scene;
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

TEST_CASE("a page that had a GPU and has a software adapter now is reloaded, not used") {
    DriverScene scene;
    scene.greet(true);
    CHECK(std::get<core::WorkerConnected>(scene.reports().back()).generation == Generation{});
    scene.start(RecoveryRung::replace_compute);
    const bool has_gpu = GENERATE(true, false);
    scene.greet_anew(has_gpu, true);
    CHECK(std::get<core::WorkerLost>(scene.reports().back()).cause ==
          core::LossCause::software_adapter);
    CHECK(scene.failure(core::LossCause::software_adapter).category ==
          BrowserFailureCategory::webgpu);
}

TEST_CASE("what a browser that was started anew has, is what there is") {
    DriverScene scene;
    scene.greet(true, true);
    scene.start(RecoveryRung::replace_compute);
    scene.greet_anew(true, true); // it never had more
    CHECK(std::holds_alternative<core::WorkerConnected>(scene.reports().back()));
}

TEST_CASE(
    "a loss that was seen is told as it was seen, and one that was not, as it must have been") {
    DriverScene scene;
    scene.hear(wire::PageEvent{.type = "device_lost", .message = "the driver was reset"});
    CHECK(std::get<core::WorkerLost>(scene.reports().back()).cause == core::LossCause::device_lost);
    const BrowserFailure seen = scene.failure(core::LossCause::device_lost);
    CHECK(seen.category == BrowserFailureCategory::webgpu);
    CHECK(seen.message.find("the driver was reset") != std::string::npos);
    const BrowserFailure unseen = scene.failure(core::LossCause::compute_hung);
    CHECK(unseen.category == BrowserFailureCategory::timeout);
    CHECK(unseen.domain == FailureDomain::compute);
    const BrowserFailure wrong =
        scene.failure(core::LossCause::wrong_answer, WrongAnswerFinder::vote);
    REQUIRE(std::holds_alternative<WrongAnswer>(wrong.evidence));
    CHECK(std::get<WrongAnswer>(wrong.evidence).found_by == WrongAnswerFinder::vote);
}

TEST_CASE("a loss says whether anything had been sent to the worker") {
    DriverScene scene;
    CHECK(scene.failure(core::LossCause::page_crashed).phase == FailurePhase::not_sent);
    CHECK(scene.failure(core::LossCause::page_crashed, {}, 2).phase == FailurePhase::sent);
}
