// Tests: the forms of new and delete that throw nothing, by those that a program has replaced.
// SPDX-License-Identifier: BSL-1.0
//
// Included by one file of a program, behind its own operator new: the standard library's forms of
// these would call it, but a sanitizer's do not.
#pragma once

#include <cstddef>
#include <new>

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    try {
        return operator new(bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* place, const std::nothrow_t&) noexcept { operator delete(place); }
