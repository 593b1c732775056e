// SPDX-License-Identifier: BSL-1.0
#include "io/receive_buffer_pool.hpp"
#include "support/catch.hpp"

#include <thread>
#include <vector>

namespace everpool::io {
namespace {

TEST_CASE("a class holds what it was asked for and wastes a quarter at most") {
    std::size_t before = 0;
    for (std::size_t bytes = 1; bytes < (std::size_t{1} << 33); bytes += 1 + bytes / 7) {
        const std::size_t capacity = ReceiveBufferPool::class_capacity(bytes);
        CHECK(capacity >= bytes);
        CHECK(capacity >= before);
        if (bytes > 2048) CHECK(capacity <= bytes + bytes / 4);
        CHECK(ReceiveBufferPool::class_capacity(capacity) == capacity);
        before = capacity;
    }
}

TEST_CASE("a buffer that was given back serves the next of its class, and no other") {
    const auto pool = ReceiveBufferPool::create(1 << 30);
    ReceiveBuffer large = pool->take(1'000'000);
    const std::byte* const memory = large.data();
    pool->give_back(std::move(large));
    CHECK(pool->take(64).data() != memory);
    CHECK(pool->stats().reused == 0);
    CHECK(pool->take(1'000'001).data() == memory);
    CHECK(pool->stats().reused == 1);
    CHECK(pool->stats().allocated == 2);
    CHECK(pool->stats().bytes_idle == 0);
}

TEST_CASE("what tensors share comes back when the last of them is dropped") {
    const auto pool = ReceiveBufferPool::create(1 << 20);
    ReceiveBuffer buffer = pool->take(5000);
    const std::size_t capacity = buffer.capacity();
    std::shared_ptr<const void> first = pool->share(std::move(buffer));
    std::shared_ptr<const void> second = first;
    first.reset();
    CHECK(pool->stats().bytes_idle == 0);
    std::thread([&] { second.reset(); }).join(); // wherever the caller drops it
    CHECK(pool->stats().bytes_idle == capacity);
}

TEST_CASE("no more is kept than allowed, and the oldest goes first") {
    const auto pool = ReceiveBufferPool::create(100'000);
    std::vector<ReceiveBuffer> buffers;
    for (int i = 0; i < 8; ++i) buffers.push_back(pool->take(20'000));
    for (ReceiveBuffer& buffer : buffers) {
        pool->give_back(std::move(buffer));
        CHECK(pool->stats().bytes_idle <= 100'000);
    }
    CHECK(pool->stats().bytes_idle > 60'000);
    pool->give_back(pool->take(90'000)); // crowds the others out
    CHECK(pool->stats().bytes_idle == ReceiveBufferPool::class_capacity(90'000));
    pool->give_back(pool->take(200'000)); // larger than all that may be kept
    CHECK(pool->stats().bytes_idle == ReceiveBufferPool::class_capacity(90'000));
}

TEST_CASE("a burst of small buffers does not push a large one out") {
    const auto pool = ReceiveBufferPool::create(64 << 20);
    ReceiveBuffer large = pool->take(16 << 20);
    const std::byte* const memory = large.data();
    std::vector<ReceiveBuffer> small;
    for (int i = 0; i < 3000; ++i) small.push_back(pool->take(64));
    pool->give_back(std::move(large));
    for (ReceiveBuffer& buffer : small) pool->give_back(std::move(buffer));
    CHECK(pool->take(16 << 20).data() == memory);
}

TEST_CASE("a pool that keeps nothing still gives and shares") {
    const auto pool = ReceiveBufferPool::create(0);
    std::shared_ptr<const void> shared = pool->share(pool->take(100));
    shared.reset();
    CHECK(pool->stats().bytes_idle == 0);
    CHECK(pool->take(100).capacity() >= 100);
}

} // namespace
} // namespace everpool::io
