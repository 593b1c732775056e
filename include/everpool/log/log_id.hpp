// Everpool log: how records, and logs themselves, are told apart.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/ids.hpp"

#include <array>
#include <cstdint>

namespace everpool::log {

/// Log sequence number: which record of a log, from 1 and without gaps; 0: none yet.
using Lsn = StrongId<struct LsnTag, std::uint64_t>;

/// Which log. Made at random when a log is created, by the driver; part of every checksum, so that
/// what another log once wrote into the same sectors is never taken for this one's.
struct LogId {
    std::array<std::uint8_t, 16> bytes{};
    friend bool operator==(const LogId&, const LogId&) = default;
};

} // namespace everpool::log
