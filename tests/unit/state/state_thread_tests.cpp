// Snapshots are read, copied and let go of by other threads while the state goes on.
// SPDX-License-Identifier: BSL-1.0
#include "state_script.hpp"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>

using namespace everpool;
using namespace everpool::state_tests;

namespace {

/// How a driver hands a snapshot to others.
class Board {
public:
    void show(StateSnapshot snapshot) {
        const std::scoped_lock lock(mutex_);
        snapshot_ = std::move(snapshot);
    }
    StateSnapshot look() const {
        const std::scoped_lock lock(mutex_);
        return snapshot_;
    }

private:
    mutable std::mutex mutex_;
    StateSnapshot snapshot_;
};

} // namespace

TEST_CASE("Readers see whole states only, whatever the writer does meanwhile") {
    constexpr int reader_count = 3, transaction_count = 6000;
    Board board;
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> states_read{0}, broken{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < reader_count; ++i)
        readers.emplace_back([&] {
            StateSnapshot kept; // one that is older than the others
            std::uint64_t round = 0, last_version = 0;
            while (!is_over.load()) {
                const StateSnapshot snapshot = board.look();
                if (core::check_state(snapshot) || snapshot.version() < last_version) ++broken;
                last_version = snapshot.version();
                std::size_t operations = 0;
                snapshot.visit_operations([&](const OperationState&) { ++operations; });
                if (operations != snapshot.operation_count()) ++broken;
                if (++round % 16 == 0) kept = snapshot;
                if (core::check_state(kept)) ++broken;
                ++states_read;
            }
        });
    PlainState plain(small_limits);
    core::StateCore core(small_limits);
    StateScript script(11);
    Diagnostics diagnostics;
    for (int i = 0; i < transaction_count || states_read.load() < 200; ++i) {
        const Transaction transaction = script.next(plain);
        const bool is_valid = plain.apply(transaction);
        if ((core.apply(transaction, diagnostics) == Errc::ok) != is_valid) ++broken;
        board.show(core.snapshot());
    }
    is_over = true;
    for (std::thread& reader : readers) reader.join();
    CHECK(plain.is(core.snapshot()));
    CHECK(broken.load() == 0);
    std::printf("threads: %llu states read by %d readers\n",
                static_cast<unsigned long long>(states_read.load()), reader_count);
}
