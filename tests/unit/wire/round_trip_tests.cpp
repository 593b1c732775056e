// Whatever the encoder writes, the decoder reads, and it is the same.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

#include <algorithm>
#include <random>

namespace everpool::wire {
namespace {

TEST_CASE("every kind of message survives the wire") {
    std::vector<bool> is_seen(std::variant_size_v<Message>);
    for (const Message& sent : samples()) {
        is_seen.at(sent.index()) = true;
        const Decoded received = decoded(encoded(sent));
        REQUIRE(name_of(received.result) == "ok");
        CHECK(meaning_of(received.message) == meaning_of(sent));
        CHECK(encoded(received.message) == encoded(sent));
    }
    CHECK(std::count(is_seen.begin(), is_seen.end(), true) == std::variant_size_v<Message>);
}

TEST_CASE("every error code survives the wire") {
    for (int value = 1; value < 128; ++value) {
        const auto code = static_cast<Errc>(value);
        if (name_of(code) == "unrecognised") continue;
        const Decoded received = decoded(encoded(RemoteError{1, 1, code, ""}));
        REQUIRE(name_of(received.result) == "ok");
        CHECK(std::get<RemoteError>(received.message).code == code);
    }
}

TEST_CASE("tensors of every type and of odd lengths survive the wire") {
    for (int type = 1; type <= 12; ++type)
        for (const std::size_t count : {0u, 1u, 2u, 3u, 5u, 7u, 8u, 9u, 1023u}) {
            Run run;
            run.tensors = {bytes_tensor("a", count, static_cast<DataType>(type)),
                           bytes_tensor("b", 1), bytes_tensor("c", 1, DataType::float64)};
            const Bytes frame = encoded(run);
            CHECK(frame.size() % payload_alignment == 0);
            const Decoded received = decoded(frame);
            REQUIRE(name_of(received.result) == "ok");
            CHECK(meaning_of(received.message) == meaning_of(run));
        }
}

TEST_CASE("a message cut off anywhere is refused") {
    for (const Message& sent : samples()) {
        const Bytes whole = encoded(sent);
        for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
            const auto result = decoded(Bytes(whole.begin(), whole.begin() + bytes)).result;
            INFO(meaning_of(sent) << " cut to " << bytes << " of " << whole.size());
            // The prefix tells how long the header is, the header how long the tensors are.
            CHECK((result == DecodeResult::truncated || result == DecodeResult::length_mismatch));
        }
    }
}

TEST_CASE("a message with bytes after its end is refused") {
    for (const Message& sent : samples())
        for (const std::size_t more : {1u, 7u, 8u, 4096u}) {
            Bytes frame = encoded(sent);
            frame.resize(frame.size() + more);
            CHECK(verdict(frame) == "length_mismatch");
        }
}

TEST_CASE("a message with one byte changed is refused, or means what its bytes say") {
    std::mt19937 random(20'240'607);
    for (const Message& sent : samples()) {
        const Bytes whole = encoded(sent);
        for (std::size_t at = 0; at < whole.size(); ++at) {
            Bytes frame = whole;
            frame[at] ^= static_cast<std::byte>(1u << random() % 8);
            const Decoded received = decoded(frame);
            if (received.result != DecodeResult::ok) continue;
            const Decoded again = decoded(encoded(received.message));
            REQUIRE(name_of(again.result) == "ok");
            CHECK(meaning_of(again.message) == meaning_of(received.message));
        }
    }
}

TEST_CASE("a message slot may have held any other message before") {
    const std::vector<Message> all = samples();
    for (const Message& before : all) {
        const auto frame = std::make_shared<const Bytes>(encoded(all.back()));
        Message slot = before;
        REQUIRE(decode(*frame, frame, Limits{}, slot) == DecodeResult::ok);
        CHECK(meaning_of(slot) == meaning_of(all.back()));
    }
}

} // namespace
} // namespace everpool::wire
