// SPDX-License-Identifier: BSL-1.0
#include "everpool/tensor.hpp"

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <vector>

using everpool::DataType;
using everpool::Tensor;
using everpool::TensorSpec;

TEST_CASE("a tensor shares the vector that it was made of") {
    const auto tensor = Tensor::of<float>("x", {2, 2}, {1, 2, 3, 4});
    const Tensor copy = tensor;
    CHECK(tensor.dtype == DataType::float32);
    CHECK(tensor.is_consistent());
    CHECK(copy.as<float>().data() == tensor.as<float>().data());
    CHECK(copy.as<float>()[3] == 4.0f);
    CHECK(tensor.describe() == "x float32[2,2]");
}

TEST_CASE("booleans become one byte each") {
    const auto tensor = Tensor::of<bool>("mask", {3}, {true, false, true});
    REQUIRE(tensor.is_consistent());
    CHECK(tensor.data.bytes.size() == 3);
    CHECK(static_cast<int>(tensor.data.bytes[0]) == 1);
    CHECK(static_cast<int>(tensor.data.bytes[1]) == 0);
}

TEST_CASE("every data type has a name, a size, and comes back from its name") {
    for (int value = 1; value <= 12; ++value) {
        const auto type = static_cast<DataType>(value);
        CHECK(everpool::data_type_from(name_of(type)) == type);
        CHECK(element_bytes(type) > 0);
    }
    CHECK(element_bytes(static_cast<DataType>(99)) == 0);
    CHECK_FALSE(everpool::data_type_from("unrecognised"));
    CHECK_FALSE(everpool::data_type_from(""));
}

TEST_CASE("the element count of a shape knows scalars, emptiness and overflow") {
    using Dimensions = std::vector<std::int64_t>;
    CHECK(everpool::element_count(Dimensions{}) == 1u);
    CHECK(everpool::element_count(Dimensions{3, 0, 5}) == 0u);
    CHECK(everpool::element_count(Dimensions{2, 3, 4}) == 24u);
    CHECK_FALSE(everpool::element_count(Dimensions{2, -1}));
    CHECK_FALSE(everpool::element_count(Dimensions{INT64_MAX, 3}));
    CHECK(everpool::element_count(Dimensions{INT64_MAX, 2}) == UINT64_MAX - 1);
    CHECK(everpool::element_count(Dimensions{INT64_MAX, INT64_MAX, 0}) == 0u);
    CHECK(everpool::element_count(Dimensions{0, INT64_MAX, INT64_MAX}) == 0u);
    CHECK_FALSE(everpool::element_count(Dimensions{0, -1}));
}

TEST_CASE("a tensor with too few or too many bytes is not consistent") {
    auto tensor = Tensor::of<float>("x", {2}, {1, 2});
    tensor.shape = {3};
    CHECK_FALSE(tensor.is_consistent());
    tensor.shape = {1};
    CHECK_FALSE(tensor.is_consistent());
    tensor.shape = {INT64_MAX};
    CHECK_FALSE(tensor.is_consistent()); // the byte count would overflow
    tensor.shape = {2};
    tensor.dtype = static_cast<DataType>(0);
    CHECK_FALSE(tensor.is_consistent());
}

TEST_CASE("a spec accepts any size in its free dimensions only") {
    const TensorSpec spec{"x", DataType::float32, {-1, 4}};
    CHECK(spec.accepts(Tensor::of<float>("x", {1, 4}, std::vector<float>(4))));
    CHECK(spec.accepts(Tensor::of<float>("x", {3, 4}, std::vector<float>(12))));
    CHECK_FALSE(spec.accepts(Tensor::of<float>("x", {4}, std::vector<float>(4))));
    CHECK_FALSE(spec.accepts(Tensor::of<float>("x", {1, 5}, std::vector<float>(5))));
    CHECK_FALSE(spec.accepts(Tensor::of<float>("y", {1, 4}, std::vector<float>(4))));
    CHECK_FALSE(spec.accepts(Tensor::of<std::int32_t>("x", {1, 4}, std::vector<std::int32_t>(4))));
    CHECK(spec.describe() == "x float32[?,4]");
}
