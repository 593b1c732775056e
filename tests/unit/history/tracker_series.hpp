// The series that the tracker's tests record.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/performance_history_tracker.hpp"

namespace everpool::tests {

inline const SeriesKey bert{"bert", BrowserType::firefox, "webgpu", "inference"};
inline const SeriesKey vit{"vit", BrowserType::chromium, "wasm", "inference"};

} // namespace everpool::tests
