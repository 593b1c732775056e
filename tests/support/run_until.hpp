// Tests: an event loop of the test's own, run until what it waits for is so, or as far as it goes.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/io_context.hpp>

#include <chrono>

namespace everpool::tests {

/// What can be done now is done, and nothing is waited for.
inline void settle(boost::asio::io_context& context) {
    context.restart(); // it stops whenever it runs out of work
    context.poll();
}

/// \return whether it has become so
template <class Condition>
bool run_until(boost::asio::io_context& context, Condition is_so,
               std::chrono::steady_clock::duration limit = std::chrono::seconds{20}) {
    const auto end = std::chrono::steady_clock::now() + limit;
    context.restart();
    while (!is_so() && context.run_one_until(end) != 0) {}
    return is_so();
}

} // namespace everpool::tests
