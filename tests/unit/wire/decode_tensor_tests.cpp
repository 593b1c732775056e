// Tensors of a decoded message: views of the frame, whose lengths cannot lie.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

namespace everpool::wire {
namespace {

using namespace std::string_view_literals;

std::string run_with(std::string_view tensors) {
    return R"({"id":1,"attempt":1,"operation":"echo","tensors":)" + std::string(tensors) + "}";
}

std::string run_of_shape(std::string_view shape, std::string_view dtype = "uint8") {
    return run_with(R"([{"name":"x","dtype":")" + std::string(dtype) + R"(","shape":)" +
                    std::string(shape) + "}]");
}

std::string verdict_on_shape(std::string_view shape, std::string_view dtype = "uint8",
                             std::string_view payload = {}) {
    return verdict(Kind::run, run_of_shape(shape, dtype), payload);
}

const std::vector<Tensor>& tensors_of(const Decoded& received) {
    return std::get<Run>(received.message).tensors;
}

TEST_CASE("tensors are views of the frame, aligned, and keep it alive") {
    Run run;
    for (const std::size_t count : {1u, 3u, 8u, 0u, 5u})
        run.tensors.push_back(bytes_tensor("x", count));
    Decoded received = decoded(encoded(run));
    REQUIRE(received.result == DecodeResult::ok);
    const std::byte* const begin = received.frame->data();
    const std::byte* const end = begin + received.frame->size();
    REQUIRE(tensors_of(received).size() == run.tensors.size());
    for (const Tensor& tensor : tensors_of(received)) {
        const auto bytes = tensor.data.bytes;
        CHECK((bytes.data() >= begin && bytes.data() + bytes.size() <= end));
        CHECK((bytes.data() - begin) % static_cast<std::ptrdiff_t>(payload_alignment) == 0);
        CHECK(tensor.data.owner == received.frame);
        CHECK(tensor.is_consistent());
    }
    const Tensor last = tensors_of(received).back();
    const std::weak_ptr<const Bytes> frame = received.frame;
    received = {};
    CHECK_FALSE(frame.expired());
    CHECK(std::to_integer<int>(last.data.bytes[4]) == 5);
}

TEST_CASE("a message without tensors keeps no frame alive") {
    Decoded received = decoded(encoded(Pong{1}));
    REQUIRE(received.result == DecodeResult::ok);
    CHECK(received.frame.use_count() == 1);
}

TEST_CASE("a payload must be as long as dtype and shape ask for, padding included") {
    CHECK(verdict_on_shape("[8]", "uint8", "12345678") == "ok");
    CHECK(verdict_on_shape("[7]", "uint8", "1234567\0"sv) == "ok");
    CHECK(verdict_on_shape("[7]", "uint8", "1234567") == "length_mismatch");
    CHECK(verdict_on_shape("[9]", "uint8", "12345678") == "length_mismatch");
    CHECK(verdict_on_shape("[0]", "uint8", "12345678") == "length_mismatch");
    CHECK(verdict_on_shape("[2]", "float64", "12345678") == "length_mismatch");
    CHECK(verdict_on_shape("[1]", "float64", "12345678") == "ok");
    CHECK(verdict_on_shape("[]", "float64", "12345678") == "ok"); // a scalar
    CHECK(verdict_on_shape("[3]", "float16", "12345678") == "bad_padding");
}

TEST_CASE("padding after each payload must be zeros") {
    const auto two = run_with(R"([{"name":"a","dtype":"uint8","shape":[1]},)"
                              R"({"name":"b","dtype":"uint8","shape":[7]}])");
    CHECK(verdict(Kind::run, two,
                  "1\0\0\0\0\0\0\0"
                  "1234567\0"sv) == "ok");
    for (const std::size_t offset : {1u, 7u, 15u}) {
        std::string payload("1\0\0\0\0\0\0\0"
                            "1234567\0"sv);
        payload[offset] = 1;
        CHECK(verdict(Kind::run, two, payload) == "bad_padding");
    }
}

TEST_CASE("dimensions whose product overflows are refused, whatever it overflows to") {
    CHECK(verdict_on_shape("[9007199254740991]") == "length_mismatch"); // the largest there can be
    CHECK(verdict_on_shape("[9007199254740991]", "uint16") == "bad_tensor");
    CHECK(verdict_on_shape("[9007199254740992]") == "bad_tensor");
    CHECK(verdict_on_shape("[4294967296,4294967296]") == "bad_tensor"); // 2^64: 0 modulo 2^64
    CHECK(verdict_on_shape("[4294967296,2147483648,2]") == "bad_tensor");
    CHECK(verdict_on_shape("[2305843009213693952]", "float64") == "bad_tensor");   // 2^61 * 8 bytes
    CHECK(verdict_on_shape("[1125899906842623]", "float64") == "length_mismatch"); // < 2^53 bytes
    CHECK(verdict_on_shape("[1125899906842624]", "float64") == "bad_tensor");      // 2^53 bytes
    std::string sixteen = "[9007199254740991";
    for (int i = 1; i < 16; ++i) sixteen += ",9007199254740991";
    CHECK(verdict_on_shape(sixteen + "]") == "bad_tensor");
}

TEST_CASE("a tensor without elements is empty, wherever its zero stands") {
    for (const std::string_view shape :
         {"[0]", "[0,9007199254740991,9007199254740991]", "[9007199254740991,9007199254740991,0]",
          "[9007199254740991,0,9007199254740991,9007199254740991]"}) {
        CAPTURE(shape);
        CHECK(verdict_on_shape(shape) == "ok");
    }
    CHECK(verdict_on_shape("[0,-1]") == "bad_tensor");
    CHECK(verdict_on_shape("[-1,0]") == "bad_tensor");
}

TEST_CASE("a dimension is an integer that is not negative") {
    for (const std::string_view shape :
         {"[-1]", "[1.5]", "[\"1\"]", "[null]", "[true]", "[[1]]", "[{}]", "[1e999]",
          "[18446744073709551616]", "[-9223372036854775808]"}) {
        CAPTURE(shape);
        CHECK(verdict_on_shape(shape, "uint8", "1\0\0\0\0\0\0\0"sv) == "bad_tensor");
    }
    for (const std::string_view shape : {"1", "null", "{}", "\"[1]\""})
        CHECK(verdict_on_shape(shape, "uint8", "1\0\0\0\0\0\0\0"sv) == "bad_tensor");
}

TEST_CASE("a tensor has as many dimensions as the limit and not more") {
    std::string shape = "[1";
    for (std::size_t i = 1; i < Limits{}.dimension_count_max; ++i) shape += ",1";
    CHECK(verdict_on_shape(shape + "]", "uint8", "1\0\0\0\0\0\0\0"sv) == "ok");
    CHECK(verdict_on_shape(shape + ",1]", "uint8", "1\0\0\0\0\0\0\0"sv) == "bad_tensor");
}

TEST_CASE("an entry that describes no tensor is refused") {
    for (const std::string_view entry :
         {"null", "1", "[]", "{}", R"({"name":"x","dtype":"uint8"})", R"({"name":"x","shape":[]})",
          R"({"dtype":"uint8","shape":[]})", R"({"name":1,"dtype":"uint8","shape":[]})",
          R"({"name":"x","dtype":8,"shape":[]})", R"({"name":"x","dtype":"","shape":[]})",
          R"({"name":"x","dtype":"UINT8","shape":[]})",
          R"({"name":"x","dtype":"boolean","shape":[]})",
          R"({"name":"x","dtype":"unrecognised","shape":[]})"}) {
        CAPTURE(entry);
        CHECK(verdict(Kind::run, run_with("[" + std::string(entry) + "]"), "1\0\0\0\0\0\0\0"sv) ==
              "bad_tensor");
    }
}

TEST_CASE("a tensor's name is as long as the limit, in bytes, and not longer") {
    const auto named = [](std::size_t bytes) {
        std::string name; // two bytes a character
        while (name.size() + 1 < bytes) name += "\xc3\xbc";
        if (name.size() < bytes) name += 'x';
        return run_with(R"([{"name":")" + name + R"(","dtype":"uint8","shape":[0]}])");
    };
    const std::size_t bytes_max = Limits{}.name_bytes_max;
    CHECK(verdict(Kind::run, named(bytes_max)) == "ok");
    CHECK(verdict(Kind::run, named(bytes_max + 1)) == "bad_tensor");
}

TEST_CASE("a message has as many tensors as the limit and not more") {
    const auto many = [](std::size_t count) {
        std::string list = "[";
        for (std::size_t i = 0; i < count; ++i)
            list += std::string(i == 0 ? "" : ",") + R"({"name":"x","dtype":"bool","shape":[0]})";
        return run_with(list + "]");
    };
    const std::size_t count_max = Limits{}.tensor_count_max;
    const Decoded received = decoded(frame_of(Kind::run, many(count_max)));
    REQUIRE(received.result == DecodeResult::ok);
    CHECK(tensors_of(received).size() == count_max);
    CHECK(verdict(Kind::run, many(count_max + 1)) == "bad_field");
}

TEST_CASE("runs and results must say which tensors they have; other messages have none") {
    CHECK(verdict(Kind::run, R"({"id":1,"attempt":1,"operation":"echo"})") == "bad_field");
    CHECK(verdict(Kind::run, run_with("{}")) == "bad_field");
    CHECK(verdict(Kind::run, run_with("null")) == "bad_field");
    CHECK(verdict(Kind::result, R"({"id":1,"attempt":1})") == "bad_field");
    CHECK(verdict(Kind::result, R"({"id":1,"attempt":1,"tensors":[]})") == "ok");
    const std::string ping =
        R"({"sequence":1,"tensors":[{"name":"x","dtype":"uint8","shape":[8]}]})";
    CHECK(verdict(Kind::ping, ping, "12345678") == "length_mismatch");
    CHECK(verdict(Kind::ping, ping) == "ok"); // there "tensors" is an unknown field
}

} // namespace
} // namespace everpool::wire
