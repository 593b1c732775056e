// A borrowed worker has one borrower.
// SPDX-License-Identifier: BSL-1.0
// expect: (use of deleted function|call to implicitly-deleted copy|deleted)
#include <everpool/resource_pool.hpp>

everpool::Lease borrow(everpool::Lease& lease) {
#ifdef EVERPOOL_MISTAKE
    return everpool::Lease(lease);
#else
    return everpool::Lease(std::move(lease));
#endif
}
