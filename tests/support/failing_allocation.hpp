// Tests: memory that runs out at a moment of the test's choice.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>

// ThreadSanitizer has operators of its own, which a program cannot replace.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EVERPOOL_ALLOCATION_CANNOT_FAIL
#endif
#endif

namespace everpool::tests {

/// While it lives, one allocation of this thread fails, with std::bad_alloc: the `nth` of those
/// that ask for `bytes_min` or more. One at a time. Programs that use it have
/// failing_allocation.cpp.
class FailingAllocation {
public:
#ifdef EVERPOOL_ALLOCATION_CANNOT_FAIL
    static constexpr bool is_possible = false;
#else
    static constexpr bool is_possible = true;
#endif

    explicit FailingAllocation(std::size_t nth, std::size_t bytes_min = 0) noexcept;
    ~FailingAllocation();
    FailingAllocation(const FailingAllocation&) = delete;
    FailingAllocation& operator=(const FailingAllocation&) = delete;

    [[nodiscard]] static bool has_failed() noexcept;
};

} // namespace everpool::tests
