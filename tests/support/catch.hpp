// Catch2, whichever major version is installed: 2 (one header) or 3 (a library).
// SPDX-License-Identifier: BSL-1.0
//
// Tests include this and nothing of Catch2's own. `Approx` is found in both versions.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
