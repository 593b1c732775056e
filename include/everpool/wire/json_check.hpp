// Everpool wire: is this text one JSON object?
// SPDX-License-Identifier: BSL-1.0
//
// Asked of what is sent on as it is, for each message, so nothing is built from it: that takes less
// than half the time of parsing it into values, and no memory.
#pragma once

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/string_view.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace everpool::wire {

namespace detail {

/// Hears what a parser finds, and remembers only whether the outermost value is an object.
class ObjectListener {
public:
    // Boost.JSON asks for these; what the whole text may have is limited elsewhere.
    static constexpr std::size_t max_object_size = SIZE_MAX, max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX, max_string_size = SIZE_MAX;

    [[nodiscard]] bool has_heard_object() const noexcept { return is_object_; }

    using Code = boost::system::error_code;
    using Text = boost::json::string_view;
    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_object_begin(Code&) {
        is_object_ = is_object_ || depth_ == 0;
        ++depth_;
        return true;
    }
    bool on_object_end(std::size_t, Code&) {
        --depth_;
        return true;
    }
    bool on_array_begin(Code&) {
        ++depth_;
        return true;
    }
    bool on_array_end(std::size_t, Code&) {
        --depth_;
        return true;
    }
    bool on_key_part(Text, std::size_t, Code&) { return true; }
    bool on_key(Text, std::size_t, Code&) { return true; }
    bool on_string_part(Text, std::size_t, Code&) { return true; }
    bool on_string(Text, std::size_t, Code&) { return true; }
    bool on_number_part(Text, Code&) { return true; }
    bool on_int64(std::int64_t, Text, Code&) { return true; }
    bool on_uint64(std::uint64_t, Text, Code&) { return true; }
    bool on_double(double, Text, Code&) { return true; }
    bool on_bool(bool, Code&) { return true; }
    bool on_null(Code&) { return true; }
    bool on_comment_part(Text, Code&) { return true; }
    bool on_comment(Text, Code&) { return true; }

private:
    std::size_t depth_{0};
    bool is_object_{false};
};

} // namespace detail

/// Whether it is well-formed, UTF-8, nested at most `depth_max` deep, and an object.
inline bool is_json_object(std::string_view text, std::size_t depth_max) {
    boost::json::parse_options options;
    options.max_depth = depth_max;
    boost::json::basic_parser<detail::ObjectListener> parser(options);
    boost::system::error_code ec;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    return !ec && read == text.size() && parser.handler().has_heard_object();
}

} // namespace everpool::wire
