// SPDX-License-Identifier: BSL-1.0
#include "facade/sent_batches.hpp"
#include "support/catch.hpp"

using namespace everpool;
using namespace everpool::facade;

namespace {

constexpr WorkerId w0{0}, w1{1};

SentBatches two_of_w0() {
    SentBatches out;
    out.add({w0, {{.request = {1}, .attempt = 1}, {.request = {2}, .attempt = 1}}});
    out.add({w0, {{.request = {3}, .attempt = 1}, {.request = {4}, .attempt = 1}}});
    return out;
}

} // namespace

TEST_CASE("a batch goes by the name of its first request, at its worker, once") {
    SentBatches batches = two_of_w0();
    CHECK_FALSE(batches.take(w1, {3}, 1));
    CHECK_FALSE(batches.take(w0, {3}, 2));
    CHECK_FALSE(batches.take(w0, {4}, 1)); // is in it, but not its name
    const auto taken = batches.take(w0, {3}, 1);
    REQUIRE(taken);
    CHECK(taken->members.back().request == RequestId{4});
    CHECK_FALSE(batches.take(w0, {3}, 1));
}

TEST_CASE("a batch is cancelled when nobody waits for any of it") {
    using enum SentBatches::Cancelled;
    SentBatches batches = two_of_w0();
    BatchMember name{};
    CHECK(batches.cancel(w0, {5}, 1, name) == not_here);
    CHECK(batches.cancel(w1, {4}, 1, name) == not_here);
    CHECK(batches.cancel(w0, {4}, 1, name) == others_wait);
    CHECK(batches.cancel(w0, {3}, 1, name) == nobody_waits);
    CHECK(name.request == RequestId{3});
    const auto taken = batches.take(w0, {3}, 1);
    REQUIRE(taken);
    for (const BatchMember& one : taken->members) CHECK_FALSE(one.is_wanted);
}

TEST_CASE("what a worker had is forgotten with its life") {
    SentBatches batches = two_of_w0();
    batches.forget(w1);
    CHECK_FALSE(batches.is_empty());
    batches.forget(w0);
    CHECK(batches.is_empty());
}
