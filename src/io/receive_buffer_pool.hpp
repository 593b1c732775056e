// Everpool doors: the memory that messages arrive in.
// SPDX-License-Identifier: BSL-1.0
//
// A result's tensors point into the message that they arrived in, so its buffer lives as long as
// the caller keeps the result. When the last tensor goes, the buffer comes back here: a fresh 16
// MiB block costs 4096 page faults, a used one none. What is kept for reuse is bounded.
//
// Sizes come in classes, four to a power of two, so that a used buffer fits the next message of
// about the same size and wastes a quarter at most. A message never gets a buffer of a larger class
// than it needs: a 64-byte answer that somebody keeps must not hold 16 MiB.
//
// Thread safety: all functions, from any thread (results are dropped wherever the caller likes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace everpool::io {

/// Uninitialised bytes, aligned for any tensor. Move-only; frees its memory.
class ReceiveBuffer {
public:
    ReceiveBuffer() = default;
    explicit ReceiveBuffer(std::size_t capacity); ///< throws std::bad_alloc
    ReceiveBuffer(ReceiveBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    ReceiveBuffer& operator=(ReceiveBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    ~ReceiveBuffer();

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

private:
    std::byte* data_{nullptr};
    std::size_t capacity_{0};
};

struct ReceiveBufferStats {
    std::uint64_t allocated{0}, reused{0};
    std::uint64_t bytes_idle{0}; ///< kept for reuse now
};

class ReceiveBufferPool : public std::enable_shared_from_this<ReceiveBufferPool> {
public:
    /// Keeps at most `bytes_idle_max` for reuse; 0 keeps nothing.
    static std::shared_ptr<ReceiveBufferPool> create(std::uint64_t bytes_idle_max);

    /// A buffer of the smallest class that holds `bytes`.
    ReceiveBuffer take(std::size_t bytes);
    void give_back(ReceiveBuffer buffer) noexcept;

    /// What keeps tensors alive: gives the buffer back when the last copy is dropped.
    std::shared_ptr<const void> share(ReceiveBuffer buffer);

    [[nodiscard]] ReceiveBufferStats stats() const;

    /// The capacity of the class that holds `bytes`.
    static std::size_t class_capacity(std::size_t bytes) noexcept;

private:
    explicit ReceiveBufferPool(std::uint64_t bytes_idle_max);
    /// The list that buffers of this capacity wait in.
    std::vector<ReceiveBuffer>& idle_list(std::size_t capacity) noexcept;

    const std::uint64_t bytes_idle_max_;
    mutable std::mutex mutex_;
    ReceiveBufferStats stats_;
    // Two lists, so that a burst of small answers does not push the large buffers out. In both, the
    // one that came back last is at the end: it may still be in the cache.
    std::vector<ReceiveBuffer> idle_small_, idle_large_;
};

} // namespace everpool::io
