// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/core/event_text.hpp"
#include "everpool/core/ladder.hpp"
#include "facade/evidence_of_loss.hpp"
#include "support/catch.hpp"

#include <variant>

using namespace everpool;
using core::LossCause;

TEST_CASE("what is told of a loss and what is recovered from are of one category") {
    for (int value = 0; core::name_of(static_cast<LossCause>(value)) != "unrecognised"; ++value) {
        const auto cause = static_cast<LossCause>(value);
        FailureContext context{.browser = BrowserType::chromium};
        if (cause == LossCause::gpu_hung) context.provider = Provider::webgpu;
        INFO(core::name_of(cause));
        CHECK(categorize_browser_failure(facade::evidence_of(cause), context).category ==
              core::category_of(cause));
    }
}

// Votes and warm-ups were told as canaries.
TEST_CASE("who found an answer wrong is told as the core says it") {
    using enum WrongAnswerFinder;
    const WrongAnswerFinder finder = GENERATE(canary, vote, warm_up);
    CAPTURE(name_of(finder));
    const FailureEvidence told =
        facade::evidence_of(core::Notice{.cause = LossCause::wrong_answer, .found_by = finder});
    CHECK(std::get<WrongAnswer>(told).found_by == finder);
}

TEST_CASE("a notice of any other loss tells what must have been seen of that") {
    for (int value = 0; core::name_of(static_cast<LossCause>(value)) != "unrecognised"; ++value) {
        const auto cause = static_cast<LossCause>(value);
        INFO(core::name_of(cause));
        CHECK(facade::evidence_of(core::Notice{.cause = cause}) == facade::evidence_of(cause));
    }
}
