// SPDX-License-Identifier: BSL-1.0
#include "facade/state_config_check.hpp"

#include "facade/range_check.hpp"
#include "io/linux/process_identity.hpp"

#include <chrono>
#include <utility>

namespace everpool::facade {

BrowserStateManagerConfig checked(BrowserStateManagerConfig config) {
    using namespace std::chrono_literals;
    const RangeCheck check("BrowserStateManagerConfig");
    check("commit_interval", config.commit_interval, 100us, 10s);
    if (config.checkpoint_interval != Duration::zero())
        check("checkpoint_interval", config.checkpoint_interval, 10ms, 24h);
    check("checkpoint_count_kept", config.checkpoint_count_kept, 1, 100);
    check("delta_chain_max", config.delta_chain_max, 0, 100);
    check("limits.operations_kept", config.limits.operations_kept, 0, 10'000'000);
    check("transactions_kept", config.transactions_kept, 0, 1'000'000);
    check("segment_bytes", config.segment_bytes, 64ULL << 10, 1ULL << 30);
    check("compressed_bytes_min", config.compressed_bytes_min, 64, 64U << 20);
    if (name_of(config.fault_tolerance) == "unrecognised")
        check.refuse("fault_tolerance", "a FaultToleranceLevel", "no enumerator");
    if (name_of(config.recovery) == "unrecognised")
        check.refuse("recovery", "a RecoveryMode", "no enumerator");
    if (config.orphans != OrphanPolicy::redispatch && config.orphans != OrphanPolicy::give_up)
        check.refuse("orphans", "an OrphanPolicy", "no enumerator");
    if (!config.process_exists) config.process_exists = io::exists;
    return config;
}

} // namespace everpool::facade
