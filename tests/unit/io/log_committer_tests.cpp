// Threads that share a ledger: on the simulated disk, which fails when it is told to, and on a real
// one. What they are told is compared with what is found after a power cut.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "io/linux/file_directory.hpp"
#include "io/log_committer.hpp"
#include "io/zstd_compressor.hpp"
#include "support/catch.hpp"
#include "support/failing_allocation.hpp"
#include "support/gated_directory.hpp"
#include "support/simulated_disk.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_limit.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <thread>

namespace everpool::io {
namespace {

using namespace std::chrono_literals;
using log::Lsn;
using Bytes = std::vector<std::byte>;
using tests::SimulatedDisk;

/// Long enough that it is only reached when something is lost.
constexpr auto patience = 30s;

Bytes bytes_of(std::uint64_t number) {
    Bytes out(sizeof number + number % 200);
    std::memcpy(out.data(), &number, sizeof number);
    return out;
}

std::uint64_t number_in(std::span<const std::byte> body) {
    std::uint64_t number = 0;
    std::memcpy(&number, body.data(), std::min(sizeof number, body.size()));
    return number;
}

/// What recovery finds: the numbers in the records, in order.
class Found final : public log::RecoveryVisitor {
public:
    bool on_checkpoint(log::CheckpointKind, Lsn at, std::span<const std::byte> body) override {
        checkpoint = at;
        checkpoint_body.assign(body.begin(), body.end());
        return true;
    }
    void on_reset() override { *this = Found(); }
    bool on_record(Lsn, std::span<const std::byte> body) override {
        numbers.push_back(number_in(body));
        return true;
    }

    Found() = default;
    Found(const Found&) = delete;
    Found& operator=(Found&& other) noexcept {
        numbers = std::move(other.numbers);
        checkpoint = other.checkpoint;
        checkpoint_body = std::move(other.checkpoint_body);
        return *this;
    }

    std::vector<std::uint64_t> numbers;
    Lsn checkpoint;
    Bytes checkpoint_body;
};

log::Ledger open_ledger(log::Directory& directory, log::RecoveryVisitor& visitor,
                        log::LedgerConfig config = {.segment_bytes = 64 << 10}) {
    std::optional<log::Ledger> ledger;
    RecoveryReport report;
    Diagnostics why;
    const error_code ec =
        log::Ledger::open(directory, config, log::LogId{{1, 2, 3}}, visitor, report, why, ledger);
    INFO(why.text());
    REQUIRE(!ec);
    return std::move(*ledger);
}

log::Ledger open_ledger(log::Directory& directory) {
    Found ignored;
    return open_ledger(directory, ignored);
}

/// An interval that never passes by itself: what happens is not the background's doing.
constexpr LogCommitterConfig patient{.commit_interval = 24h, .retry_interval = 24h};

/// Waits for the answer, but not for ever.
error_code answer_of(std::future<error_code>& future) {
    const bool is_there = future.wait_for(patience) == std::future_status::ready;
    CHECK(is_there);
    return is_there ? future.get() : make_error_code(Errc::internal_error);
}

std::future<error_code> ask_durable(LogCommitter& committer, Lsn lsn) {
    const auto promise = std::make_shared<std::promise<error_code>>();
    committer.when_durable(lsn, [promise](error_code ec) { promise->set_value(ec); });
    return promise->get_future();
}

Lsn append(LogCommitter& committer, std::uint64_t number) {
    Lsn lsn;
    REQUIRE(!committer.append(bytes_of(number), lsn));
    return lsn;
}

TEST_CASE("a record is durable when its wait has ended, and found after a power cut") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    const Lsn first = append(committer, 7), second = append(committer, 8);
    CHECK(first == Lsn{1});
    CHECK(second == Lsn{2});
    CHECK(committer.durable() == Lsn{0});
    REQUIRE(!committer.wait_durable(first));
    CHECK(committer.durable() == second); // the leader takes everything that is there
    append(committer, 9);
    const auto left = disk.after_power_cut(tests::Loss::all, 1);
    Found found;
    open_ledger(*left, found);
    CHECK(found.numbers == std::vector<std::uint64_t>{7, 8});
}

TEST_CASE("a committer for which there are not threads enough says so, and the next one works") {
    SimulatedDisk disk;
    for (const std::size_t count : {0U, 1U}) {
        log::Ledger ledger = open_ledger(disk);
        const tests::ThreadLimit limit(count);
        CHECK_THROWS_AS(LogCommitter(std::move(ledger), patient), std::system_error);
    }
    LogCommitter committer(open_ledger(disk), patient);
    REQUIRE(!committer.wait_durable(append(committer, 1)));
}

TEST_CASE("what is written out is with the system, and no sync was made for it") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    REQUIRE(!committer.wait_durable(append(committer, 1)));
    const Lsn lsn = append(committer, 2);
    const std::uint64_t calls = disk.calls();
    REQUIRE(!committer.write_out(lsn));
    CHECK(disk.calls() == calls + 1);
    CHECK(committer.durable() == Lsn{1});
    REQUIRE(!committer.write_out(lsn)); // it is there already
    CHECK(disk.calls() == calls + 1);
    Found found;
    open_ledger(*disk.after_kill(1), found); // as after the death of the process
    CHECK(found.numbers == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("those who come during a sync share the next one") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.wait_durable(append(committer, 0)));
    gate.close_gate();
    std::vector<std::future<error_code>> answers;
    const auto wait = [&](Lsn lsn) {
        answers.push_back(
            std::async(std::launch::async, [&, lsn] { return committer.wait_durable(lsn); }));
    };
    wait(append(committer, 1));
    gate.await_arrival(); // the first flies
    const std::uint64_t syncs = gate.syncs();
    for (std::uint64_t number = 2; number <= 20; ++number) wait(append(committer, number));
    CHECK(committer.durable() == Lsn{1}); // appending does not wait for the disk
    gate.open_gate();
    for (auto& answer : answers) CHECK(!answer_of(answer));
    CHECK(gate.syncs() == syncs + 1);
}

TEST_CASE("the background makes durable what nobody waits for, and says so once") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), {.commit_interval = 1ms});
    std::vector<std::future<error_code>> answers;
    for (std::uint64_t number = 1; number <= 200; ++number) {
        answers.push_back(ask_durable(committer, append(committer, number)));
        committer.when_durable(Lsn{number}, {}); // without a handler it is only a wish
    }
    for (auto& answer : answers) CHECK(!answer_of(answer));
    CHECK(committer.durable() == Lsn{200});
    auto late = ask_durable(committer, Lsn{5}); // durable for long
    CHECK(!answer_of(late));
}

TEST_CASE("what waits for the background is also served by those who cannot wait") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    auto background = ask_durable(committer, append(committer, 1));
    REQUIRE(!committer.wait_durable(append(committer, 2)));
    CHECK(!answer_of(background));
    auto urgent = std::make_shared<std::promise<error_code>>();
    auto answer = urgent->get_future();
    committer.when_durable(
        append(committer, 3), [urgent](error_code ec) { urgent->set_value(ec); }, true);
    CHECK(!answer_of(answer));
}

TEST_CASE("a handler may commit again") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), {.commit_interval = 0ms});
    std::promise<error_code> end;
    std::function<void(error_code)> again = [&](error_code ec) {
        Lsn lsn;
        if (!ec && committer.appended() < Lsn{20} && !committer.append(bytes_of(1), lsn))
            committer.when_durable(lsn, again);
        else end.set_value(ec);
    };
    committer.when_durable(append(committer, 1), again);
    auto future = end.get_future();
    CHECK(!answer_of(future));
    CHECK(committer.appended() == Lsn{20});
}

TEST_CASE("a failed sync is told to all who wait and to all who come later") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.wait_durable(append(committer, 0)));
    gate.close_gate();
    auto leader = std::async(std::launch::async, [&, lsn = append(committer, 1)] {
        return committer.wait_durable(lsn);
    });
    gate.await_arrival();
    disk.fail_at(disk.calls() + 1, EIO, SimulatedDisk::for_ever);
    auto handler = ask_durable(committer, append(committer, 2));
    std::vector<std::future<error_code>> followers;
    for (std::uint64_t i = 0; i < 8; ++i)
        followers.push_back(std::async(std::launch::async, [&, i, lsn = append(committer, 3 + i)] {
            return i % 2 == 0 ? committer.wait_durable(lsn) : committer.write_out(lsn);
        }));
    gate.open_gate();
    CHECK(answer_of(leader) == Errc::storage_failed);
    CHECK(answer_of(handler) == Errc::storage_failed);
    for (auto& follower : followers) CHECK(answer_of(follower) == Errc::storage_failed);
    CHECK(committer.is_poisoned());
    disk.heal(); // too late
    Lsn lsn;
    CHECK(committer.append(bytes_of(99), lsn) == Errc::storage_failed);
    CHECK(committer.wait_durable(Lsn{2}) == Errc::storage_failed);
    CHECK(!committer.wait_durable(Lsn{1})); // that one was durable before
    CHECK(committer.trouble().last_cause == boost::system::errc::io_error);
    auto late = ask_durable(committer, Lsn{2});
    CHECK(answer_of(late) == Errc::storage_failed);
    CHECK(committer.stop() == Errc::storage_failed);
}

TEST_CASE("a full disk is told to those who wait, and nothing is lost when there is room again") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), {.commit_interval = 1ms, .retry_interval = 1ms});
    REQUIRE(!committer.wait_durable(append(committer, 1)));
    disk.fail_at(disk.calls() + 1, ENOSPC, SimulatedDisk::for_ever);
    const Lsn second = append(committer, 2);
    CHECK(committer.wait_durable(second) == Errc::storage_full);
    CHECK(committer.write_out(second) == Errc::storage_full);
    auto told = ask_durable(committer, second);
    CHECK(answer_of(told) == Errc::storage_full);
    CHECK_FALSE(committer.is_poisoned());
    CHECK(committer.trouble().last_cause == boost::system::errc::no_space_on_device);
    disk.heal();
    // The background tries again by itself: nobody asks for a sync from here on.
    while (committer.durable() < second) std::this_thread::yield();
    CHECK(!committer.wait_durable(append(committer, 3)));
    Found found;
    open_ledger(*disk.after_power_cut(tests::Loss::all, 1), found);
    CHECK(found.numbers == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("stopping makes everything durable, answers everybody, and takes nothing more") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    std::vector<std::future<error_code>> answers;
    for (std::uint64_t number = 1; number <= 50; ++number)
        answers.push_back(ask_durable(committer, append(committer, number)));
    REQUIRE(!committer.stop());
    for (auto& answer : answers) CHECK(!answer_of(answer));
    Lsn lsn;
    CHECK(committer.append(bytes_of(0), lsn) == Errc::cancelled);
    CHECK(committer.checkpoint(log::CheckpointKind::full, {}, {}) == Errc::cancelled);
    CHECK(!committer.wait_durable(Lsn{50}));
    auto late = ask_durable(committer, Lsn{50});
    CHECK(!answer_of(late));
    REQUIRE(!committer.stop());
    Found found;
    open_ledger(*disk.after_power_cut(tests::Loss::all, 1), found);
    CHECK(found.numbers.size() == 50);
}

TEST_CASE("stopping serves those who wait at that moment") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.wait_durable(append(committer, 0)));
    gate.close_gate();
    std::vector<std::future<error_code>> waiters;
    const auto wait = [&] {
        waiters.push_back(std::async(std::launch::async, [&, lsn = append(committer, 1)] {
            return committer.wait_durable(lsn);
        }));
    };
    wait();
    gate.await_arrival();
    for (int i = 0; i < 8; ++i) wait();
    auto handler = ask_durable(committer, append(committer, 1));
    auto stopped = std::async(std::launch::async, [&] { return committer.stop(); });
    gate.open_gate();
    CHECK(!answer_of(stopped));
    CHECK(!answer_of(handler));
    for (auto& waiter : waiters) CHECK(!answer_of(waiter));
}

TEST_CASE("stopping on a full disk tells the handlers that their records are not durable") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    auto early = ask_durable(committer, append(committer, 1));
    REQUIRE(!committer.wait_durable(Lsn{1}));
    CHECK(!answer_of(early));
    disk.fail_at(disk.calls() + 1, ENOSPC, SimulatedDisk::for_ever);
    auto answer = ask_durable(committer, append(committer, 2));
    CHECK(committer.stop() == Errc::storage_full);
    CHECK(answer_of(answer) == Errc::storage_full);
    auto late = ask_durable(committer, Lsn{2});
    CHECK(answer_of(late) == Errc::storage_full);
}

// --- checkpoints ---------------------------------------------------------------------------------

std::future<error_code> ask_checkpoint(LogCommitter& committer, log::CheckpointKind kind,
                                       LogCommitter::CheckpointEncoder encode) {
    const auto promise = std::make_shared<std::promise<error_code>>();
    auto future = promise->get_future();
    const error_code refused =
        committer.checkpoint(kind, std::move(encode), [promise](error_code ec, const Diagnostics&) {
            promise->set_value(ec);
        });
    if (refused) promise->set_value(refused);
    return future;
}

TEST_CASE("records go on while a checkpoint is encoded, and it counts when it is said to") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    append(committer, 1);
    std::promise<void> begun, go_on;
    auto checkpoint =
        ask_checkpoint(committer, log::CheckpointKind::full, [&](const log::CheckpointPlan& plan) {
            begun.set_value();
            go_on.get_future().wait();
            return bytes_of(1000 + plan.lsn().value);
        });
    begun.get_future().wait();
    REQUIRE(!committer.wait_durable(append(committer, 2)));
    CHECK(committer.checkpoint(log::CheckpointKind::full, {}, {}) == Errc::queue_full);
    CHECK(committer.checkpoint() == Lsn{0});
    go_on.set_value();
    CHECK(!answer_of(checkpoint));
    CHECK(committer.checkpoint() == Lsn{1});
    Found found;
    open_ledger(*disk.after_power_cut(tests::Loss::all, 1), found);
    CHECK(found.checkpoint == Lsn{1});
    CHECK(number_in(found.checkpoint_body) == 1001);
    CHECK(found.numbers == std::vector<std::uint64_t>{2});
}

TEST_CASE("a checkpoint waits for its records to be durable") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    for (std::uint64_t number = 1; number <= 5; ++number) append(committer, number);
    auto checkpoint = ask_checkpoint(committer, log::CheckpointKind::full,
                                     [](const log::CheckpointPlan&) { return bytes_of(1); });
    CHECK(!answer_of(checkpoint));
    CHECK(committer.durable() == Lsn{5});
    const auto unneeded = [](const log::CheckpointPlan&) -> Bytes { throw std::bad_alloc(); };
    auto same = ask_checkpoint(committer, log::CheckpointKind::full, unneeded);
    CHECK(!answer_of(same)); // there is nothing new, so nobody is asked for a body
    append(committer, 6);
    auto failed = ask_checkpoint(committer, log::CheckpointKind::full, unneeded);
    CHECK(answer_of(failed) == Errc::internal_error);
    auto delta =
        ask_checkpoint(committer, log::CheckpointKind::delta, [](const log::CheckpointPlan& plan) {
            return bytes_of(plan.parent().value);
        });
    CHECK(!answer_of(delta));
    Found found;
    open_ledger(*disk.after_power_cut(tests::Loss::all, 1), found);
    CHECK(found.checkpoint == Lsn{6});
    CHECK(number_in(found.checkpoint_body) == 5);
}

TEST_CASE("the sync of a checkpoint stops nobody who only writes") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.write_out(append(committer, 1)));
    gate.close_gate("segment-");
    auto checkpoint = ask_checkpoint(committer, log::CheckpointKind::full,
                                     [](const log::CheckpointPlan&) { return bytes_of(1); });
    gate.await_arrival();
    for (std::uint64_t number = 2; number <= 10; ++number)
        REQUIRE(!committer.write_out(append(committer, number))); // while the sync stands still
    CHECK(committer.written() == Lsn{10});
    const Lsn last = append(committer, 11);
    auto durable = std::async(std::launch::async, [&] { return committer.wait_durable(last); });
    auto background = ask_durable(committer, Lsn{1});
    CHECK(committer.durable() == Lsn{0});
    gate.open_gate();
    CHECK(!answer_of(checkpoint));
    CHECK(!answer_of(durable));
    CHECK(!answer_of(background));
    CHECK(committer.checkpoint() == Lsn{1});
    CHECK(committer.durable() == last);
    Found found;
    open_ledger(*disk.after_power_cut(tests::Loss::all, 1), found);
    CHECK(found.checkpoint == Lsn{1});
    CHECK(found.numbers.size() == 10);
}

TEST_CASE("a segment that is begun during the sync of a checkpoint waits for it") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.write_out(append(committer, 1)));
    gate.close_gate("segment-");
    auto checkpoint = ask_checkpoint(committer, log::CheckpointKind::full,
                                     [](const log::CheckpointPlan&) { return bytes_of(1); });
    gate.await_arrival();
    Lsn last;
    REQUIRE(!committer.append(Bytes(60'000), last)); // does not fit any more
    auto written = std::async(std::launch::async, [&] { return committer.write_out(last); });
    gate.open_gate();
    CHECK(!answer_of(checkpoint));
    CHECK(!answer_of(written));
    CHECK(committer.durable() == Lsn{1}); // of the new segment nothing was asked to be
}

TEST_CASE("a sync of a checkpoint that fails is told to all who wait and to all who come later") {
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    REQUIRE(!committer.write_out(append(committer, 1)));
    gate.close_gate("segment-");
    auto checkpoint = ask_checkpoint(committer, log::CheckpointKind::full,
                                     [](const log::CheckpointPlan&) { return bytes_of(1); });
    gate.await_arrival();
    const Lsn last = append(committer, 2);
    auto durable = std::async(std::launch::async, [&] { return committer.wait_durable(last); });
    auto background = ask_durable(committer, last);
    disk.fail_at(disk.calls() + 1, EIO);
    gate.open_gate();
    CHECK(answer_of(checkpoint) == Errc::storage_failed);
    CHECK(answer_of(durable) == Errc::storage_failed);
    CHECK(answer_of(background) == Errc::storage_failed);
    CHECK(committer.is_poisoned());
    CHECK(committer.durable() == Lsn{0});
    CHECK(committer.checkpoint() == Lsn{0});
    CHECK(committer.trouble().last_cause.value() == EIO);
    Lsn lsn;
    CHECK(committer.append(bytes_of(3), lsn) == Errc::storage_failed);
}

TEST_CASE("a checkpoint that fails at any call of the disk is told, and records go on") {
    std::uint64_t calls = 0;
    for (std::uint64_t failing = 1; failing <= 40; ++failing) {
        SimulatedDisk disk(failing);
        LogCommitter committer(open_ledger(disk), patient);
        REQUIRE(!committer.wait_durable(append(committer, 1)));
        const std::uint64_t before = disk.calls();
        disk.fail_at(before + failing, ENOSPC);
        auto checkpoint = ask_checkpoint(committer, log::CheckpointKind::full,
                                         [](const log::CheckpointPlan&) { return bytes_of(1); });
        const error_code ec = answer_of(checkpoint);
        if (failing > disk.calls() - before) { // it was over by then
            calls = failing - 1;
            CHECK(!ec);
            break;
        }
        disk.heal();
        const Lsn expected{ec ? 0U : 1U};
        CHECK(committer.checkpoint() == expected);
        Lsn lsn;
        const bool goes_on = !committer.append(bytes_of(2), lsn) && !committer.wait_durable(lsn);
        CHECK(goes_on != committer.is_poisoned());
        Found found;
        open_ledger(*disk.after_power_cut(tests::Loss::by_chance, failing), found);
        CHECK((found.checkpoint == Lsn{1} || found.numbers.at(0) == 1));
    }
    CHECK(calls >= 5);
}

// It takes memory where the log is poisoned: for the words that say why.
TEST_CASE("a checkpoint that has no memory to begin with stands in the way of none after it") {
    if (!tests::FailingAllocation::is_possible) return;
    SimulatedDisk disk;
    tests::GatedDirectory gate(disk);
    LogCommitter committer(open_ledger(gate), patient);
    gate.close_gate();
    auto leader = std::async(std::launch::async, [&, lsn = append(committer, 1)] {
        return committer.wait_durable(lsn);
    });
    gate.await_arrival();
    disk.fail_at(disk.calls() + 1, EIO, SimulatedDisk::for_ever);
    gate.open_gate();
    REQUIRE(answer_of(leader) == Errc::storage_failed);
    const auto begin = [&](std::size_t failing_allocation) {
        const auto promise = std::make_shared<std::promise<error_code>>();
        LogCommitter::CheckpointEncoder encode = [](const log::CheckpointPlan&) { return Bytes(); };
        LogCommitter::CheckpointHandler handler = [promise](error_code ec, const Diagnostics&) {
            promise->set_value(ec);
        };
        error_code ec;
        {
            const tests::FailingAllocation failing(failing_allocation);
            ec = committer.checkpoint(log::CheckpointKind::full, std::move(encode),
                                      std::move(handler));
        }
        CHECK(!ec);
        return promise->get_future();
    };
    CHECK_THROWS_AS(begin(1), std::bad_alloc);
    auto told = begin(0);
    CHECK(answer_of(told) == Errc::storage_failed);
}

TEST_CASE("stopping lets a checkpoint finish") {
    SimulatedDisk disk;
    LogCommitter committer(open_ledger(disk), patient);
    append(committer, 1);
    std::promise<void> begun, go_on;
    auto checkpoint =
        ask_checkpoint(committer, log::CheckpointKind::full, [&](const log::CheckpointPlan&) {
            begun.set_value();
            go_on.get_future().wait();
            return bytes_of(1);
        });
    begun.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { return committer.stop(); });
    go_on.set_value();
    CHECK(!answer_of(stopped));
    CHECK(!answer_of(checkpoint));
    CHECK(committer.checkpoint() == Lsn{1});
}

// --- many threads --------------------------------------------------------------------------------

/// Threads that append and wait in every way there is, as a seed tells them. Everything they are
/// told must be true of what is found afterwards.
class Crowd {
public:
    Crowd(LogCommitter& committer, std::uint64_t seed) : committer_(committer), seed_(seed) {}

    void run(std::size_t threads, std::size_t records) {
        std::vector<std::thread> all;
        for (std::size_t thread = 0; thread < threads; ++thread)
            all.emplace_back([this, thread, records] { write(thread, records); });
        for (std::thread& thread : all) thread.join();
    }

    /// In the order of their lsn.
    std::vector<std::uint64_t> numbers;
    /// The last record that somebody was told to be durable.
    std::atomic<std::uint64_t> told_durable{0};
    std::atomic<std::size_t> handlers_called{0}, handlers_given{0}, failures{0};

private:
    void write(std::size_t thread, std::size_t records) {
        core::Prng prng(seed_ * 1000 + thread);
        for (std::size_t i = 0; i < records; ++i) {
            const std::uint64_t number = thread * 1'000'000 + i;
            Lsn lsn;
            {
                // The order of appends is what the log is to give back.
                const std::lock_guard lock(mutex_);
                if (committer_.append(bytes_of(number), lsn)) {
                    ++failures;
                    return;
                }
                numbers.resize(std::max<std::size_t>(numbers.size(), lsn.value));
                numbers[lsn.value - 1] = number;
            }
            await(lsn, prng.below(8));
        }
    }

    void await(Lsn lsn, std::uint64_t way) {
        error_code ec;
        if (way < 4) {
            ec = committer_.wait_durable(lsn);
            if (!ec) note_durable(lsn);
        } else if (way < 6) {
            ec = committer_.write_out(lsn);
        } else if (way == 6) {
            ++handlers_given;
            committer_.when_durable(lsn, [this, lsn](error_code outcome) {
                ++handlers_called;
                if (!outcome) note_durable(lsn);
            });
        }
        if (ec) ++failures;
    }

    void note_durable(Lsn lsn) {
        std::uint64_t before = told_durable.load();
        while (before < lsn.value && !told_durable.compare_exchange_weak(before, lsn.value)) {}
    }

    LogCommitter& committer_;
    const std::uint64_t seed_;
    std::mutex mutex_;
};

bool is_beginning(const std::vector<std::uint64_t>& found,
                  const std::vector<std::uint64_t>& written) {
    return found.size() <= written.size() &&
           std::equal(found.begin(), found.end(), written.begin());
}

TEST_CASE("no thread waits for ever, and the order is that of the appends") {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        SimulatedDisk disk(seed);
        LogCommitter committer(open_ledger(disk), {.commit_interval = 1ms});
        Crowd crowd(committer, seed);
        crowd.run(16, 60);
        CHECK(crowd.failures == 0);
        const std::uint64_t told =
            crowd.told_durable; // before the power cut: more is told meanwhile
        Found found;
        open_ledger(*disk.after_power_cut(tests::Loss::all, seed), found);
        CHECK(found.numbers.size() >= told);
        CHECK(is_beginning(found.numbers, crowd.numbers));
        REQUIRE(!committer.stop());
        CHECK(crowd.handlers_called == crowd.handlers_given);
        CHECK(committer.durable().value == crowd.numbers.size());
    }
}

TEST_CASE("no thread waits for ever while one checkpoint follows the other") {
    std::size_t checkpoints = 0;
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        SimulatedDisk disk(seed);
        LogCommitter committer(open_ledger(disk), {.commit_interval = 1ms});
        Crowd crowd(committer, seed);
        std::atomic<bool> is_over{false};
        auto failures = std::async(std::launch::async, [&] {
            std::size_t count = 0;
            // However fast the others are done, one follows the other.
            for (int round = 0; !is_over || round < 2; ++round, ++checkpoints)
                if (ask_checkpoint(committer, log::CheckpointKind::full,
                                   [](const log::CheckpointPlan&) { return bytes_of(1); })
                        .get())
                    ++count;
            return count;
        });
        crowd.run(16, 60);
        is_over = true;
        CHECK(failures.get() == 0);
        CHECK(crowd.failures == 0);
        const std::uint64_t told =
            crowd.told_durable; // before the power cut: more is told meanwhile
        Found found;
        open_ledger(*disk.after_power_cut(tests::Loss::all, seed), found);
        const std::size_t covered = found.checkpoint.value;
        REQUIRE(covered <= crowd.numbers.size());
        CHECK(covered + found.numbers.size() >= told);
        CHECK(is_beginning(found.numbers, {crowd.numbers.begin() + covered, crowd.numbers.end()}));
        REQUIRE(!committer.stop());
        CHECK(crowd.handlers_called == crowd.handlers_given);
        CHECK(committer.durable().value == crowd.numbers.size());
    }
    CHECK(checkpoints >= 12);
}

TEST_CASE("whenever a disk begins to fail, all are told, and what was promised is there") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        SimulatedDisk disk(seed);
        LogCommitter committer(open_ledger(disk), {.commit_interval = 1ms});
        core::Prng prng(seed);
        const int value = seed % 2 == 0 ? EIO : ENOSPC;
        disk.fail_at(disk.calls() + 1 + prng.below(60), value, SimulatedDisk::for_ever);
        Crowd crowd(committer, seed);
        crowd.run(8, 40);
        CHECK(crowd.failures > 0);
        const bool is_lost = static_cast<bool>(committer.stop());
        CHECK(crowd.handlers_called == crowd.handlers_given);
        disk.heal();
        Found found;
        open_ledger(*disk.after_power_cut(tests::Loss::by_chance, seed), found);
        CHECK(found.numbers.size() >= crowd.told_durable);
        CHECK(is_beginning(found.numbers, crowd.numbers));
        if (!is_lost) CHECK(found.numbers.size() == crowd.numbers.size());
    }
}

TEST_CASE("a real directory keeps what threads wrote to it, through many segments") {
    const tests::TemporaryDirectory temporary;
    const ZstdCompressor zstd;
    const log::LedgerConfig config{
        .segment_bytes = 64 << 10, .compressor = &zstd, .compressed_from_bytes = 64};
    std::vector<std::uint64_t> numbers;
    {
        std::unique_ptr<FileDirectory> directory;
        Diagnostics why;
        REQUIRE(!FileDirectory::open(temporary.path, directory, why));
        Found ignored;
        LogCommitter committer(open_ledger(*directory, ignored, config), {});
        Crowd crowd(committer, 1);
        crowd.run(8, 300);
        CHECK(crowd.failures == 0);
        error_code unwritten;
        log::LogReading reading = committer.reading(Lsn{1}, unwritten);
        CHECK(!unwritten);
        Lsn lsn;
        std::span<const std::byte> body;
        std::vector<std::uint64_t> read;
        while (reading.next(lsn, body)) read.push_back(number_in(body));
        CHECK(!reading.error());
        CHECK(read == crowd.numbers);
        REQUIRE(!committer.stop());
        numbers = crowd.numbers;
    }
    std::unique_ptr<FileDirectory> directory;
    Diagnostics why;
    REQUIRE(!FileDirectory::open(temporary.path, directory, why));
    Found found;
    open_ledger(*directory, found, config);
    CHECK(found.numbers == numbers);
}

} // namespace
} // namespace everpool::io
