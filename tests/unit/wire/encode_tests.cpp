// What the encoder writes, what it refuses, and what it does not do: allocate, or copy payloads.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

#include <limits>

namespace everpool::wire {
namespace {

/// Tests of a limit: `at` a value is encoded and decoded, `at` one more is refused.
template <class Make> // (count) -> Message
void check_limit(std::size_t limit, Errc refusal, Make make) {
    CHECK(verdict(encoded(make(limit))) == "ok");
    CHECK(name_of(encode_outcome(make(limit + 1))) == name_of(refusal));
}

std::string plain_letters(std::size_t count) { return std::string(count, 'x'); }

TEST_CASE("a frame begins with its prefix and ends at a multiple of 8") {
    const Bytes frame = encoded(Ping{5});
    const std::string text(reinterpret_cast<const char*>(frame.data()), frame.size());
    CHECK(text == std::string("EVP1\x01\x09\0\0\x0e\0\0\0\0\0\0\0{\"sequence\":5}\0\0", 32));
}

TEST_CASE("optional fields are left out where they say nothing") {
    Run run;
    CHECK(header_text(encoded(run)) == R"({"id":0,"attempt":0,"operation":"","tensors":[]})");
    run.model = "m";
    run.parameters = R"({"a":1})";
    run.module_url = "u";
    CHECK(header_text(encoded(run)) ==
          R"({"id":0,"attempt":0,"operation":"","model":"m","parameters":{"a":1},"module_url":"u",)"
          R"("tensors":[]})");
}

TEST_CASE("payloads are not copied: the frame points to the tensors' bytes") {
    Run run;
    run.tensors = {bytes_tensor("a", 3), bytes_tensor("b", 0), bytes_tensor("c", 16)};
    EncodedFrame frame;
    REQUIRE(encode(run, Limits{}, frame) == Errc::ok);
    REQUIRE(frame.payloads.size() == 3); // a, its padding, c
    CHECK(frame.payloads[0].data() == run.tensors[0].data.bytes.data());
    CHECK(frame.payloads[1].size() == 5);
    CHECK(frame.payloads[2].data() == run.tensors[2].data.bytes.data());
    CHECK(frame.head.size() % payload_alignment == 0);
    CHECK(frame.bytes == frame.head.size() + 3 + 5 + 16);
}

TEST_CASE("a frame's memory is used again, and nothing of the last message is left in it") {
    EncodedFrame frame;
    Run large;
    large.operation = plain_letters(1000);
    large.tensors = {bytes_tensor("a", 3), bytes_tensor("b", 5)};
    REQUIRE(encode(large, Limits{}, frame) == Errc::ok);
    const char* const memory = frame.head.data();
    for (const Message& message : samples()) {
        REQUIRE(encode(message, Limits{}, frame) == Errc::ok);
        CHECK(frame.joined() == encoded(message));
    }
    REQUIRE(encode(Ping{1}, Limits{}, frame) == Errc::ok);
    CHECK(frame.payloads.empty());
    REQUIRE(encode(large, Limits{}, frame) == Errc::ok);
    CHECK(frame.head.data() == memory);
}

TEST_CASE("names, texts, lists and shapes are as long as their limits and not longer") {
    const Limits limits;
    const std::size_t names = limits.name_bytes_max, texts = limits.text_bytes_max;
    check_limit(names, Errc::message_too_large, [](auto n) {
        return UnloadModel{1, plain_letters(n)};
    });
    check_limit(names, Errc::message_too_large, [](auto n) {
        return Hello{Channel::data, "", 1, 1, "", "", plain_letters(n), {}};
    });
    check_limit(names, Errc::message_too_large, [](auto n) {
        Run run;
        run.tensors = {bytes_tensor(plain_letters(n), 1)};
        return run;
    });
    check_limit(names, Errc::message_too_large, [](auto n) {
        Hello hello;
        hello.capabilities.emplace().webgpu = {
            true, "", "", "", "", false, {{plain_letters(n), 1}}};
        return hello;
    });
    check_limit(texts, Errc::message_too_large, [](auto n) { return Bye{plain_letters(n)}; });
    check_limit(texts, Errc::message_too_large, [](auto n) {
        return RemoteError{1, 1, Errc::cancelled, plain_letters(n)};
    });
    check_limit(limits.list_count_max, Errc::message_too_large, [](auto n) {
        return LoadModel{1, "m", "u", 1, std::vector<Provider>(n, Provider::wasm)};
    });
    check_limit(limits.list_count_max, Errc::message_too_large, [](auto n) {
        Hello hello;
        auto& webgpu = hello.capabilities.emplace().webgpu;
        webgpu.available = true;
        for (std::size_t i = 0; i < n; ++i) webgpu.limits.emplace_back(std::to_string(i), 1);
        return hello;
    });
    check_limit(limits.list_count_max, Errc::message_too_large, [](auto n) {
        Hello hello;
        hello.capabilities.emplace().webnn = {true, std::vector<std::string>(n, "cpu")};
        return hello;
    });
    check_limit(limits.list_count_max, Errc::message_too_large, [](auto n) {
        Ready ready;
        ready.inputs.resize(n);
        return ready;
    });
    check_limit(limits.tensor_count_max, Errc::message_too_large, [](auto n) {
        Run run;
        run.tensors.assign(n, bytes_tensor("x", 1));
        return run;
    });
    check_limit(limits.dimension_count_max, Errc::message_too_large, [](auto n) {
        Run run;
        run.tensors = {bytes_tensor("x", 1)};
        run.tensors[0].shape.assign(n, 1);
        return run;
    });
}

TEST_CASE("a header is as long as its limit and not longer") {
    check_limit(Limits{}.header_bytes_max, Errc::message_too_large, [](std::size_t bytes) {
        Run run;
        const std::size_t rest =
            header_text(encoded(run)).size() + sizeof R"("parameters":{"a":""},)" - 1;
        run.parameters = R"({"a":")" + plain_letters(bytes - rest) + "\"}";
        return run;
    });
}

TEST_CASE("a frame is as long as its limit and not longer") {
    Run run;
    run.tensors = {bytes_tensor("x", 4096)};
    Limits limits;
    limits.frame_bytes_max = encoded(run).size();
    CHECK(encode_outcome(run, limits) == Errc::ok);
    --limits.frame_bytes_max;
    CHECK(encode_outcome(run, limits) == Errc::message_too_large);
}

TEST_CASE("parameters are one JSON object, as deep as its limit allows and not deeper") {
    const auto outcome = [](std::string_view parameters) {
        Run run;
        run.parameters = parameters;
        return name_of(encode_outcome(run));
    };
    CHECK(outcome("{}") == "ok");
    CHECK(outcome(" {\"a\" : [1, 2.50, null, true, \"x\"]} ") == "ok");
    for (const std::string_view wrong :
         {"[]", "null", "1", "\"x\"", "{", "{}{}", "{} ,\"id\":5", "x", "{\"a\":NaN}", " ",
          "{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "\xef\xbb\xbf{}"}) {
        CAPTURE(wrong);
        CHECK(outcome(wrong) == "invalid_request");
    }
    const auto nested = [](std::size_t depth) {
        Run run;
        run.parameters =
            R"({"a":)" + std::string(depth - 2, '[') + std::string(depth - 2, ']') + "}";
        return run; // the header itself is the first level
    };
    check_limit(Limits{}.json_depth_max, Errc::invalid_request, nested);
}

TEST_CASE("text that is not UTF-8 is refused wherever it stands") {
    const std::string bad = "x\xff";
    Run run;
    run.tensors = {bytes_tensor(bad, 1)};
    Hello hello;
    hello.capabilities.emplace().webgpu.vendor = bad;
    Ready ready;
    ready.outputs = {TensorSpec{bad, DataType::int8, {}}};
    for (const Message& message :
         {Message{run}, Message{hello}, Message{ready}, Message{Bye{bad}},
          Message{UnloadModel{1, bad}}, Message{PageEvent{bad, ""}}, Message{PageEvent{"", bad}},
          Message{Progress{1, "m", bad, 1, 1}}})
        CHECK(encode_outcome(message) == Errc::invalid_request);
}

TEST_CASE("numbers that JavaScript cannot hold, and sizes below zero, are refused") {
    const std::uint64_t big = integer_max + 1;
    Hello heap, limit;
    heap.capabilities.emplace().js_heap_bytes_max = big;
    limit.capabilities.emplace().webgpu.limits = {{"x", big}};
    for (const Message& message :
         {Message{Ping{big}}, Message{Cancel{big, 1}}, Message{LoadModel{1, "m", "u", big, {}}},
          Message{Progress{1, "m", "p", big, 1}}, Message{Progress{1, "m", "p", 1, big}},
          Message{heap}, Message{limit}})
        CHECK(encode_outcome(message) == Errc::invalid_request);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double number : {-1.0, 1e16, infinity, -infinity, std::nan("")}) {
        RunResult result;
        result.queue_ms = number;
        CHECK(encode_outcome(result) == Errc::invalid_request);
        Ready ready;
        ready.create_ms = number;
        CHECK(encode_outcome(ready) == Errc::invalid_request);
        Hello hello;
        hello.capabilities.emplace().device_memory_gib = number;
        CHECK(encode_outcome(hello) == Errc::invalid_request);
    }
}

TEST_CASE("a tensor whose bytes are not what its shape says is refused") {
    const auto outcome = [](Shape shape, DataType dtype = DataType::uint8) {
        Run run;
        run.tensors = {bytes_tensor("x", 8)};
        run.tensors[0].shape = std::move(shape);
        run.tensors[0].dtype = dtype;
        return name_of(encode_outcome(run));
    };
    CHECK(outcome({8}) == "ok");
    CHECK(outcome({2, 4}) == "ok");
    CHECK(outcome({}, DataType::int64) == "ok");
    CHECK(outcome({7}) == "invalid_request");
    CHECK(outcome({9}) == "invalid_request");
    CHECK(outcome({-8}) == "invalid_request");
    CHECK(outcome({8}, DataType::float32) == "invalid_request");
    CHECK(outcome({8}, static_cast<DataType>(0)) == "invalid_request");
    CHECK(outcome({INT64_MAX, 2}) == "invalid_request");
}

TEST_CASE("a dimension that no decoder takes is refused") {
    const auto exact_max = static_cast<std::int64_t>(integer_max);
    const auto outcome = [](std::int64_t dimension) {
        Run run;
        run.tensors = {bytes_tensor("x", 0)};
        run.tensors[0].shape = {dimension, 0};
        return name_of(encode_outcome(run));
    };
    CHECK(outcome(exact_max) == "ok");
    CHECK(outcome(exact_max + 1) == "invalid_request");
    const auto spec_outcome = [](std::int64_t dimension) {
        Ready ready;
        ready.inputs = {TensorSpec{"x", DataType::int8, {dimension}}};
        return name_of(encode_outcome(ready));
    };
    CHECK(spec_outcome(-1) == "ok");
    CHECK(spec_outcome(-2) == "invalid_request");
    CHECK(spec_outcome(exact_max) == "ok");
    CHECK(spec_outcome(exact_max + 1) == "invalid_request");
}

} // namespace
} // namespace everpool::wire
