// Tests: a disk that keeps what it was told to keep, and of the rest whatever does most harm.
// SPDX-License-Identifier: BSL-1.0
//
//     SimulatedDisk disk(seed);
//     disk.on_change = [&] { check(*disk.after_power_cut(Loss::by_chance, seed)); };
//     ... // the program under test writes; every step of it is a point where the power is cut
//
// What it promises is what log/file_system.hpp says and no more. Until a file is synced each of its
// sectors may survive in any state that it has had since the last sync; until the directory is
// synced each name may mean any file that it has meant since then, or none; all independently.
// After a sync that failed, part of the data is on the disk, all of it counts as clean and is seen
// by readers, and a further sync succeeds without doing anything. A call that fails may have done
// part of its work.
//
// Calls are numbered from 1 (all of them) and so are changes (those that change something, or make
// it durable), so that a loop can go through all. Deterministic for a seed and a sequence of calls.
// Calls may come from several threads; `on_change` is called by the one that makes the change.
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/log/file_system.hpp"
#include "support/simulated_inode.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::tests {

using boost::system::error_code;

class SimulatedDisk final : public log::Directory {
public:
    using Inode = std::shared_ptr<SimulatedInode>; ///< null: no such file

    static constexpr std::uint64_t for_ever = std::numeric_limits<std::uint64_t>::max();

    explicit SimulatedDisk(std::uint64_t seed = 1) : prng_(seed) {}

    // --- the plan --------------------------------------------------------------------------------

    /// Called within each change: a write is in the cache by then, a sync has not begun.
    std::function<void()> on_change;

    /// The calls `first` to `first + count - 1` fail with the errno `value`.
    void fail_at(std::uint64_t first, int value, std::uint64_t count = 1) {
        const std::scoped_lock lock(mutex_);
        fail_first_ = first;
        fail_count_ = count;
        fail_value_ = value;
    }
    void heal() { fail_at(0, 0, 0); }

    /// The power goes at that change: it and all later calls fail and do nothing. The change is in
    /// the cache, as for `on_change`.
    void power_cut_at(std::uint64_t change) {
        const std::scoped_lock lock(mutex_);
        off_at_ = change;
    }

    // --- what came of it -------------------------------------------------------------------------

    [[nodiscard]] std::uint64_t calls() const {
        const std::scoped_lock lock(mutex_);
        return calls_;
    }
    [[nodiscard]] std::uint64_t changes() const {
        const std::scoped_lock lock(mutex_);
        return changes_;
    }
    [[nodiscard]] bool is_off() const {
        const std::scoped_lock lock(mutex_);
        return is_off_;
    }

    /// What is found if the power is cut now: a new disk, without a plan, everything on it durable.
    [[nodiscard]] std::unique_ptr<SimulatedDisk> after_power_cut(Loss loss,
                                                                 std::uint64_t seed) const;

    /// What is found if the program is killed now, and the machine is not: a new disk, without a
    /// plan, where a power cut would still take what was not synced.
    [[nodiscard]] std::unique_ptr<SimulatedDisk> after_kill(std::uint64_t seed) const;

    /// What a file holds, as readers see it; null: there is no such file.
    [[nodiscard]] const std::vector<std::byte>* contents(std::string_view name) const;
    /// Puts a durable file there, or removes it: a change behind the program's back.
    void put(std::string_view name, std::vector<std::byte> bytes);
    void drop(std::string_view name);
    [[nodiscard]] std::vector<std::string> names() const;

    // --- log::Directory --------------------------------------------------------------------------

    error_code open(std::string_view name, log::OpenMode mode,
                    std::unique_ptr<log::File>& file) override;
    error_code list(std::vector<std::string>& names) override;
    error_code rename(std::string_view from, std::string_view to) override;
    error_code remove(std::string_view name) override;
    error_code sync() override;

private:
    friend class SimulatedFile;
    enum class Outcome : std::uint8_t { done, failed, off };

    static error_code errno_code(int value) { return {value, boost::system::system_category()}; }

    /// Counts a call. A failure: the call may do part of its work, then returns failure().
    Outcome begin() {
        ++calls_;
        if (is_off_) return Outcome::off;
        return calls_ >= fail_first_ && calls_ - fail_first_ < fail_count_ ? Outcome::failed
                                                                           : Outcome::done;
    }
    [[nodiscard]] error_code failure(Outcome outcome) const {
        return errno_code(outcome == Outcome::off ? EIO : fail_value_);
    }
    /// Within a change that goes well so far. True: the power is cut, it never returns.
    bool change() {
        if (++changes_ == off_at_) return is_off_ = true;
        if (on_change) on_change();
        return false;
    }
    bool by_chance() { return prng_.ratio(1, 2); }

    void set_name(const std::string& name, Inode inode) {
        dirty_names_[name].push_back(inode);
        if (inode) names_[name] = std::move(inode);
        else names_.erase(name);
    }
    static Inode find(const std::map<std::string, Inode>& names, const std::string& name) {
        const auto found = names.find(name);
        return found == names.end() ? nullptr : found->second;
    }
    std::map<std::string, Inode> names_after_power_cut(Loss loss, core::Prng& prng) const;

    // Recursive: on_change is called under it, and looks at the disk.
    mutable std::recursive_mutex mutex_;
    core::Prng prng_;
    std::map<std::string, Inode> names_, durable_names_;
    std::map<std::string, std::vector<Inode>> dirty_names_; ///< what each meant since the last sync
    std::uint64_t calls_{0}, changes_{0}, off_at_{0};
    std::uint64_t fail_first_{0}, fail_count_{0};
    int fail_value_{0};
    bool is_off_{false};
};

/// Must not outlive its disk.
class SimulatedFile final : public log::File {
public:
    SimulatedFile(SimulatedDisk& disk, SimulatedDisk::Inode inode, bool is_writable)
        : disk_(disk), inode_(std::move(inode)), is_writable_(is_writable) {}

    error_code write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        const std::scoped_lock lock(disk_.mutex_);
        const auto outcome = disk_.begin();
        if (!is_writable_) return SimulatedDisk::errno_code(EBADF);
        if (outcome == SimulatedDisk::Outcome::failed) write_part(offset, bytes);
        if (outcome != SimulatedDisk::Outcome::done) return disk_.failure(outcome);
        inode_->write(offset, bytes);
        return disk_.change() ? disk_.failure(SimulatedDisk::Outcome::off) : error_code{};
    }

    error_code read(std::uint64_t offset, std::span<std::byte> bytes, std::size_t& count) override {
        const std::scoped_lock lock(disk_.mutex_);
        count = 0;
        const auto outcome = disk_.begin();
        if (outcome != SimulatedDisk::Outcome::done) return disk_.failure(outcome);
        const std::vector<std::byte>& all = inode_->bytes();
        if (offset >= all.size() || bytes.empty()) return {};
        count = std::min<std::size_t>(bytes.size(), all.size() - offset);
        std::memcpy(bytes.data(), all.data() + offset, count);
        return {};
    }

    error_code sync() override {
        const std::scoped_lock lock(disk_.mutex_);
        const auto outcome = disk_.begin();
        if (outcome == SimulatedDisk::Outcome::failed) inode_->fail_sync(disk_.prng_);
        if (outcome != SimulatedDisk::Outcome::done) return disk_.failure(outcome);
        if (disk_.change()) return disk_.failure(SimulatedDisk::Outcome::off);
        inode_->sync();
        return {};
    }

    error_code allocate(std::uint64_t bytes) override {
        const std::scoped_lock lock(disk_.mutex_);
        const auto outcome = disk_.begin();
        if (!is_writable_) return SimulatedDisk::errno_code(EBADF);
        if (outcome == SimulatedDisk::Outcome::failed && disk_.by_chance()) inode_->resize(bytes);
        if (outcome != SimulatedDisk::Outcome::done) return disk_.failure(outcome);
        inode_->resize(bytes);
        return disk_.change() ? disk_.failure(SimulatedDisk::Outcome::off) : error_code{};
    }

    error_code size(std::uint64_t& bytes) override {
        const std::scoped_lock lock(disk_.mutex_);
        const auto outcome = disk_.begin();
        if (outcome != SimulatedDisk::Outcome::done) return disk_.failure(outcome);
        bytes = inode_->bytes().size();
        return {};
    }

private:
    /// Some sectors from the beginning.
    void write_part(std::uint64_t offset, std::span<const std::byte> bytes) {
        const std::uint64_t end = offset + disk_.prng_.below(bytes.size() + 1);
        const std::uint64_t sector_end = end - end % SimulatedInode::sector_bytes;
        if (sector_end > offset) inode_->write(offset, bytes.first(sector_end - offset));
    }

    SimulatedDisk& disk_;
    SimulatedDisk::Inode inode_;
    bool is_writable_;
};

// -------------------------------------------------------------------------------------------------

inline error_code SimulatedDisk::open(std::string_view name, log::OpenMode mode,
                                      std::unique_ptr<log::File>& file) {
    const std::scoped_lock lock(mutex_);
    const std::string key(name);
    Outcome outcome = begin();
    Inode inode = find(names_, key);
    if (mode == log::OpenMode::create) {
        if (outcome == Outcome::done && inode) return errno_code(EEXIST);
        if (outcome == Outcome::done || (outcome == Outcome::failed && !inode && by_chance())) {
            inode = std::make_shared<SimulatedInode>();
            set_name(key, inode);
            if (outcome == Outcome::done && change()) outcome = Outcome::off;
        }
    }
    if (outcome != Outcome::done) return failure(outcome);
    if (!inode) return errno_code(ENOENT);
    file = std::make_unique<SimulatedFile>(*this, inode, mode != log::OpenMode::read);
    return {};
}

inline error_code SimulatedDisk::list(std::vector<std::string>& names) {
    const std::scoped_lock lock(mutex_);
    if (const Outcome outcome = begin(); outcome != Outcome::done) return failure(outcome);
    names.clear();
    for (const auto& [name, inode] : names_) names.push_back(name);
    // In no particular order: nobody may rely on one.
    for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[prng_.below(i)]);
    return {};
}

inline error_code SimulatedDisk::rename(std::string_view from, std::string_view to) {
    const std::scoped_lock lock(mutex_);
    Outcome outcome = begin();
    const Inode inode = find(names_, std::string(from));
    if (outcome == Outcome::done && !inode) return errno_code(ENOENT);
    if (outcome == Outcome::done || (outcome == Outcome::failed && inode && by_chance())) {
        set_name(std::string(from), nullptr);
        set_name(std::string(to), inode);
        if (outcome == Outcome::done && change()) outcome = Outcome::off;
    }
    return outcome == Outcome::done ? error_code{} : failure(outcome);
}

inline error_code SimulatedDisk::remove(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    Outcome outcome = begin();
    const bool is_there = find(names_, std::string(name)) != nullptr;
    if (outcome == Outcome::done && !is_there) return errno_code(ENOENT);
    if (outcome == Outcome::done || (outcome == Outcome::failed && is_there && by_chance())) {
        set_name(std::string(name), nullptr);
        if (outcome == Outcome::done && change()) outcome = Outcome::off;
    }
    return outcome == Outcome::done ? error_code{} : failure(outcome);
}

inline error_code SimulatedDisk::sync() {
    const std::scoped_lock lock(mutex_);
    Outcome outcome = begin();
    if (outcome == Outcome::done && change()) outcome = Outcome::off;
    if (outcome == Outcome::off) return failure(outcome);
    durable_names_ =
        outcome == Outcome::done ? names_ : names_after_power_cut(Loss::by_chance, prng_);
    dirty_names_.clear();
    return outcome == Outcome::done ? error_code{} : failure(outcome);
}

inline std::map<std::string, SimulatedDisk::Inode>
SimulatedDisk::names_after_power_cut(Loss loss, core::Prng& prng) const {
    std::map<std::string, Inode> left = durable_names_;
    if (loss == Loss::all || loss == Loss::names) return left;
    const bool is_last = loss == Loss::nothing || loss == Loss::bytes;
    for (const auto& [name, meanings] : dirty_names_) {
        const std::uint64_t choice = is_last ? meanings.size() : prng.below(meanings.size() + 1);
        if (choice == 0) continue; // as it was
        if (const Inode& inode = meanings[choice - 1]) left[name] = inode;
        else left.erase(name);
    }
    return left;
}

inline std::unique_ptr<SimulatedDisk> SimulatedDisk::after_power_cut(Loss loss,
                                                                     std::uint64_t seed) const {
    const std::scoped_lock lock(mutex_);
    core::Prng prng(seed);
    auto disk = std::make_unique<SimulatedDisk>(prng.next());
    std::map<const SimulatedInode*, Inode> known; // a file that has two names stays one
    for (const auto& [name, inode] : names_after_power_cut(loss, prng)) {
        Inode& survivor = known[inode.get()];
        if (!survivor) {
            survivor = std::make_shared<SimulatedInode>();
            survivor->set(inode->after_power_cut(loss, prng));
        }
        disk->names_[name] = disk->durable_names_[name] = survivor;
    }
    return disk;
}

inline std::unique_ptr<SimulatedDisk> SimulatedDisk::after_kill(std::uint64_t seed) const {
    const std::scoped_lock lock(mutex_);
    auto disk = std::make_unique<SimulatedDisk>(seed);
    std::map<const SimulatedInode*, Inode> known;
    const auto twin = [&](const Inode& inode) -> Inode {
        if (!inode) return nullptr;
        Inode& found = known[inode.get()];
        if (!found) found = std::make_shared<SimulatedInode>(*inode);
        return found;
    };
    for (const auto& [name, inode] : names_) disk->names_[name] = twin(inode);
    for (const auto& [name, inode] : durable_names_) disk->durable_names_[name] = twin(inode);
    for (const auto& [name, meanings] : dirty_names_)
        for (const Inode& inode : meanings) disk->dirty_names_[name].push_back(twin(inode));
    return disk;
}

inline const std::vector<std::byte>* SimulatedDisk::contents(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const Inode inode = find(names_, std::string(name));
    return inode ? &inode->bytes() : nullptr;
}

inline void SimulatedDisk::put(std::string_view name, std::vector<std::byte> bytes) {
    const std::scoped_lock lock(mutex_);
    const auto inode = std::make_shared<SimulatedInode>();
    inode->set(std::make_shared<std::vector<std::byte>>(std::move(bytes)));
    names_[std::string(name)] = durable_names_[std::string(name)] = inode;
    dirty_names_.erase(std::string(name));
}

inline void SimulatedDisk::drop(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    names_.erase(std::string(name));
    durable_names_.erase(std::string(name));
    dirty_names_.erase(std::string(name));
}

inline std::vector<std::string> SimulatedDisk::names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, inode] : names_) all.push_back(name);
    return all;
}

} // namespace everpool::tests
