// SPDX-License-Identifier: BSL-1.0
#include "facade/config_document.hpp"

#include "everpool/config_source.hpp"
#include "everpool/error.hpp"
#include "facade/range_check.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/string_view.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace everpool::facade {

namespace json = boost::json;

namespace {

constexpr std::size_t depth_max = 16;
constexpr std::size_t name_bytes_shown = 64;

/// Hears what a parser finds, stops at the second member of one name, and knows which that is.
class DuplicateListener {
public:
    static constexpr std::size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX, max_string_size = SIZE_MAX;

    /// Empty if there was none.
    [[nodiscard]] const std::string& twice() const noexcept { return twice_; }

    using Code = boost::system::error_code;
    using Text = json::string_view;
    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_object_begin(Code&) { return begin(false); }
    bool on_object_end(std::size_t, Code&) { return end(); }
    bool on_array_begin(Code&) { return begin(true); }
    bool on_array_end(std::size_t, Code&) { return end(); }
    bool on_key_part(Text text, std::size_t, Code&) {
        key_.append(text.data(), text.size());
        return true;
    }
    bool on_key(Text text, std::size_t, Code& ec) {
        key_.append(text.data(), text.size());
        Level& level = levels_.back();
        level.name = std::exchange(key_, {});
        if (level.names.insert(level.name).second) return true;
        twice_ = path();
        ec = boost::system::errc::make_error_code(boost::system::errc::invalid_argument);
        return false;
    }
    bool on_string_part(Text, std::size_t, Code&) { return true; }
    bool on_string(Text, std::size_t, Code&) { return scalar(); }
    bool on_number_part(Text, Code&) { return true; }
    bool on_int64(std::int64_t, Text, Code&) { return scalar(); }
    bool on_uint64(std::uint64_t, Text, Code&) { return scalar(); }
    bool on_double(double, Text, Code&) { return scalar(); }
    bool on_bool(bool, Code&) { return scalar(); }
    bool on_null(Code&) { return scalar(); }
    bool on_comment_part(Text, Code&) { return true; }
    bool on_comment(Text, Code&) { return true; }

private:
    /// An object or a list that has begun and not ended.
    struct Level {
        bool is_list;
        std::size_t count{0}; ///< entries of a list that have begun
        std::string name{};   ///< the last member's of an object
        std::set<std::string> names{};
    };

    bool scalar() {
        if (!levels_.empty()) ++levels_.back().count;
        return true;
    }
    bool begin(bool is_list) {
        scalar();
        levels_.push_back({.is_list = is_list});
        return true;
    }
    bool end() {
        levels_.pop_back();
        return true;
    }
    [[nodiscard]] std::string path() const {
        std::string out;
        for (const Level& level : levels_) {
            if (level.is_list) out += fmt::format("[{}]", level.count - 1);
            else out = member_path(out, level.name);
        }
        return out;
    }

    std::vector<Level> levels_;
    std::string key_, twice_;
};

/// Lines and columns begin with 1, columns are counted in bytes.
std::string place_of(std::string_view text, std::size_t at) {
    const std::string_view before = text.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t end_of_line = before.rfind('\n'); // npos + 1 is 0
    return fmt::format("line {}, column {} (byte {})", line, at - (end_of_line + 1) + 1, at);
}

} // namespace

std::string member_path(std::string_view of, std::string_view name) {
    const std::string shown = name.empty() ? "''" : escape_remote_text(name, name_bytes_shown);
    return of.empty() ? shown : fmt::format("{}.{}", of, shown);
}

void refuse_config(std::string_view member, std::string_view must, std::string_view got) {
    if (!member.empty()) RangeCheck("ResourcePoolConfig").refuse(member, must, got);
    throw std::invalid_argument(fmt::format("ResourcePoolConfig must be {}, but is {}", must, got));
}

json::value parse_config(std::string_view text, std::string_view subject, std::string_view member) {
    if (text.size() > config_bytes_max)
        throw std::invalid_argument(
            fmt::format("{} has {} bytes, more than {}", subject, text.size(), config_bytes_max));
    json::parse_options options;
    options.max_depth = depth_max;
    json::basic_parser<DuplicateListener> parser(options);
    boost::system::error_code ec;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (const std::string& twice = parser.handler().twice(); !twice.empty())
        throw std::invalid_argument(fmt::format("ResourcePoolConfig::{}{}{} is given twice", member,
                                                member.empty() || twice[0] == '[' ? "" : ".",
                                                twice));
    if (!ec && read < text.size()) ec = json::error::extra_data;
    if (ec)
        throw std::invalid_argument(
            fmt::format("{} is no JSON: {} at {}", subject, ec.message(), place_of(text, read)));
    return json::parse(json::string_view(text.data(), text.size()), {}, options);
}

} // namespace everpool::facade
