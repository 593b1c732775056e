// SPDX-License-Identifier: BSL-1.0
#include "facade/snapshot_board.hpp"

#include "support/catch.hpp"

#include <thread>

using everpool::facade::SnapshotBoard;

TEST_CASE("a snapshot can be read while the strand writes") {
    SnapshotBoard board;
    constexpr std::uint64_t count = 20'000;
    std::thread strand([&] {
        for (std::uint64_t i = 1; i <= count; ++i) {
            SnapshotBoard::add(board.counters.submitted);
            if (i % 100 == 0)
                board.set_workers(std::vector<everpool::WorkerSnapshot>(1 + i % 3));
        }
    });
    std::uint64_t last = 0;
    while (last < count) {
        const auto snapshot = board.read();
        CHECK(snapshot.submitted >= last); // never backwards
        CHECK(snapshot.workers.size() <= 3);
        last = snapshot.submitted;
    }
    strand.join();
    CHECK(board.read().submitted == count);
}
