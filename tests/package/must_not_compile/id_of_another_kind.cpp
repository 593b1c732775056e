// A worker's id is never taken for a request's.
// SPDX-License-Identifier: BSL-1.0
// expect: (conversion from|no viable conversion|could not convert)
#include <everpool/ids.hpp>

everpool::RequestId cancel_me(everpool::RequestId id) { return id; }

#ifdef EVERPOOL_MISTAKE
const auto id = cancel_me(everpool::WorkerId{7});
#else
const auto id = cancel_me(everpool::RequestId{7});
#endif
