// Everpool core: transactions and records as JSON, for other programs and for people.
// SPDX-License-Identifier: BSL-1.0
//
//     {"number":12,"at":"2026-11-21T14:32:34.000000250Z","actor":"pool","changes":[
//      {"action":"operation_dispatched","id":7,"worker":0,"generation":1}]}        (on one line)
//
// Ids that are none and times that are zero are null, durations are milliseconds ("duration_ms"),
// integers beyond 2^53 are strings, and of a payload only the number of bytes is told. What is not
// given in a change is not there. Text that is not UTF-8 is escaped.
#pragma once

#include "everpool/core/state_fields.hpp"
#include "everpool/utf8.hpp"
#include "everpool/wire/json_writer.hpp"
#include "everpool/wire/limits.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace everpool::core {

/// "2026-11-21T14:32:34.000000250Z"
inline std::string iso_time(WallTime time) {
    // Rounded down by hand: the beginning of the first day is beyond what nanoseconds can count.
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t count = time.time_since_epoch().count();
    const std::int64_t rest = count % second < 0 ? count % second + second : count % second;
    const std::chrono::sys_seconds whole(
        std::chrono::seconds(count / second - (count % second < 0 ? 1 : 0)));
    const auto day = std::chrono::floor<std::chrono::days>(whole);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(whole - day);
    std::array<char, 64> text{};
    const int size =
        std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09lldZ",
                      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()),
                      static_cast<int>(clock.seconds().count()), static_cast<long long>(rest));
    return {text.data(), static_cast<std::size_t>(size)};
}

/// A visitor of fields that writes them as members of a JSON object.
class JsonFields {
public:
    explicit JsonFields(std::string& out) : out_(out), json_(out) {}
    void close() { json_.close(); }

    template <class T>
    void operator()(std::string_view name, const T& member) {
        if constexpr (is_optional<T>) {
            if (member) (*this)(name, *member);
        } else if constexpr (std::same_as<T, Duration>) {
            const std::chrono::duration<double, std::milli> milliseconds(member);
            json_.number(std::string(name) + "_ms", milliseconds.count());
        } else if constexpr (std::same_as<T, Payload>) {
            json_.number(std::string(name) + "_bytes", member.bytes().size());
        } else {
            json_.begin(name);
            value(member);
        }
    }

    template <class T>
    void value(const T& member) {
        if constexpr (std::same_as<T, bool>) json_.put(member ? "true" : "false");
        else if constexpr (std::integral<T>) integer(member);
        else if constexpr (std::is_enum_v<T>) json_.quote(name_of(member));
        else if constexpr (is_strong_id<T>)
            member.is_none() ? json_.put("null") : value(member.value);
        else if constexpr (std::same_as<T, WallTime>)
            member == WallTime{} ? json_.put("null") : json_.quote(iso_time(member));
        else if constexpr (std::same_as<T, std::string>) text(member);
        else if constexpr (std::same_as<T, StateSettings>) settings(member);
        else if constexpr (is_list<T>) list(member);
        else if constexpr (std::same_as<T, Change>) change(member);
        else record(member);
    }

private:
    template <class Integer>
    void integer(Integer number) {
        const bool is_exact = static_cast<std::uint64_t>(number) <= wire::integer_max ||
                              (std::signed_integral<Integer> && number < 0);
        if (!is_exact) out_ += '"';
        json_.append(number);
        if (!is_exact) out_ += '"';
    }
    void text(const std::string& text) {
        if (is_utf8(text)) json_.quote(text);
        else json_.quote(escape_remote_text(text, 4 * state_text_bytes_max));
    }
    void settings(const StateSettings& settings) {
        char separator = '{';
        for (const auto& [name, value] : settings) {
            out_ += std::exchange(separator, ',');
            text(name);
            out_ += ':';
            text(value);
        }
        out_ += settings.empty() ? "{}" : "}";
    }
    template <class List>
    void list(const List& list) {
        char separator = '[';
        for (const auto& member : list) {
            out_ += std::exchange(separator, ',');
            value(member);
        }
        out_ += list.empty() ? "[]" : "]";
    }
    template <class Record>
    void record(const Record& record) {
        JsonFields members(out_);
        visit_fields(record, members);
        members.close();
    }
    void change(const Change& change) {
        JsonFields members(out_);
        members("action", kind_of(change));
        std::visit([&members](const auto& alternative) { visit_fields(alternative, members); },
                   change);
        members.close();
    }

    std::string& out_;
    wire::JsonWriter json_;
};

/// Appends a record, change or transaction as one JSON object.
template <HasFields Record>
void append_json(std::string& out, const Record& record) {
    JsonFields members(out);
    visit_fields(record, members);
    members.close();
}

/// Appends the transaction and a line feed.
inline void append_json_line(std::string& out, const Transaction& transaction) {
    append_json(out, transaction);
    out += '\n';
}

} // namespace everpool::core
