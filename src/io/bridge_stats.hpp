// Everpool doors: what the bridge counts.
// SPDX-License-Identifier: BSL-1.0
//
// Written on the bridge's strand alone, read from any thread at any time: a host that is being
// attacked must be able to see it without waiting for the strand.
#pragma once

#include <atomic>
#include <cstdint>
#include <ostream>

namespace everpool::io {

/// A number with one writer. A copy is the number as it was.
class StrandCounter {
public:
    StrandCounter() = default;
    StrandCounter(const StrandCounter& other) noexcept : value_(other.value()) {}
    StrandCounter& operator=(const StrandCounter&) = delete;

    [[nodiscard]] std::uint64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }
    operator std::uint64_t() const noexcept { return value(); }

    StrandCounter& operator++() noexcept { return *this += 1; }
    /// With one writer, plain load and store do: no locked instruction for each frame.
    StrandCounter& operator+=(std::uint64_t amount) noexcept {
        value_.store(value() + amount, std::memory_order_relaxed);
        return *this;
    }

    friend std::ostream& operator<<(std::ostream& out, const StrandCounter& counter) {
        return out << counter.value();
    }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Traffic, refusals and faults since the start, by reason. ResourcePool::snapshot() shows the
/// refusals and faults.
struct BridgeStats {
    StrandCounter http_requests, upgrades;
    StrandCounter frames_received, frames_sent, bytes_received, bytes_sent;

    StrandCounter requests_malformed;  ///< not HTTP, too long, or with a body
    StrandCounter requests_unfinished; ///< begun, and not complete within request_timeout
    StrandCounter refused_token, refused_origin, refused_host, refused_subprotocol;
    StrandCounter hellos_missing; ///< upgraded, but no hello within hello_timeout
    StrandCounter frames_too_large, frames_malformed, frames_unexpected;
    StrandCounter connections_replaced, sends_refused;
};

} // namespace everpool::io
