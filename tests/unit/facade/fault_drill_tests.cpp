// Breaking workers on order, as far as it needs no browser: who is told what, and when; and what
// becomes of a process that was stopped.
// SPDX-License-Identifier: BSL-1.0
#include "driver_rig.hpp"
#include "facade/fault_drill.hpp"
#include "io/linux/proc_file.hpp"
#include "support/catch.hpp"
#include "support/processes.hpp"
#include "support/silent_browser.hpp"
#include "support/told_results.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

using namespace everpool;
using facade::FaultDrill;
using facade::WaitTicket;
using facade::WorkerDriver;

namespace {

using FaultsTold = tests::ToldResults<FaultReport>;

/// One worker, whose browser is at an endpoint and has no page; or is a process of this host.
class DrillScene final : public facade::DrillGround {
public:
    explicit DrillScene(BrowserSpec browser = remote())
        : worker_(WorkerId{0}, {std::move(browser)}, rig_.surroundings()) {}

    /// Starts the browser's process. \return which one
    [[nodiscard]] int start() {
        worker_.start({.worker = WorkerId{0}, .generation = {1}});
        return worker_.process_id();
    }
    [[nodiscard]] std::shared_ptr<FaultsTold>
    begin(Fault fault, WaitTicket ticket, FaultIntensity intensity = FaultIntensity::mild) {
        auto told = std::make_shared<FaultsTold>();
        drill_.begin({.fault = fault, .intensity = intensity}, ticket,
                     {tests::handler_into<FaultReport>(told), rig_.strand()});
        return told;
    }
    void withdraw(WaitTicket ticket) { drill_.withdraw(ticket); }
    void settle() { rig_.settle(); }
    template <class Condition>
    [[nodiscard]] bool work_until(Condition is_so) {
        return rig_.work_until(is_so);
    }

private:
    static BrowserSpec remote() {
        BrowserSpec spec;
        spec.webdriver.endpoint = "http://127.0.0.1:4444";
        return spec;
    }

    [[nodiscard]] std::size_t worker_count() const override { return 1; }
    [[nodiscard]] WorkerDriver& worker_at(WorkerId) override { return worker_; }
    [[nodiscard]] WorkerState state_of(WorkerId) const override { return WorkerState::ready; }
    void run_for_drill(Request) override {}
    void cut_connections(WorkerId) override {}

    tests::DriverRig rig_;
    WorkerDriver worker_;
    FaultDrill drill_{rig_.strand(), rig_.strand(), *this};
};

/// The drill, and all that it has to wait for, stands still meanwhile.
bool becomes_stopped(int process) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!tests::is_stopped(process) && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    return tests::is_stopped(process);
}

} // namespace

TEST_CASE("a fault that no page can be told to do is answered with the reason") {
    DrillScene scene;
    const auto told = scene.begin(Fault::main_loop, {1});
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK(told->front().first == Errc::no_worker_available);
    CHECK_FALSE(told->front().second.diagnostics.message.empty());
}

TEST_CASE("who cancels a fault is told so, and of nothing that comes after") {
    DrillScene scene;
    const auto cancelled = scene.begin(Fault::main_loop, {1});
    const auto patient = scene.begin(Fault::main_loop, {2});
    scene.withdraw({1});
    scene.settle();
    REQUIRE(cancelled->size() == 1);
    CHECK(cancelled->front().first == Errc::cancelled);
    REQUIRE(patient->size() == 1);
    CHECK(patient->front().first == Errc::no_worker_available);
}

TEST_CASE("a cancellation that comes after the fault was done changes nothing") {
    DrillScene scene;
    const auto told = scene.begin(Fault::socket_drop, {1});
    scene.withdraw({1});
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK_FALSE(told->front().first);
    CHECK(told->front().second.text.find("socket_drop") == 0);
}

// Who was told that a process has been stopped has nothing to cancel: and who forgot the fault then
// would leave the process as it is for ever.
TEST_CASE("a process that a mild fault has stopped goes on, also if the fault is cancelled then") {
    const bool is_cancelled = GENERATE(false, true);
    CAPTURE(is_cancelled);
    const tests::SilentBrowser browser;
    DrillScene scene(browser.spec());
    const int process = scene.start();
    REQUIRE(process != 0);
    const auto told = scene.begin(Fault::browser_stop, {1});
    REQUIRE(becomes_stopped(process));
    if (is_cancelled) scene.withdraw({1});
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK_FALSE(told->front().first);
    CHECK(told->front().second.processes == std::vector<int>{process});
    CHECK(scene.work_until([&] { return !tests::is_stopped(process); }));
    CHECK_FALSE(io::is_dead(io::read_stat(process))); // which would not be stopped either
    CHECK(told->size() == 1);
}
