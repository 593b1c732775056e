// Everpool facade: every member of a ResourcePoolConfig that has a path of its own.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace everpool::facade {

/// What a variable's text is to a member.
enum class TextForm {
    word,    ///< its value as it is: a name, a path, a duration
    json,    ///< JSON: a number, true or false
    bytes,   ///< a number, or a word
    words,   ///< words between commas, or a list in JSON
    list,    ///< a list in JSON
    group,   ///< none: it has members, and each of them has one
    program, ///< none: it is set by a program
};

struct ConfigPath {
    std::string name; ///< "queue_policies.low.timeout"
    TextForm form;
    bool is_optional; ///< null is a value of it

    /// "EVERPOOL_QUEUE_POLICIES__LOW__TIMEOUT"
    [[nodiscard]] std::string variable() const;
    /// "timeout"
    [[nodiscard]] std::string_view last() const noexcept;
};

/// In the order of the structs, each group before its members. What is in lists has no such path.
std::vector<ConfigPath> config_paths();

} // namespace everpool::facade
