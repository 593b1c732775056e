// Everpool core: transactions and checkpoints as bytes, and back.
// SPDX-License-Identifier: BSL-1.0
//
// A transaction is the body of a record of the log:
//     format version | number | at | actor | count of changes | (kind | members)...
// A checkpoint:
//     format version | kind of checkpoint | header | version of the base (delta) |
//     for each of the five tables: count | records... | count | keys of what was removed... (delta)
//
// Members are written by cereal, in the order of state_fields.hpp, as log/span_archive.hpp says.
// The format version stands first in all of them: an older one is still read, a newer one is
// refused with an error of its own (Errc::storage_newer_format) before anything else is looked at.
//
// Decoders believe nothing: no bytes whatever make them crash, or throw anything but
// std::bad_alloc. The memory that they take follows the input: at most some hundred times as much
// (a list of empty texts while it grows; a checkpoint whose records have each a leaf of its own
// comes near), beside that of transaction_changes_max changes. What they take is within its ranges
// (state_ranges.hpp), and a checkpoint is taken only if the state that results is consistent
// (state_invariants.hpp).
#pragma once

#include "everpool/core/state_core.hpp"
#include "everpool/core/state_fields.hpp"
#include "everpool/core/state_ranges.hpp"
#include "everpool/log/span_archive.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace everpool {

// --- members: found by cereal --------------------------------------------------------------------

template <class Archive, class Tag, class Integer>
void serialize(Archive& archive, StrongId<Tag, Integer>& id) {
    archive(id.value);
}

namespace core {

template <class Archive>
struct ArchiveMembers {
    Archive& archive;
    [[nodiscard]] std::uint32_t version() const noexcept { return archive.version(); }
    void operator()(std::string_view, auto& member) const { archive(member); }
};

} // namespace core

template <class Archive, core::HasFields Record>
void serialize(Archive& archive, Record& record) {
    core::visit_fields(record, core::ArchiveMembers<Archive>{archive});
}

inline void save(log::SpanOutputArchive& archive, const Payload& payload) {
    archive.write_count(payload.bytes().size());
    archive.write(payload.bytes().data(), payload.bytes().size());
}

inline void load(log::SpanInputArchive& archive, Payload& payload) {
    const auto bytes = archive.take(archive.read_size());
    payload = Payload(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

// Templates, as each kind of change would be converted to a Change for a plain function.
template <core::Is<Change> Any>
void save(log::SpanOutputArchive& archive, const Any& change) {
    archive(static_cast<std::uint8_t>(change.index()));
    std::visit([&archive](const auto& alternative) { archive(alternative); }, change);
}

template <core::Is<Change> Any>
void load(log::SpanInputArchive& archive, Any& change) {
    std::uint8_t index = 0;
    archive(index);
    if (index >= change_kind_count) return archive.fail();
    const auto load_as = [&]<std::size_t... kinds>(std::index_sequence<kinds...>) {
        const auto load_if = [&]<std::size_t kind>() {
            if (index == kind) archive(change.template emplace<kind>());
        };
        (load_if.template operator()<kinds>(), ...);
    };
    load_as(std::make_index_sequence<change_kind_count>());
}

/// An empty note is two bytes and a Change some three hundred.
inline void load(log::SpanInputArchive& archive, std::vector<Change>& changes) {
    log::load_list(archive, changes, transaction_changes_max);
}

} // namespace everpool

namespace everpool::core {

/// What this code writes, and the newest that it reads.
inline constexpr std::uint32_t state_format_version = 1;

// --- transactions --------------------------------------------------------------------------------

/// Appends the transaction to `out`.
inline void encode_transaction(const Transaction& transaction, std::vector<std::byte>& out) {
    log::SpanOutputArchive archive(out, state_format_version);
    archive(state_format_version, transaction);
    archive.flush();
}

namespace detail {

/// Reads the format version. Errc::ok: one that can be read, and the archive knows it.
inline Errc read_format(log::SpanInputArchive& archive) {
    std::uint32_t version = 0;
    archive(version);
    if (archive.has_failed() || version == 0) return Errc::storage_damaged;
    archive.set_version(version);
    return version > state_format_version ? Errc::storage_newer_format : Errc::ok;
}

} // namespace detail

/// Errc::ok, storage_damaged or storage_newer_format. `transaction` keeps its memory from one call
/// to the next; after an error its content means nothing.
[[nodiscard]] inline Errc decode_transaction(std::span<const std::byte> bytes,
                                             Transaction& transaction) {
    log::SpanInputArchive archive(bytes);
    if (const Errc format = detail::read_format(archive); format != Errc::ok) return format;
    archive(transaction);
    if (archive.has_failed() || !archive.is_at_end() || transaction.number == 0 ||
        !check_ranges(transaction).empty())
        return Errc::storage_damaged;
    return Errc::ok;
}

// --- checkpoints ---------------------------------------------------------------------------------

enum class CheckpointContent : std::uint8_t {
    full,
    /// Without finished operations and metrics: what a pool needs to go on. (Resources are in it: a
    /// log that goes on from here may free them.)
    critical,
    delta, ///< what has changed since another state
};

constexpr std::string_view name_of(CheckpointContent content) noexcept {
    switch (content) {
    case CheckpointContent::full: return "full";
    case CheckpointContent::critical: return "critical";
    case CheckpointContent::delta: return "delta";
    }
    return "unrecognised";
}

/// The whole state, or its critical part. \pre content != delta
[[nodiscard]] std::vector<std::byte>
encode_full(const StateSnapshot& snapshot, CheckpointContent content = CheckpointContent::full);

/// What to add to `base` to get `snapshot`: its cost follows the difference.
/// \pre `snapshot` is a later state of the same core
[[nodiscard]] std::vector<std::byte> encode_delta(const StateSnapshot& base,
                                                  const StateSnapshot& snapshot);

/// What a checkpoint says of itself, without decoding the rest.
struct CheckpointHead {
    CheckpointContent content{};
    StateHeader header{};
    std::uint64_t base_version{0}; ///< of a delta: to which state it belongs
};
[[nodiscard]] Errc decode_head(std::span<const std::byte> bytes, CheckpointHead& head);

/// `core` becomes the state in a full or critical checkpoint. Errc::storage_damaged (diagnostics
/// say why), storage_newer_format: it is as it was.
[[nodiscard]] Errc load_full(std::span<const std::byte> bytes, StateCore& core,
                             Diagnostics& diagnostics);

/// `core` goes on to the state that a delta was made of. Also Errc::storage_damaged: it belongs to
/// another state than the present one.
[[nodiscard]] Errc load_delta(std::span<const std::byte> bytes, StateCore& core,
                              Diagnostics& diagnostics);

// -------------------------------------------------------------------------------------------------

namespace detail {

template <class Record>
bool is_critical(const Record&) noexcept {
    return true;
}
inline bool is_critical(const OperationState& r) noexcept { return !is_final(r.status); }
inline bool is_critical(const MetricState&) noexcept { return false; }

inline void write_head(log::SpanOutputArchive& archive, CheckpointContent content,
                       const StateHeader& header) {
    archive(state_format_version, content);
    visit_fields(header, ArchiveMembers<log::SpanOutputArchive>{archive});
}

inline Errc read_head(log::SpanInputArchive& archive, CheckpointHead& head) {
    if (const Errc format = read_format(archive); format != Errc::ok) return format;
    archive(head.content);
    visit_fields(head.header, ArchiveMembers<log::SpanInputArchive>{archive});
    if (name_of(head.content) == "unrecognised") archive.fail();
    if (head.content == CheckpointContent::delta) archive(head.base_version);
    return archive.has_failed() ? Errc::storage_damaged : Errc::ok;
}

/// Records of one table: each once, in the order of keys.
template <class Table>
void read_records(log::SpanInputArchive& archive, Table& table, bool may_replace) {
    std::optional<std::uint64_t> previous;
    for (std::size_t left = archive.read_size(); left > 0; --left) {
        typename Table::Record record{};
        archive(record);
        const std::uint64_t key = record_key(name_in(record));
        if (archive.has_failed() || (previous && key <= *previous)) return archive.fail();
        previous = key;
        if (table.find(key) == nullptr) table.insert(key, std::move(record));
        else if (may_replace) table.edit(key) = std::move(record);
        else return archive.fail();
    }
}

template <class Table>
void read_removals(log::SpanInputArchive& archive, Table& table) {
    for (std::size_t left = archive.read_size(); left > 0; --left) {
        std::uint64_t key = 0;
        archive(key);
        if (archive.has_failed() || table.find(key) == nullptr) return archive.fail();
        table.erase(key);
    }
}

/// Ends reading: the core takes the state over if all is well.
inline Errc take(log::SpanInputArchive& archive, StateTables& tables, StateCore& core,
                 Diagnostics& diagnostics) {
    if (archive.has_failed() || !archive.is_at_end()) {
        diagnostics.message = "a checkpoint's body is damaged";
        return Errc::storage_damaged;
    }
    return core.restore(StateSnapshot({.header = tables.header,
                                       .browsers = tables.browsers.freeze(),
                                       .models = tables.models.freeze(),
                                       .operations = tables.operations.freeze(),
                                       .resources = tables.resources.freeze(),
                                       .metrics = tables.metrics.freeze()}),
                        diagnostics);
}

inline Errc refuse_head(Errc code, const CheckpointHead& head, Diagnostics& diagnostics) {
    if (code == Errc::storage_newer_format) {
        diagnostics.message = "a checkpoint was written by a newer version of this library";
        return code;
    }
    diagnostics.message =
        code != Errc::ok
            ? "a checkpoint's head is damaged"
            : "a checkpoint of another kind or base: " + std::string(name_of(head.content)) +
                  " on " + std::to_string(head.base_version);
    return Errc::storage_damaged;
}

} // namespace detail

inline std::vector<std::byte> encode_full(const StateSnapshot& snapshot,
                                          CheckpointContent content) {
    std::vector<std::byte> out;
    const bool is_all = content == CheckpointContent::full;
    const StateViews& views = snapshot.views();
    log::SpanOutputArchive archive(out, state_format_version);
    detail::write_head(archive, content, views.header);
    visit_tables(
        [&]<class View>(const View& view) {
            std::size_t count = is_all ? view.size() : 0;
            if (!is_all)
                view.visit([&](auto, const auto& r) { count += detail::is_critical(r) ? 1 : 0; });
            archive.write_count(count);
            view.visit([&](auto, const auto& r) {
                if (is_all || detail::is_critical(r)) archive(r);
            });
        },
        views);
    archive.flush();
    return out;
}

inline std::vector<std::byte> encode_delta(const StateSnapshot& base,
                                           const StateSnapshot& snapshot) {
    std::vector<std::byte> out;
    log::SpanOutputArchive archive(out, state_format_version);
    detail::write_head(archive, CheckpointContent::delta, snapshot.views().header);
    archive(base.version());
    visit_tables(
        [&archive]<class View>(const View& then, const View& now) {
            std::vector<typename View::Pointer> changed;
            std::vector<std::uint64_t> removed;
            View::visit_differences(then, now, [&](std::uint64_t key, auto, auto* record) {
                if (record == nullptr) removed.push_back(key);
                else changed.push_back(record);
            });
            archive(removed);
            archive.write_count(changed.size());
            for (const auto* record : changed) archive(*record);
        },
        base.views(), snapshot.views());
    archive.flush();
    return out;
}

inline Errc decode_head(std::span<const std::byte> bytes, CheckpointHead& head) {
    log::SpanInputArchive archive(bytes);
    return detail::read_head(archive, head);
}

inline Errc load_full(std::span<const std::byte> bytes, StateCore& core, Diagnostics& diagnostics) {
    log::SpanInputArchive archive(bytes);
    CheckpointHead head;
    const Errc code = detail::read_head(archive, head);
    if (code != Errc::ok || head.content == CheckpointContent::delta)
        return detail::refuse_head(code, head, diagnostics);
    StateTables tables;
    tables.header = head.header;
    visit_tables([&archive](auto& table) { detail::read_records(archive, table, false); }, tables);
    return detail::take(archive, tables, core, diagnostics);
}

inline Errc load_delta(std::span<const std::byte> bytes, StateCore& core,
                       Diagnostics& diagnostics) {
    log::SpanInputArchive archive(bytes);
    CheckpointHead head;
    const Errc code = detail::read_head(archive, head);
    if (code != Errc::ok || head.content != CheckpointContent::delta ||
        head.base_version != core.version())
        return detail::refuse_head(code, head, diagnostics);
    const StateSnapshot present = core.snapshot();
    StateTables tables{.header = head.header,
                       .browsers = CowTable(present.views().browsers),
                       .models = CowTable(present.views().models),
                       .operations = CowTable(present.views().operations),
                       .resources = CowTable(present.views().resources),
                       .metrics = CowTable(present.views().metrics)};
    visit_tables(
        [&archive](auto& table) {
            detail::read_removals(archive, table);
            detail::read_records(archive, table, true);
        },
        tables);
    return detail::take(archive, tables, core, diagnostics);
}

} // namespace everpool::core
