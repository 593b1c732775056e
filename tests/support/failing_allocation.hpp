// Tests: memory that runs out at a moment of the test's choice.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

namespace everpool::tests {

/// While it lives, one allocation of this thread fails, with std::bad_alloc: the `nth` of those that
/// ask for `bytes_min` or more. One at a time. Programs that use it have failing_allocation.cpp.
class FailingAllocation {
public:
    explicit FailingAllocation(std::size_t nth, std::size_t bytes_min = 0) noexcept;
    ~FailingAllocation();
    FailingAllocation(const FailingAllocation&) = delete;
    FailingAllocation& operator=(const FailingAllocation&) = delete;

    [[nodiscard]] static bool has_failed() noexcept;
};

} // namespace everpool::tests
