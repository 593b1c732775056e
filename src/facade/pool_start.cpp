// Everpool facade: a pool's start. What cannot be had is its error, with what to do about it.
// SPDX-License-Identifier: BSL-1.0
#include "facade/file_check.hpp"
#include "facade/level_shortage.hpp"
#include "facade/pool_driver.hpp"
#include "facade/worker_alternatives.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace everpool::facade {

void PoolDriver::start(StartHandler handler) {
    WaitingHandler<void(error_code, StartReport)> waiting{std::move(handler), executor_};
    if (phase_ != Phase::constructed) {
        StartReport report;
        report.diagnostics.message = phase_ == Phase::stopped
                                         ? "the pool has been stopped, and stays so"
                                         : "async_start was called before";
        report.diagnostics.remedy = "make a new pool to start again";
        return complete(waiting, error_code(Errc::already_started), std::move(report));
    }
    start_handler_ = std::move(waiting);
    phase_ = Phase::starting;
    Diagnostics diagnostics;
    if (const error_code ec = try_prepare(diagnostics)) {
        close_doors();
        phase_ = Phase::stopped;
        StartReport report;
        report.workers_failed = static_cast<std::uint32_t>(expand_browsers(config_).size());
        report.diagnostics = std::move(diagnostics);
        complete(start_handler_, ec, std::move(report));
        return;
    }
    feed(core::Start{});
    publish_workers();
}

/// Whatever the system refuses is the start's error, and not the end of the host's executor.
error_code PoolDriver::try_prepare(Diagnostics& diagnostics) {
    try {
        return prepare(diagnostics);
    } catch (const Error& error) { // of the kept state
        diagnostics = error.diagnostics();
        return error.code();
    } catch (const boost::system::system_error& error) {
        diagnostics.message = error.what();
        return error.code();
    } catch (const std::system_error& error) { // no thread
        diagnostics.message = std::string("the pool could not be started: ") + error.what();
        diagnostics.remedy = "raise the limit of threads (ulimit -u), or of memory (ulimit -v)";
        return error.code();
    } catch (const std::bad_alloc&) { // above all for what the kept state holds
        diagnostics.message = "the pool could not be started: there is not enough memory";
        diagnostics.remedy = "give the host more memory";
        return boost::system::errc::make_error_code(boost::system::errc::not_enough_memory);
    } catch (const std::exception& error) {
        diagnostics.message = std::string("the pool could not be started: ") + error.what();
        diagnostics.remedy = "this is a bug of Everpool; report it with this message";
        return Errc::internal_error;
    }
}

/// Which browsers there are to be, and what each may turn to.
error_code PoolDriver::fill_slots(Diagnostics& diagnostics) {
    slots_ = expand_browsers(config_);
    for (BrowserSpec& browser : slots_) {
        error_code ec;
        browser.executable = io::find_browser(browser, ec, diagnostics);
        if (ec) return ec;
    }
    const auto family = common_family(config_.models);
    const BrowserSpec standby = standby_for(slots_.front(), family);
    slots_.resize(slots_.size() + standby_count(config_), standby);
    for (const BrowserSpec& browser : slots_)
        alternatives_.push_back(alternatives_of(browser, family, config_.remote_alternatives));
    return {};
}

/// Opens the doors: files, browsers, directory, server.
error_code PoolDriver::prepare(Diagnostics& diagnostics) {
    if (const error_code ec = models_.check_files(diagnostics)) return ec;
    for (const OperationModule& module : config_.modules) {
        const FileCheck file = check_file(module.file);
        if (!file.ec) continue;
        diagnostics.message = fmt::format("operation module '{}': cannot read '{}': {}",
                                          module.name, module.file.string(), file.why);
        diagnostics.remedy = "correct OperationModule::file, or the file's permissions";
        return file.ec;
    }
    if (const error_code ec = fill_slots(diagnostics)) return ec;
    make_core();
    // Dormant slots are remembered as well, as what they begin with.
    std::vector<BrowserSpec> browsers = slots_;
    browsers.resize(browsers.size() + rival_count(config_), slots_.front());
    if (const error_code ec = open_state(browsers, diagnostics)) return ec;
    open_recoveries();
    for (Diagnostics& one : shortages_of_level(config_)) warn(Errc::ok, std::move(one));
    nest_ = std::make_unique<io::BrowserNest>();
    io::BridgeConfig bridge_config{};
    bridge_config.frame_bytes_max = config_.frame_bytes_max;
    // Room for all that the core lets be in flight and one message more, so that the core's own
    // limit is the one that callers meet.
    bridge_config.write_queue_bytes_max =
        config_.in_flight_bytes_max + config_.frame_bytes_max + config_.frame_bytes_max;
    bridge_ = std::make_unique<io::Bridge>(strand_, bridge_config, *this, bridge_stats_);
    if (const error_code ec = bridge_->listen()) {
        diagnostics.message = "the bridge cannot listen on 127.0.0.1: " + ec.message();
        return ec;
    }
    for (const ModelSpec& model : config_.models) bridge_->add_model(model.name, model.file);
    for (const OperationModule& module : config_.modules)
        bridge_->add_module(module.name, module.file);
    board_.counters.port.store(bridge_->port(), std::memory_order_relaxed);
    surroundings_ = std::make_unique<WorkerSurroundings>(WorkerSurroundings{
        strand_, *nest_, *bridge_, models_, config_.stop_grace,
        [this](const core::Event& event) { feed(event); },
        [this](PoolEvent event) { tell(std::move(event)); },
        [this](WorkerId id) { on_launched(id); },
        common_family(config_.models).value_or(ModelFamily::unknown), config_.vote});
    for (std::uint32_t i = 0; i < browsers.size(); ++i) {
        std::vector<BrowserSpec> specs{std::move(browsers[i])};
        if (i < alternatives_.size())
            specs.insert(specs.end(), alternatives_[i].begin(), alternatives_[i].end());
        workers_.push_back(
            std::make_unique<WorkerDriver>(WorkerId{i}, std::move(specs), *surroundings_));
        if (i < providers_used_.size()) workers_.back()->prefer(std::move(providers_used_[i]));
    }
    return {};
}

void PoolDriver::perform(const core::StartFinished& action) {
    if (phase_ == Phase::starting) phase_ = Phase::running;
    publish_workers();
    finish_start(action.code, first_trouble_);
}

void PoolDriver::finish_start(Errc code, Diagnostics diagnostics) {
    if (!start_handler_) return;
    StartReport report;
    for (const WorkerSnapshot& worker : board_.read().workers) {
        if (worker.state == WorkerState::ready) ++report.workers_ready;
        if (worker.state == WorkerState::failed) ++report.workers_failed;
    }
    report.diagnostics = std::move(diagnostics);
    complete(start_handler_, code == Errc::ok ? error_code{} : error_code(code), std::move(report));
}

} // namespace everpool::facade
