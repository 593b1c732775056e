// Everpool: everything a host application includes. To read the library, read these in this order.
// SPDX-License-Identifier: BSL-1.0
//
// It costs a translation unit some seconds. Who uses one class of these includes that class.
#pragma once

// clang-format off: sorted for the reader
#include "everpool/browser_failure.hpp"         // what failed
#include "everpool/browser_spec.hpp"            // browsers
#include "everpool/browser_state_manager.hpp"   // where it is remembered; also without a pool
#include "everpool/config_source.hpp"           // the pool's knobs, said by who runs it
#include "everpool/error.hpp"                   // trouble
#include "everpool/fault_tolerance_options.hpp" // what it remembers when its host dies
#include "everpool/ids.hpp"
#include "everpool/model_spec.hpp"             // models
#include "everpool/pool_event.hpp"             // watching it work
#include "everpool/pressure_snapshot.hpp"      // when to ask for more
#include "everpool/priority.hpp"               // who is served first
#include "everpool/recovery_manager.hpp"       // what was put right, and how fast
#include "everpool/recovery_strategy.hpp"      // how it is put right
#include "everpool/request.hpp"                // what is asked, what comes back
#include "everpool/resource_pool.hpp"          // the pool itself
#include "everpool/resource_pool_config.hpp"   // its knobs and limits
#include "everpool/resource_pool_snapshot.hpp" // looking at it
#include "everpool/run_with_recovery.hpp"      // both in one call
#include "everpool/runtime.hpp"                // the same, blocking
#include "everpool/tensor.hpp"                 // data
#include "everpool/time.hpp"

// Each of these can be used without a pool, and needs everpool::core only.
#include "everpool/adaptive_throttle.hpp"           // when to call less
#include "everpool/call_guarded.hpp"                // a call through it
#include "everpool/circuit_breaker.hpp"             // when not to call
#include "everpool/circuit_breaker_registry.hpp"    // one for each peer
#include "everpool/fleet_guard.hpp"                 // some must stay in use, whatever they do
#include "everpool/performance_history_tracker.hpp" // how it went, and what follows from it
#include "everpool/retry_budget.hpp"                // when not to call again
// clang-format on
