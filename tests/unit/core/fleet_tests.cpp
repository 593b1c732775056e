// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"
#include "everpool/core/fleet.hpp"
#include "everpool/core/restart_intensity.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

namespace {

constexpr StartFailure no_library{LossCause::process_exited, Errc::browser_launch_failed};
constexpr StartFailure too_slow{LossCause::start_timed_out, Errc::browser_launch_failed};

struct Scene {
    TimePoint now{1h};
    Fleet fleet{3, 1min};

    Scene() {
        for (const WorkerId id : {w0, w1, w2}) fleet.on_start(id);
    }
    bool fail(WorkerId id, StartFailure why = no_library) {
        return fleet.on_start_failed(id, why, now);
    }
    /// All but the very last one of what makes a fleet fail.
    void fail_nearly() {
        for (const WorkerId id : {w0, w1, w2}) CHECK_FALSE(fail(id));
        CHECK_FALSE(fail(w0));
        CHECK_FALSE(fail(w1));
    }
};

} // namespace

TEST_CASE("a fleet fails when each worker's start has failed twice, and alike") {
    Scene scene;
    scene.fail_nearly();
    CHECK(scene.fleet.may_start(w1));
    CHECK(scene.fail(w2));
    REQUIRE(scene.fleet.trouble());
    CHECK(scene.fleet.trouble()->prober == w0);
    CHECK(scene.fleet.trouble()->why == no_library);
    CHECK(scene.fleet.may_start(w0));
    CHECK_FALSE(scene.fleet.may_start(w1));
    CHECK_FALSE(scene.fail(w0)); // said once
}

TEST_CASE("a fleet does not fail as long as one worker is ready, or fails for another reason") {
    Scene scene;
    scene.fail_nearly();
    SECTION("ready") {
        CHECK_FALSE(scene.fleet.on_ready(w2));
        CHECK_FALSE(scene.fail(w0));
        CHECK_FALSE(scene.fail(w1));
    }
    SECTION("another reason") {
        CHECK_FALSE(scene.fail(w2, too_slow));
        CHECK_FALSE(scene.fail(w2, too_slow));
    }
    SECTION("another reason in between") {
        CHECK_FALSE(scene.fail(w1, too_slow));
        CHECK_FALSE(scene.fail(w1));
        CHECK_FALSE(scene.fail(w2));
    }
    SECTION("not at the same time") {
        scene.now += 61s;
        CHECK_FALSE(scene.fail(w2));
    }
    CHECK_FALSE(scene.fleet.trouble());
}

TEST_CASE("the first worker that is ready ends a fleet's failure, the prober or another") {
    Scene scene;
    scene.fail_nearly();
    REQUIRE(scene.fail(w2));
    CHECK(scene.fleet.on_ready(GENERATE(w0, w1)));
    CHECK_FALSE(scene.fleet.trouble());
    CHECK(scene.fleet.may_start(w2));
    CHECK_FALSE(scene.fail(w2)); // one of them is ready
}

TEST_CASE("a prober that is given up leaves the place to the next, the last one to nobody") {
    Scene scene;
    scene.fail_nearly();
    REQUIRE(scene.fail(w2));
    scene.fleet.on_end(w0);
    CHECK(scene.fleet.trouble()->prober == w1);
    scene.fleet.on_end(w2); // not the prober
    CHECK(scene.fleet.trouble()->prober == w1);
    scene.fleet.on_end(w1);
    CHECK_FALSE(scene.fleet.trouble());
}

TEST_CASE("workers that were given up, or never started, are not waited for") {
    Fleet fleet(3, 1min);
    fleet.on_start(w0);
    fleet.on_start(w1);
    fleet.on_end(w1);
    CHECK_FALSE(fleet.on_start_failed(w0, no_library, TimePoint(1h)));
    CHECK(fleet.on_start_failed(w0, no_library, TimePoint(1h)));
    CHECK(fleet.trouble()->prober == w0);
}

TEST_CASE("more recoveries than the intensity allows within its period are too many") {
    RestartIntensity intensity(3, 60s);
    const TimePoint begin(1h);
    CHECK_FALSE(intensity.note(begin));
    CHECK_FALSE(intensity.note(begin + 30s));
    CHECK_FALSE(intensity.note(begin + 50s));
    SECTION("the fourth within it") { CHECK(intensity.note(begin + 60s)); }
    SECTION("the fourth after it") {
        CHECK_FALSE(intensity.note(begin + 61s));
        CHECK(intensity.note(begin + 90s)); // three more since the second one
    }
    SECTION("one that is too many begins the count anew") {
        CHECK(intensity.note(begin + 51s));
        for (int i = 0; i < 3; ++i) CHECK_FALSE(intensity.note(begin + 52s));
        CHECK(intensity.note(begin + 53s));
    }
    SECTION("a healthy spell between them") {
        intensity.reset();
        CHECK_FALSE(intensity.note(begin + 51s));
    }
}

TEST_CASE("without a period no number of recoveries is too many") {
    RestartIntensity intensity(1, 0s);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(intensity.note(TimePoint(1h)));
}
