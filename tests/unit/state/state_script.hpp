// Random transactions, most of them valid, and what the tests of the state share.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/core/state_invariants.hpp"
#include "plain_state.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace everpool::state_tests {

using namespace std::chrono_literals;

inline constexpr WorkerId w0{0}, w1{1};
inline constexpr RequestId r1{1}, r2{2};
inline constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

/// A transaction of these changes, to be committed next.
template <class... Changes>
Transaction step(const core::StateCore& core, Changes&&... changes) {
    Transaction transaction{.number = core.version() + 1, .at = noon, .actor = "test"};
    (transaction.changes.emplace_back(std::forward<Changes>(changes)), ...);
    return transaction;
}

/// Commits these changes; the test fails if they are refused.
template <class... Changes>
void commit(core::StateCore& core, Changes&&... changes) {
    Diagnostics diagnostics;
    const Errc code = core.apply(step(core, std::forward<Changes>(changes)...), diagnostics);
    INFO(diagnostics.text());
    REQUIRE(code == Errc::ok);
    REQUIRE(!core::check_state(core.snapshot()));
}

/// Commits these changes, which must be refused without a trace. \return why
template <class... Changes>
std::string refusal(core::StateCore& core, Changes&&... changes) {
    Diagnostics diagnostics;
    const StateSnapshot before = core.snapshot();
    const Transaction transaction = step(core, std::forward<Changes>(changes)...);
    CHECK(core.check(transaction, diagnostics) == Errc::invalid_transaction);
    CHECK(core.apply(transaction, diagnostics) == Errc::invalid_transaction);
    CHECK(core.snapshot() == before);
    return diagnostics.message;
}

inline BrowserAdded live_browser(std::uint32_t id, std::uint64_t generation = 1) {
    return {{.id = WorkerId{id},
             .connection = ConnectionStatus::ready,
             .generation = Generation{generation}}};
}

/// Makes transactions that suit a state more often than not: its ids are few, and mostly those that
/// are there.
class StateScript {
public:
    explicit StateScript(std::uint64_t seed) : prng_(seed) {}

    Transaction next(const PlainState& state) {
        at_ += std::chrono::microseconds(prng_.below(1000)) - 100us; // wall clocks are set back
        Transaction transaction{.number = state.version + 1, .at = at_, .actor = text(6)};
        if (prng_.ratio(1, 50)) transaction.number += prng_.below(5); // a gap, or a cut log
        if (prng_.ratio(1, 50)) transaction.number = state.version;   // replayed
        const std::uint64_t count = prng_.ratio(1, 2) ? 1 : prng_.below(5);
        for (std::uint64_t i = 0; i < count; ++i) transaction.changes.push_back(change(state));
        return transaction;
    }

    core::Prng& prng() noexcept { return prng_; }

private:
    template <class T>
    T one_of(std::initializer_list<T> all) {
        return all.begin()[prng_.below(all.size())];
    }
    std::string text(std::size_t size_max) {
        std::string out(prng_.below(size_max + 1), 'x');
        for (char& c : out) c = static_cast<char>('a' + prng_.below(26));
        return out;
    }
    WorkerId worker() { return WorkerId{static_cast<std::uint32_t>(prng_.below(6))}; }
    std::string model() { return "model-with-a-long-name-" + std::to_string(prng_.below(5)); }
    /// Near each other, and far away.
    std::uint64_t id() {
        return one_of<std::uint64_t>({0, 0, 0, 1ULL << 40, 1ULL << 63}) + prng_.below(40);
    }
    template <class Map>
    std::uint64_t id_in(const Map& map) {
        if (map.empty() || prng_.ratio(1, 10)) return id();
        const auto found = map.lower_bound(id());
        return found == map.end() ? map.begin()->first : found->first;
    }
    StateSettings settings() {
        StateSettings out;
        for (std::uint64_t i = prng_.below(3); i > 0; --i) out[text(3)] = text(30);
        return out;
    }
    Payload payload() {
        std::vector<std::byte> bytes;
        for (std::uint64_t i = prng_.below(40); i > 0; --i)
            bytes.push_back(static_cast<std::byte>(prng_.next()));
        return Payload(std::move(bytes));
    }
    ConnectionStatus connection() {
        return prng_.ratio(1, 3) ? static_cast<ConnectionStatus>(prng_.below(8))
                                 : ConnectionStatus::ready;
    }
    Generation generation_of(const PlainState& state, WorkerId id) {
        const auto found = state.browsers.find(id.value);
        return found == state.browsers.end() ? Generation{} : found->second.generation;
    }

    Change change(const PlainState& state) {
        switch (prng_.below(20)) {
        case 0:
            return BrowserAdded{{.id = worker(),
                                 .type = static_cast<BrowserType>(prng_.below(4)),
                                 .browser_version = text(20),
                                 .connection = connection(),
                                 .failure_domain = text(4),
                                 .settings = settings(),
                                 .generation = Generation{prng_.below(4)},
                                 .version = prng_.next()}};
        case 1: return browser_changed(state);
        case 2:
            if (prng_.ratio(2, 3)) return Note{text(100)};
            return BrowserRemoved{worker()};
        case 3:
            return ModelRegistered{{.name = prng_.ratio(1, 20) ? "" : model(),
                                    .file = text(40),
                                    .providers = {Provider::webgpu, Provider::wasm},
                                    .parameters = settings()}};
        case 4:
            if (prng_.ratio(2, 3)) return ModelUnassigned{model(), worker()};
            return ModelRemoved{model()};
        case 5:
        case 6: return ModelAssigned{model(), {worker(), Provider::webnn, prng_.next()}};
        case 7:
        case 8:
        case 9:
        case 10:
            return OperationSubmitted{.id = RequestId{id()},
                                      .operation = text(12),
                                      .model = model(),
                                      .inputs_digest = prng_.next(),
                                      .deadline = at_ + 5s,
                                      .is_idempotent = prng_.ratio(1, 2),
                                      .payload = payload()};
        case 11:
        case 12:
        case 13: {
            const WorkerId to = worker();
            Generation generation = generation_of(state, to);
            generation.value += prng_.ratio(1, 20);
            return OperationDispatched{RequestId{id_in(state.operations)}, to, generation};
        }
        case 14:
        case 15:
        case 16: return operation_ended(state);
        case 17:
            return ResourceAllocated{.id = ResourceId{id()},
                                     .kind = static_cast<ResourceKind>(prng_.below(4)),
                                     .worker = worker(),
                                     .model = model(),
                                     .bytes = prng_.next()};
        case 18: return ResourceFreed{ResourceId{id_in(state.resources)}};
        default:
            return MetricRecorded{.key = {.model = model(),
                                          .browser = static_cast<BrowserType>(prng_.below(4)),
                                          .operation = text(1)},
                                  .duration = Duration(prng_.below(1'000'000)) - 10us,
                                  .is_failure = prng_.ratio(1, 5)};
        }
    }

    Change browser_changed(const PlainState& state) {
        BrowserChanged out{.id = worker()};
        const auto maybe = [this](auto& member, auto value) {
            if (prng_.ratio(1, 3)) member = value;
        };
        maybe(out.connection, connection());
        maybe(out.health, static_cast<HealthStatus>(prng_.below(4)));
        Generation generation = generation_of(state, out.id);
        generation.value += prng_.below(3);
        if (prng_.ratio(1, 10) && generation.value > 0) generation.value -= 1;
        maybe(out.generation, generation);
        maybe(out.restarts, static_cast<std::uint32_t>(prng_.below(9)));
        maybe(out.process,
              ProcessIdentity{static_cast<std::int32_t>(prng_.below(9)), prng_.next()});
        maybe(out.browser_version, text(20));
        maybe(out.failure_domain, text(4));
        maybe(out.last_failure, text(40));
        maybe(out.settings, settings());
        return out;
    }

    Change operation_ended(const PlainState& state) {
        const RequestId id{id_in(state.operations)};
        const auto found = state.operations.find(id.value);
        WorkerId by = found == state.operations.end() ? worker() : found->second.worker;
        if (prng_.ratio(1, 20)) by = worker();
        const Errc code = one_of({Errc::worker_lost, Errc::device_lost, Errc::cancelled});
        if (prng_.ratio(1, 4)) return OperationRequeued{id, by, code};
        if (prng_.ratio(1, 2)) return OperationFinished{.id = id, .worker = by};
        return OperationFinished{id, by, static_cast<OperationStatus>(prng_.below(6)),
                                 prng_.ratio(1, 10) ? Errc::ok : code};
    }

    core::Prng prng_;
    WallTime at_{noon};
};

/// Small, so that scripts reach them.
inline constexpr StateLimits small_limits{.browsers_max = 5,
                                          .models_max = 4,
                                          .operations_max = 30,
                                          .operations_kept = 20,
                                          .resources_max = 10,
                                          .metrics_max = 12};

/// A state that a script has led to, with some of everything in it.
inline core::StateCore scripted_core(std::uint64_t seed, std::size_t transaction_count,
                                     PlainState* plain = nullptr) {
    PlainState own(small_limits);
    PlainState& state = plain != nullptr ? *plain : own;
    state = PlainState(small_limits);
    core::StateCore core(small_limits);
    StateScript script(seed);
    Diagnostics diagnostics;
    for (std::size_t i = 0; i < transaction_count; ++i) {
        const Transaction transaction = script.next(state);
        if (state.apply(transaction)) REQUIRE(core.apply(transaction, diagnostics) == Errc::ok);
    }
    return core;
}

} // namespace everpool::state_tests
