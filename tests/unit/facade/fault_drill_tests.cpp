// Breaking workers on order, as far as it needs no browser: who is told what, and when.
// SPDX-License-Identifier: BSL-1.0
#include "driver_rig.hpp"
#include "facade/fault_drill.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

using namespace everpool;
using facade::FaultDrill;
using facade::WaitTicket;
using facade::WorkerDriver;

namespace {

/// What one who waits has been told: exactly one of these in the end.
using FaultsTold = std::vector<std::pair<error_code, FaultReport>>;

/// One worker, whose browser is at an endpoint and has no page.
class DrillScene final : public facade::DrillGround {
public:
    [[nodiscard]] std::shared_ptr<FaultsTold> begin(Fault fault, WaitTicket ticket) {
        auto told = std::make_shared<FaultsTold>();
        drill_.begin({.fault = fault}, ticket,
                     {[told](error_code ec, FaultReport report) {
                          told->emplace_back(ec, std::move(report));
                      },
                      rig_.strand()});
        return told;
    }
    void withdraw(WaitTicket ticket) { drill_.withdraw(ticket); }
    void settle() { rig_.settle(); }

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
    WorkerDriver worker_{WorkerId{0}, {remote()}, rig_.surroundings()};
    FaultDrill drill_{rig_.strand(), rig_.strand(), *this};
};

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
