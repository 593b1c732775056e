// SPDX-License-Identifier: BSL-1.0
#include "facade/nearest_name.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace everpool::facade {

namespace {

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
    const std::size_t gap = a.size() < b.size() ? b.size() - a.size() : a.size() - b.size();
    if (gap > limit) return limit + 1;
    // One row for each letter of `a`: how far its letters up to this one are from those of `b` up
    // to that one. The last two rows are kept, for neighbours that have changed places.
    std::array<std::vector<std::size_t>, 3> rows;
    for (auto& row : rows) row.resize(b.size() + 1);
    auto& [before, last, row] = rows;
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::swap(before, last);
        std::swap(last, row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool is_same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (is_same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return std::min(row[b.size()], limit + 1);
}

std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known) {
    std::size_t limit = name.size() <= 4 ? 1 : name.size() <= 8 ? 2 : 3;
    std::string_view nearest;
    for (const std::string_view one : known) {
        const std::size_t distance = edit_distance(name, one, limit);
        if (distance > limit) continue;
        nearest = one;
        if (distance == 0) break;
        limit = distance - 1;
    }
    return nearest;
}

} // namespace everpool::facade
