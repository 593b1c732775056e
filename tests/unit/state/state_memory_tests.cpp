// What the state does when memory is scarce: how much decoders take, and what is left of a change
// in the midst of which there is none.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_merge.hpp"
#include "state_script.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

// --- memory that is counted, and can run out -----------------------------------------------------

namespace {

/// Of this thread, and only while it says so: the test framework's own memory never runs out.
struct Memory {
    bool is_watched{false};
    std::uint64_t calls{0};
    std::uint64_t fails_at{0}, fails_until{0}; ///< the calls of these numbers fail; 0: none
    std::uint64_t bytes{0}, bytes_peak{0};
};
thread_local Memory memory;

/// In front of each piece: its size.
constexpr std::size_t front_bytes = 16;

} // namespace

void* operator new(std::size_t size) {
    if (memory.is_watched) {
        ++memory.calls;
        if (memory.fails_at <= memory.calls && memory.calls < memory.fails_until)
            throw std::bad_alloc();
    }
    void* const piece = std::malloc(size + front_bytes);
    if (piece == nullptr) throw std::bad_alloc();
    *static_cast<std::size_t*>(piece) = size;
    memory.bytes += size;
    memory.bytes_peak = std::max(memory.bytes_peak, memory.bytes);
    return static_cast<std::byte*>(piece) + front_bytes;
}

void operator delete(void* place) noexcept {
    if (place == nullptr) return;
    void* const piece = static_cast<std::byte*>(place) - front_bytes;
    memory.bytes -= *static_cast<std::size_t*>(piece);
    std::free(piece);
}
void operator delete(void* place, std::size_t) noexcept { operator delete(place); }

#include "support/nothrow_new.hpp"

namespace {

using namespace everpool;
using namespace everpool::state_tests;
using core::StateCore;
using Bytes = std::vector<std::byte>;

/// While it lives, calls for memory fail.
class Shortage {
public:
    /// From the call `first` on, `count` calls for memory fail.
    Shortage(std::uint64_t first, std::uint64_t count) {
        memory.calls = 0;
        memory.fails_at = first;
        memory.fails_until = count > UINT64_MAX - first ? UINT64_MAX : first + count;
        memory.is_watched = true;
    }
    ~Shortage() { memory.is_watched = false; }
    Shortage(const Shortage&) = delete;
    Shortage& operator=(const Shortage&) = delete;
};

/// \return the most that `call` held at one time
template <class Call>
std::uint64_t peak_of(Call&& call) {
    const std::uint64_t before = memory.bytes_peak = memory.bytes;
    call();
    return memory.bytes_peak - before;
}

void append(Bytes& bytes, std::initializer_list<unsigned> values) {
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
}

void append_count(Bytes& bytes, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<std::byte>(value | 0x80));
    bytes.push_back(static_cast<std::byte>(value));
}

/// A transaction of that many changes, up to the first of them.
Bytes transaction_of(std::uint64_t change_count) {
    Bytes bytes;
    append(bytes, {core::state_format_version, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    append_count(bytes, change_count);
    return bytes;
}

} // namespace

// --- decoders ------------------------------------------------------------------------------------

TEST_CASE("A record of more changes than there may be is refused before there is memory for them") {
    Bytes bytes = transaction_of(16 << 20); // 32 MiB of them; a few KiB in a log that compresses
    for (std::size_t i = 0; i < 16 << 20; ++i)
        append(bytes, {static_cast<unsigned>(ChangeKind::note), 0});
    Transaction transaction;
    Errc code{};
    CHECK(peak_of([&] { code = core::decode_transaction(bytes, transaction); }) < 4 << 20);
    CHECK(code == Errc::storage_damaged);
    CHECK(transaction.changes.capacity() <= transaction_changes_max);
}

TEST_CASE("Whatever bytes say, the memory that decoders take follows their number") {
    const auto factor = [](const Bytes& bytes, auto&& decode) {
        const std::uint64_t changes_max =
            transaction_changes_max * sizeof(Change) * 3; // as it grows
        const std::uint64_t peak = peak_of([&] { decode(bytes); });
        return (peak - std::min(peak, changes_max)) / bytes.size();
    };
    const auto decode = [](const Bytes& bytes) {
        Transaction transaction;
        (void)core::decode_transaction(bytes, transaction);
    };
    constexpr std::uint32_t count = (1 << 20) + 1; // as the list has just grown
    Bytes findings = transaction_of(1);            // texts of one byte, the shortest there are
    append(findings, {static_cast<unsigned>(ChangeKind::reconciled), 0, 0});
    append_count(findings, count);
    findings.resize(findings.size() + count);
    Bytes settings = transaction_of(1); // names of three letters without values
    append(settings,
           {static_cast<unsigned>(ChangeKind::browser_changed), 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    append_count(settings, 100 * 100 * 100);
    for (unsigned a = 0; a < 100; ++a)
        for (unsigned b = 0; b < 100; ++b)
            for (unsigned c = 0; c < 100; ++c) append(settings, {3, a, b, c, 0});
    // Browsers as far from each other as that each has a leaf of its own.
    StateSnapshot none;
    Bytes browsers = core::encode_full(none);
    REQUIRE(browsers.size() > 5);
    browsers.resize(browsers.size() - 5); // counts of records
    constexpr std::uint32_t browser_count = 100'000;
    append_count(browsers, browser_count);
    for (std::uint32_t i = 0; i < browser_count; ++i) {
        append_count(browsers, std::uint64_t{i} * 8);
        // type, version, connection, health, domain, settings, restarts, generation, process, ...
        browsers.resize(browsers.size() + 8 + 5 + 2 + 8);
    }
    const std::uint64_t worst_of_texts = factor(findings, decode);
    const std::uint64_t worst_of_settings = factor(settings, decode);
    const std::uint64_t worst_of_leaves = factor(browsers, [](const Bytes& bytes) {
        StateCore core;
        Diagnostics diagnostics;
        CHECK(core::load_full(bytes, core, diagnostics) == Errc::storage_damaged);
    });
    std::printf("memory: %llu times a list of texts, %llu settings, %llu a checkpoint\n",
                static_cast<unsigned long long>(worst_of_texts),
                static_cast<unsigned long long>(worst_of_settings),
                static_cast<unsigned long long>(worst_of_leaves));
    for (const std::uint64_t worst : {worst_of_texts, worst_of_settings, worst_of_leaves})
        CHECK(worst <= 100);
}

// --- changes -------------------------------------------------------------------------------------

namespace {

/// Applies the transaction without memory from the call `first` on, for `count` calls.
/// \return whether memory ran out
bool runs_out(StateCore& core, const Transaction& transaction, bool is_replayed,
              std::uint64_t first, std::uint64_t count) {
    Diagnostics diagnostics;
    try {
        const Shortage shortage(first, count);
        (void)(is_replayed ? core.replay(transaction, diagnostics)
                           : core.apply(transaction, diagnostics));
        return false;
    } catch (const std::bad_alloc&) {
        return true;
    }
}

/// Lets memory run out at each place in the transaction, for a moment and for good.
std::uint64_t try_all_shortages(const StateSnapshot& start, const Transaction& transaction,
                                bool is_replayed) {
    std::uint64_t shortages = 0;
    for (const std::uint64_t count : {std::uint64_t{1}, UINT64_MAX})
        for (const bool is_shared : {true, false}) // do a snapshot's readers have a part in it?
            for (std::uint64_t first = 1;; ++first) {
                INFO("call " << first << ", of " << count);
                StateCore core(small_limits), plain(small_limits);
                Diagnostics diagnostics;
                for (StateCore* one : {&core, &plain}) {
                    REQUIRE(one->restore(start, diagnostics) == Errc::ok);
                    // Makes some nodes its own, so that not every change begins with a copy.
                    if (!is_shared)
                        (void)one->apply({.number = one->version() + 1,
                                          .changes = {BrowserChanged{.id = WorkerId{1}}}},
                                         diagnostics);
                }
                Transaction next = transaction;
                next.number = core.version() + 1;
                const bool is_out = runs_out(core, next, is_replayed, first, count);
                if (is_out) {
                    ++shortages;
                    REQUIRE(core.snapshot() == plain.snapshot());
                    REQUIRE(core.unfinished_count() == plain.unfinished_count());
                    REQUIRE(core.version() == plain.version());
                }
                // And all that hangs on workers, and who is forgotten first, is as it was.
                const auto go_on = [&](StateCore& one, const Transaction& step) {
                    return is_replayed ? one.replay(step, diagnostics)
                                       : one.apply(step, diagnostics);
                };
                if (is_out) REQUIRE(go_on(core, next) == go_on(plain, next));
                else REQUIRE((go_on(plain, next), true));
                REQUIRE(core.snapshot() == plain.snapshot());
                REQUIRE(!core::check_state(core.snapshot()));
                std::vector<Transaction> later;
                plain.snapshot().visit_operations([&](const OperationState& r) {
                    if (!is_final(r.status))
                        later.push_back(
                            {.changes = {OperationFinished{r.id, r.worker, OperationStatus::failed,
                                                           Errc::operation_failed}}});
                });
                plain.snapshot().visit_browsers([&](const BrowserState& r) {
                    later.push_back({.changes = {BrowserRemoved{r.id}}});
                });
                for (Transaction& step : later) {
                    step.number = plain.version() + 1;
                    REQUIRE(core.apply(step, diagnostics) == plain.apply(step, diagnostics));
                }
                REQUIRE(core.snapshot() == plain.snapshot());
                if (!is_out) break;
            }
    return shortages;
}

} // namespace

TEST_CASE("A transaction in the midst of which there is no memory has changed nothing") {
    std::uint64_t shortages = 0, transactions = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        PlainState plain;
        StateCore core = scripted_core(seed, 300, &plain);
        StateScript script(seed + 100);
        for (int i = 0; i < 30; ++i, ++transactions) {
            const Transaction next = script.next(plain);
            shortages += try_all_shortages(core.snapshot(), next, i % 3 == 0);
            Diagnostics diagnostics;
            if (plain.apply(next)) REQUIRE(core.apply(next, diagnostics) == Errc::ok);
        }
        StateCore other = scripted_core(seed + 50, 300);
        const Transaction merge = core::reconcile(core.snapshot(), other.snapshot());
        shortages += try_all_shortages(core.snapshot(), merge, true);
    }
    std::printf("memory ran out %llu times in %llu transactions\n",
                static_cast<unsigned long long>(shortages),
                static_cast<unsigned long long>(transactions));
    CHECK(shortages > 1000);
}

TEST_CASE("A transaction is written as a whole, or there is an error") {
    const Transaction step{.number = 1, .changes = {Note{"a text"}}};
    for (std::uint64_t first = 1;; ++first) {
        Bytes bytes;
        try {
            const Shortage shortage(first, UINT64_MAX);
            core::encode_transaction(step, bytes);
        } catch (const std::bad_alloc&) {
            continue;
        }
        CHECK(first > 1);
        Transaction back;
        CHECK(core::decode_transaction(bytes, back) == Errc::ok);
        break;
    }
}
