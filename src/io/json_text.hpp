// Everpool doors: texts out of an engine's answer, whatever else it may be.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/string_view.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace everpool::io {

/// The text of a member; empty if there is none.
inline std::string text_at(const boost::json::object& object, std::string_view key) {
    const auto* value = object.if_contains(boost::json::string_view(key.data(), key.size()));
    const auto* string = value == nullptr ? nullptr : value->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
}

/// Empty also if it is no object.
inline std::string text_at(const boost::json::value& value, std::string_view key) {
    const auto* object = value.if_object();
    return object == nullptr ? std::string() : text_at(*object, key);
}

} // namespace everpool::io
