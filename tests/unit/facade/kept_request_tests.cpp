// SPDX-License-Identifier: BSL-1.0
#include "facade/kept_request.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

using namespace everpool;
using facade::digest_of;
using facade::keep;
using facade::request_of;

namespace {

Request example() {
    Request request = Request::inference("mlp", {Tensor::of<float>("x", {1, 3}, {1, 2, 3}),
                                                 Tensor::of<bool>("m", {2}, {true, false})});
    request.parameters = R"({"a": [1, 2]})";
    request.max_attempts = 7;
    request.browser = BrowserType::firefox;
    request.priority = Priority::low;
    return request;
}

} // namespace

TEST_CASE("a request that was kept comes back with all that a worker needs") {
    const Request before = example();
    const Payload payload = keep(before, 64 << 10);
    REQUIRE_FALSE(payload.is_empty());
    const auto after = request_of(payload);
    REQUIRE(after);
    CHECK(after->operation == "inference");
    CHECK(after->model == "mlp");
    CHECK(after->parameters == before.parameters);
    CHECK(after->max_attempts == 7);
    CHECK(after->browser == BrowserType::firefox);
    CHECK(after->priority == Priority::low);
    REQUIRE(after->inputs.size() == 2);
    CHECK(after->inputs[0].as<float>()[2] == 3.0f);
    CHECK(after->inputs[1].describe() == "m bool[2]");
    CHECK(digest_of(after->inputs) == digest_of(before.inputs));
}

TEST_CASE("a request that was kept before there were priorities has none in particular") {
    const Payload payload = keep(example(), 64 << 10);
    std::vector<std::byte> bytes(payload.bytes().begin(), payload.bytes().end());
    bytes.at(3) = std::byte{0};
    CHECK(request_of(Payload(bytes))->priority == Priority::normal);
    bytes.at(3) = std::byte{4};
    CHECK_FALSE(request_of(Payload(bytes)));
}

TEST_CASE("a request is kept up to the very size that is allowed") {
    const std::size_t bytes = keep(example(), 64 << 10).bytes().size();
    CHECK(keep(example(), bytes).bytes().size() == bytes);
    CHECK(keep(example(), bytes - 1).is_empty());
    CHECK(keep(example(), 0).is_empty());
}

TEST_CASE("a request that cannot be encoded is not kept") {
    Request request = example();
    request.parameters = "no object";
    CHECK(keep(request, 64 << 10).is_empty());
}

TEST_CASE("bytes that are no request give none, wherever they were cut or changed") {
    const Payload whole = keep(example(), 64 << 10);
    const std::vector<std::byte> bytes(whole.bytes().begin(), whole.bytes().end());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        INFO(size);
        CHECK_FALSE(request_of(Payload({bytes.begin(), bytes.begin() + size})));
    }
    const auto with = [&](std::size_t at, int value) {
        auto changed = bytes;
        changed.at(at) = static_cast<std::byte>(value);
        return Payload(std::move(changed));
    };
    CHECK_FALSE(request_of(with(0, 2)));  // a version to come
    CHECK_FALSE(request_of(with(2, 77))); // no browser
    CHECK_FALSE(request_of(with(13, 9))); // another kind of message
}

TEST_CASE("a digest tells names, types, shapes, bytes and their order apart") {
    const auto one = [](auto... tensors) { return digest_of({std::move(tensors)...}); };
    const auto x = Tensor::of<float>("x", {4}, {1, 2, 3, 4});
    auto renamed = x, retyped = x, reshaped = x;
    renamed.name = "y";
    retyped.dtype = DataType::int32;
    reshaped.shape = {2, 2};
    const auto other = Tensor::of<float>("x", {4}, {1, 2, 3, 5});
    const std::uint64_t digest = one(x);
    CHECK(one(Tensor::of<float>("x", {4}, {1, 2, 3, 4})) == digest);
    for (const auto different :
         {one(renamed), one(retyped), one(reshaped), one(other), one(x, x), digest_of({})})
        CHECK(different != digest);
    CHECK(one(x, renamed) != one(renamed, x));
}
