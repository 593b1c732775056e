// SPDX-License-Identifier: BSL-1.0
#include "facade/config_paths.hpp"

#include "facade/config_document.hpp"
#include "facade/config_members.hpp"

#include <filesystem>

namespace everpool::facade {

namespace {

template <class T>
inline constexpr bool is_word =
    std::is_enum_v<T> || std::same_as<T, Duration> || std::same_as<T, std::string> ||
    std::same_as<T, std::filesystem::path>;

template <class T>
struct FormOf {
    static constexpr TextForm value = OfProgram<T>    ? TextForm::program
                                      : HasMembers<T> ? TextForm::group
                                      : is_word<T>    ? TextForm::word
                                                      : TextForm::json;
};
template <class T>
requires(!OfProgram<std::optional<T>>) struct FormOf<std::optional<T>> : FormOf<T> {
};
template <class T>
struct FormOf<std::vector<T>> {
    static constexpr TextForm value = is_word<T> ? TextForm::words : TextForm::list;
};

template <class T>
void add_paths(std::vector<ConfigPath>& out, const std::string& of) {
    Members<T>::for_each([&](auto member) {
        using M = decltype(member);
        using Type = typename M::Type;
        const std::string name = member_path(of, M::name);
        out.push_back({name, M::is_bytes ? TextForm::bytes : FormOf<Type>::value, Optional<Type>});
        if constexpr (HasMembers<Type>) add_paths<Type>(out, name);
    });
}

} // namespace

std::string ConfigPath::variable() const {
    std::string out = "EVERPOOL_";
    for (const char c : name) {
        if (c == '.') out += "__";
        else out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return out;
}

std::string_view ConfigPath::last() const noexcept {
    return std::string_view(name).substr(name.rfind('.') + 1);
}

std::vector<ConfigPath> config_paths() {
    std::vector<ConfigPath> out;
    add_paths<ResourcePoolConfig>(out, {});
    return out;
}

} // namespace everpool::facade
