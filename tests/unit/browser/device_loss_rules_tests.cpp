// Chromium's rules as they were read in its source and measured on Chromium 156.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/chromium_flags.hpp"
#include "everpool/browser/device_loss_rules.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::browser;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start = TimePoint{} + 1h;

} // namespace

TEST_CASE("the first loss is forgiven") {
    DeviceLossRules rules;
    CHECK(rules.remedy_for("h", start) == DeviceLossRemedy::recreate_device);
    rules.on_gpu_process_lost({"h"}, start);
    CHECK_FALSE(rules.is_blocked("h", start));
    CHECK(rules.remedy_for("h", start) == DeviceLossRemedy::recreate_device);
    CHECK(rules.unblocked_at(start) == start + 2min);
}

// Measured: location.reload() and a new worker get null, Page.reload of the control channel helps.
TEST_CASE("the second loss within two minutes blocks the host name until its page is reloaded") {
    DeviceLossRules rules;
    rules.on_gpu_process_lost({"h"}, start);
    rules.on_gpu_process_lost({"h"}, start + 1min);
    CHECK(rules.is_blocked("h", start + 1min));
    CHECK_FALSE(rules.is_blocked("w17.localhost", start + 1min));
    CHECK(rules.remedy_for("h", start + 1min) == DeviceLossRemedy::reload_page);
    CHECK(rules.remedy_for("h", start + 1min, false) == DeviceLossRemedy::fresh_host_name);
    rules.on_host_navigated("other");
    CHECK(rules.is_blocked("h", start + 1min));
    rules.on_host_navigated("h");
    CHECK_FALSE(rules.is_blocked("h", start + 1min));
}

TEST_CASE("a loss counts for two minutes, to the very end") {
    DeviceLossRules rules;
    rules.on_gpu_process_lost({"h"}, start);
    rules.on_gpu_process_lost({"h"}, start + 90s);
    CHECK(rules.is_blocked("h", start + 2min));
    CHECK_FALSE(rules.is_blocked("h", start + 2min + 1ns));
    CHECK(rules.unblocked_at(start + 2min) == start + 90s + 2min);
}

TEST_CASE("pages of one host lose their devices together, and that is one loss") {
    DeviceLossRules rules;
    rules.on_gpu_process_lost({"h", "h", "h"}, start);
    CHECK_FALSE(rules.is_blocked("h", start));
}

TEST_CASE("three losses of three hosts block all others as well") {
    DeviceLossRules rules({.has_crash_limit = false});
    rules.on_gpu_process_lost({"a"}, start);
    rules.on_gpu_process_lost({"b"}, start + 1s);
    CHECK_FALSE(rules.is_blocked("d", start + 1s));
    rules.on_gpu_process_lost({"c"}, start + 2s);
    CHECK(rules.is_blocked("d", start + 2s));
    // Reloading d's page clears nothing, as d has no loss; a's clears one of three.
    CHECK(rules.remedy_for("d", start + 2s) == DeviceLossRemedy::wait);
    CHECK(rules.remedy_for("a", start + 2s) == DeviceLossRemedy::reload_page);
    CHECK_FALSE(rules.is_blocked("d", start + 2min + 1ns));
}

TEST_CASE("one death that hits many hosts is one event") {
    DeviceLossRules rules;
    rules.on_gpu_process_lost({"a", "b", "c", "d"}, start);
    CHECK_FALSE(rules.is_blocked("e", start));
}

TEST_CASE("the third death drops hardware to software, the sixth to no WebGPU, the ninth kills") {
    DeviceLossRules rules;
    CHECK(rules.deaths_left() == 8);
    for (int death = 1; death <= 9; ++death) {
        rules.on_gpu_process_lost({"h"}, start + std::chrono::seconds(death));
        rules.on_host_navigated("h");
        CAPTURE(death);
        CHECK(rules.mode() == (death < 3   ? GpuMode::hardware
                               : death < 6 ? GpuMode::software
                               : death < 9 ? GpuMode::display_only
                                           : GpuMode::unusable));
        CHECK(rules.deaths_left() == static_cast<std::uint32_t>(death < 9 ? 8 - death : 0));
        CHECK(rules.remedy_for("h", start + 1min) ==
              (death < 6 ? DeviceLossRemedy::recreate_device : DeviceLossRemedy::restart_browser));
    }
}

// What was measured: no GPU, and gone at the sixth death.
TEST_CASE("without a GPU the sixth death kills the browser") {
    DeviceLossRules rules({}, GpuMode::software);
    int deaths = 0;
    while (rules.mode() != GpuMode::unusable) {
        rules.on_gpu_process_lost({"h"}, start + std::chrono::seconds(++deaths));
        REQUIRE(deaths < 100);
    }
    CHECK(deaths == 6);
}

// Measured on Chromium 156 and its headless shell, without a GPU, by killing the GPU process again
// and again and asking the page for an adapter each time.
TEST_CASE("the rules foretell the course that was measured, death by death") {
    const auto course = [](const DeviceLossLimits& limits, int deaths) {
        DeviceLossRules rules(limits, GpuMode::software);
        std::string out;
        for (int death = 1; death <= deaths; ++death) {
            const TimePoint now = start + 2s * death;
            rules.on_gpu_process_lost({"127.0.0.1"}, now);
            const DeviceLossRemedy remedy = rules.remedy_for("127.0.0.1", now);
            out += rules.mode() == GpuMode::unusable             ? 'x' // the browser is gone
                   : remedy == DeviceLossRemedy::recreate_device ? 'a' // an adapter at once
                   : remedy == DeviceLossRemedy::reload_page     ? 'r' // after Page.reload
                   : remedy == DeviceLossRemedy::restart_browser ? '-' // never again
                                                                 : '?';
            if (remedy == DeviceLossRemedy::reload_page) rules.on_host_navigated("127.0.0.1");
        }
        return out;
    };
    CHECK(course({}, 6) == "ar---x");
    CHECK(course({.has_host_blocking = false}, 6) == "aa---x");
    CHECK(course({.has_crash_limit = false}, 12) == "arararararar");
    CHECK(course({.has_host_blocking = false, .has_crash_limit = false}, 12) == "aaaaaaaaaaaa");
}

TEST_CASE("Vulkan, then GL: each mode on hardware has three deaths of its own") {
    DeviceLossRules rules({.hardware_mode_count = 2});
    CHECK(rules.deaths_left() == 11);
    for (int death = 1; death <= 6; ++death) {
        CHECK(rules.mode() == GpuMode::hardware);
        rules.on_gpu_process_lost({}, start + std::chrono::seconds(death));
    }
    CHECK(rules.mode() == GpuMode::software);
    CHECK(rules.deaths_left() == 5);
}

TEST_CASE("five quiet minutes forgive a death") {
    DeviceLossRules rules;
    TimePoint now = start;
    for (int death = 0; death < 20; ++death, now += 5min) rules.on_gpu_process_lost({"h"}, now);
    CHECK(rules.mode() == GpuMode::hardware);
    rules.on_gpu_process_lost({"h"}, now - 5min + 1s);
    rules.on_gpu_process_lost({"h"}, now - 5min + 2s);
    CHECK(rules.mode() == GpuMode::software);
}

TEST_CASE("the pool's own arguments turn all of it off") {
    DeviceLossRules rules(DeviceLossRules::limits_of(chromium_arguments("/p", {}, {})));
    for (int death = 0; death < 12; ++death) {
        rules.on_gpu_process_lost({"h"}, start + std::chrono::milliseconds(death));
        CHECK(rules.remedy_for("h", start + 1s) == DeviceLossRemedy::recreate_device);
    }
    CHECK(rules.mode() == GpuMode::hardware);
    CHECK(rules.deaths_left(7) == 7);
    CHECK(rules.unblocked_at(start) == start);
}

// Measured: the browser lives and the adapter stays null.
TEST_CASE("either switch alone turns off its own rule only") {
    const std::vector<std::string> no_limit{"--disable-gpu-process-crash-limit"};
    DeviceLossRules blocked(DeviceLossRules::limits_of(no_limit));
    for (int death = 0; death < 12; ++death) blocked.on_gpu_process_lost({"h"}, start);
    blocked.on_gpu_process_lost({"h"}, start + 1s);
    CHECK(blocked.mode() == GpuMode::hardware);
    CHECK(blocked.is_blocked("h", start + 1s));
    const std::vector<std::string> no_blocking{"--disable-domain-blocking-for-3d-apis"};
    DeviceLossRules limited(DeviceLossRules::limits_of(no_blocking));
    for (int death = 0; death < 3; ++death) limited.on_gpu_process_lost({"h"}, start + 1s * death);
    CHECK_FALSE(limited.is_blocked("h", start + 3s));
    CHECK(limited.mode() == GpuMode::software);
}

TEST_CASE("what the adapter turns out to be counts more than what was expected") {
    DeviceLossRules rules;
    rules.on_gpu_process_lost({"h"}, start);
    rules.on_adapter_read(GpuMode::software);
    CHECK(rules.mode() == GpuMode::software);
    CHECK(rules.deaths_left() == 5);
    rules.on_gpu_process_lost({"h"}, start + 1s);
    rules.on_adapter_read(GpuMode::software); // as expected: nothing is forgotten
    CHECK(rules.deaths_left() == 4);
}

TEST_CASE("a storm of losses, and a clock that goes back, do no harm") {
    DeviceLossRules rules;
    for (int i = 0; i < 10'000; ++i) {
        const std::string host = "h" + std::to_string(i % 500);
        rules.on_gpu_process_lost({host}, i % 7 == 0 ? start - 1h : start + 1ms * i);
        CHECK(rules.deaths_left() <= 8);
    }
    CHECK(rules.mode() == GpuMode::unusable);
    CHECK(rules.remedy_for("h", start) == DeviceLossRemedy::restart_browser);
}
