// Tests: a StateKeeper on a simulated disk, behind a gate, through its crashes.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager_config.hpp"
#include "facade/state_config_check.hpp"
#include "facade/state_keeper.hpp"
#include "support/catch.hpp"
#include "support/gated_directory.hpp"
#include "support/simulated_disk.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace everpool::tests {

using namespace std::chrono_literals;

/// Long enough that it is only reached when something is lost.
inline constexpr auto patience = 60s;

template <class... Changes>
Transaction step(Changes&&... changes) {
    Transaction transaction{.actor = "test"};
    (transaction.changes.emplace_back(std::forward<Changes>(changes)), ...);
    return transaction;
}

inline Transaction note(std::string text) { return step(Note{std::move(text)}); }
inline Transaction note(std::uint64_t number) { return note(std::to_string(number)); }

inline BrowserAdded live_browser(std::uint32_t id, ProcessIdentity process = {}) {
    return {{.id = WorkerId{id},
             .connection = ConnectionStatus::ready,
             .health = HealthStatus::healthy,
             .generation = Generation{1},
             .process = process}};
}

/// Bytes that no compressor makes smaller.
inline std::vector<std::byte> noise(std::size_t count, std::uint64_t seed) {
    core::Prng prng(seed);
    std::vector<std::uint64_t> numbers(count / 8 + 1);
    for (std::uint64_t& number : numbers) number = prng.next();
    const auto bytes = std::as_bytes(std::span(numbers)).first(count);
    return {bytes.begin(), bytes.end()};
}

class KeeperRig {
public:
    /// Nothing happens by itself, unless a test says so.
    BrowserStateManagerConfig config{
        .commit_interval = 10s,
        .checkpoint_interval = {},
        .process_exists = [](const ProcessIdentity&) { return false; },
        .segment_bytes = 64 << 10,
    };
    std::unique_ptr<SimulatedDisk> disk = std::make_unique<SimulatedDisk>();
    GatedDirectory* gate{nullptr}; ///< of the keeper
    std::unique_ptr<facade::StateKeeper> keeper;

    KeeperRig() = default;
    explicit KeeperRig(std::unique_ptr<SimulatedDisk> left) : disk(std::move(left)) {}
    KeeperRig(KeeperRig&&) = default;
    KeeperRig& operator=(KeeperRig&& other) noexcept {
        keeper.reset(); // before its disk
        config = std::move(other.config);
        disk = std::move(other.disk);
        gate = other.gate;
        keeper = std::move(other.keeper);
        return *this;
    }
    ~KeeperRig() { keeper.reset(); }

    facade::StateKeeper& open() {
        auto gated = std::make_unique<GatedDirectory>(*disk);
        gate = gated.get();
        keeper.reset();
        keeper = std::make_unique<facade::StateKeeper>(facade::checked(config), std::move(gated));
        return *keeper;
    }
    /// In memory only.
    facade::StateKeeper& open_without_disk() {
        keeper = std::make_unique<facade::StateKeeper>(facade::checked(config), nullptr);
        return *keeper;
    }
    /// What the constructor throws; ok: nothing.
    error_code failure_of_open(Diagnostics* why = nullptr) {
        try {
            open();
            return {};
        } catch (const Error& error) {
            if (why != nullptr) *why = error.diagnostics();
            return error.code();
        }
    }

    /// Another host, on what a power cut or a SIGKILL at this moment leaves.
    [[nodiscard]] KeeperRig after_power_cut(Loss loss = Loss::all, std::uint64_t seed = 1) const {
        KeeperRig rig(disk->after_power_cut(loss, seed));
        rig.config = config;
        return rig;
    }
    [[nodiscard]] KeeperRig after_kill() const {
        KeeperRig rig(disk->after_kill(1));
        rig.config = config;
        return rig;
    }

    /// Commits what must be accepted. \return its number
    std::uint64_t commit(Transaction transaction, Durability durability = Durability::sync) const {
        const CommitResult result = keeper->commit(std::move(transaction), durability);
        INFO(result.diagnostics.text());
        REQUIRE(!result.code);
        return result.number;
    }
    std::uint64_t commit_note(std::uint64_t number,
                              Durability durability = Durability::sync) const {
        return commit(note(number), durability);
    }
    void commit_notes(std::uint64_t first, std::uint64_t last,
                      Durability durability = Durability::sync) const {
        for (std::uint64_t number = first; number <= last; ++number)
            commit_note(number, durability);
    }

    /// All texts of notes in the log, in its order.
    [[nodiscard]] std::vector<std::string> notes() const { return notes_in(*keeper); }
    static std::vector<std::string> notes_in(facade::StateKeeper& keeper) {
        std::vector<std::string> out;
        const error_code ec = keeper.visit(1, {}, [&](const Transaction& transaction) {
            for (const Change& change : transaction.changes)
                if (const auto* told = std::get_if<Note>(&change)) out.push_back(told->text);
            return true;
        });
        CHECK(!ec);
        return out;
    }
    /// "1", "2", ... as commit_notes() makes them.
    static std::vector<std::string> numbers(std::uint64_t first, std::uint64_t last) {
        std::vector<std::string> out;
        for (; first <= last; ++first) out.push_back(std::to_string(first));
        return out;
    }

    [[nodiscard]] std::size_t files(std::string_view prefix, std::string_view suffix = {}) const {
        std::size_t count = 0;
        for (const std::string& name : disk->names())
            count += name.starts_with(prefix) && name.ends_with(suffix);
        return count;
    }
    /// Flips a bit of the file behind the program's back.
    void damage(const std::string& name, std::size_t offset) const {
        const std::vector<std::byte>* bytes = disk->contents(name);
        REQUIRE(bytes != nullptr);
        std::vector<std::byte> copy = *bytes;
        REQUIRE(offset < copy.size());
        copy[offset] ^= std::byte{4};
        disk->put(name, std::move(copy));
    }
};

/// Waits for the answer, but not for ever.
template <class T>
T answer_of(std::future<T>& future) {
    REQUIRE(future.wait_for(patience) == std::future_status::ready);
    return future.get();
}

/// Looks again and again, but not for ever: at what the keeper's own threads do, in their time.
template <class Condition>
void await(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        REQUIRE(std::chrono::steady_clock::now() < end);
        std::this_thread::yield();
    }
}

/// What a handler of a commit is told, once.
class Told {
public:
    [[nodiscard]] std::function<void(error_code)> handler() const {
        return [promise = promise_](error_code ec) { promise->set_value(ec); };
    }
    error_code answer() { return answer_of(future_); }
    [[nodiscard]] bool is_there() const {
        return future_.wait_for(0s) == std::future_status::ready;
    }

private:
    std::shared_ptr<std::promise<error_code>> promise_ =
        std::make_shared<std::promise<error_code>>();
    std::future<error_code> future_ = promise_->get_future();
};

} // namespace everpool::tests
