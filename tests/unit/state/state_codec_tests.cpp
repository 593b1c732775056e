// Transactions and checkpoints as bytes: what comes back, and what damaged bytes can do (nothing).
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_merge.hpp"
#include "state_script.hpp"

#include <cstdio>
#include <limits>
#include <string>

using namespace everpool;
using namespace everpool::state_tests;
using core::StateCore;

namespace {

using Bytes = std::vector<std::byte>;

/// One with every kind of change, and every member set.
Transaction everything() {
    PlainState plain;
    const StateSnapshot other = scripted_core(77, 2000, &plain).snapshot();
    Transaction all{.number = core::state_count_max - 1, .at = noon + 123ns, .actor = "an actor"};
    const StateSettings settings{{"a", "1"}, {"b", std::string("\0\xff", 2)}};
    const ModelAssignment assignment{WorkerId{7}, Provider::webgpu, 1ULL << 40};
    all.changes = {
        BrowserAdded{{.id = WorkerId{3},
                      .type = BrowserType::firefox,
                      .browser_version = "156.0",
                      .connection = ConnectionStatus::draining,
                      .health = HealthStatus::degraded,
                      .failure_domain = "gpu0",
                      .settings = settings,
                      .restarts = 7,
                      .generation = Generation{9},
                      .process = {-5, UINT64_MAX},
                      .last_failure = "killed",
                      .version = 1,
                      .changed_at = noon}},
        BrowserChanged{WorkerId{3}, ConnectionStatus::lost, HealthStatus::unhealthy, Generation{10},
                       8U, ProcessIdentity{std::numeric_limits<std::int32_t>::max(), 1}, "157",
                       "gpu1", "crashed", settings},
        BrowserChanged{},
        BrowserRemoved{WorkerId{3}},
        ModelRegistered{{.name = "bert",
                         .file = "/a/b.onnx",
                         .family = ModelFamily::vision,
                         .providers = {Provider::wasm, Provider::webnn},
                         .parameters = settings,
                         .assignments = {assignment},
                         .version = 2,
                         .changed_at = WallTime(-5ns)}},
        ModelRemoved{"bert"},
        ModelAssigned{"bert", assignment},
        ModelUnassigned{"bert", WorkerId{7}},
        OperationSubmitted{RequestId{1}, "inference", "bert", UINT64_MAX, noon + 1s, true,
                           Payload(Bytes(1000, std::byte{42}))},
        OperationDispatched{RequestId{1}, WorkerId{7}, Generation{9}},
        OperationRequeued{RequestId{1}, WorkerId{7}, Errc::device_lost},
        OperationFinished{RequestId{1}, WorkerId{7}, OperationStatus::outcome_unknown,
                          Errc::outcome_unknown},
        ResourceAllocated{ResourceId{5}, ResourceKind::webnn_graph, WorkerId{7}, "bert", 99},
        ResourceFreed{ResourceId{5}},
        MetricRecorded{{"bert", BrowserType::edge, Provider::webnn, "inference"}, 5ms, true},
        Reconciled{.source = "standby",
                   .rule = "r",
                   .findings = {"one", "two"},
                   .clock = 5,
                   .browsers_removed = {WorkerId{1}},
                   .models_removed = {"gone"},
                   .operations_removed = {RequestId{2}},
                   .resources_removed = {ResourceId{3}}},
        Note{"by hand"}};
    auto& merged = std::get<Reconciled>(all.changes[15]);
    other.visit_browsers([&](const auto& r) { merged.browsers.push_back(r); });
    other.visit_models([&](const auto& r) { merged.models.push_back(r); });
    other.visit_operations([&](const auto& r) { merged.operations.push_back(r); });
    other.visit_resources([&](const auto& r) { merged.resources.push_back(r); });
    other.visit_metrics([&](const auto& r) { merged.metrics.push_back(r); });
    return all;
}

Bytes encoded(const Transaction& transaction) {
    Bytes bytes;
    core::encode_transaction(transaction, bytes);
    return bytes;
}

/// Calls each(damaged) with one bit changed, for every bit; then with every shorter length.
template <class Visitor>
std::size_t for_each_damage(Bytes bytes, Visitor&& each) {
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        const std::byte mask{static_cast<unsigned char>(1U << bit % 8)};
        bytes[bit / 8] ^= mask;
        each(std::span<const std::byte>(bytes));
        bytes[bit / 8] ^= mask;
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const Bytes shorter(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        each(std::span<const std::byte>(shorter)); // a copy, so that a sanitizer sees its end
    }
    return bytes.size() * 9;
}

/// A record of a test's own: version 2 added `second`.
struct Growing {
    std::uint32_t first{0};
    std::string second{"as it was before version 2"};

    template <class Archive>
    void serialize(Archive& archive) {
        archive(first);
        if (archive.version() >= 2) archive(second);
    }
};

} // namespace

TEST_CASE("Every kind of change comes back as it was") {
    const Transaction all = everything();
    for (std::size_t kind = 0; kind < change_kind_count; ++kind)
        REQUIRE(std::ranges::count(all.changes, kind, &Change::index) >= 1);
    Transaction back;
    REQUIRE(core::decode_transaction(encoded(all), back) == Errc::ok);
    CHECK(back == all);
    CHECK(encoded(back) == encoded(all));
    const Transaction empty{.number = 1};
    REQUIRE(core::decode_transaction(encoded(empty), back) == Errc::ok); // memory is used again
    CHECK(back == empty);
}

TEST_CASE("A transaction is written as it always was") {
    // The bytes are a format: logs of this version must be readable for ever.
    Transaction step{.number = 300, .at = WallTime(2ns), .actor = "p"};
    step.changes.emplace_back(OperationDispatched{RequestId{7}, WorkerId{1}, Generation{2}});
    step.changes.emplace_back(OperationFinished{RequestId{7}, WorkerId{1}});
    const auto bytes = [](std::initializer_list<int> values) {
        Bytes out;
        for (const int value : values) out.push_back(static_cast<std::byte>(value));
        return out;
    };
    CHECK(encoded(step) == bytes({1,                            // version of the format
                                  0xac, 0x02,                   // number
                                  2,    0,    0, 0, 0, 0, 0, 0, // at
                                  1,    'p',                    // actor
                                  2,                            // changes
                                  8,    7,    1, 2, // dispatched: id, worker, generation
                                  10,   7,    1, 2, 0, 0, 0, 0})); // finished: ..., status, code
    CHECK(core::record_key("bert") == 0x965a'3f60'f2ac'd562ULL);
}

TEST_CASE("A newer format is refused with an error of its own, whatever follows") {
    Bytes bytes = encoded(everything());
    bytes[0] = std::byte{core::state_format_version + 1};
    Transaction transaction;
    CHECK(core::decode_transaction(bytes, transaction) == Errc::storage_newer_format);
    CHECK(core::decode_transaction(std::span(bytes).first(1), transaction) ==
          Errc::storage_newer_format);
    bytes[0] = std::byte{0};
    CHECK(core::decode_transaction(bytes, transaction) == Errc::storage_damaged);
    StateCore core;
    Diagnostics diagnostics;
    Bytes checkpoint = core::encode_full(core.snapshot());
    checkpoint[0] = std::byte{core::state_format_version + 1};
    CHECK(core::load_full(checkpoint, core, diagnostics) == Errc::storage_newer_format);
    CHECK(diagnostics.message.find("newer version") != std::string::npos);
    CHECK(core::load_delta(checkpoint, core, diagnostics) == Errc::storage_newer_format);
}

TEST_CASE("A record of an older version is read, and keeps what it did not know") {
    Bytes bytes;
    {
        log::SpanOutputArchive first(bytes, 1);
        first(Growing{7, "not written"});
        first.flush();
    }
    const std::size_t first_bytes = bytes.size();
    {
        log::SpanOutputArchive second(bytes, 2);
        second(Growing{8, "new"});
        second.flush();
    }
    log::SpanInputArchive archive(bytes);
    Growing old, present;
    archive.set_version(1);
    archive(old);
    archive.set_version(2);
    archive(present);
    CHECK(first_bytes == 1);
    CHECK(old.first == 7);
    CHECK(old.second == Growing{}.second);
    CHECK(present.second == "new");
    CHECK((archive.is_at_end() && !archive.has_failed()));
}

TEST_CASE("A size that is not there is refused before anything is allocated") {
    const auto read = []<class T>(std::initializer_list<int> values, T target) {
        Bytes bytes;
        for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
        log::SpanInputArchive archive(bytes);
        archive(target);
        CHECK(archive.has_failed());
        return target;
    };
    CHECK(read({0xff, 0xff, 0xff, 0xff, 0x0f, 'x'}, std::string()).capacity() <= 15);
    CHECK(read({0xff, 0xff, 0xff, 0xff, 0x0f, 1}, std::vector<std::uint64_t>()).capacity() == 0);
    CHECK(read({0xff, 0xff, 0xff, 0xff, 0x0f, 1}, Payload()).is_empty());
    CHECK(read({2, 1, 'b', 0, 1, 'a', 0}, StateSettings()).size() == 1); // out of order
    CHECK(read({2, 1, 'b', 0, 1, 'b', 0}, StateSettings()).size() == 1); // twice
    CHECK(read({2}, false) == false);
    CHECK(read({2, 1}, std::optional<std::uint8_t>()) == std::nullopt);
    CHECK(read({0xff, 0xff, 0xff, 0xff, 0x7f}, std::uint32_t()) == 0xffff'ffff);
    CHECK(read({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}, std::uint64_t()) == 0);
    CHECK(read({0x80}, std::uint64_t()) == 0);
    CHECK(read({1, 2, 3}, std::int32_t()) == 0);
}

TEST_CASE("Integers of every size come back, and texts longer than the archive's buffer") {
    for (int shift = 0; shift < 64; ++shift)
        for (const std::uint64_t value : {(1ULL << shift) - 1, 1ULL << shift, ~0ULL << shift}) {
            Bytes bytes;
            const std::string text(static_cast<std::size_t>(shift) * 40, 'x');
            {
                log::SpanOutputArchive archive(bytes);
                archive(value, text, static_cast<std::int64_t>(value), shift);
                archive.flush();
            }
            log::SpanInputArchive archive(bytes);
            std::uint64_t back = 0;
            std::string back_text;
            std::int64_t back_signed = 0;
            int back_shift = 0;
            archive(back, back_text, back_signed, back_shift);
            REQUIRE((archive.is_at_end() && !archive.has_failed()));
            REQUIRE(back == value);
            REQUIRE(back_text == text);
            REQUIRE(back_signed == static_cast<std::int64_t>(value));
            REQUIRE(back_shift == shift);
        }
}

TEST_CASE("What is out of range is not taken from bytes either") {
    const auto decodes = [](const Change& change) {
        Transaction transaction{.number = 1};
        transaction.changes.push_back(change);
        Transaction back;
        return core::decode_transaction(encoded(transaction), back) == Errc::ok;
    };
    CHECK(decodes(Note{std::string(state_text_bytes_max, 'x')}));
    CHECK(!decodes(Note{std::string(state_text_bytes_max + 1, 'x')}));
    CHECK(!decodes(OperationRequeued{.code = Errc{4711}}));
    CHECK(!decodes(BrowserChanged{.health = HealthStatus{4}}));
    CHECK(
        !decodes(BrowserAdded{{.settings = {{"a", std::string(state_text_bytes_max + 1, 'x')}}}}));
    CHECK(!decodes(Reconciled{.models = {{.providers = {Provider{3}}}}}));
    CHECK(decodes(Reconciled{.operations_removed = std::vector<RequestId>(100'000)}));
    Transaction back;
    CHECK(core::decode_transaction(encoded({.number = 0}), back) == Errc::storage_damaged);
    Bytes longer = encoded({.number = 1});
    longer.push_back({});
    CHECK(core::decode_transaction(longer, back) == Errc::storage_damaged);
}

TEST_CASE("No changed bit and no cut makes a transaction crash, or break the state") {
    std::uint64_t damages = 0, taken = 0, applied = 0;
    const auto try_all = [&](const Transaction& transaction, const StateSnapshot& before) {
        StateCore core(small_limits);
        Transaction back;
        Diagnostics diagnostics;
        damages += for_each_damage(encoded(transaction), [&](std::span<const std::byte> bytes) {
            if (core::decode_transaction(bytes, back) != Errc::ok) return;
            ++taken; // no checksum here: the log has one
            Transaction again;
            REQUIRE(core::decode_transaction(encoded(back), again) == Errc::ok);
            REQUIRE(again == back);
            REQUIRE(core.restore(before, diagnostics) == Errc::ok);
            if (core.replay(back, diagnostics) != Errc::ok) REQUIRE(core.snapshot() == before);
            else ++applied;
            REQUIRE(!core::check_state(core.snapshot()));
        });
    };
    PlainState plain;
    StateCore core = scripted_core(3, 600, &plain);
    StateScript script(4);
    for (int i = 0; i < 25; ++i) try_all(script.next(plain), core.snapshot());
    Transaction all = everything();
    auto& merged = std::get<Reconciled>(all.changes[15]);
    merged.browsers.resize(1);
    merged.models.resize(1);
    merged.operations.resize(1);
    merged.resources.resize(1);
    merged.metrics.resize(1);
    all.changes[8] = OperationSubmitted{.id = RequestId{1}, .payload = Payload(Bytes(3))};
    try_all(all, core.snapshot());
    std::printf("transactions: %llu damages, %llu decoded, %llu applied\n",
                static_cast<unsigned long long>(damages), static_cast<unsigned long long>(taken),
                static_cast<unsigned long long>(applied));
    CHECK(applied > 0);
}

TEST_CASE("No changed bit and no cut makes a checkpoint crash, or gives a broken state") {
    StateCore core = scripted_core(8, 400);
    const StateSnapshot base = core.snapshot();
    PlainState plain;
    core = scripted_core(8, 430, &plain);
    std::uint64_t damages = 0, taken = 0;
    const auto try_all = [&](const Bytes& checkpoint, const StateSnapshot& on, auto&& load) {
        StateCore target(small_limits);
        Diagnostics diagnostics;
        damages += for_each_damage(checkpoint, [&](std::span<const std::byte> bytes) {
            if (target.version() != on.version()) {
                target = StateCore(small_limits);
                REQUIRE(target.restore(on, diagnostics) == Errc::ok);
            }
            if (load(bytes, target, diagnostics) != Errc::ok) {
                REQUIRE(target.version() == on.version());
                return;
            }
            ++taken;
            REQUIRE(!core::check_state(target.snapshot()));
            REQUIRE(target.restore(on, diagnostics) == Errc::ok);
        });
    };
    const StateSnapshot now = core.snapshot();
    try_all(core::encode_full(now), {}, core::load_full);
    try_all(core::encode_full(now, core::CheckpointContent::critical), {}, core::load_full);
    // The delta of another core: here it was led to the same base by the same script.
    try_all(core::encode_delta(base, now), base, core::load_delta);
    std::printf("checkpoints: %llu damages, %llu consistent all the same\n",
                static_cast<unsigned long long>(damages), static_cast<unsigned long long>(taken));
}

TEST_CASE("A delta fits the state that it was made for, and no other") {
    StateCore core;
    commit(core, live_browser(0));
    const StateSnapshot first = core.snapshot();
    commit(core, OperationSubmitted{.id = RequestId{1}});
    const StateSnapshot second = core.snapshot();
    commit(core, OperationSubmitted{.id = RequestId{2}});
    const Bytes delta = core::encode_delta(second, core.snapshot());
    StateCore other;
    Diagnostics diagnostics;
    REQUIRE(other.restore(first, diagnostics) == Errc::ok);
    CHECK(core::load_delta(delta, other, diagnostics) == Errc::storage_damaged);
    CHECK(diagnostics.message == "a checkpoint of another kind or base: delta on 2");
    CHECK(core::load_full(delta, other, diagnostics) == Errc::storage_damaged);
    CHECK(core::load_delta(core::encode_full(second), other, diagnostics) == Errc::storage_damaged);
    CHECK(other.snapshot() == first);
    REQUIRE(other.restore(second, diagnostics) == Errc::ok);
    REQUIRE(core::load_delta(delta, other, diagnostics) == Errc::ok);
    CHECK(other.snapshot() == core.snapshot());

    core::CheckpointHead head;
    REQUIRE(core::decode_head(delta, head) == Errc::ok);
    CHECK(head.content == core::CheckpointContent::delta);
    CHECK(head.header.version == 3);
    CHECK(head.base_version == 2);
    CHECK(core::decode_head(std::span(delta).first(5), head) == Errc::storage_damaged);
}

TEST_CASE("A delta is as large as the change, not as the state") {
    StateCore core;
    for (std::uint64_t id = 1; id <= 5000; ++id) commit(core, OperationSubmitted{.id = {id}});
    const StateSnapshot before = core.snapshot();
    const WorkerId none = WorkerId::none();
    commit(core, OperationFinished{{2500}, none, OperationStatus::cancelled, Errc::cancelled});
    CHECK(core::encode_delta(before, core.snapshot()).size() < 150);
    CHECK(core::encode_full(core.snapshot()).size() > 100'000);
}
