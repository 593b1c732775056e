// SPDX-License-Identifier: BSL-1.0
#include "facade/warm_up_check.hpp"
#include "support/catch.hpp"

#include <limits>
#include <string>
#include <vector>

using namespace everpool;
using everpool::facade::check_warm_up;

namespace {

Tensor y(std::vector<float> numbers) {
    const auto count = static_cast<std::int64_t>(numbers.size());
    return Tensor::of<float>("y", {1, count}, std::move(numbers));
}

/// What is said of it; empty if it is right.
std::string complaint(const WarmUp& warm_up, const std::vector<Tensor>& outputs,
                      const VoteOptions& options = {}) {
    Diagnostics diagnostics;
    const Errc code = check_warm_up("m", warm_up, outputs, options, diagnostics);
    CHECK((code == Errc::ok) == diagnostics.message.empty());
    if (code != Errc::ok) {
        CHECK(code == Errc::model_rejected);
        CHECK_FALSE(diagnostics.remedy.empty());
    }
    return diagnostics.message;
}

} // namespace

TEST_CASE("a warm-up must give every expected output in its shape") {
    const WarmUp warm_up{{}, {{"y", DataType::float32, {1, 2}}}};
    CHECK(complaint(warm_up, {y({1, 2})}).empty());
    CHECK(complaint(warm_up, {Tensor::of<float>("y", {2}, {1, 2})}) ==
          "model 'm': warm-up: expected output y float32[1,2], got y float32[2]");
    CHECK(complaint(warm_up, {}) ==
          "model 'm': warm-up: expected output y float32[1,2], got none of that name");
}

TEST_CASE("a warm-up whose answer is known must give its numbers") {
    const WarmUp warm_up{{}, {}, {y({1, -2, 3})}};
    CHECK(complaint(warm_up, {y({1, -2, 3})}).empty());
    CHECK(complaint(warm_up, {y({1, 2, 3})}) ==
          "model 'm': warm-up: element 1 of y float32[1,3]: expected -2, got 2; 1 of 3 differ");
    CHECK(complaint(warm_up, {y({-1, 2, -3})}) ==
          "model 'm': warm-up: element 2 of y float32[1,3]: expected 3, got -3; 3 of 3 differ");
    CHECK_FALSE(complaint(warm_up, {y({1, std::numeric_limits<float>::quiet_NaN(), 3})}).empty());
    CHECK(complaint(warm_up, {y({1, -2})}) ==
          "model 'm': warm-up: expected output y float32[1,3], got y float32[1,2]");
    CHECK(complaint(warm_up, {}) ==
          "model 'm': warm-up: expected output y float32[1,3], got none of that name");
}

TEST_CASE("a warm-up may be as far from the known answer as votes may be apart") {
    const WarmUp warm_up{{}, {}, {y({1, -2, 3})}};
    CHECK(complaint(warm_up, {y({1.0005F, -2, 3})}).empty());
    CHECK_FALSE(complaint(warm_up, {y({1.005F, -2, 3})}).empty());
    VoteOptions wide;
    wide.float32 = {.atol = 0, .rtol = 0.01};
    CHECK(complaint(warm_up, {y({1.005F, -2, 3})}, wide).empty());
}

TEST_CASE("outputs of a warm-up of which no answer is known may be anything") {
    const WarmUp warm_up{{}, {}, {y({1})}};
    CHECK(complaint(warm_up, {Tensor::of<float>("z", {1}, {7}), y({1})}).empty());
}

TEST_CASE("integers of a warm-up must be the same") {
    const WarmUp warm_up{{}, {}, {Tensor::of<std::int64_t>("label", {1}, {7})}};
    CHECK(complaint(warm_up, {Tensor::of<std::int64_t>("label", {1}, {7})}).empty());
    CHECK_FALSE(complaint(warm_up, {Tensor::of<std::int64_t>("label", {1}, {8})}).empty());
}
