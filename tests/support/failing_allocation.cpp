// SPDX-License-Identifier: BSL-1.0
#include "support/failing_allocation.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t countdown = 0; ///< 0: none is to fail
thread_local std::size_t counted_from_bytes = 0;
thread_local bool has_any_failed = false;

[[maybe_unused]] bool is_to_fail(std::size_t bytes) noexcept {
    if (countdown == 0 || bytes < counted_from_bytes) return false;
    if (--countdown != 0) return false;
    has_any_failed = true;
    return true;
}

} // namespace

#ifndef EVERPOOL_ALLOCATION_CANNOT_FAIL
// Forms of more than usual alignment are left as they are.
void* operator new(std::size_t bytes) {
    void* const memory = is_to_fail(bytes) ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#include "support/nothrow_new.hpp"
#endif

namespace everpool::tests {

FailingAllocation::FailingAllocation(std::size_t nth, std::size_t bytes_min) noexcept {
    countdown = nth;
    counted_from_bytes = bytes_min;
    has_any_failed = false;
}

FailingAllocation::~FailingAllocation() { countdown = 0; }

bool FailingAllocation::has_failed() noexcept { return has_any_failed; }

} // namespace everpool::tests
