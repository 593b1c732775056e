// SPDX-License-Identifier: BSL-1.0
#include "everpool/resource_pool.hpp"

#include "facade/initiation.hpp"
#include "facade/pool_driver.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace everpool {

namespace facade {

void start(const std::shared_ptr<PoolDriver>& driver, StartHandler handler) {
    on_strand(driver, std::move(handler),
              [](PoolDriver& self, StartHandler h) { self.start(std::move(h)); });
}

void run(const std::shared_ptr<PoolDriver>& driver, LeaseId lease, Request request,
         RunHandler handler) {
    const RequestTicket id = driver->next_request();
    // By the caller's thread: it may be much to read.
    KeptRequest kept = driver->kept(request, lease);
    honour_cancellation(driver, handler, [id](PoolDriver& self) { self.cancel(id); });
    on_strand(driver, std::move(handler),
              [id, lease, request = std::move(request),
               kept = std::move(kept)](PoolDriver& self, RunHandler h) mutable {
                  self.run(id, lease, std::move(request), std::move(kept), std::move(h));
              });
}

void acquire(const std::shared_ptr<PoolDriver>& driver, AcquireRequest request,
             AcquireHandler handler) {
    const LeaseId id = driver->next_lease_id();
    honour_cancellation(driver, handler, [id](PoolDriver& self) { self.withdraw(id); });
    on_strand(driver, std::move(handler),
              [id, request = std::move(request)](PoolDriver& self, AcquireHandler h) mutable {
                  self.acquire(id, std::move(request), std::move(h));
              });
}

void drain(const std::shared_ptr<PoolDriver>& driver, PlainHandler handler) {
    on_strand(driver, std::move(handler),
              [](PoolDriver& self, PlainHandler h) { self.drain(std::move(h)); });
}

void stop(const std::shared_ptr<PoolDriver>& driver, PlainHandler handler) {
    on_strand(driver, std::move(handler),
              [](PoolDriver& self, PlainHandler h) { self.stop(std::move(h)); });
}

} // namespace facade

ResourcePool::ResourcePool(executor_type executor, ResourcePoolConfig config)
    : driver_(std::make_shared<facade::PoolDriver>(std::move(executor), std::move(config))) {}

ResourcePool::~ResourcePool() {
    driver_->close_listeners();
    boost::asio::post(driver_->strand(), [driver = driver_] { driver->abort(); });
}

ResourcePool::executor_type ResourcePool::get_executor() const { return driver_->executor(); }

ResourcePoolSnapshot ResourcePool::snapshot() const { return driver_->snapshot(); }

PressureSnapshot ResourcePool::pressure() const { return driver_->pressure(); }

std::shared_ptr<BrowserStateManager> ResourcePool::state() const { return driver_->state(); }

void ResourcePool::crash_page(WorkerId worker) {
    boost::asio::post(driver_->strand(),
                      [driver = driver_, worker] { driver->crash_page(worker); });
}

Lease::Lease(std::shared_ptr<facade::PoolDriver> driver, LeaseId id, WorkerId worker,
             BrowserType browser) noexcept
    : driver_(std::move(driver)), id_(id), worker_(worker), browser_(browser) {}

Lease::Lease(Lease&& other) noexcept
    : driver_(std::move(other.driver_)),
      id_(other.id_),
      worker_(other.worker_),
      browser_(other.browser_) {
    other.worker_ = WorkerId::none();
}

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    release();
    driver_ = std::exchange(other.driver_, nullptr);
    id_ = other.id_;
    worker_ = std::exchange(other.worker_, WorkerId::none());
    browser_ = other.browser_;
    return *this;
}

Lease::~Lease() { release(); }

void Lease::release() noexcept {
    if (!driver_) return;
    const auto driver = std::exchange(driver_, nullptr);
    worker_ = WorkerId::none();
    boost::asio::post(driver->strand(), [driver, id = id_] { driver->release(id); });
}

} // namespace everpool
