// Everpool: Runtime, for hosts that have no event loop of their own.
// SPDX-License-Identifier: BSL-1.0
//
//     everpool::Runtime runtime;
//     everpool::ResourcePool pool{runtime.get_executor(),
//                                 {.models = {{.name = "mlp", .file = "mlp.onnx"}}}};
//     runtime.start(pool);
//     everpool::Result result = runtime.run(pool, Request::inference("mlp", {x}));
//     runtime.stop(pool);
//
// It owns an io_context and the threads that run it. The blocking calls below wait for the pool's
// asynchronous ones and throw everpool::Error, which carries code and diagnostics, if those fail.
//
// Thread safety: the blocking calls from any thread but the runtime's own (a handler or event
// listener that blocks on its own thread would wait for ever; they assert that).
// Lifetime: declare it before its pools, so that it is destroyed after them. The destructor waits
// until everything that was started on it has ended.
//
// Exceptions: one that a handler or listener of yours lets out of the runtime's thread ends the
// program, as for any thread.
#pragma once

#include "everpool/resource_pool.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace everpool {

class Runtime {
public:
    /// One thread is right for one pool: decisions are made on one strand, computing is done by the
    /// browsers. Range 1 to 256.
    /// \throws std::invalid_argument naming the range; std::system_error if no thread is left.
    explicit Runtime(unsigned thread_count = 1);
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;
    ~Runtime();

    [[nodiscard]] boost::asio::any_io_executor get_executor() const;

    /// ResourcePool::async_start, blocking. \throws Error
    StartReport start(ResourcePool& pool);
    /// ResourcePool::async_run, blocking. \throws Error
    Result run(ResourcePool& pool, Request request);
    /// Lease::async_run, blocking. \throws Error
    Result run(Lease& lease, Request request);
    /// ResourcePool::async_acquire, blocking. \throws Error
    Lease acquire(ResourcePool& pool, AcquireRequest request = {});
    /// ResourcePool::async_drain, blocking. \throws Error
    void drain(ResourcePool& pool);
    /// ResourcePool::async_stop, blocking.
    void stop(ResourcePool& pool);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace everpool
