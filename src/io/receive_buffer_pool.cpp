// SPDX-License-Identifier: BSL-1.0
#include "io/receive_buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

namespace everpool::io {
namespace {

/// Smaller messages share one class: a header and a small tensor.
constexpr std::size_t capacity_min = 2048;
/// Buffers kept at most on each list: looking for one stays cheap.
constexpr std::size_t idle_small_count_max = 1024;
constexpr std::size_t idle_large_count_max = 64;

} // namespace

ReceiveBuffer::ReceiveBuffer(std::size_t capacity)
    : data_(static_cast<std::byte*>(std::malloc(capacity))), capacity_(capacity) {
    if (data_ == nullptr) throw std::bad_alloc();
}

ReceiveBuffer::~ReceiveBuffer() { std::free(data_); }

ReceiveBufferPool::ReceiveBufferPool(std::uint64_t bytes_idle_max)
    : bytes_idle_max_(bytes_idle_max) {
    // So that giving back never allocates, and never throws.
    idle_small_.reserve(idle_small_count_max);
    idle_large_.reserve(idle_large_count_max);
}

std::shared_ptr<ReceiveBufferPool> ReceiveBufferPool::create(std::uint64_t bytes_idle_max) {
    return std::shared_ptr<ReceiveBufferPool>(new ReceiveBufferPool(bytes_idle_max));
}

std::vector<ReceiveBuffer>& ReceiveBufferPool::idle_list(std::size_t capacity) noexcept {
    return capacity == capacity_min ? idle_small_ : idle_large_;
}

std::size_t ReceiveBufferPool::class_capacity(std::size_t bytes) noexcept {
    if (bytes <= capacity_min) return capacity_min;
    const std::size_t quarter = std::bit_ceil(bytes) / 8; // of the power of two below `bytes`
    return (bytes + quarter - 1) / quarter * quarter;
}

ReceiveBuffer ReceiveBufferPool::take(std::size_t bytes) {
    const std::size_t capacity = class_capacity(bytes);
    {
        const std::lock_guard lock(mutex_);
        auto& idle = idle_list(capacity);
        const auto at = std::find_if(idle.rbegin(), idle.rend(), [&](const ReceiveBuffer& one) {
            return one.capacity() == capacity;
        });
        if (at != idle.rend()) {
            ReceiveBuffer buffer = std::move(*at);
            idle.erase(std::next(at).base());
            stats_.bytes_idle -= capacity;
            ++stats_.reused;
            return buffer;
        }
        ++stats_.allocated;
    }
    return ReceiveBuffer(capacity);
}

void ReceiveBufferPool::give_back(ReceiveBuffer buffer) noexcept {
    const std::size_t capacity = buffer.capacity();
    if (capacity == 0 || capacity > bytes_idle_max_) return;
    const std::lock_guard lock(mutex_);
    auto& idle = idle_list(capacity);
    if (idle.size() == idle.capacity()) {
        stats_.bytes_idle -= idle.front().capacity();
        idle.erase(idle.begin());
    }
    // Sizes that nobody asks for any more must not keep out those that are in use: oldest first.
    while (stats_.bytes_idle + capacity > bytes_idle_max_) {
        auto& from = idle_large_.empty() ? idle_small_ : idle_large_;
        stats_.bytes_idle -= from.front().capacity();
        from.erase(from.begin());
    }
    stats_.bytes_idle += capacity;
    idle.push_back(std::move(buffer));
}

std::shared_ptr<const void> ReceiveBufferPool::share(ReceiveBuffer buffer) {
    struct Share {
        std::shared_ptr<ReceiveBufferPool> pool;
        ReceiveBuffer buffer;
        Share(std::shared_ptr<ReceiveBufferPool> from, ReceiveBuffer what) noexcept
            : pool(std::move(from)), buffer(std::move(what)) {}
        Share(Share&&) = delete;
        ~Share() { pool->give_back(std::move(buffer)); }
    };
    return std::make_shared<Share>(shared_from_this(), std::move(buffer));
}

ReceiveBufferStats ReceiveBufferPool::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

} // namespace everpool::io
