// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/session_fsm.hpp"
#include "session_rig.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

using namespace everpool;
using namespace everpool::core;

TEST_CASE("an unwatched session asks for nothing and takes no answers") {
    SessionFsm session(config());
    CHECK(session.deadline() == never);
    CHECK(session.on_time(start + 1h) == NextSessionStep::nothing);
    CHECK_FALSE(session.on_answer(Channel::page, 1, start));
    CHECK_FALSE(session.on_page_answer(0));
}

TEST_CASE("each channel is asked once per interval, with numbers of its own") {
    SessionFsm session(config());
    session.watch(Channel::page, start);
    CHECK(session.deadline() == start + 100ms);
    CHECK(session.on_time(start + 99ms) == NextSessionStep::nothing);
    CHECK(session.on_time(start + 100ms) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 100ms) == NextSessionStep::nothing);
    session.watch(Channel::compute, start + 100ms);
    session.watch(Channel::control, start + 100ms);
    CHECK(session.on_time(start + 200ms) == NextSessionStep::send_data_ping);
    CHECK(session.on_time(start + 200ms) == NextSessionStep::send_control_ping);
    CHECK(session.on_time(start + 200ms) == NextSessionStep::ask_browser);
    CHECK(session.on_time(start + 200ms) == NextSessionStep::nothing);
    CHECK(session.last_sequence(Channel::page) == 2);
    CHECK(session.last_sequence(Channel::compute) == 1);
    CHECK(session.last_sequence(Channel::control) == 1);
}

TEST_CASE("an answer answers its question and all before it, once") {
    SessionFsm session(config());
    session.watch(Channel::page, start);
    (void)session.on_time(start + 100ms);
    (void)session.on_time(start + 200ms);
    CHECK_FALSE(session.on_answer(Channel::page, 3, start + 210ms)); // invented
    CHECK_FALSE(session.on_answer(Channel::page, 0, start + 210ms));
    CHECK_FALSE(session.on_answer(Channel::compute, 1, start + 210ms)); // not asked
    CHECK(session.on_answer(Channel::page, 1, start + 210ms));
    CHECK(session.state(Channel::page) == SessionFsm::State::asked);
    CHECK(session.on_answer(Channel::page, 2, start + 220ms));
    CHECK(session.state(Channel::page) == SessionFsm::State::idle);
    CHECK_FALSE(session.on_answer(Channel::page, 1, start + 230ms)); // late
    CHECK_FALSE(session.on_answer(Channel::page, 2, start + 230ms)); // twice
}

TEST_CASE("a worker that answers is never taken for hung") {
    SessionRig rig;
    rig.watch_all();
    CHECK_FALSE(rig.run(1h));
    CHECK_FALSE(rig.session.is_looking());
}

TEST_CASE("who answers tells which part hangs, and it is found in little more than a second") {
    struct Scene {
        const char* name;
        bool page, compute, browser, page_hung;
        LossCause cause;
    };
    const Scene scene = GENERATE(values<Scene>({
        {"the page's main thread loops", true, false, false, true, LossCause::page_hung},
        {"the compute thread loops", false, true, false, false, LossCause::compute_hung},
        {"the page's process is stopped", true, true, false, true, LossCause::page_hung},
        {"the network service is stopped", true, true, false, false, LossCause::network_hung},
        {"the browser process is stopped", false, false, true, true, LossCause::browser_hung},
        {"everything is stopped", true, true, true, true, LossCause::browser_hung},
    }));
    INFO(scene.name);
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(30s));
    rig.is_page_silent = scene.page;
    rig.is_compute_silent = scene.compute;
    rig.is_browser_silent = scene.browser;
    rig.is_page_hung = scene.page_hung;
    const auto found = rig.run(10s);
    REQUIRE(found);
    CHECK(rig.session.cause() == scene.cause);
    CHECK(*found > 850ms); // a pause of three quarters of a second, and an interval
    CHECK(*found <= 1200ms);
}

TEST_CASE("in Firefox a silent page and a silent compute thread are one page that hangs") {
    SessionRig rig;
    rig.session.set_engine(BrowserEngine::gecko);
    rig.watch_all();
    rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = true;
    REQUIRE(rig.run(10s));
    CHECK(rig.session.cause() == LossCause::page_hung);
}

TEST_CASE("a browser that is slow to answer while a thread hangs is not taken for hung itself") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    rig.run_to_look(-10ms);
    rig.is_browser_silent = true;
    CHECK(rig.run(2 * SessionFsm::look_time)); // the page has answered: it is the thread
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("a page and a browser that are slow to answer have as long as on any day") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    rig.run_to_look(-10ms);
    rig.is_page_silent = rig.is_browser_silent = true;
    CHECK_FALSE(rig.run(3 * SessionFsm::look_time));
    CHECK(rig.session.is_looking());
    rig.is_page_silent = rig.is_browser_silent = false;
    CHECK(rig.run(200ms));
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("a verdict is never overdue because of the answer that brings it on") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    rig.run_to_look(-10ms);
    rig.is_page_silent = true;
    REQUIRE_FALSE(rig.run(410ms));
    REQUIRE(rig.session.is_looking());
    rig.answer(Channel::page, false);
    CHECK(rig.session.deadline() >= rig.now); // else the host seems to have stood still
    REQUIRE(rig.run(1ms));
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("a page that is asked over a slow control channel has time to answer there") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_compute_silent = true;
    rig.run_to_look(-10ms);
    rig.is_browser_silent = true;
    REQUIRE_FALSE(rig.run(160ms));
    const std::uint64_t question = rig.session.last_sequence(Channel::control);
    rig.answer(Channel::control, false);
    rig.is_browser_silent = false;
    REQUIRE_FALSE(rig.run(20ms));
    for (std::uint64_t sequence = 1; sequence <= question; ++sequence)
        (void)rig.session.on_page_answer(sequence);
    REQUIRE(rig.run(200ms));
    CHECK(rig.session.cause() == LossCause::network_hung);
}

TEST_CASE("what is said early in a long look does not count at its end") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    rig.run_to_look(-10ms);
    rig.is_page_silent = true; // the browser goes on for a moment
    REQUIRE_FALSE(rig.run(50ms));
    rig.is_browser_silent = rig.is_page_hung = true;
    REQUIRE(rig.run(2s));
    CHECK(rig.session.cause() == LossCause::browser_hung);
}

TEST_CASE("a browser that was slow, and now answers, leaves no doubt about a page that lives") {
    SessionRig rig = watched();
    rig.is_browser_silent = true;
    rig.run_to_look(-1ms);
    rig.is_browser_silent = false;
    rig.is_page_hung = true; // by its own connection it answers
    CHECK_FALSE(rig.run(300ms));
}

TEST_CASE("who has answered has answered, though the host stands still then") {
    SessionRig rig = watched();
    rig.is_browser_silent = true;
    rig.run_to_look(1ms);
    REQUIRE(rig.session.is_looking());
    rig.now += 400ms;
    rig.session.on_host_late(400ms, rig.now);
    rig.is_page_silent = rig.is_compute_silent = true; // for the rest of this look
    (void)rig.run(SessionFsm::look_time);
    CHECK(rig.session.cause() == LossCause::browser_hung);
}

TEST_CASE("a browser that stopped a moment after its page is found to have stopped") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = true;
    CHECK_FALSE(rig.run(250ms));
    rig.is_browser_silent = true;
    const auto found = rig.run(2s);
    REQUIRE(found);
    CHECK(*found < 1s);
    CHECK(rig.session.cause() == LossCause::browser_hung);
}

TEST_CASE("a pause of three quarters of a second is forgiven") {
    SessionRig rig;
    rig.watch_all();
    for (int i = 0; i < 100; ++i) {
        REQUIRE_FALSE(rig.run(5s));
        rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = true;
        REQUIRE_FALSE(rig.run(750ms));
        rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = false;
    }
}

TEST_CASE("without a control channel a silent page is still found") {
    SessionRig rig;
    rig.session.watch(Channel::page, rig.now);
    rig.session.watch(Channel::compute, rig.now);
    rig.is_page_silent = rig.is_compute_silent = true;
    REQUIRE(rig.run(10s));
    CHECK(rig.session.cause() == LossCause::page_hung);
}

// --- work that keeps the compute thread from answering -------------------------------------------

TEST_CASE("a compute thread that computes is left alone until such work should be over") {
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(1s));
    rig.is_compute_silent = true;
    SECTION("known work") {
        rig.session.on_sent(kilobyte, 5s, 60s, rig.now);
        CHECK_FALSE(rig.run(5800ms));
        REQUIRE(rig.run(1s));
    }
    SECTION("work of which nothing is known") {
        rig.session.on_sent(kilobyte, std::nullopt, 60s, rig.now);
        CHECK_FALSE(rig.run(30800ms));
        REQUIRE(rig.run(1s));
    }
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

// A ping waits behind the operations that were sent before it.
TEST_CASE("a full queue of long operations does not look like a compute thread that hangs") {
    SessionRig rig;
    rig.watch_all();
    rig.is_compute_silent = true;
    rig.session.on_sent(1, 10s, 60s, rig.now);
    for (int i = 0; i < 50; ++i) {
        rig.session.on_sent(1, 10s, 60s, rig.now);
        REQUIRE_FALSE(rig.run(9s));
        rig.session.on_answered(1, false, false);
        rig.session.on_sign_of_life(rig.now);
    }
    rig.session.on_answered(1, false, false);
    rig.session.on_sign_of_life(rig.now);
    REQUIRE(rig.run(1300ms)); // idle now, and silent
}

TEST_CASE("a page that hangs under long work is found as soon as any other") {
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(5s));
    rig.session.on_sent(1, 60s, 60s, rig.now);
    rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = true;
    REQUIRE(rig.run(1200ms));
    CHECK(rig.session.cause() == LossCause::page_hung);
}

// A hung shader: the threads answer, the operation never ends.
TEST_CASE("an operation that nobody waits for any more and that does not end hangs the GPU") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, 2s, 60s, rig.now);
    REQUIRE_FALSE(rig.run(10s)); // its caller still waits
    rig.session.on_abandoned(rig.now);
    CHECK_FALSE(rig.run(config().acceptable_pause + 1999ms));
    REQUIRE(rig.run(2ms));
    CHECK(rig.session.cause() == LossCause::gpu_hung);
}

TEST_CASE("if the compute thread does not answer meanwhile, it is that which hangs") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, 100s, 60s, rig.now);
    rig.is_compute_silent = true;
    rig.session.on_abandoned(rig.now);
    REQUIRE(rig.run(101s));
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("a worker that moves on has more time for what nobody waits for") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, 1s, 60s, rig.now);
    rig.session.on_sent(1, 1s, 60s, rig.now);
    rig.session.on_abandoned(rig.now);
    REQUIRE_FALSE(rig.run(900ms));
    rig.session.on_answered(1, false, false);
    rig.session.on_sign_of_life(rig.now);
    CHECK_FALSE(rig.run(config().acceptable_pause + 999ms));
    CHECK(rig.run(2ms));
}

TEST_CASE("an operation of which nothing is known has as long again as its caller gave it") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, std::nullopt, 4s, rig.now);
    REQUIRE_FALSE(rig.run(4s));
    SECTION("while the compute thread answers: it waits for the GPU") {
        rig.session.on_abandoned(rig.now);
        CHECK_FALSE(rig.run(3999ms));
        REQUIRE(rig.run(2ms));
        CHECK(rig.session.cause() == LossCause::gpu_hung);
    }
    SECTION("while it is silent, it may compute") {
        rig.is_compute_silent = true;
        rig.session.on_abandoned(rig.now);
        CHECK_FALSE(rig.run(26s));
    }
    SECTION("another such operation, whose caller is patient, has its time first") {
        rig.session.on_sent(1, std::nullopt, 1h, rig.now);
        rig.session.on_abandoned(rig.now);
        CHECK_FALSE(rig.run(29'999ms));
        CHECK(rig.run(2ms));
    }
}

TEST_CASE("once none of unknown length is left, what is known counts, be it idle or not") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, std::nullopt, 1h, rig.now);
    rig.session.on_sent(1, 2s, 1h, rig.now);
    rig.session.on_answered(1, true, false);
    rig.session.on_sign_of_life(rig.now);
    rig.is_compute_silent = true;
    CHECK_FALSE(rig.run(2s));
    REQUIRE(rig.run(2s));
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("the end of the last given-up operation lifts the suspicion") {
    SessionRig rig;
    rig.watch_all();
    rig.session.on_sent(1, 1s, 60s, rig.now);
    rig.session.on_abandoned(rig.now);
    rig.session.on_answered(1, false, true);
    CHECK_FALSE(rig.run(1h));
    CHECK(rig.session.in_flight() == 0);
    CHECK(rig.session.abandoned() == 0);
}

// --- a host that stands still --------------------------------------------------------------------

TEST_CASE("time for which the host stood still does not count as silence") {
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(5s));
    rig.session.on_sent(1, 1s, 60s, rig.now);
    rig.session.on_abandoned(rig.now);
    rig.now += 1h;
    rig.session.on_host_late(1h, rig.now);
    CHECK_FALSE(rig.tick());
    CHECK_FALSE(rig.run(900ms));
}

TEST_CASE("who was silent before the host stood still is found out soon after") {
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(5s));
    rig.is_page_silent = rig.is_page_hung = true;
    REQUIRE_FALSE(rig.run(800ms));
    rig.now += 1h;
    rig.session.on_host_late(1h, rig.now);
    CHECK_FALSE(rig.tick());
    CHECK(rig.run(400ms));
}

TEST_CASE("a host that stood still for ever does not overflow") {
    SessionRig rig;
    rig.watch_all();
    REQUIRE_FALSE(rig.run(5s));
    rig.session.on_host_late(Duration::max(), rig.now);
    CHECK_FALSE(rig.tick());
}

// --- how much it may be given --------------------------------------------------------------------

TEST_CASE("a session has room up to its count and bytes, and for one large request alone") {
    SessionFsm session(config());
    CHECK(session.has_room(1000, 2));
    session.on_sent(60, {}, 60s, start);
    CHECK(session.has_room(40, 2));
    CHECK_FALSE(session.has_room(41, 2));
    CHECK_FALSE(session.has_room(UINT64_MAX, 2));
    session.on_sent(40, {}, 60s, start);
    CHECK_FALSE(session.has_room(0, 2));
    session.on_answered(60, true, false);
    session.on_answered(40, true, false);
    session.on_sent(1000, {}, 60s, start);
    CHECK_FALSE(session.has_room(0, 2)); // nothing beside the large one
}
