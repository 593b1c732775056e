// A pool is one thing with browsers of its own.
// SPDX-License-Identifier: BSL-1.0
// expect: (use of deleted function|call to deleted|deleted)
#include <everpool/resource_pool.hpp>

void look_at(const everpool::ResourcePool& pool) {
#ifdef EVERPOOL_MISTAKE
    const everpool::ResourcePool mine(pool);
#else
    const everpool::ResourcePool& mine = pool;
#endif
    (void)mine.snapshot();
}
