// Tests: one file of the simulated disk: what a reader sees, and what a power cut would leave.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace everpool::tests {

/// What a power cut takes of what was not synced.
enum class Loss : std::uint8_t {
    nothing,   ///< the disk had got it all
    all,       ///< the disk had got none of it
    names,     ///< all bytes are there; files' names are as they were
    bytes,     ///< all names are there; bytes and sizes are as they were
    by_chance, ///< each sector, size and name for itself: any state it has had since the last sync
    torn,      ///< likewise, and a sector may begin as one state and end as another
};

class SimulatedInode {
public:
    static constexpr std::size_t sector_bytes = 512;
    using Sector = std::array<std::byte, sector_bytes>;
    using Contents = std::shared_ptr<std::vector<std::byte>>; ///< never changed while it is shared

    [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return *seen_; }

    void write(std::uint64_t offset, std::span<const std::byte> bytes) {
        if (bytes.empty()) return;
        const std::uint64_t end = offset + bytes.size();
        if (end > seen_->size()) resize(end);
        std::memcpy(own().data() + offset, bytes.data(), bytes.size());
        touch(offset, end);
    }

    void resize(std::uint64_t bytes) {
        const std::uint64_t before = seen_->size();
        own().resize(bytes);
        sizes_.push_back(bytes);
        if (bytes < before) touch(bytes, before); // what comes back later comes back as zeroes
    }

    void sync() {
        durable_ = seen_;
        forget();
    }

    /// A sync that failed: some of it reached the disk, and all of it counts as clean from now on.
    /// Readers go on seeing it, until the power is cut.
    void fail_sync(core::Prng& prng) {
        durable_ = after_power_cut(Loss::by_chance, prng);
        forget();
    }

    [[nodiscard]] Contents after_power_cut(Loss loss, core::Prng& prng) const {
        if (is_clean() || loss == Loss::all || loss == Loss::bytes) return durable_;
        const bool is_last = loss == Loss::nothing || loss == Loss::names;
        const std::size_t choice = is_last ? sizes_.size() : prng.below(sizes_.size() + 1);
        auto left = std::make_shared<std::vector<std::byte>>(*durable_);
        if (choice != 0) left->resize(sizes_[choice - 1]);
        // Not `seen_`: after a sync that failed the two differ where nothing is dirty.
        for (const auto& [index, versions] : dirty_) {
            const std::uint64_t offset = index * sector_bytes;
            const Sector state = is_last ? versions.back() : chosen(index, versions, loss, prng);
            if (offset < left->size())
                std::memcpy(left->data() + offset, state.data(),
                            std::min<std::uint64_t>(sector_bytes, left->size() - offset));
        }
        return left;
    }

    /// Makes these the contents, durable: as after a power cut, or behind the back of whoever has
    /// it open.
    void set(Contents bytes) {
        seen_ = std::move(bytes);
        sync();
    }

private:
    [[nodiscard]] bool is_clean() const noexcept { return dirty_.empty() && sizes_.empty(); }

    void forget() {
        dirty_.clear();
        sizes_.clear();
    }

    /// To be written to: not what another one, or the past, shares.
    std::vector<std::byte>& own() {
        if (seen_.use_count() > 1) seen_ = std::make_shared<std::vector<std::byte>>(*seen_);
        return *seen_;
    }

    [[nodiscard]] static Sector sector_of(const std::vector<std::byte>& bytes,
                                          std::uint64_t index) {
        Sector sector{};
        const std::uint64_t offset = index * sector_bytes;
        if (offset < bytes.size())
            std::memcpy(sector.data(), bytes.data() + offset,
                        std::min<std::uint64_t>(sector_bytes, bytes.size() - offset));
        return sector;
    }

    void touch(std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t index = begin / sector_bytes; index * sector_bytes < end; ++index)
            dirty_[index].push_back(sector_of(*seen_, index));
    }

    [[nodiscard]] Sector chosen(std::uint64_t index, const std::vector<Sector>& versions, Loss loss,
                                core::Prng& prng) const {
        const auto version = [&](std::uint64_t number) {
            return number == 0 ? sector_of(*durable_, index) : versions[number - 1];
        };
        const std::uint64_t number = prng.below(versions.size() + 1);
        Sector state = version(number);
        if (loss != Loss::torn || prng.ratio(1, 2)) return state;
        const Sector other = version(prng.below(versions.size() + 1));
        const std::uint64_t cut = prng.below(sector_bytes);
        std::copy(other.begin() + static_cast<std::ptrdiff_t>(cut), other.end(),
                  state.begin() + static_cast<std::ptrdiff_t>(cut));
        return state;
    }

    // Shared as long as nobody writes: a disk is copied thousands of times.
    Contents seen_{std::make_shared<std::vector<std::byte>>()}; ///< while the machine is on
    Contents durable_{seen_};                                   ///< after the last sync
    std::map<std::uint64_t, std::vector<Sector>> dirty_;        ///< what each sector was since then
    std::vector<std::uint64_t> sizes_;                          ///< what the size was since then
};

} // namespace everpool::tests
