// Everpool facade: one worker slot with a browser in it. Performs what the core wants of a worker
// and reports what becomes of it.
// SPDX-License-Identifier: BSL-1.0
//
// It joins three doors: the browser process, its page, and the page's two connections at the
// bridge. It decides nothing: each failure is reported as it is seen, under the generation in
// force, and the core says what is to be done. Callbacks of an earlier life are recognised by the
// generation that they captured, or by the BrowserLife that they belong to, and dropped.
//
// Threading: everything on the pool's strand.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/browser_state.hpp"
#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"
#include "everpool/error.hpp"
#include "everpool/fault_injector.hpp"
#include "everpool/model_family.hpp"
#include "everpool/resource_pool_config.hpp"
#include "everpool/wire/message.hpp"
#include "facade/model_registry.hpp"
#include "facade/starvation_watch.hpp"
#include "io/bridge.hpp"
#include "io/browser.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace everpool::facade {

/// What every worker of a pool shares.
struct WorkerSurroundings {
    boost::asio::any_io_executor strand;
    io::BrowserNest& nest;
    io::Bridge& bridge;
    ModelRegistry& models;
    Duration stop_grace;
    /// Where events go. May be called from inside any function of WorkerDriver.
    std::function<void(const core::Event&)> report;
    /// For model_loading, page_message and warning, which the core does not care about.
    std::function<void(PoolEvent)> tell;
    /// The browser's process runs, and has said which version it is.
    std::function<void(WorkerId)> launched{};
    /// What all models have in common; settings are adjusted to it.
    ModelFamily family{ModelFamily::unknown};
    /// How far a warm-up's answer may be from the known one.
    VoteOptions vote{};
};

class WorkerDriver {
public:
    /// `specs`: the browser of this slot, then those that it may turn to; executables resolved.
    /// \pre at least one
    WorkerDriver(WorkerId id, std::vector<BrowserSpec> specs, WorkerSurroundings& surroundings);
    ~WorkerDriver(); ///< kills the browser, if any
    WorkerDriver(const WorkerDriver&) = delete;
    WorkerDriver& operator=(const WorkerDriver&) = delete;

    /// Loads these models with these providers first, in its first life.
    void prefer(std::map<std::string, Provider, std::less<>> providers) {
        preferred_ = std::move(providers);
    }

    /// From now on it is such a slot: a rival, which may take its place.
    void become(const WorkerDriver& other) { specs_ = other.specs_; }

    /// The host has seen itself what the core is about to be told of as `cause`.
    void witness(core::LossCause cause, FailureEvidence evidence) {
        seen_ = Seen{generation_, cause, std::move(evidence)};
    }

    // What the core wants.
    void start(const core::StartWorker& action);
    void stop(Generation generation, bool graceful);
    void load_model(ModelId model);
    void warm_up_model(ModelId model);
    void ping(wire::Channel channel, std::uint64_t sequence);
    void ask_control(core::ControlQuestion question, std::uint64_t sequence);

    // What the bridge hears; called only for the generation in force.
    void on_hello(wire::Channel channel, wire::Hello hello);
    /// Whatever its compute thread has sent.
    void on_sign_of_life() noexcept { starvation_.on_sign_of_life(); }
    /// Messages that are not answers to callers' requests (attempt 0 marks our own).
    void on_message(wire::Channel channel, wire::Message message);
    void on_closed(wire::Channel channel, error_code ec, std::uint16_t close_code);

    void crash_page();

    // What drills do to it (fault_drill.hpp).
    [[nodiscard]] std::vector<int> processes(io::BrowserPart part) const;
    /// In the page's main thread. `handler` is not called any more if the browser is given up.
    void execute(std::string script, io::Browser::Handler handler);
    void fail_next_launches(std::size_t count, LaunchFailure how);

    [[nodiscard]] WorkerId id() const noexcept { return id_; }
    [[nodiscard]] Generation generation() const noexcept { return generation_; }
    /// Of the browser that is in the slot at present.
    [[nodiscard]] const BrowserSpec& spec() const noexcept { return specs_[form_.browser]; }
    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    [[nodiscard]] const wire::Capabilities& capabilities() const noexcept { return capabilities_; }
    [[nodiscard]] int process_id() const noexcept;
    /// What the page loaded the model with, in this life or the last; empty: it did not.
    [[nodiscard]] std::optional<Provider> provider_of(ModelId model) const noexcept {
        return model.value < loaded_.size() ? loaded_[model.value] : std::nullopt;
    }
    /// Why it last failed to start, in words.
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }
    /// What the life that the core says is lost has died of: as it was seen here, or else as the
    /// core must have seen it. \pre a worker_lost of this worker
    [[nodiscard]] BrowserFailure failure_of(const core::Notice& notice) const;

private:
    struct BrowserLife;

    /// What the page was asked last about a model; one question at a time.
    struct Question {
        std::uint64_t id{0};
        ModelId model{ModelId::none()};
        bool is_warm_up{false};
    };

    void launch();
    void open_page();
    void follow_page();
    [[nodiscard]] error_code sabotage(io::BrowserOptions& options);
    [[nodiscard]] bool has_browser() const noexcept { return life_ != nullptr; }
    [[nodiscard]] io::Browser& browser() const noexcept; ///< \pre has_browser()
    void reload_page(int more_tries = 0);
    void reload_page_soon(int more_tries);
    bool kill_part(io::BrowserPart part);
    void stop_page();
    void kill_stopped();
    void let_go(bool graceful, io::Browser::Handler closed);
    void keep_connections();
    void restart_compute();
    void fail_start(const char* why);
    void start_failed(error_code ec, Diagnostics diagnostics);
    void lost(core::LossCause cause, FailureEvidence evidence);
    [[nodiscard]] bool has_lost_its_gpu();
    [[nodiscard]] FailureContext context() const;
    void model_rejected(Errc code, Diagnostics diagnostics);
    [[nodiscard]] std::vector<Provider> providers_of(const ModelSpec& model) const;
    void send_question(const wire::Message& message);
    [[nodiscard]] bool is_asked(std::uint64_t id) const noexcept;
    /// Runs `next` on completion of an asynchronous step, if this life is still the one in force.
    template <class Next>
    auto in_this_life(Next next) {
        return [weak = std::weak_ptr<WorkerDriver*>(self_), generation = generation_,
                next = std::move(next)](auto&&... results) {
            const auto alive = weak.lock();
            if (!alive || (*alive)->generation_ != generation) return;
            next(**alive, std::forward<decltype(results)>(results)...);
        };
    }

    void on(wire::Ready& ready);
    void on(wire::RunResult& result);
    void on(wire::RemoteError& error);
    void on(const wire::Progress& progress);
    void on(const wire::PageEvent& event);

    WorkerId id_;
    std::vector<BrowserSpec> specs_;
    WorkerSurroundings& with_;
    StarvationWatch starvation_;
    Generation generation_{};
    core::WorkerForm form_{};
    std::shared_ptr<BrowserLife> life_;               ///< the process in force, if any
    std::vector<std::weak_ptr<BrowserLife>> leaving_; ///< being closed, latest last
    std::shared_ptr<WorkerDriver*> self_;             ///< expires with us; guards posted callbacks
    io::PageId page_;
    std::vector<ProcessIdentity> stopped_; ///< of pages that hung, until they are killed
    bool has_control_{false}, has_data_{false};
    /// The page is reloaded because its connections have closed, or its process was killed. If it
    /// died, they close before the engine says so: that comes when the reload is under way, and
    /// undoes it, but is no new crash.
    bool has_crash_to_come_{false};
    std::uint64_t reload_count_{0};
    Question question_;
    std::uint64_t question_count_{0};
    std::map<std::string, Provider, std::less<>> preferred_;
    std::vector<std::optional<Provider>> loaded_; ///< by model
    std::string version_;
    wire::Capabilities capabilities_;
    Diagnostics trouble_;

    /// What was seen first of the end of a life.
    struct Seen {
        Generation generation{};
        core::LossCause cause{};
        FailureEvidence evidence;
    };
    std::optional<Seen> seen_;
    RecoveryRung rung_{RecoveryRung::restart_browser}; ///< that has led to this life

    /// What WebGPU is computed by.
    enum class Gpu : std::uint8_t { none, software, hardware };
    Gpu gpu_{Gpu::none};              ///< that this browser is known to have
    std::size_t launches_to_fail_{0}; ///< by a drill
    LaunchFailure how_to_fail_{};
};

} // namespace everpool::facade
