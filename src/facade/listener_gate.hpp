// Everpool facade: a listener of the host's, until its pool is destroyed.
// SPDX-License-Identifier: BSL-1.0
//
// What a listener captured commonly dies with the pool, or right after it, on another thread than
// the strand's. So ResourcePool's destructor closes the gate, and waits for a call in progress. The
// lock is an exception from "one strand, no locks": it is taken per event, never per operation.
#pragma once

#include "everpool/pool_event.hpp"

#include <functional>
#include <mutex>
#include <utility>

namespace everpool::facade {

template <class Told>
class GateFor {
public:
    using Listener = std::function<void(const Told&)>;

    explicit GateFor(Listener listener) : listener_(std::move(listener)) {}

    /// An exception of the listener's ends here: the pool is not what should suffer from it.
    void tell(const Told& event) noexcept {
        const std::scoped_lock lock(mutex_);
        if (!is_open_ || !listener_) return;
        try {
            listener_(event);
        } catch (...) { // a mistake of the host's, which the pool has nobody to tell of
        }
    }

    /// From now on the listener is not called. Waits for a call in progress, unless it is the
    /// listener itself that closes the gate.
    void close() noexcept {
        const std::scoped_lock lock(mutex_);
        is_open_ = false;
    }

private:
    std::recursive_mutex mutex_; ///< recursive: a listener may destroy its pool
    const Listener listener_;
    bool is_open_{true};
};

using ListenerGate = GateFor<PoolEvent>;

} // namespace everpool::facade
