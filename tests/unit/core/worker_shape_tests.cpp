// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/profile.hpp"
#include "everpool/core/worker_fsm.hpp"
#include "everpool/core/worker_shape.hpp"
#include "support/catch.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

namespace {

/// What a worker would be started with in its present form.
browser::AdjustedSettings settings_of(const WorkerShape& shape, ModelFamily family) {
    return browser::adjusted_settings(shape.browser(), shape.form().adjusted_for, family,
                                      shape.form().adjustment);
}

bool may_adjust(const CoreConfig& config, const WorkerShape& shape,
                BrowserFailureCategory failure) {
    return shape.possible(config.rungs, failure, shape.form())
        .contains(RecoveryRung::restart_adjusted);
}

/// Wants adjusted settings as long as it is told that there are some.
class AsAdjusted final : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "as_adjusted"; }
    [[nodiscard]] std::optional<RecoveryRung> next(const RecoverySituation& now) const override {
        if (now.available.contains(RecoveryRung::restart_adjusted))
            return RecoveryRung::restart_adjusted;
        return RecoveryRung::restart_browser;
    }
};

} // namespace

// Else the rung is a plain restart under another name, and so is what is counted of it.
TEST_CASE("settings are adjusted only while that adds some, whatever fails of whichever browser") {
    for (const BrowserType type : browser_types)
        for (const ModelFamily family : model_families) {
            CoreConfig config;
            config.worker_browsers = {type};
            config.family = family;
            for (const BrowserFailureCategory failure : browser_failure_categories) {
                CAPTURE(name_of(type), name_of(family), name_of(failure));
                WorkerShape shape(config, 0);
                auto before = settings_of(shape, family);
                int count = 0;
                for (; may_adjust(config, shape, failure) && count < 10; ++count) {
                    shape.apply(RecoveryRung::restart_adjusted, failure);
                    const auto after = settings_of(shape, family);
                    CHECK_FALSE(after.is_empty());
                    CHECK_FALSE(after == before);
                    before = after;
                }
                CHECK(count <= 2);
                const WorkerForm last = shape.form();
                shape.apply(RecoveryRung::restart_adjusted, failure);
                CHECK(shape.form() == last);
            }
        }
}

TEST_CASE("another browser has had no settings yet, and another failure has others") {
    using enum BrowserFailureCategory;
    CoreConfig config;
    config.worker_alternatives.assign(1, {{.type = BrowserType::firefox}});
    WorkerShape shape(config, 0);
    shape.apply(RecoveryRung::restart_adjusted, memory);
    CHECK(shape.form() == WorkerForm{.adjustment = 2, .adjusted_for = memory});
    CHECK_FALSE(may_adjust(config, shape, memory));
    CHECK(may_adjust(config, shape, resource));
    shape.apply(RecoveryRung::restart_adjusted, resource);
    CHECK(shape.form() == WorkerForm{.adjustment = 1, .adjusted_for = resource});
    shape.apply(RecoveryRung::other_type, resource);
    CHECK(shape.form() == WorkerForm{.browser = 1}); // adjustments are of one browser
    CHECK(may_adjust(config, shape, memory));
}

TEST_CASE("a family of models that has settings of its own has them after any failure") {
    using enum BrowserFailureCategory;
    CoreConfig config;
    CHECK_FALSE(may_adjust(config, WorkerShape(config, 0), crash));
    config.family = ModelFamily::vision;
    CHECK(may_adjust(config, WorkerShape(config, 0), crash));
    config.rungs.erase(RecoveryRung::restart_adjusted);
    CHECK_FALSE(may_adjust(config, WorkerShape(config, 0), crash));
}

TEST_CASE("another browser is one on the same machine, and another machine has whatever is there") {
    using enum RecoveryRung;
    CoreConfig config; // a chromium
    config.worker_alternatives = {{{.type = BrowserType::firefox},
                                   {.type = BrowserType::chromium, .machine = 1},
                                   {.type = BrowserType::firefox, .machine = 1},
                                   {.type = BrowserType::chromium, .machine = 2},
                                   {.type = BrowserType::chromium, .machine = 1}}};
    WorkerShape shape(config, 0);
    const auto has = [&](RecoveryRung rung) {
        return shape.possible(config.rungs, BrowserFailureCategory::crash, shape.form())
            .contains(rung);
    };
    const auto after = [&](RecoveryRung rung) {
        shape.apply(rung, BrowserFailureCategory::crash);
        return shape.form().browser;
    };
    CHECK_FALSE(has(other_browser)); // the other chromiums are elsewhere
    CHECK(after(other_browser) == 0);
    CHECK(after(other_type) == 1);
    CHECK(after(other_machine) == 2);
    CHECK(has(other_browser));
    CHECK(after(other_browser) == 5);
    CHECK(after(other_type) == 3);
    CHECK(after(other_machine) == 4);
    CHECK_FALSE(has(other_browser));
    CHECK_FALSE(has(other_type));
    CHECK(after(other_machine) == 5); // the next in turn that is not where it is
    CHECK(after(other_machine) == 0); // and home again
}

TEST_CASE("there is no other machine where all browsers are on one") {
    CoreConfig config;
    const auto possible = [&] {
        return WorkerShape(config, 0).possible(config.rungs, BrowserFailureCategory::crash, {});
    };
    CHECK_FALSE(possible().contains(RecoveryRung::other_machine));
    config.worker_alternatives = {{{.type = BrowserType::firefox}}};
    CHECK_FALSE(possible().contains(RecoveryRung::other_machine));
    config.worker_alternatives[0].push_back({.type = BrowserType::edge, .machine = 1});
    CHECK(possible().contains(RecoveryRung::other_machine));
    config.rungs.erase(RecoveryRung::other_machine);
    CHECK_FALSE(possible().contains(RecoveryRung::other_machine));
}

TEST_CASE("a worker leaves its machine last, and comes home after a healthy spell") {
    using enum RecoveryRung;
    CoreConfig config;
    config.restart_count_max = 20;
    config.worker_alternatives = {
        {{.type = BrowserType::chromium, .machine = 1}, {.type = BrowserType::firefox}}};
    const ProgressiveRecoveryManager strategy;
    RungStatistics statistics;
    WorkerFsm fsm(config, 0, strategy, statistics);
    TimePoint now{1h};
    Prng prng{1};
    (void)fsm.start(now);
    std::vector<RecoveryRung> rungs;
    while (fsm.rung() != other_machine && rungs.size() < 10) {
        (void)fsm.on_start_failed(Errc::browser_not_found, true, now, prng); // not the end
        if (fsm.state() == WorkerFsm::State::waiting) (void)fsm.on_time(now = fsm.deadline());
        rungs.push_back(fsm.rung());
    }
    CHECK(rungs == std::vector{restart_browser, restart_adjusted, other_type, other_machine});
    CHECK(fsm.form() == WorkerForm{.browser = 1});
    REQUIRE(fsm.on_connected(now) == NextWorkerStep::serve);
    now += config.restart_healthy_after;
    (void)fsm.on_lost(LossCause::process_exited, now, prng);
    CHECK(fsm.rung() == restart_browser);
    CHECK(fsm.form() == WorkerForm{});
}

TEST_CASE("a strategy is told before each step whether there is something to adjust") {
    const CoreConfig config;
    const AsAdjusted strategy;
    RungStatistics statistics;
    WorkerFsm fsm(config, 0, strategy, statistics);
    TimePoint now{1h};
    Prng prng{1};
    const auto fail = [&](LossCause cause) {
        (void)fsm.on_lost(cause, now, prng);
        if (fsm.state() == WorkerFsm::State::waiting) (void)fsm.on_time(now = fsm.deadline());
        return fsm.rung();
    };
    (void)fsm.start(now);
    (void)fsm.on_connected(now);
    using enum RecoveryRung;
    CHECK(fail(LossCause::slow) == restart_adjusted);
    CHECK(fail(LossCause::start_timed_out) == restart_adjusted);
    CHECK(fail(LossCause::start_timed_out) == restart_browser);
    (void)fsm.on_connected(now);
    CHECK(fail(LossCause::slow) == restart_browser); // it still has all that there is
    (void)fsm.on_connected(now);
    now += config.restart_healthy_after;
    CHECK(fail(LossCause::slow) == restart_adjusted); // it is as configured again
    CHECK(fsm.form().adjustment == 1);
    (void)fsm.on_connected(now);
    CHECK(fail(LossCause::process_exited) == restart_browser);
}
