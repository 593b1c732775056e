// Everpool core: the three channels of a worker that are asked for signs of life.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/core/asked_channel.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace everpool::core {

class AskedChannels {
public:
    explicit AskedChannels(const CoreConfig& config)
        : channels_{AskedChannel(config), AskedChannel(config), AskedChannel(config)} {}

    [[nodiscard]] AskedChannel& at(WorkerChannel which) noexcept { return channels_[index(which)]; }
    [[nodiscard]] const AskedChannel& at(WorkerChannel which) const noexcept {
        return channels_[index(which)];
    }
    [[nodiscard]] auto begin() noexcept { return channels_.begin(); }
    [[nodiscard]] auto end() noexcept { return channels_.end(); }
    [[nodiscard]] auto begin() const noexcept { return channels_.begin(); }
    [[nodiscard]] auto end() const noexcept { return channels_.end(); }

    [[nodiscard]] bool is_any_suspect(TimePoint now) const noexcept {
        return std::ranges::any_of(channels_,
                                   [&](const AskedChannel& one) { return one.is_suspect(now); });
    }
    /// Suspect, and silent for this long.
    [[nodiscard]] bool is_any_silent_for(Duration limit, TimePoint now) const noexcept {
        return std::ranges::any_of(channels_, [&](const AskedChannel& one) {
            return one.is_suspect(now) && one.detector.silence(now) >= limit;
        });
    }

private:
    static constexpr std::size_t index(WorkerChannel which) noexcept {
        return static_cast<std::size_t>(which);
    }
    std::array<AskedChannel, 3> channels_; ///< by WorkerChannel
};

} // namespace everpool::core
