// Everpool core: is each member of a record or transaction within its range?
// SPDX-License-Identifier: BSL-1.0
//
// Asked when a transaction is made and when one is read, so that what is taken can be written, and
// what was written can be read again. Whether it fits the state is not asked here.
#pragma once

#include "everpool/core/state_fields.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace everpool::core {

/// A visitor of fields: `broken` is the first fact that does not hold, or empty.
struct RangeCheck {
    std::string_view broken{};

    template <class Member>
    void operator()(std::string_view, const Member& member) {
        check(member);
    }

    template <class T>
    void check(const T& member) {
        if constexpr (std::is_enum_v<T>)
            require(name_of(member) != "unrecognised", "enumerators are known ones");
        else if constexpr (std::same_as<T, std::string>)
            require(member.size() <= state_text_bytes_max, "texts are not too long");
        else if constexpr (std::same_as<T, Payload>)
            require(member.bytes().size() <= state_payload_bytes_max, "payloads are not too long");
        else if constexpr (std::same_as<T, StateSettings>) check_settings(member);
        else if constexpr (std::same_as<T, Change>)
            std::visit([this](const auto& change) { this->check(change); }, member);
        else if constexpr (is_list<T>) check_list(member);
        else if constexpr (is_optional<T>) {
            if (member) check(*member);
        } else if constexpr (std::same_as<T, Reconciled>) check_reconciled(member);
        else if constexpr (HasFields<const T>) visit_fields(member, *this);
    }

private:
    void require(bool holds, std::string_view fact) {
        if (!holds && broken.empty()) broken = fact;
    }

    template <class List>
    void check_list(const List& list, std::size_t count_max = state_list_count_max) {
        require(list.size() <= count_max, "lists are not too long");
        if constexpr (!is_strong_id<typename List::value_type>)
            for (const auto& member : list) check(member);
    }

    void check_settings(const StateSettings& settings) {
        require(settings.size() <= state_list_count_max, "lists are not too long");
        for (const auto& [name, value] : settings) {
            check(name);
            check(value);
        }
    }

    /// Its lists are as long as the state's tables may be.
    void check_reconciled(const Reconciled& merged) {
        visit_fields(merged, [this]<class T>(std::string_view, const T& member) {
            if constexpr (is_list<T>) check_list(member, reconciled_records_max);
            else check(member);
        });
    }
};

static_assert(transaction_changes_max == state_list_count_max);

/// The first fact that does not hold; empty if all do.
template <HasFields Record>
[[nodiscard]] std::string_view check_ranges(const Record& record) {
    RangeCheck ranges;
    ranges.check(record);
    return ranges.broken;
}

/// " 17" or " bert": what a change is about, for a person; empty if it is about nothing in
/// particular.
inline std::string subject_of(const Change& change) {
    return std::visit(
        [](const auto& c) -> std::string {
            const auto text = [](std::string_view name) { return ' ' + std::string(name); };
            if constexpr (requires { c.id.value; }) return ' ' + std::to_string(c.id.value);
            else if constexpr (requires { c.browser.id; })
                return ' ' + std::to_string(c.browser.id.value);
            else if constexpr (requires { c.model.name; })
                return text(escape_remote_text(c.model.name, 200));
            else if constexpr (requires { c.name; }) return text(escape_remote_text(c.name, 200));
            else return {};
        },
        change);
}

} // namespace everpool::core
