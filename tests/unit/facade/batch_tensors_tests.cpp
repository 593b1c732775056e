// SPDX-License-Identifier: BSL-1.0
#include "facade/batch_tensors.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <vector>

using namespace everpool;
using namespace everpool::facade;

namespace {

using Tensors = std::vector<Tensor>;

Tensor floats(std::string name, Shape shape, std::vector<float> values) {
    return Tensor::of<float>(std::move(name), std::move(shape), std::move(values));
}

std::vector<float> values_of(const Tensor& tensor) {
    const auto values = tensor.as<float>();
    return {values.begin(), values.end()};
}

bool is_aligned(const Tensor& tensor) {
    return reinterpret_cast<std::uintptr_t>(tensor.data.bytes.data()) % 8 == 0;
}

} // namespace

TEST_CASE("inputs have rows if all of them have as many") {
    CHECK(rows_of(Tensors{floats("x", {2, 1}, {1, 2}), floats("y", {2}, {3, 4})}) == 2);
    CHECK_FALSE(rows_of(Tensors{floats("x", {2, 1}, {1, 2}), floats("y", {1}, {3})}));
    CHECK_FALSE(rows_of(Tensors{floats("x", {}, {1})})); // a scalar
    CHECK_FALSE(rows_of(Tensors{floats("x", {0, 4}, {})}));
    CHECK_FALSE(rows_of(Tensors{}));
}

TEST_CASE("inputs go together that differ in their rows alone") {
    const Tensors one{floats("x", {1, 2}, {1, 2}), floats("y", {1}, {3})};
    const Tensors more{floats("x", {3, 2}, {1, 2, 3, 4, 5, 6}), floats("y", {3}, {7, 8, 9})};
    CHECK(are_alike(one, more));
    CHECK(batch_number_of(one) == batch_number_of(more));
    const std::vector<Tensors> others{
        {floats("z", {1, 2}, {1, 2}), floats("y", {1}, {3})},                  // a name
        {floats("x", {1, 1, 2}, {1, 2}), floats("y", {1}, {3})},               // a dimension
        {floats("x", {1, 2}, {1, 2})},                                         // one is missing
        {floats("y", {1}, {3}), floats("x", {1, 2}, {1, 2})},                  // in another order
        {Tensor::of<std::int32_t>("x", {1, 2}, {1, 2}), floats("y", {1}, {3})} // a type
    };
    for (const Tensors& other : others) {
        CHECK_FALSE(are_alike(one, other));
        CHECK(batch_number_of(one) != batch_number_of(other));
    }
}

TEST_CASE("what is joined is taken apart again, to the byte") {
    const Tensors a{floats("x", {1, 3}, {1, 2, 3})};
    const Tensors b{floats("x", {2, 3}, {4, 5, 6, 7, 8, 9})};
    const Tensors c{floats("x", {1, 3}, {10, 11, 12})};
    const std::vector<const Tensors*> parts{&a, &b, &c};
    const Tensors whole = join_rows(parts);
    REQUIRE(whole.size() == 1);
    CHECK(whole[0].shape == Shape{4, 3});
    CHECK(whole[0].is_consistent());
    CHECK(is_aligned(whole[0]));

    const std::vector<std::uint32_t> rows{1, 2, 1};
    const auto split = split_rows(whole, rows);
    REQUIRE(split);
    REQUIRE(split->size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        const Tensor& part = split->at(i).at(0);
        CHECK(part.name == "x");
        CHECK(part.shape == (*parts[i])[0].shape);
        CHECK(values_of(part) == values_of((*parts[i])[0]));
        CHECK(is_aligned(part));
    }
    // The first begins where the whole does: nothing is copied.
    CHECK(split->at(0).at(0).data.bytes.data() == whole[0].data.bytes.data());
    // The second is 12 bytes further, where doubles could not be read.
    CHECK(split->at(1).at(0).data.bytes.data() != whole[0].data.bytes.data() + 12);
}

TEST_CASE("what has not as many rows as all together is not taken apart") {
    const std::vector<std::uint32_t> rows{1, 1};
    CHECK_FALSE(split_rows(Tensors{floats("y", {1, 2}, {1, 2})}, rows));
    CHECK_FALSE(split_rows(Tensors{floats("y", {}, {1})}, rows));
    CHECK_FALSE(split_rows(Tensors{floats("y", {2}, {1, 2}), floats("z", {3}, {1, 2, 3})}, rows));
    Tensor lies = floats("y", {2, 2}, {1, 2, 3, 4});
    lies.data.bytes = lies.data.bytes.first(8);
    CHECK_FALSE(split_rows(Tensors{lies}, rows));
}

TEST_CASE("rows without elements stay rows") {
    const std::vector<std::uint32_t> rows{1, 1};
    const auto split = split_rows(Tensors{floats("y", {2, 0}, {})}, rows);
    REQUIRE(split);
    CHECK(split->at(1).at(0).shape == Shape{1, 0});
    CHECK(split->at(1).at(0).is_consistent());
}
