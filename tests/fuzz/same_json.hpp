// Whether two JSON values say the same.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>

namespace everpool::fuzz {

/// Boost.JSON reads numbers in a hurry: the last digits of a fraction depend on how it is written,
/// and 0e999 is none.
inline bool is_same(double left, double right) {
    if (left == right || (std::isnan(left) && std::isnan(right))) return true;
    const double gap = std::abs(left - right);
    return std::isfinite(gap) && gap <= 1e-12 * std::max(std::abs(left), std::abs(right));
}

inline bool is_same(const boost::json::value& left, const boost::json::value& right) {
    if (left.is_number() && right.is_number())
        return is_same(left.to_number<double>(), right.to_number<double>());
    if (left.is_object() && right.is_object()) {
        const auto& fields = left.as_object();
        return fields.size() == right.as_object().size() &&
               std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
                   const auto* other = right.as_object().if_contains(field.key());
                   return other != nullptr && is_same(field.value(), *other);
               });
    }
    if (left.is_array() && right.is_array())
        return std::equal(left.as_array().begin(), left.as_array().end(), right.as_array().begin(),
                          right.as_array().end(),
                          [](const auto& l, const auto& r) { return is_same(l, r); });
    return left == right;
}

} // namespace everpool::fuzz
