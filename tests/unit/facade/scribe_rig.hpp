// Tests: the real core, a scribe that writes down its steps, and a state that judges them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"
#include "everpool/core/state_core.hpp"
#include "facade/state_scribe.hpp"
#include "support/one_rung.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::tests {

class ScribeRig : public facade::ScribeSources {
public:
    static constexpr std::uint32_t workers = 3, models = 2;

    static core::CoreConfig usual() {
        return {.worker_browsers = {workers, BrowserType::chromium},
                .model_count = models,
                .queue_count_max = 20,
                .restart_count_max = 3};
    }
    /// Each recovery makes a worker one of the other type.
    static core::CoreConfig turning() {
        core::CoreConfig out = usual();
        out.worker_alternatives.assign(workers, {{.type = BrowserType::firefox}});
        out.strategy = std::make_shared<OneRung>(RecoveryRung::other_type);
        return out;
    }

    explicit ScribeRig(FaultToleranceLevel level = FaultToleranceLevel::medium,
                       std::uint64_t generation_base = 0, const core::CoreConfig& config = usual())
        : core_(config, 7),
          scribe_(
              level, slots_of(config, level, generation_base), *this,
              [this](Transaction step, Durability how, facade::StateScribe::WhenDone done) {
                  return commit(std::move(step), how, std::move(done));
              },
              [this](const CommitResult& result, bool is_refused) {
                  complaints.push_back(
                      is_refused ? "refused: " + result.diagnostics.message
                                 : "disk: " + std::string(
                                                  name_of(static_cast<Errc>(result.code.value()))));
              }) {
        Transaction first{.number = ++number_, .actor = "test"};
        for (std::uint32_t i = 0; const auto& slot : slots_of(config, level, generation_base))
            first.changes.emplace_back(BrowserAdded{{.id = WorkerId{i++},
                                                     .type = slot.browser,
                                                     .settings = slot.settings,
                                                     .generation = {slot.generation_base}}});
        for (std::uint32_t i = 0; i < models; ++i)
            first.changes.emplace_back(
                ModelRegistered{{.name = std::string(model_name_of(ModelId{i}))}});
        Diagnostics why;
        (void)state.apply(first, why);
    }

    /// One step: the event, what the core wants, what is written down.
    core::Actions feed(const core::Event& event) {
        if (const auto* reply = std::get_if<core::Replied>(&event)) scribe_.answered(*reply);
        if (const auto* failure = std::get_if<core::WorkerStartFailed>(&event))
            scribe_.start_failed(*failure);
        core::Actions actions;
        core_.on(event, now, actions);
        scribe_.write(actions, now);
        return actions;
    }
    core::Actions wake() {
        core::Actions actions;
        core_.on_wakeup(now, actions);
        scribe_.write(actions, now);
        return actions;
    }
    core::Actions submit(RequestId id, bool is_idempotent = true, ModelId model = ModelId{0}) {
        const std::string_view name = model.is_none() ? std::string_view() : model_name_of(model);
        scribe_.submitted({.id = id,
                           .operation = model.is_none() ? "echo" : "inference",
                           .model = name,
                           .inputs_digest = id.value * 3,
                           .is_idempotent = is_idempotent});
        return feed(core::Submit{{.id = id,
                                  .model = model,
                                  .deadline = later(now, timeout),
                                  .idempotent = is_idempotent}});
    }
    /// Brings the worker up, from StartWorker to ready.
    void bring_up(WorkerId worker) {
        const Generation life = core_.worker(worker).generation;
        (void)feed(core::WorkerConnected{worker, life});
        for (std::uint32_t i = 0; i < models; ++i) {
            (void)feed(core::ModelLoaded{worker, life, ModelId{i}});
            (void)feed(core::ModelWarmedUp{worker, life, ModelId{i}});
        }
    }

    void let_disk_answer() {
        for (const auto& ask : std::exchange(asked, {})) ask(disk);
    }

    [[nodiscard]] core::PoolCore& pool() noexcept { return core_; }
    [[nodiscard]] facade::StateScribe& scribe() noexcept { return scribe_; }
    [[nodiscard]] const OperationState* operation(std::uint64_t id) const {
        return state.find_operation(RequestId{id});
    }
    [[nodiscard]] const BrowserState& browser(std::uint32_t id) const {
        return *state.find_browser(WorkerId{id});
    }

    core::StateCore state{};
    std::vector<std::string> complaints{};
    std::vector<Transaction> log{};
    std::vector<Durability> durabilities{};
    error_code disk{};        ///< what waiting commits are told
    error_code commits_say{}; ///< what commits return
    bool is_disk_slow{false}; ///< it answers when it is let
    std::vector<facade::StateScribe::WhenDone> asked{};
    TimePoint now{std::chrono::seconds{1000}};
    Duration timeout{std::chrono::seconds{60}};
    Provider provider{Provider::webgpu};
    std::string trouble{"it died"}; ///< of every worker

private:
    /// As plan_resume() makes them: rivals are remembered as what the first worker is.
    static std::vector<facade::ScribeSlot> slots_of(const core::CoreConfig& config,
                                                    FaultToleranceLevel level,
                                                    std::uint64_t generation_base) {
        std::vector<facade::ScribeSlot> out;
        for (const BrowserType browser : config.worker_browsers)
            out.push_back({.browser = browser,
                           .generation_base = generation_base,
                           .settings = {{"fault_tolerance", std::string(name_of(level))}}});
        out.resize(out.size() + config.rival_count, out.front());
        return out;
    }
    CommitResult commit(Transaction step, Durability how, facade::StateScribe::WhenDone done) {
        CommitResult result;
        step.number = number_ + 1;
        step.at = WallTime(now.time_since_epoch());
        const Errc code = state.apply(step, result.diagnostics);
        if (code != Errc::ok) {
            result.code = code;
            return result;
        }
        result.number = ++number_;
        result.code = commits_say;
        log.push_back(std::move(step));
        durabilities.push_back(how);
        if (done && is_disk_slow) asked.push_back(std::move(done));
        else if (done) done(disk);
        return result;
    }

    std::string trouble_of(WorkerId) const override { return trouble; }
    std::string loss_text_of(const core::Notice&) const override { return trouble; }
    BrowserType browser_of(WorkerId worker) const override { return core_.worker(worker).browser; }
    std::string_view model_name_of(ModelId model) const override {
        return model.value == 0 ? "mlp" : "cnn";
    }
    ModelAssignment assignment_of(WorkerId worker, ModelId) const override {
        return {.worker = worker, .provider = provider, .memory_bytes = 100};
    }

    std::uint64_t number_{0};
    core::PoolCore core_;
    facade::StateScribe scribe_;
};

} // namespace everpool::tests
