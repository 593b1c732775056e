// PoolCore: a second worker for what is late.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

/// Workers that have answered often enough, each time after 10 ms.
struct HedgeRig : CoreRig {
    explicit HedgeRig(std::size_t count = 2, CoreConfig config = {})
        : CoreRig(with(count, config)) {
        start();
        for (std::uint64_t id = 1; id <= 50; ++id) {
            const auto sent = only<Dispatch>(submit(hedged(id)));
            pass_alive(10ms);
            reply(sent);
        }
    }
    static CoreConfig with(std::size_t count, CoreConfig config) {
        config.worker_browsers.assign(count, BrowserType::chromium);
        return config;
    }
    static RequestMeta hedged(std::uint64_t id) { return {.id = {id}, .may_hedge = true}; }
};

} // namespace

TEST_CASE("what is late is asked of an idle worker, and the first answer wins") {
    HedgeRig rig;
    const auto first = only<Dispatch>(rig.submit(rig.hedged(100)));
    CHECK(all<Dispatch>(rig.pass_alive(9ms)).empty());
    const auto second = only<Dispatch>(rig.pass_alive(5ms));
    CHECK(second.worker != first.worker);
    CHECK(second.attempt == 2);
    CHECK(second.is_beside);
    CHECK(rig.core.stats().hedged == 1);
    const Actions end = rig.reply(second);
    CHECK(only<SendCancel>(end).worker == first.worker);
    CHECK(only<SendCancel>(end).attempt == 1);
    CHECK(only<Complete>(end) == Complete{{100}, Errc::ok, 2, second.worker, 2});
    CHECK(rig.core.stats().hedges_won == 1);
    CHECK(rig.reply(first).empty()); // too late
    CHECK(rig.core.stats().late_answers == 1);
    CHECK(rig.core.stats().redispatched == 0);
}

TEST_CASE("a hedge that loses is cancelled") {
    HedgeRig rig;
    const auto first = only<Dispatch>(rig.submit(rig.hedged(100)));
    const auto second = only<Dispatch>(rig.pass_alive(15ms));
    const Actions end = rig.reply(first);
    CHECK(only<SendCancel>(end).worker == second.worker);
    CHECK(only<Complete>(end) == Complete{{100}, Errc::ok, 2, first.worker, 1});
    CHECK(rig.core.stats().hedges_won == 0);
}

TEST_CASE("a request is hedged once") {
    HedgeRig rig(3);
    rig.submit(rig.hedged(100));
    CHECK(all<Dispatch>(rig.pass_alive(200ms)).size() == 1);
}

TEST_CASE("nothing is hedged that did not ask for it, or must not be executed twice") {
    HedgeRig rig;
    rig.submit({.id = {100}});
    CHECK(all<Dispatch>(rig.pass_alive(100ms)).empty());
    rig.submit({.id = {101}, .may_hedge = true, .idempotent = false});
    CHECK(all<Dispatch>(rig.pass_alive(100ms)).empty());
}

TEST_CASE("before enough is known of its kind nothing is hedged") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    rig.submit(HedgeRig::hedged(1));
    CHECK(all<Dispatch>(rig.pass_alive(200ms)).empty());
}

TEST_CASE("there is no hedge while everybody is busy, and one as soon as somebody is not") {
    HedgeRig rig;
    const auto first = only<Dispatch>(rig.submit(rig.hedged(100)));
    const auto other = only<Dispatch>(rig.submit({.id = {101}}));
    REQUIRE(other.worker != first.worker);
    CHECK(all<Dispatch>(rig.pass_alive(30ms)).empty());
    rig.reply(other);
    CHECK(only<Dispatch>(rig.pass_alive(15ms)).worker == other.worker);
}

TEST_CASE("without budget there is no hedge") {
    CoreConfig config;
    config.hedge_budget = {.percent_per_success = 0, .floor = 0};
    HedgeRig rig(2, config);
    rig.submit(rig.hedged(100));
    CHECK(all<Dispatch>(rig.pass_alive(100ms)).empty());
    CHECK(rig.core.stats().hedged == 0);
}

TEST_CASE("if the late worker is lost, the hedge goes on alone") {
    HedgeRig rig;
    const auto first = only<Dispatch>(rig.submit(rig.hedged(100)));
    const auto second = only<Dispatch>(rig.pass_alive(15ms));
    const Actions lost = rig.lose(first.worker, LossCause::process_exited);
    CHECK(all<Dispatch>(lost).empty());
    CHECK(all<Complete>(lost).empty());
    CHECK(only<Complete>(rig.reply(second)).code == Errc::ok);
}

TEST_CASE("a failed answer waits for the other worker's") {
    HedgeRig rig;
    const auto first = only<Dispatch>(rig.submit(rig.hedged(100)));
    const auto second = only<Dispatch>(rig.pass_alive(15ms));
    CHECK(rig.reply(second, Errc::operation_failed).empty());
    CHECK(only<Complete>(rig.reply(first)).code == Errc::ok);
}
