// A silent worker whose threads wait for a processor, or loop.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/session_fsm.hpp"
#include "session_rig.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>

using namespace everpool;
using namespace everpool::core;

TEST_CASE("a browser that waits for a processor is not judged as long as it does") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = rig.threads.does_any_wait =
        true;
    REQUIRE_FALSE(rig.run(2500ms));
    SECTION("and answers when it has got one") {
        rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = rig.threads.does_any_wait =
            false;
        CHECK_FALSE(rig.run(10s));
    }
    SECTION("but then, if it goes on to be silent") {
        rig.threads.does_any_wait = false;
        const auto found = rig.run(1s);
        REQUIRE(found);
        CHECK(*found <= config().ping_timeout - 2500ms + SessionFsm::look_time);
        CHECK(rig.session.cause() == LossCause::page_hung);
    }
}

TEST_CASE("a compute thread that is silent alone has its own wait for an excuse, no other's") {
    SessionRig rig = watched();
    rig.is_compute_silent = rig.threads.does_any_wait = true;
    SECTION("others wait") {
        const auto found = rig.run(2s);
        REQUIRE(found);
        CHECK(*found < 1200ms);
        CHECK(rig.session.cause() == LossCause::compute_hung);
    }
    SECTION("it waits") {
        rig.threads.does_compute_wait = true;
        rig.threads.compute_ran = StarvationAnswer::run_to_answer - 1ns;
        REQUIRE_FALSE(rig.run(2500ms));
        rig.is_compute_silent = false;
        CHECK_FALSE(rig.run(10s));
    }
    SECTION("it has had its turns, as a loop has, whether it waits for the next or not") {
        rig.threads.does_compute_wait = GENERATE(false, true);
        const bool has_page_turns = GENERATE(false, true);
        rig.is_page_silent = rig.is_page_hung = !has_page_turns;
        rig.threads.compute_ran = StarvationAnswer::run_to_answer;
        const auto found = rig.run(2s);
        REQUIRE(found);
        CHECK(*found < 1200ms);
        CHECK(rig.session.cause() == LossCause::compute_hung);
    }
    SECTION("its waits do not matter if it is the page that is late") {
        rig.threads.does_compute_wait = GENERATE(false, true);
        rig.is_compute_silent = false;
        rig.is_page_silent = rig.is_page_hung = true;
        rig.threads.compute_ran = StarvationAnswer::run_to_answer;
        REQUIRE_FALSE(rig.run(2500ms)); // starved
    }
    SECTION("it waits in the midst of work that takes longer than an answer") {
        rig.threads.does_compute_wait = true;
        rig.session.on_sent(kilobyte, 1s, 60s, rig.now);
        rig.threads.compute_ran = 900ms;
        REQUIRE_FALSE(rig.run(2500ms));
        rig.session.on_answered(kilobyte, false, false);
        REQUIRE(rig.run(1s)); // nothing to do any more
    }
}

TEST_CASE("a compute thread that is known to loop has half of the pause, in doubt the whole one") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    rig.is_page_silent = rig.is_page_hung = GENERATE(false, true);
    SECTION("it has run for so long that it would have answered") {
        rig.threads.compute_ran = StarvationAnswer::run_to_answer;
        const auto found = rig.run(2s);
        REQUIRE(found);
        CHECK(*found > config().acceptable_pause / 2);
        CHECK(*found < config().acceptable_pause);
        CHECK(rig.session.cause() == LossCause::compute_hung);
    }
    SECTION("it may be about to answer") {
        rig.threads.compute_ran = StarvationAnswer::run_to_answer - 1ns;
        const auto found = rig.run(2s);
        REQUIRE(found);
        CHECK(*found > config().acceptable_pause + SessionFsm::look_time);
        CHECK(*found < 1200ms);
    }
    SECTION("it answers while it is looked at") {
        REQUIRE_FALSE(rig.run(config().acceptable_pause));
        rig.is_compute_silent = rig.is_page_silent = rig.is_page_hung = false;
        CHECK_FALSE(rig.run(10s));
    }
}

TEST_CASE("work that is given to a worker while it is looked at brings no verdict forward") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    REQUIRE_FALSE(rig.run(700ms));
    rig.is_page_silent = rig.is_page_hung = true;
    rig.run_to_look(150ms); // the page has its time yet
    REQUIRE(rig.session.is_looking());
    rig.session.on_sent(kilobyte, 1s, 60s, rig.now);
    CHECK(rig.session.deadline() > rig.now);
}

TEST_CASE("a system that cannot tell is not asked for a loop again") {
    SessionRig rig = watched();
    rig.is_compute_silent = rig.is_system_silent = true;
    rig.session.on_sent(kilobyte, 10s, 60s, rig.now);
    REQUIRE_FALSE(rig.run(10s + config().loop_pause() + 1ms));
    CHECK(rig.session.is_looking()); // early
    REQUIRE_FALSE(rig.run(SessionFsm::look_time));
    REQUIRE_FALSE(rig.run(config().loop_pause() - SessionFsm::look_time - 10ms));
    CHECK_FALSE(rig.session.is_looking());
}

TEST_CASE("a loop that is known of late is judged then, and not before") {
    SessionRig rig = watched();
    rig.is_compute_silent = true;
    REQUIRE_FALSE(rig.run(500ms));
    rig.is_page_silent = rig.is_page_hung = true; // which has its time yet
    rig.is_system_silent = true;
    rig.run_to_look(10ms);
    const std::uint64_t asked = rig.session.last_sequence(Channel::control);
    REQUIRE_FALSE(rig.run(140ms));
    REQUIRE(rig.session.on_threads_seen(asked, {true, true, 1s}, rig.now));
    CHECK(rig.session.deadline() == rig.now);
    CHECK(rig.tick());
    CHECK(rig.session.cause() == LossCause::compute_hung);
}

TEST_CASE("what the work in hand takes is no loop, nor is it if there is more of it") {
    SessionRig rig = watched();
    rig.is_compute_silent = rig.threads.does_any_wait = rig.threads.does_compute_wait = true;
    for (int i = 0; i < 3; ++i) rig.session.on_sent(kilobyte, 300ms, 60s, rig.now);
    const Duration work = 3 * (300ms - RunTimes::allowance);
    SECTION("it may be that yet") {
        rig.threads.compute_ran = work + StarvationAnswer::run_to_answer - 1ns;
        CHECK_FALSE(rig.run(2500ms));
    }
    SECTION("it cannot be") {
        rig.threads.compute_ran = work + StarvationAnswer::run_to_answer;
        CHECK(rig.run(2500ms));
    }
}

TEST_CASE("silence of ping_timeout is a hang though threads wait for a processor") {
    SessionRig rig = watched();
    rig.is_browser_silent = rig.threads.does_any_wait = true;
    const auto found = rig.run(5s);
    REQUIRE(found);
    CHECK(*found >= config().ping_timeout - config().ping_interval);
    CHECK(*found <= config().ping_timeout + 2 * SessionFsm::look_time);
    CHECK(rig.session.cause() == LossCause::browser_hung);
}

TEST_CASE("who was seen to starve has as long again to catch up") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_compute_silent = rig.is_browser_silent = true;
    rig.threads.does_any_wait = true;
    rig.run_to_look(0ms);
    const Duration starved = GENERATE(300ms, 500ms, 700ms);
    REQUIRE_FALSE(rig.run(starved + 10ms));
    rig.threads = {};
    SECTION("all answer, the compute thread last") {
        REQUIRE_FALSE(rig.run(starved / 2));
        rig.is_page_silent = rig.is_browser_silent = false;
        REQUIRE_FALSE(rig.run(starved / 4));
        rig.is_compute_silent = false;
        CHECK_FALSE(rig.run(10s));
    }
    SECTION("one never does") {
        const auto is_hung = GENERATE(&SessionRig::is_compute_silent, &SessionRig::is_page_silent,
                                      &SessionRig::is_browser_silent);
        rig.is_page_silent = rig.is_compute_silent = rig.is_browser_silent = false;
        rig.*is_hung = true;
        rig.is_page_hung = rig.is_page_silent;
        const auto found = rig.run(5s);
        REQUIRE(found);
        CHECK(*found > starved - SessionFsm::look_time);
        // The first look lasted until page and browser had had their time.
        CHECK(*found < starved + 4 * SessionFsm::look_time);
    }
}

TEST_CASE("a part that waits in one look and not in the next is not granted more with each") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_page_hung = true;
    rig.threads.does_any_wait = true;
    rig.run_to_look(0ms);
    REQUIRE_FALSE(rig.run(SessionFsm::look_time + 10ms));
    rig.threads = {};
    const auto found = rig.run(5s);
    REQUIRE(found);
    CHECK(*found < 4 * SessionFsm::look_time);
}

TEST_CASE("who computes for a while after it has starved still has its time to catch up") {
    SessionRig rig = watched();
    rig.is_page_silent = rig.is_compute_silent = rig.is_browser_silent = rig.threads.does_any_wait =
        true;
    rig.run_to_look(0ms);
    REQUIRE_FALSE(rig.run(700ms));
    rig.threads = {};
    rig.is_page_silent = rig.is_browser_silent = false;
    rig.session.on_sent(kilobyte, 200ms, 60s, rig.now); // in time, for a look or two
    REQUIRE_FALSE(rig.run(500ms));
    rig.is_compute_silent = false;
    CHECK_FALSE(rig.run(10s));
}

TEST_CASE("of starvation only the answer of this look counts, once") {
    SessionRig rig = watched();
    const ThreadsSeen waits{.does_any_wait = true, .does_compute_wait = true};
    CHECK_FALSE(
        rig.session.on_threads_seen(rig.session.last_sequence(Channel::control), waits, rig.now));
    rig.is_page_silent = rig.is_compute_silent = rig.is_page_hung = rig.is_system_silent = true;
    rig.run_to_look(10ms);
    const std::uint64_t asked = rig.session.last_sequence(Channel::control);
    CHECK_FALSE(rig.session.on_threads_seen(asked - 1, waits, rig.now));
    CHECK(rig.session.on_threads_seen(asked, waits, rig.now));
    CHECK_FALSE(rig.session.on_threads_seen(asked, waits, rig.now));
    REQUIRE(rig.run(1s)); // in the next look nobody says so
}
