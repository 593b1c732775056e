// Tests: what somebody who waits has been told, and how often.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace everpool::tests {

/// Exactly one of these in the end.
template <class Result>
using ToldResults = std::vector<std::pair<error_code, Result>>;

/// A completion handler that adds to them.
template <class Result>
auto handler_into(std::shared_ptr<ToldResults<Result>> told) {
    return [told = std::move(told)](error_code ec, Result result) {
        told->emplace_back(ec, std::move(result));
    };
}

} // namespace everpool::tests
