// SPDX-License-Identifier: BSL-1.0
#include "facade/listener_gate.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

using everpool::PoolEvent;
using everpool::facade::ListenerGate;

TEST_CASE("a listener hears of events until its gate is closed") {
    int heard = 0;
    ListenerGate gate([&](const PoolEvent&) { ++heard; });
    gate.tell({});
    gate.close();
    gate.tell({});
    CHECK(heard == 1);
}

TEST_CASE("a pool without a listener has nobody to tell") {
    ListenerGate gate(nullptr);
    CHECK_NOTHROW(gate.tell({}));
}

TEST_CASE("what a listener throws goes no further, and it hears of the next event") {
    int heard = 0;
    ListenerGate gate([&](const PoolEvent&) {
        ++heard;
        throw std::runtime_error("a mistake of the host's");
    });
    gate.tell({});
    gate.tell({});
    CHECK(heard == 2);
}

TEST_CASE("closing waits for the call in progress") {
    std::promise<void> entered, leave;
    std::atomic<bool> has_left{false};
    ListenerGate gate([&](const PoolEvent&) {
        entered.set_value();
        leave.get_future().wait();
        has_left = true;
    });
    std::thread strand([&] { gate.tell({}); });
    entered.get_future().wait();
    std::thread host([&] {
        gate.close();
        CHECK(has_left);
    });
    leave.set_value();
    host.join();
    strand.join();
}

TEST_CASE("a listener may close its own gate, as it does by destroying its pool") {
    int heard = 0;
    ListenerGate* own = nullptr;
    ListenerGate gate([&](const PoolEvent&) {
        ++heard;
        own->close();
    });
    own = &gate;
    gate.tell({});
    gate.tell({});
    CHECK(heard == 1);
}
