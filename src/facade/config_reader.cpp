// SPDX-License-Identifier: BSL-1.0
#include "facade/config_reader.hpp"

#include "everpool/error.hpp"
#include "facade/config_document.hpp"
#include "facade/config_members.hpp"
#include "facade/config_paths.hpp"
#include "facade/config_units.hpp"
#include "facade/nearest_name.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace everpool::facade {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::size_t entry_count_max = 1024;
constexpr std::size_t text_bytes_shown = 200;

std::string_view text_of(const json::string& text) noexcept { return {text.data(), text.size()}; }

/// What came, for a message.
std::string shown(const json::value& value) {
    switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return value.get_bool() ? "true" : "false";
    case json::kind::int64: return fmt::to_string(value.get_int64());
    case json::kind::uint64: return fmt::to_string(value.get_uint64());
    case json::kind::double_: return fmt::format("{}", value.get_double());
    case json::kind::string:
        return '\'' + escape_remote_text(text_of(value.get_string()), text_bytes_shown) + '\'';
    case json::kind::array: return "a list";
    case json::kind::object: break;
    }
    return "an object";
}

/// One that a double holds exactly counts as well: 1e3.
std::optional<std::uint64_t> whole_number(const json::value& value) noexcept {
    if (const auto* number = value.if_uint64()) return *number;
    if (const auto* number = value.if_int64(); number != nullptr && *number >= 0)
        return static_cast<std::uint64_t>(*number);
    const auto* number = value.if_double();
    constexpr double exact_max = 9007199254740992.0; // 2^53
    if (number == nullptr || !(*number >= 0 && *number <= exact_max) ||
        std::trunc(*number) != *number)
        return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

/// Where a member of that name is, if not here. Empty if there is none.
std::string elsewhere(std::string_view name) {
    for (const ConfigPath& path : config_paths())
        if (path.last() == name) return path.name;
    return {};
}

template <HasMembers T>
[[noreturn]] void refuse_unknown(const std::string& of, std::string_view name) {
    std::vector<std::string_view> known;
    Members<T>::for_each([&](auto member) { known.push_back(decltype(member)::name); });
    const std::string_view nearest = nearest_name(name, known);
    const std::string meant = nearest.empty() ? elsewhere(name) : member_path(of, nearest);
    throw std::invalid_argument(
        fmt::format("ResourcePoolConfig::{} is no member{}", member_path(of, name),
                    meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
}

/// One function for each kind of member. `at` is the member's path.
class Reader {
public:
    explicit Reader(const fs::path& directory) : directory_(directory) {}

    template <HasMembers T>
    void read(const json::value& value, T& out, const std::string& at) const {
        const json::object* object = value.if_object();
        if (object == nullptr) refuse_config(at, "an object", shown(value));
        for (const auto& [key, field] : *object) {
            const std::string_view name(key.data(), key.size());
            bool is_known = false;
            const json::value& here = field; // clang 16 captures no structured binding's name
            Members<T>::for_each([&](auto member) {
                using M = decltype(member);
                if (M::name != name) return;
                is_known = true;
                if constexpr (M::is_bytes) read_bytes(here, out.*M::at, member_path(at, name));
                else read(here, out.*M::at, member_path(at, name));
            });
            if (!is_known) refuse_unknown<T>(at, name);
        }
    }

    template <OfProgram T>
    void read(const json::value&, T&, const std::string& at) const {
        refuse_config(at, "set in the program, as it is no text", "given here");
    }

    template <class T>
    requires Optional<std::optional<T>>
    void read(const json::value& value, std::optional<T>& out, const std::string& at) const {
        if (value.is_null()) return out.reset();
        if (!out) out.emplace();
        read(value, *out, at);
    }

    template <class T>
    void read(const json::value& value, std::vector<T>& out, const std::string& at) const {
        const json::array* list = value.if_array();
        if (list == nullptr) refuse_config(at, "a list", shown(value));
        check_count(list->size(), at);
        out.clear();
        for (const json::value& entry : *list) {
            const std::string here = fmt::format("{}[{}]", at, out.size());
            read(entry, out.emplace_back(), here);
        }
    }

    void read(const json::value& value, std::vector<std::pair<std::string, std::string>>& out,
              const std::string& at) const {
        const json::object* object = value.if_object();
        if (object == nullptr) refuse_config(at, "an object of texts", shown(value));
        check_count(object->size(), at);
        out.clear();
        for (const auto& [key, field] : *object) {
            const std::string_view name(key.data(), key.size());
            out.emplace_back(std::string(name), text(field, member_path(at, name)));
        }
    }

    template <class Enum>
    requires std::is_enum_v<Enum>
    void read(const json::value& value, Enum& out, const std::string& at) const {
        const json::string* word = value.if_string();
        bool is_known = false;
        std::string names;
        for_each_enumerator<Enum>([&](Enum one) {
            names += (names.empty() ? "" : ", ");
            names += name_of(one);
            if (word == nullptr || text_of(*word) != name_of(one)) return;
            out = one;
            is_known = true;
        });
        if (!is_known) refuse_config(at, "one of " + names, shown(value));
    }

    template <std::unsigned_integral T>
    void read(const json::value& value, T& out, const std::string& at) const {
        store(whole_number(value), value, out, at, "a whole number");
    }

    void read(const json::value& value, bool& out, const std::string& at) const {
        if (!value.is_bool()) refuse_config(at, "true or false", shown(value));
        out = value.get_bool();
    }

    void read(const json::value& value, double& out, const std::string& at) const {
        const double number = value.is_int64()    ? static_cast<double>(value.get_int64())
                              : value.is_uint64() ? static_cast<double>(value.get_uint64())
                              : value.is_double() ? value.get_double()
                                                  : std::numeric_limits<double>::infinity();
        if (!std::isfinite(number)) refuse_config(at, "a number", shown(value));
        out = number;
    }

    void read(const json::value& value, Duration& out, const std::string& at) const {
        const json::string* word = value.if_string();
        const auto duration = word == nullptr ? std::nullopt : duration_from(text_of(*word));
        if (!duration) refuse_config(at, duration_form, shown(value));
        out = *duration;
    }

    void read(const json::value& value, std::string& out, const std::string& at) const {
        out = text(value, at);
    }

    void read(const json::value& value, fs::path& out, const std::string& at) const {
        out = text(value, at);
        // As it is said: what `..` leads to, only the system knows where there are symbolic links.
        if (!out.empty() && !directory_.empty()) out = directory_ / out;
    }

private:
    template <std::unsigned_integral T>
    void read_bytes(const json::value& value, T& out, const std::string& at) const {
        const json::string* word = value.if_string();
        store(word == nullptr ? whole_number(value) : bytes_from(text_of(*word)), value, out, at,
              bytes_form);
    }

    template <std::unsigned_integral T>
    static void store(std::optional<std::uint64_t> number, const json::value& value, T& out,
                      const std::string& at, std::string_view form) {
        constexpr T max = std::numeric_limits<T>::max();
        if (!number || *number > max)
            refuse_config(at, fmt::format("{}, at most {}", form, max), shown(value));
        out = static_cast<T>(*number);
    }

    static std::string text(const json::value& value, const std::string& at) {
        const json::string* word = value.if_string();
        if (word == nullptr || text_of(*word).find('\0') != std::string_view::npos)
            refuse_config(at, "a text without NUL characters", shown(value));
        return std::string(text_of(*word));
    }

    static void check_count(std::size_t count, const std::string& at) {
        if (count > entry_count_max)
            refuse_config(at + ".size()", fmt::format("0 to {}", entry_count_max),
                          fmt::to_string(count));
    }

    const fs::path& directory_;
};

} // namespace

void read_config(const json::value& value, ResourcePoolConfig& config, const fs::path& directory) {
    Reader(directory).read(value, config, {});
}

} // namespace everpool::facade
