// What a host says has failed, as the core is told of it: recovery begins by that.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/core/event_text.hpp"
#include "everpool/core/ladder.hpp"
#include "facade/evidence_of_loss.hpp"
#include "facade/loss_of_failure.hpp"
#include "support/catch.hpp"

#include <optional>
#include <utility>

using namespace everpool;
using core::LossCause;
using enum ChannelAnswer;

namespace {

std::optional<LossCause> loss_by(FailureEvidence evidence,
                                 BrowserType browser = BrowserType::chromium) {
    const FailureContext context{.browser = browser};
    return facade::loss_of(categorize_browser_failure(std::move(evidence), context),
                           engine_of(browser));
}

} // namespace

TEST_CASE("who hangs, by the channels that a host found silent, is who is recovered") {
    const LossCause cause = GENERATE(LossCause::compute_hung, LossCause::page_hung,
                                     LossCause::browser_hung, LossCause::network_hung);
    CAPTURE(core::name_of(cause));
    CHECK(loss_by(facade::evidence_of(cause)) == cause);
}

// A busy page does not reload, and whoever tries that first waits for it in vain.
TEST_CASE("the recovery of a page that a host found hung begins with a new page") {
    const BrowserType browser = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(browser));
    const auto cause = loss_by(ChannelsSilent{.page = silent, .control = answers}, browser);
    REQUIRE(cause);
    CHECK(core::smallest_rung(*cause, browser) == RecoveryRung::new_page);
}

// A closed connection of the compute thread was taken for its hang, and its category for a timeout.
TEST_CASE("a connection that a host found closed is no hang, and is recovered as the pool does") {
    const WorkerChannel channel = GENERATE(WorkerChannel::compute, WorkerChannel::page);
    CAPTURE(name_of(channel));
    const auto cause = loss_by(ConnectionClosed{.channel = channel});
    REQUIRE(cause == LossCause::connection_closed);
    CHECK(core::category_of(*cause) == BrowserFailureCategory::connection);
    CHECK(core::smallest_rung(*cause, BrowserType::chromium) == RecoveryRung::reload_page);
    CHECK(loss_by(facade::evidence_of(LossCause::connection_closed)) == cause);
}

TEST_CASE("a browser whose control channel closed is replaced: nobody can give it a page") {
    const auto cause = loss_by(ConnectionClosed{.channel = WorkerChannel::control});
    REQUIRE(cause);
    CHECK(core::smallest_rung(*cause, BrowserType::chromium) == RecoveryRung::restart_browser);
}

// Firefox has no network process that could be stopped while its page lives.
TEST_CASE("silent channels are judged by the worker's own engine") {
    const ChannelsSilent seen{
        .compute = silent, .page = silent, .control = answers, .evaluate = answers};
    CHECK(loss_by(seen, BrowserType::chromium) == LossCause::network_hung);
    CHECK(loss_by(seen, BrowserType::firefox) == LossCause::page_hung);
    // The host did not know which browser it was; the pool does.
    CHECK(facade::loss_of(categorize_browser_failure(seen, {}), BrowserEngine::gecko) ==
          LossCause::page_hung);
}

TEST_CASE("what is no fault of its worker's recovers nobody") {
    const ChannelsSilent busy{.compute = silent, .page = answers, .is_compute_in_time = true};
    CHECK_FALSE(loss_by(busy));
    CHECK_FALSE(loss_by(ChannelsSilent{.compute = answers, .page = answers}));
    CHECK_FALSE(loss_by(OperationFailed{Errc::invalid_input, "out of range"}));
}

TEST_CASE("where the evidence says no more, the part that failed decides") {
    BrowserFailure failure;
    failure.domain = FailureDomain::browser;
    CHECK(facade::loss_of(failure, BrowserEngine::chromium) == LossCause::browser_hung);
    failure.evidence = ChannelsSilent{}; // nobody was asked
    CHECK(facade::loss_of(failure, BrowserEngine::chromium) == LossCause::browser_hung);
    failure.domain = FailureDomain::operation;
    CHECK_FALSE(facade::loss_of(failure, BrowserEngine::chromium));
}
