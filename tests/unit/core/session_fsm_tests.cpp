// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/session_fsm.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;
using wire::Channel;

namespace {

const TimePoint start{1h};

CoreConfig config() {
    CoreConfig out;
    out.ping_interval = 1s;
    out.ping_timeout = 3s;
    out.compute_ping_timeout = 10s;
    out.max_in_flight_per_worker = 2;
    out.in_flight_bytes_max = 100;
    return out;
}

} // namespace

TEST_CASE("an unwatched session asks for nothing and takes no pongs") {
    SessionFsm session(config());
    CHECK(session.deadline() == never);
    CHECK(session.on_time(start + 1h) == NextSessionStep::nothing);
    CHECK_FALSE(session.on_pong(Channel::control, 1, start));
}

TEST_CASE("each channel is pinged once per interval, with numbers of its own") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    CHECK(session.deadline() == start + 1s);
    CHECK(session.on_time(start + 999ms) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 1s) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 1s) == NextSessionStep::nothing);
    session.watch(Channel::data, start + 1s);
    CHECK(session.on_time(start + 2s) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 2s) == NextSessionStep::send_data_ping);
    CHECK(session.on_time(start + 2s) == NextSessionStep::nothing);
    CHECK(session.last_sequence(Channel::control) == 2);
    CHECK(session.last_sequence(Channel::data) == 1);
}

TEST_CASE("a channel that stays silent for its timeout makes the worker unresponsive") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    REQUIRE(session.on_time(start + 1s) == NextSessionStep::send_control_ping);
    REQUIRE(session.on_time(start + 2s) == NextSessionStep::send_control_ping);
    REQUIRE(session.on_time(start + 3s) == NextSessionStep::send_control_ping);
    CHECK(session.deadline() == start + 4s); // 3 s after the first ping without an answer
    CHECK(session.on_time(start + 3999ms) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 4s) == NextSessionStep::unresponsive);
}

TEST_CASE("the compute thread has a timeout of its own") {
    SessionFsm session(config());
    session.watch(Channel::data, start);
    for (int i = 1; i <= 10; ++i)
        REQUIRE(session.on_time(start + i * 1s) == NextSessionStep::send_data_ping);
    CHECK(session.on_time(start + 11s) == NextSessionStep::unresponsive);
}

TEST_CASE("a pong answers its ping and all before it") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    (void)session.on_time(start + 1s);
    (void)session.on_time(start + 2s);
    CHECK(session.on_pong(Channel::control, 2, start + 2100ms));
    CHECK(session.state(Channel::control) == SessionFsm::State::idle);
    CHECK_FALSE(session.on_pong(Channel::control, 1, start + 2200ms)); // late
    CHECK_FALSE(session.on_pong(Channel::control, 2, start + 2200ms)); // twice
}

TEST_CASE("a pong to an older ping proves life but leaves the younger one unanswered") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    (void)session.on_time(start + 1s);
    (void)session.on_time(start + 2s);
    CHECK(session.on_pong(Channel::control, 1, start + 2500ms));
    CHECK(session.state(Channel::control) == SessionFsm::State::asked);
    (void)session.on_time(start + 3s);
    (void)session.on_time(start + 4s);
    (void)session.on_time(start + 5s);
    CHECK(session.on_time(start + 5499ms) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 5500ms) == NextSessionStep::unresponsive);
}

TEST_CASE("an invented pong is refused") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    (void)session.on_time(start + 1s);
    CHECK_FALSE(session.on_pong(Channel::control, 2, start + 2s));
    CHECK_FALSE(session.on_pong(Channel::control, 0, start + 2s));
    CHECK_FALSE(session.on_pong(Channel::data, 1, start + 2s));
}

TEST_CASE("time for which the host stood still does not count as the worker's silence") {
    SessionFsm session(config());
    session.on_sent(1);
    session.on_abandoned(start);
    session.watch(Channel::control, start);
    REQUIRE(session.on_time(start + 1s) == NextSessionStep::send_control_ping);
    session.on_host_late(60s, start + 62s); // it should have been asked at 2 s
    CHECK(session.on_time(start + 62s) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 62s) == NextSessionStep::nothing); // made up for once
    REQUIRE(session.on_time(start + 63s) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 64s - 1ns) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 64s) == NextSessionStep::unresponsive); // 1 s before, 2 s after
}

TEST_CASE("a host that stood still for ever does not overflow") {
    SessionFsm session(config());
    session.watch(Channel::control, start);
    (void)session.on_time(start + 1s);
    session.on_host_late(Duration::max(), start + 2s);
    CHECK(session.on_time(start + 2s) == NextSessionStep::send_control_ping);
}

// A ping waits behind the operations that were sent before it. Each of them may be as long as the
// timeout allows, so all of them together may be longer.
TEST_CASE("an answer proves that the compute thread is alive, whatever became of its pings") {
    SessionFsm session(config());
    session.watch(Channel::data, start);
    for (int i = 1; i <= 40; ++i) {
        if (i % 9 == 0) session.on_sign_of_life(start + i * 1s);
        REQUIRE(session.on_time(start + i * 1s) == NextSessionStep::send_data_ping);
    }
    CHECK(session.on_time(start + 46s) ==
          NextSessionStep::unresponsive); // the last one was at 36 s
}

TEST_CASE("a session has room up to its count and bytes, and for one large request alone") {
    SessionFsm session(config());
    CHECK(session.has_room(1000));
    session.on_sent(60);
    CHECK(session.has_room(40));
    CHECK_FALSE(session.has_room(41));
    CHECK_FALSE(session.has_room(UINT64_MAX));
    session.on_sent(40);
    CHECK_FALSE(session.has_room(0));
    session.on_answered(60, false);
    session.on_answered(40, false);
    session.on_sent(1000);
    CHECK_FALSE(session.has_room(0)); // nothing beside the large one
}

// A hung shader: the thread answers pings, the operation never ends.
TEST_CASE("a worker that answers nothing while it holds given-up operations is unresponsive") {
    SessionFsm session(config());
    session.on_sent(1);
    session.on_sent(1);
    session.on_abandoned(start);
    CHECK(session.deadline() == start + 10s);
    session.on_answered(1, false);
    session.on_sign_of_life(start + 5s); // it moves on: more time
    CHECK(session.on_time(start + 10s) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 15s) == NextSessionStep::unresponsive);
}

TEST_CASE("the answer to the last given-up operation lifts the suspicion") {
    SessionFsm session(config());
    session.on_sent(1);
    session.on_abandoned(start);
    session.on_answered(1, true);
    CHECK(session.deadline() == never);
    CHECK(session.in_flight() == 0);
    CHECK(session.abandoned() == 0);
}
