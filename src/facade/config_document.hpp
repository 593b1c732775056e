// Everpool facade: a text becomes a JSON value, or a message that says where it is none.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace everpool::facade {

/// Boost.JSON keeps the last of several members of one name. In a configuration one of them is a
/// mistake, so that they are looked for first.
///
/// `subject` is what the text is called ("'pool.json'"), `member` what it is the value of; empty if
/// it is the whole.
/// \throws std::invalid_argument: it is no JSON (where, and why), is longer than config_bytes_max,
/// nested more than 16 deep, or names a member twice.
boost::json::value parse_config(std::string_view text, std::string_view subject,
                                std::string_view member = {});

/// The message about a member, in RangeCheck's form; `member` may be empty.
/// \throws std::invalid_argument
[[noreturn]] void refuse_config(std::string_view member, std::string_view must,
                                std::string_view got);

/// "hedge" and "quantile" become "hedge.quantile". A name that came from outside is escaped.
std::string member_path(std::string_view of, std::string_view name);

} // namespace everpool::facade
