// SPDX-License-Identifier: BSL-1.0
#include "everpool/circuit_breaker_registry.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/ids.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;

namespace {

/// Everything in one chain: the hardest case for finding and dropping.
struct SameHash {
    std::size_t operator()(int) const noexcept { return 42; }
};

} // namespace

TEST_CASE("each key has its own breaker, made when it is first asked for") {
    CircuitBreakerRegistry<std::string> registry(8);
    CHECK_FALSE(registry.find("bert"));
    auto bert = registry.get("bert", start);
    REQUIRE(bert);
    bert->trip(start);
    CHECK(registry.get("bert", start)->state() == BreakerState::open);
    CHECK(registry.get("mlp", start)->state() == BreakerState::closed);
    CHECK(&*registry.find("bert") == &*bert);
    CHECK(registry.size() == 2);
}

TEST_CASE("keys are connections, models, or ways to serve a model") {
    CircuitBreakerRegistry<WorkerId> by_connection(4);
    CHECK(by_connection.get({1}, start));
    CircuitBreakerRegistry<PlacementKey> by_placement(8);
    by_placement.get({BrowserType::firefox, "bert", Provider::webgpu}, start)->trip(start);
    const auto state = [&](BrowserType browser, const char* model, Provider provider) {
        return by_placement.get({browser, model, provider}, start)->state();
    };
    CHECK(state(BrowserType::firefox, "bert", Provider::webgpu) == BreakerState::open);
    CHECK(state(BrowserType::chrome, "bert", Provider::webgpu) == BreakerState::closed);
    CHECK(state(BrowserType::firefox, "bert", Provider::wasm) == BreakerState::closed);
    CHECK(state(BrowserType::firefox, "mlp", Provider::webgpu) == BreakerState::closed);
}

TEST_CASE("for one more than the capacity, the least recently used one is dropped") {
    CircuitBreakerRegistry<int> registry(3);
    for (int key = 0; key < 3; ++key) (void)registry.get(key, start + key * 1s);
    (void)registry.get(0, start + 10s);
    (void)registry.find(1); // looking is no use
    (void)registry.get(3, start + 11s);
    CHECK(registry.size() == 3);
    CHECK(registry.dropped_count() == 1);
    CHECK(registry.find(0));
    CHECK_FALSE(registry.find(1));
    CHECK(registry.find(2));
    CHECK(registry.find(3));
}

TEST_CASE("a breaker in use is kept; if all are, there is none for a new key") {
    CircuitBreakerRegistry<int> registry(2);
    auto first = registry.get(1, start);
    {
        auto second = registry.get(2, start + 1s);
        CHECK_FALSE(registry.get(3, start + 2s));
    }
    CHECK(registry.get(3, start + 3s));
    CHECK(registry.find(1)); // older, but in use
    CHECK_FALSE(registry.find(2));
}

TEST_CASE("a Ref that is assigned over lets go of what it held at once") {
    CircuitBreakerRegistry<int> registry(2);
    auto first = registry.get(1, start), second = registry.get(2, start);
    first = std::move(second);
    CHECK(first.key() == 2);
    CHECK_FALSE(second);
    CHECK(registry.get(3, start + 1s)); // in the place of 1
    CHECK_FALSE(registry.find(1));
}

TEST_CASE("Polly 287: one peer's trouble is held against that peer, not against its neighbours") {
    CircuitBreakerRegistry<WorkerId> registry(64);
    for (std::uint32_t i = 1; i <= 50; ++i) (void)registry.get({i}, start);
    auto sick = registry.get({7}, start);
    for (int call = 0; call < 4; ++call) sick->try_acquire(start).record(Outcome::failure, start);
    int open = 0;
    registry.visit([&](WorkerId, CircuitBreaker& breaker) {
        open += breaker.state() == BreakerState::open ? 1 : 0;
    });
    CHECK(open == 1);
    CHECK(sick->state() == BreakerState::open);
}

TEST_CASE("a key that was dropped and comes back begins anew") {
    CircuitBreakerRegistry<int> registry(1);
    registry.get(1, start)->trip(start);
    (void)registry.get(2, start);
    CHECK(registry.get(1, start)->state() == BreakerState::closed);
}

TEST_CASE("a chain of equal hashes is walked and shortened as any other") {
    CircuitBreakerRegistry<int, SameHash> registry(5);
    for (int key = 0; key < 50; ++key) {
        CHECK(registry.get(key, start + key * 1s));
        for (int recent = std::max(0, key - 4); recent <= key; ++recent)
            CHECK(registry.find(recent).key() == recent);
        if (key >= 5) CHECK_FALSE(registry.find(key - 5));
    }
}

TEST_CASE("changes are told with their key, and breakers of one registry do not jitter alike") {
    std::vector<std::string> told;
    CircuitBreakerRegistry<std::string> registry(
        16, {}, [&](const std::string& key, const BreakerChange& change) {
            told.push_back(key + ' ' + std::string(name_of(change.to)));
        });
    std::set<Duration> open_times;
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
        registry.get(key, start)->trip(start);
        open_times.insert(registry.get(key, start)->stats(start).remaining);
    }
    CHECK(told.size() == 6);
    CHECK(told.front() == "a open");
    CHECK(open_times.size() == 6);
    std::set<std::string> seen;
    registry.visit([&](const std::string& key, CircuitBreaker& breaker) {
        CHECK(breaker.state() == BreakerState::open);
        seen.insert(key);
    });
    CHECK(seen.size() == 6);
}

TEST_CASE("a capacity or config out of its range is refused") {
    CHECK_THROWS_WITH(CircuitBreakerRegistry<int>(0), Catch::Contains("capacity"));
    CHECK_THROWS_WITH(CircuitBreakerRegistry<int>(65'537), Catch::Contains("capacity"));
    CHECK_THROWS_WITH(CircuitBreakerRegistry<int>(SIZE_MAX), Catch::Contains("capacity"));
    CHECK_THROWS_WITH(CircuitBreakerRegistry<int>(1, {.window = 0s}), Catch::Contains("window"));
}

TEST_CASE("threads that ask at once for the same new key get the same breaker") {
    constexpr int rounds = 2'000, thread_count = 3;
    CircuitBreakerRegistry<int> registry(rounds);
    std::barrier gate(thread_count);
    std::vector<std::thread> threads;
    for (int self = 0; self < thread_count; ++self)
        threads.emplace_back([&] {
            for (int key = 0; key < rounds; ++key) {
                gate.arrive_and_wait();
                registry.get(key, start)->trip(start);
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(registry.size() == rounds);
    std::set<int> keys;
    registry.visit([&](int key, CircuitBreaker&) { keys.insert(key); });
    CHECK(keys.size() == rounds);
    CHECK(registry.dropped_count() == 0);
}

TEST_CASE("threads that ask for the same and for other keys, with drops under their feet") {
    CircuitBreakerRegistry<int> registry(8);
    std::atomic<int> wrong{0}, empty{0};
    std::vector<std::thread> threads;
    for (std::uint64_t self = 0; self < 4; ++self)
        threads.emplace_back([&, self] {
            core::Prng prng(self + 1);
            for (int i = 0; i < 20'000; ++i) {
                const int key = static_cast<int>(prng.below(12));
                auto ref = registry.get(key, start + i * 1us);
                if (!ref) {
                    ++empty;
                    continue;
                }
                if (ref.key() != key) ++wrong;
                ref->try_acquire(start + i * 1us, self).record(Outcome::success, start + i * 1us);
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(empty == 0); // four threads cannot use eight places
    CHECK(registry.size() == 8);
    CHECK(registry.dropped_count() > 100);
    std::set<int> keys;
    registry.visit([&](int key, CircuitBreaker&) { CHECK(keys.insert(key).second); });
    CHECK(keys.size() == 8);
}
