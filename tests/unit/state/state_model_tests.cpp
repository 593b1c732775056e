// The state against plain maps, over long random scripts of valid and invalid transactions.
// SPDX-License-Identifier: BSL-1.0
//
// EVERPOOL_STATE_SEEDS=1000 state_model_tests   the long form: so many seeds, 5,000 transactions
// each
#include "everpool/core/state_merge.hpp"
#include "state_script.hpp"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

using namespace everpool;
using namespace everpool::state_tests;

namespace {

std::uint64_t seed_count() {
    const char* text = std::getenv("EVERPOOL_STATE_SEEDS");
    return text == nullptr ? 6 : std::strtoull(text, nullptr, 10);
}

struct Counts {
    std::uint64_t taken{0}, refused{0}, replayed{0}, snapshots{0}, deltas{0};
};

/// One seed: the core, the plain maps, and everything that was derived on the way.
class Comparison {
public:
    explicit Comparison(std::uint64_t seed, Counts& counts) : script_(seed), counts_(counts) {}

    void run(std::size_t transaction_count) {
        for (std::size_t i = 1; i <= transaction_count; ++i) {
            play();
            if (i % 7 == 0) REQUIRE(plain_.is(core_.snapshot()));
            if (i % 97 == 0) remember();
            if (i % 1000 == 0) {
                replay();
                go_on_by_delta();
            }
        }
        for (const auto& [snapshot, then] : remembered_) REQUIRE(then.is(snapshot));
    }

private:
    void play() {
        const Transaction transaction = script_.next(plain_);
        const bool is_old = transaction.number <= plain_.version;
        Diagnostics diagnostics;
        const Errc expected = plain_.apply(transaction) ? Errc::ok : Errc::invalid_transaction;
        if (script_.prng().ratio(1, 10)) {
            const std::uint64_t version = core_.version();
            REQUIRE(core_.check(transaction, diagnostics) == expected);
            REQUIRE(core_.version() == version);
        }
        const Errc code = core_.apply(transaction, diagnostics);
        INFO(diagnostics.text());
        REQUIRE(code == expected);
        REQUIRE(core_.version() == plain_.version);
        REQUIRE(core_.unfinished_count() == plain_.unfinished());
        ++(code == Errc::ok ? counts_.taken : counts_.refused);
        if (code != Errc::ok || is_old) return;
        sizes_.push_back(log_.size());
        core::encode_transaction(transaction, log_);
    }

    /// A snapshot, and a copy to compare it with when much has happened.
    void remember() {
        remembered_.emplace_back(core_.snapshot(), plain_);
        REQUIRE(!core::check_state(remembered_.back().first));
        ++counts_.snapshots;
        if (remembered_.size() <= 20) return;
        REQUIRE(remembered_.front().second.is(remembered_.front().first));
        remembered_.pop_front();
    }

    /// From the first record on, and from the last one on once more.
    void replay() {
        core::StateCore again(small_limits);
        Transaction transaction;
        Diagnostics diagnostics;
        for (int round = 0; round < 2; ++round)
            for (std::size_t i = 0; i < sizes_.size(); ++i) {
                const std::size_t end = i + 1 < sizes_.size() ? sizes_[i + 1] : log_.size();
                const auto bytes = std::span(log_).subspan(sizes_[i], end - sizes_[i]);
                REQUIRE(core::decode_transaction(bytes, transaction) == Errc::ok);
                REQUIRE(again.replay(transaction, diagnostics) == Errc::ok);
                ++counts_.replayed;
            }
        REQUIRE(again.snapshot() == core_.snapshot());
        REQUIRE(core::encode_full(again.snapshot()) == core::encode_full(core_.snapshot()));
    }

    void go_on_by_delta() {
        const StateSnapshot now = core_.snapshot();
        Diagnostics diagnostics;
        REQUIRE(core::load_delta(core::encode_delta(delta_base_, now), by_deltas_, diagnostics) ==
                Errc::ok);
        REQUIRE(by_deltas_.snapshot() == now);
        core::StateCore by_full(small_limits);
        REQUIRE(core::load_full(core::encode_full(now), by_full, diagnostics) == Errc::ok);
        REQUIRE(by_full.snapshot() == now);
        REQUIRE(core::difference(by_full.snapshot(), by_deltas_.snapshot()).empty());
        delta_base_ = now;
        ++counts_.deltas;
    }

    StateScript script_;
    Counts& counts_;
    PlainState plain_{small_limits};
    core::StateCore core_{small_limits};
    std::vector<std::byte> log_;
    std::vector<std::size_t> sizes_; ///< where each record begins
    std::deque<std::pair<StateSnapshot, PlainState>> remembered_;
    core::StateCore by_deltas_{small_limits};
    StateSnapshot delta_base_;
};

} // namespace

TEST_CASE("The state is what plain maps would hold, whatever is committed") {
    Counts counts;
    for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
        INFO("seed " << seed);
        Comparison(seed, counts).run(5000);
    }
    std::printf("state model: %llu seeds, %llu transactions taken, %llu refused; %llu replayed, "
                "%llu snapshots compared, %llu deltas\n",
                static_cast<unsigned long long>(seed_count()),
                static_cast<unsigned long long>(counts.taken),
                static_cast<unsigned long long>(counts.refused),
                static_cast<unsigned long long>(counts.replayed),
                static_cast<unsigned long long>(counts.snapshots),
                static_cast<unsigned long long>(counts.deltas));
    CHECK(counts.taken > counts.refused / 4);
    CHECK(counts.refused > counts.taken / 4);
}

TEST_CASE("A state that was restored goes on as the one that it was taken of") {
    for (std::uint64_t seed = 100; seed < 110; ++seed) {
        PlainState plain;
        core::StateCore first = scripted_core(seed, 1500, &plain);
        core::StateCore second(small_limits);
        Diagnostics diagnostics;
        REQUIRE(core::load_full(core::encode_full(first.snapshot()), second, diagnostics) ==
                Errc::ok);
        StateScript script(seed + 1000);
        for (int i = 0; i < 1500; ++i) {
            const Transaction transaction = script.next(plain);
            const Errc code = first.apply(transaction, diagnostics);
            REQUIRE(second.apply(transaction, diagnostics) == code);
            REQUIRE(plain.apply(transaction) == (code == Errc::ok));
        }
        REQUIRE(first.snapshot() == second.snapshot()); // forgotten in the same order as well
        REQUIRE(plain.is(second.snapshot()));
    }
}

TEST_CASE("From a critical checkpoint, a log leads to the same but what it left out") {
    for (std::uint64_t seed = 200; seed < 210; ++seed) {
        PlainState plain;
        core::StateCore whole = scripted_core(seed, 1000, &plain);
        core::StateCore critical(small_limits);
        Diagnostics diagnostics;
        REQUIRE(
            core::load_full(core::encode_full(whole.snapshot(), core::CheckpointContent::critical),
                            critical, diagnostics) == Errc::ok);
        CHECK(critical.snapshot().metric_count() == 0);
        CHECK(critical.snapshot().operation_count() == whole.unfinished_count());
        StateScript script(seed + 1000);
        for (int i = 0; i < 1000; ++i) {
            const Transaction transaction = script.next(plain);
            if (!plain.apply(transaction)) continue;
            REQUIRE(whole.apply(transaction, diagnostics) == Errc::ok);
            REQUIRE(critical.replay(transaction, diagnostics) == Errc::ok);
        }
        const StateSnapshot a = whole.snapshot(), b = critical.snapshot();
        CHECK(a.version() == b.version());
        CHECK(core::is_same_state({.browsers = a.views().browsers,
                                   .models = a.views().models,
                                   .resources = a.views().resources},
                                  {.browsers = b.views().browsers,
                                   .models = b.views().models,
                                   .resources = b.views().resources}));
        a.visit_operations([&b](const OperationState& operation) {
            const OperationState* found = b.find_operation(operation.id);
            REQUIRE((is_final(operation.status) || (found && *found == operation)));
        });
    }
}
