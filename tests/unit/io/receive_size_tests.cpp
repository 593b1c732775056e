// SPDX-License-Identifier: BSL-1.0
#include "everpool/wire/codec.hpp"
#include "everpool/wire/message.hpp"
#include "io/receive_size.hpp"
#include "support/catch.hpp"

#include <vector>

namespace everpool::io {
namespace {

using Bytes = std::vector<std::byte>;

Bytes encoded(const wire::Message& message) {
    wire::EncodedFrame frame;
    REQUIRE(wire::encode(message, wire::Limits{}, frame) == Errc::ok);
    return frame.joined();
}

Bytes result_with_two_tensors() {
    wire::RunResult result;
    result.id = 1;
    result.tensors.push_back(Tensor::of<float>("y", {3, 5}, std::vector<float>(15)));
    result.tensors.push_back(
        Tensor::of<std::uint8_t>("z", {1001}, std::vector<std::uint8_t>(1001)));
    return encoded(result);
}

TEST_CASE("the length of a message is known as soon as its header is there") {
    const Bytes whole = result_with_two_tensors();
    const std::size_t payload_bytes = 64 + 1008;
    const std::size_t header_end = whole.size() - payload_bytes;
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
        const std::size_t announced =
            announced_frame_bytes(std::span(whole).first(bytes), wire::Limits{});
        CAPTURE(bytes);
        if (bytes >= header_end) CHECK(announced == whole.size());
        else CHECK((announced == 0 || announced == whole.size())); // the padding need not be there
    }
}

TEST_CASE("nothing is said about a header that is broken or announces too much") {
    Bytes whole = result_with_two_tensors();
    wire::Limits tight;
    tight.frame_bytes_max = whole.size() - 1;
    CHECK(announced_frame_bytes(whole, tight) == 0);
    for (std::size_t i = 5; i < whole.size();
         ++i) { // whatever a byte becomes: no crash, no nonsense
        const std::byte before = whole[i];
        whole[i] = static_cast<std::byte>(i * 37);
        CHECK(announced_frame_bytes(whole, wire::Limits{}) <= wire::Limits{}.frame_bytes_max);
        whole[i] = before;
    }
}

TEST_CASE("only runs and results may carry tensors") {
    CHECK(may_carry_tensors(result_with_two_tensors()));
    CHECK(may_carry_tensors(encoded(wire::Run{})));
    CHECK_FALSE(may_carry_tensors(encoded(wire::Pong{1})));
    CHECK_FALSE(may_carry_tensors({}));
    CHECK(announced_frame_bytes(encoded(wire::Pong{1}), wire::Limits{}) == 0);
}

} // namespace
} // namespace everpool::io
