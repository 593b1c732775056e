// Several browsers answer one request, and a vote decides.
// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"
#include "support/temporary_directory.hpp"
#include "support/test_models.hpp"

#include <string>
#include <variant>
#include <vector>

using namespace everpool;
using namespace everpool::tests;

namespace {

/// Doubles each number. In Firefox, and in no other engine, it is off by a hundredth: plausible,
/// and wrong.
class TwiceModule : public ModuleFile {
public:
    TwiceModule()
        : ModuleFile("twice", R"(
            export async function run(inputs) {
                const input = inputs.x;
                const factor = navigator.userAgent.includes("Firefox") ? 2.02 : 2;
                return { outputs: { y: { dtype: "float32", shape: input.shape,
                                         data: input.data.map((x) => factor * x) } } };
            })") {}

    static Request request(std::uint32_t redundancy) {
        Request out;
        out.operation = "twice";
        out.inputs = {Tensor::of<float>("x", {3}, std::vector<float>{1, 2, 3})};
        out.idempotent = true;
        out.redundancy = redundancy;
        return out;
    }
};

ResourcePoolConfig two_engines(std::uint32_t chromiums) {
    BrowserSpec chromium, firefox;
    chromium.type = BrowserType::chromium;
    chromium.count = chromiums;
    firefox.type = BrowserType::firefox;
    ResourcePoolConfig config;
    config.browsers = {chromium, firefox};
    return config;
}

ResourcePoolConfig config_of(std::uint32_t chromiums, const ModuleFile& module) {
    ResourcePoolConfig config = two_engines(chromiums);
    config.modules = {module.spec()};
    return config;
}

std::vector<float> numbers_of(const Answer& answer) {
    INFO(answer.result.diagnostics.text());
    REQUIRE(!answer.ec);
    const auto span = answer.result.outputs.at(0).as<float>();
    return {span.begin(), span.end()};
}

} // namespace

TEST_CASE("two engines agree on what they give back, and the result says so") {
    const TwiceModule module;
    PoolUnderTest test(config_of(2, module));
    test.start();
    Request request = Request::echo({Tensor::of<float>("x", {2}, std::vector<float>{1, 2})});
    request.redundancy = 3;
    const Answer answer = test.run(request);
    CHECK(numbers_of(answer) == std::vector<float>{1, 2});
    REQUIRE(answer.result.votes);
    CHECK(answer.result.votes->asked == 3);
    CHECK(answer.result.votes->verdict == VoteVerdict::agreed);
    CHECK(answer.result.votes->agreeing() == 3);
    CHECK(answer.result.votes->is_complete());
    CHECK(test.pool().snapshot().votes == 1);
    test.stop();
}

TEST_CASE("a page that answers plausibly and wrongly is outvoted, told of and recovered") {
    const TwiceModule module;
    PoolUnderTest test(config_of(2, module));
    test.start();
    const std::vector<float> right{2, 4, 6};
    CHECK(numbers_of(test.run(module.request(3))) == right);
    const Answer second = test.run(module.request(3));
    CHECK(numbers_of(second) == right);
    REQUIRE(second.result.votes);
    CHECK(second.result.votes->verdict == VoteVerdict::majority);
    CHECK(second.result.votes->agreeing() == 2);

    const PoolEvent told =
        test.wait_for([](const auto& e) { return e.kind == PoolEvent::Kind::answers_disagree; });
    CHECK(told.browser == BrowserType::firefox);
    CHECK(told.detail.find("firefox") != std::string::npos);
    CHECK(told.detail.find("against worker") != std::string::npos);
    CHECK(told.detail.find("chromium") != std::string::npos);
    // Twice in a row is no coincidence: it is started anew.
    const PoolEvent lost =
        test.wait_for([](const auto& e) { return e.kind == PoolEvent::Kind::worker_lost; });
    CHECK(lost.detail == "wrong_answer");
    REQUIRE(lost.failure);
    CHECK(std::get<WrongAnswer>(lost.failure->evidence).found_by == WrongAnswerFinder::vote);
    CHECK(lost.worker == told.worker);
    test.wait_for([&](const auto& e) {
        return e.kind == PoolEvent::Kind::worker_ready && e.worker == lost.worker &&
               e.generation > lost.generation;
    });
    CHECK(test.pool().snapshot().dissents == 2);
    test.stop();
}

TEST_CASE(
    "a page that was patched while it ran, to give a model's numbers a tenth off, is outvoted") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = two_engines(2);
    config.models = {spec_of(mlp, ModelFamily::text)};
    const TemporaryDirectory state;
    config.fault_tolerance.level = FaultToleranceLevel::critical;
    config.fault_tolerance.state_directory = state.path / "state";
    PoolUnderTest test(config);
    test.start();
    const auto difference = [&] {
        const Answer answer = test.run(Request::inference("mlp", mlp.samples[1].inputs));
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        REQUIRE(answer.result.votes);
        return largest_difference(answer.result.outputs, mlp.samples[1].outputs);
    };
    CHECK(difference() <= 1e-4);
    const FaultOrder patch{.fault = Fault::wrong_answer, .intensity = FaultIntensity::moderate};
    REQUIRE_FALSE(test.inject(patch).first);
    // The patch takes effect some milliseconds after it was sent, and none of these may be wrong.
    bool is_found = false;
    for (int i = 0; i < 1000 && !is_found; ++i) {
        REQUIRE(difference() <= 1e-4);
        is_found = test.count_of(PoolEvent::Kind::answers_disagree) != 0;
    }
    REQUIRE(is_found);
    const PoolEvent told =
        test.wait_for([](const auto& e) { return e.kind == PoolEvent::Kind::answers_disagree; });
    CHECK(told.worker == WorkerId{0});
    CHECK(told.browser == BrowserType::chromium);
    while (test.count_of(PoolEvent::Kind::worker_lost) == 0) REQUIRE(difference() <= 1e-4);
    const PoolEvent lost =
        test.wait_for([](const auto& e) { return e.kind == PoolEvent::Kind::worker_lost; });
    CHECK(lost.worker == WorkerId{0});
    CHECK(lost.detail == "wrong_answer");
    REQUIRE(lost.failure);
    CHECK(std::get<WrongAnswer>(lost.failure->evidence).found_by == WrongAnswerFinder::vote);
    test.wait_for([&](const auto& e) {
        return e.kind == PoolEvent::Kind::worker_ready && e.worker == lost.worker &&
               e.generation > lost.generation;
    });
    CHECK(difference() <= 1e-4);
    test.stop();
}

TEST_CASE("of two engines that differ nobody can say which is right") {
    const TwiceModule module;
    PoolUnderTest test(config_of(1, module));
    test.start();
    const Answer answer = test.run(module.request(3));
    CHECK(answer.ec == Errc::answers_disagree);
    REQUIRE(answer.result.votes);
    CHECK(answer.result.votes->asked == 3);
    CHECK(answer.result.votes->answers.size() == 2);
    CHECK_FALSE(answer.result.votes->is_complete());
    CHECK(answer.result.votes->verdict == VoteVerdict::undecided);
    test.stop();
    CHECK(test.pool().snapshot().undecided == 1);
}
