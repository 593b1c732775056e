// Everpool: everything a host application includes. To read the library, read these in this order.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/request.hpp"                // what is asked, what comes back
#include "everpool/resource_pool.hpp"          // the pool itself
#include "everpool/runtime.hpp"                // the same, blocking
#include "everpool/resource_pool_config.hpp"   // its knobs and limits
#include "everpool/model_spec.hpp"             // models
#include "everpool/browser_spec.hpp"           // browsers
#include "everpool/pool_event.hpp"             // watching it work
#include "everpool/resource_pool_snapshot.hpp" // looking at it
#include "everpool/tensor.hpp"                 // data
#include "everpool/error.hpp"                  // trouble
#include "everpool/ids.hpp"
#include "everpool/time.hpp"
