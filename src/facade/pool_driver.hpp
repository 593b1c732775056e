// Everpool facade: the body of ResourcePool. Feeds the decision core with events, one at a time,
// and performs its actions.
// SPDX-License-Identifier: BSL-1.0
//
// Everything happens on one strand. An event that arises while actions are being performed (a send
// that fails at once, a listener that submits) waits in the inbox until they are done, so the core
// sees one event at a time and the actions of one event are never interleaved with those of
// another.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/pool_core.hpp"
#include "everpool/resource_pool.hpp"
#include "facade/listener_gate.hpp"
#include "facade/model_registry.hpp"
#include "facade/snapshot_board.hpp"
#include "facade/waiting_handler.hpp"
#include "facade/worker_driver.hpp"
#include "io/bridge.hpp"
#include "io/browser.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace everpool::facade {

class PoolDriver final : public io::BridgeListener,
                         public std::enable_shared_from_this<PoolDriver> {
public:
    using Strand = boost::asio::strand<boost::asio::any_io_executor>;

    PoolDriver(boost::asio::any_io_executor executor, ResourcePoolConfig config);
    ~PoolDriver() override;

    // From any thread.
    [[nodiscard]] const Strand& strand() const noexcept { return strand_; }
    [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept {
        return executor_;
    }
    [[nodiscard]] ResourcePoolSnapshot snapshot() const;
    [[nodiscard]] RequestId next_request_id() noexcept { return {++last_request_}; }
    [[nodiscard]] LeaseId next_lease_id() noexcept { return {++last_lease_}; }
    /// The listener is not called any more when this returns.
    void close_listener() noexcept { listener_.close(); }

    // On the strand.
    void start(StartHandler handler);
    void run(RequestId id, LeaseId lease, Request request, RunHandler handler);
    void acquire(LeaseId id, AcquireRequest request, AcquireHandler handler);
    void drain(PlainHandler handler);
    void stop(PlainHandler handler);
    void abort(); ///< the ResourcePool has been destroyed
    void cancel(RequestId id) { feed(core::Cancel{id}); }
    void withdraw(LeaseId id); ///< acquire() is cancelled
    void release(LeaseId id);
    void crash_page(WorkerId worker);

private:
    /// A caller's operation between submission and completion.
    struct Pending {
        wire::Run run; ///< what is sent, kept for further attempts
        WaitingHandler<void(error_code, Result)> handler;
        ModelId model{ModelId::none()};
        TimePoint submitted{}, dispatched{}, replied{};
        WorkerId worker{WorkerId::none()};
        Generation generation{};
        bool was_checked{false};
        std::optional<wire::RunResult> reply;
        Diagnostics diagnostics;
    };
    enum class Phase : std::uint8_t { constructed, starting, running, draining, stopping, stopped };

    void feed(core::Event event);
    void work_off();
    void perform_all();
    void tell_broken();
    void arm_timer();
    void refresh_counters();
    void publish_workers();
    [[nodiscard]] static TimePoint now() noexcept;

    void perform(const core::StartWorker&);
    void perform(const core::StopWorker&);
    void perform(const core::LoadModel&);
    void perform(const core::WarmUpModel&);
    void perform(const core::Dispatch&);
    void perform(const core::SendCancel&);
    void perform(const core::SendPing&);
    void perform(const core::Complete&);
    void perform(const core::LeaseGranted&);
    void perform(const core::LeaseEnded&);
    void perform(const core::StartFinished&);
    void perform(const core::DrainFinished&);
    void perform(const core::StopFinished&);
    void perform(const core::Notice&);

    void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) override;
    void on_message(WorkerId, Generation, wire::Channel, wire::Message) override;
    void on_closed(WorkerId, Generation, wire::Channel, error_code) override;
    [[nodiscard]] Pending* asked_last(const WorkerDriver&, RequestId, std::uint32_t attempt);
    void on_reply(WorkerDriver&, wire::RunResult&&);
    void on_reply(WorkerDriver&, const wire::RemoteError&);

    error_code prepare(Diagnostics& diagnostics);
    Errc admit(const Request& request, wire::Run& run, ModelId& model, Diagnostics& out) const;
    core::RequestMeta meta_of(RequestId, LeaseId, const Request&, const Pending&) const;
    [[nodiscard]] std::uint32_t preferred_browsers(std::optional<BrowserType> first,
                                                   ModelId model) const;
    Errc check_against_model(Pending& pending);
    Result result_of(Pending& pending, const core::Complete& done);
    void explain(Pending& pending, const core::Complete& done) const;
    template <class Waiting, class... Results>
    void complete(Waiting&& waiting, Results... results) {
        waiting.complete(executor_, std::move(results)...);
    }
    void tell(PoolEvent event);
    void finish_start(Errc code, Diagnostics diagnostics);
    void close_doors();
    [[nodiscard]] bool is_current(const WorkerDriver& worker, Generation generation) const noexcept;

    boost::asio::any_io_executor executor_;
    Strand strand_;
    ResourcePoolConfig config_; ///< without on_event
    ListenerGate listener_;
    ModelRegistry models_;
    core::PoolCore core_;
    std::deque<core::Event> inbox_;
    core::Actions actions_;
    bool performing_{false};
    bool has_told_broken_{false};
    Phase phase_{Phase::constructed};

    boost::asio::steady_timer timer_;
    TimePoint timer_at_{never};

    std::unique_ptr<io::BrowserNest> nest_;
    std::unique_ptr<io::Bridge> bridge_;
    std::unique_ptr<WorkerSurroundings> surroundings_;
    std::vector<std::unique_ptr<WorkerDriver>> workers_;

    std::unordered_map<std::uint64_t, Pending> requests_;
    std::unordered_map<std::uint64_t, WaitingHandler<void(error_code, Lease)>> waiting_leases_;
    WaitingHandler<void(error_code, StartReport)> start_handler_;
    std::vector<WaitingHandler<void(error_code)>> drain_handlers_, stop_handlers_;
    Diagnostics first_trouble_;

    std::atomic<std::uint64_t> last_request_{0}, last_lease_{0};
    SnapshotBoard board_;
    const std::shared_ptr<io::BridgeStats> bridge_stats_{std::make_shared<io::BridgeStats>()};
};

} // namespace everpool::facade
