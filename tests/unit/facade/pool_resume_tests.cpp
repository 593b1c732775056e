// What a pool makes of the state that a previous host left.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_core.hpp"
#include "facade/config_check.hpp"
#include "facade/kept_model.hpp"
#include "facade/kept_request.hpp"
#include "facade/pool_resume.hpp"
#include "support/catch.hpp"
#include "support/test_models.hpp"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using facade::plan_resume;
using facade::ResumePlan;
using tests::models_dir;

namespace {

/// What a host left, and what another one starts with.
struct ResumeScene {
    core::StateCore state{};
    ResourcePoolConfig config{};
    std::vector<OrphanedOperation> orphans{};
    ResumePlan plan{};
    Diagnostics diagnostics{};

    void left(Change change) {
        Transaction step{.number = state.version() + 1, .changes = {std::move(change)}};
        Diagnostics why;
        const Errc code = state.apply(step, why);
        INFO(why.message);
        REQUIRE(code == Errc::ok);
    }
    /// Worker 0 of a host with that level.
    void ran_at(FaultToleranceLevel level) {
        left(BrowserAdded{{.id = WorkerId{0},
                           .settings = {{"fault_tolerance", std::string(name_of(level))}},
                           .generation = {1}}});
    }
    Errc resume() {
        return plan_resume(state.snapshot(), orphans, config, facade::expand_browsers(config), plan,
                           diagnostics);
    }
    /// The plan's changes are such as the state allows.
    void carry_out() {
        for (Change& change : plan.changes) left(std::move(change));
    }
};

ModelSpec mlp(std::string name = "mlp") {
    ModelSpec spec;
    spec.name = std::move(name);
    spec.file = models_dir / "mlp.onnx";
    spec.providers = {Provider::webgpu, Provider::wasm};
    return spec;
}

/// Submitted, and given to worker 0 so often.
OrphanedOperation orphan(ResumeScene& scene, std::uint64_t id, bool is_idempotent,
                         std::uint32_t attempts, Payload payload) {
    scene.left(OperationSubmitted{.id = {id},
                                  .operation = "echo",
                                  .is_idempotent = is_idempotent,
                                  .payload = std::move(payload)});
    for (std::uint32_t i = 0; i < attempts; ++i) {
        const Generation life = scene.state.find_browser(WorkerId{0})->generation;
        scene.left(OperationDispatched{.id = {id}, .worker = WorkerId{0}, .generation = life});
        scene.left(OperationRequeued{.id = {id}, .worker = WorkerId{0}});
    }
    return {*scene.state.find_operation({id}), is_idempotent || attempts == 0};
}

} // namespace

TEST_CASE("a new state gets the workers and models of the configuration") {
    ResumeScene scene;
    scene.config.browsers[0].count = 2;
    scene.config.models = {mlp()};
    REQUIRE(scene.resume() == Errc::ok);
    CHECK(scene.plan.request_base == 0);
    CHECK(scene.plan.models.empty());
    CHECK(scene.plan.slots.size() == 2);
    scene.carry_out();
    CHECK(scene.state.find_browser(WorkerId{1}) != nullptr);
    CHECK(scene.state.find_model("mlp") != nullptr);
}

TEST_CASE("a model that only the state knows is registered again, one that has changed anew") {
    ResumeScene scene;
    scene.left(ModelRegistered{facade::state_of(mlp("kept"))});
    scene.left(ModelRegistered{facade::state_of(mlp("changed"))});
    scene.left(ModelRegistered{facade::state_of(mlp("same"))});
    ModelSpec changed = mlp("changed");
    changed.providers = {Provider::wasm};
    scene.config.models = {changed, mlp("same")};
    REQUIRE(scene.resume() == Errc::ok);
    REQUIRE(scene.plan.models.size() == 1);
    CHECK(scene.plan.models[0].name == "kept");
    CHECK(scene.plan.warnings.empty());
    const std::size_t count = scene.plan.changes.size();
    CHECK(count == 3); // the browser, and one model out and in
    scene.carry_out();
    CHECK(scene.state.find_model("changed")->providers == changed.providers);
}

TEST_CASE("a model that cannot be registered again is left out, with a warning that says why") {
    ResumeScene scene;
    ModelSpec gone = mlp("gone");
    gone.file = models_dir / "no-such.onnx";
    ModelState odd = facade::state_of(mlp());
    odd.name = "../odd";
    ModelState none = facade::state_of(mlp("none"));
    none.providers.clear();
    scene.left(ModelRegistered{facade::state_of(gone)});
    scene.left(ModelRegistered{odd});
    scene.left(ModelRegistered{none});
    REQUIRE(scene.resume() == Errc::ok);
    CHECK(scene.plan.models.empty());
    REQUIRE(scene.plan.warnings.size() == 3);
    CHECK(scene.plan.warnings[1].message.find("no-such.onnx") != std::string::npos);
}

TEST_CASE("a slot keeps its generations, and its settings if the same kind of browser is there") {
    ResumeScene scene;
    for (std::uint32_t i = 0; i < 3; ++i)
        scene.left(BrowserAdded{{.id = WorkerId{i},
                                 .connection = ConnectionStatus::lost,
                                 .settings = {{"model.mlp", "wasm"}},
                                 .restarts = 4,
                                 .generation = {9}}});
    scene.config.browsers = {{.type = BrowserType::chromium}, {.type = BrowserType::firefox}};
    REQUIRE(scene.resume() == Errc::ok);
    REQUIRE(scene.plan.slots.size() == 2);
    CHECK(scene.plan.slots[0].generation_base == 9);
    CHECK(scene.plan.slots[0].restarts_base == 4);
    CHECK(scene.plan.providers[0].at("mlp") == Provider::wasm);
    CHECK(scene.plan.slots[1].generation_base == 9);
    CHECK(scene.plan.slots[1].restarts_base == 4);
    CHECK_FALSE(scene.plan.slots[1].settings.contains("model.mlp"));
    CHECK(scene.plan.providers[1].empty());
    scene.carry_out();
    CHECK(scene.state.find_browser(WorkerId{0})->restarts == 4);
    CHECK(scene.state.find_browser(WorkerId{0})->connection == ConnectionStatus::disconnected);
    CHECK(scene.state.find_browser(WorkerId{1})->type == BrowserType::firefox);
    CHECK(scene.state.find_browser(WorkerId{1})->generation == Generation{9});
    CHECK(scene.state.find_browser(WorkerId{1})->restarts == 4);
    CHECK(scene.state.find_browser(WorkerId{2}) == nullptr);
}

TEST_CASE("after an orderly stop the order of providers counts again") {
    ResumeScene scene;
    scene.left(BrowserAdded{{.id = WorkerId{0},
                             .connection = ConnectionStatus::stopped,
                             .settings = {{"model.mlp", "wasm"}}}});
    REQUIRE(scene.resume() == Errc::ok);
    CHECK(scene.plan.providers[0].empty());
}

TEST_CASE("a browser that seems to live has nothing loaded in the new host") {
    ResumeScene scene;
    scene.config.models = {mlp()};
    scene.left(BrowserAdded{{.id = WorkerId{0},
                             .connection = ConnectionStatus::disconnected,
                             .process = {.pid = 1, .start_time_ticks = 1}}});
    scene.left(ModelRegistered{facade::state_of(mlp())});
    scene.left(ModelAssigned{"mlp", {.worker = WorkerId{0}}});
    REQUIRE(scene.resume() == Errc::ok);
    scene.carry_out();
    CHECK(scene.state.find_model("mlp")->assignments.empty());
    CHECK(scene.state.find_browser(WorkerId{0})->process == ProcessIdentity{});
}

TEST_CASE("operations are executed again if they may be and their request was kept") {
    ResumeScene scene;
    scene.ran_at(FaultToleranceLevel::critical);
    const Payload kept = facade::keep(Request::echo({}), 1000);
    scene.orphans = {orphan(scene, 3, true, 1, kept),
                     orphan(scene, 4, false, 0, kept),
                     orphan(scene, 5, true, 1, {}),
                     orphan(scene, 6, true, 0, {}),
                     orphan(scene, 7, true, 1, Payload({std::byte{9}})),
                     orphan(scene, 8, false, 1, kept)};
    scene.left(OperationFinished{
        .id = {8}, .status = OperationStatus::outcome_unknown, .code = Errc::outcome_unknown});
    scene.orphans.back() = {*scene.state.find_operation({8}), false};
    REQUIRE(scene.resume() == Errc::ok);
    CHECK(scene.plan.request_base == 8);
    REQUIRE(scene.plan.again.size() == 2);
    CHECK(scene.plan.again[0].operation.id == RequestId{3});
    CHECK(scene.plan.again[0].request.idempotent == true);
    CHECK(scene.plan.again[1].request.idempotent == false);
    REQUIRE(scene.plan.settled.size() == 4);
    const auto& settled = scene.plan.settled;
    CHECK(settled[0].code == Errc::outcome_unknown);
    CHECK(settled[0].result.diagnostics.message.find("request_bytes_kept") != std::string::npos);
    CHECK(settled[1].code == Errc::cancelled);
    CHECK(settled[2].code == Errc::outcome_unknown);
    CHECK(settled[3].code == Errc::outcome_unknown);
    scene.carry_out();
    CHECK(scene.state.find_operation({5})->status == OperationStatus::outcome_unknown);
    CHECK(scene.state.find_operation({6})->status == OperationStatus::cancelled);
    CHECK(scene.state.unfinished_count() == 2);
}

// A request that kills its host must not kill each host that comes after it.
TEST_CASE("what has been executed as often as it may be is not executed by another host") {
    ResumeScene scene;
    scene.ran_at(FaultToleranceLevel::medium);
    scene.config.max_attempts = 2;
    const auto kept = [](std::uint32_t attempts_max) {
        Request request = Request::echo({});
        request.max_attempts = attempts_max;
        return facade::keep(request, 1000);
    };
    scene.orphans = {orphan(scene, 1, true, 1, kept(0)), orphan(scene, 2, true, 2, kept(0)),
                     orphan(scene, 3, true, 4, kept(5)), orphan(scene, 4, true, 5, kept(5)),
                     orphan(scene, 5, true, 1, kept(1))};
    REQUIRE(scene.resume() == Errc::ok);
    REQUIRE(scene.plan.again.size() == 2);
    CHECK(scene.plan.again[0].operation.id == RequestId{1});
    CHECK(scene.plan.again[0].request.max_attempts == 1); // those that are left
    CHECK(scene.plan.again[1].operation.id == RequestId{3});
    CHECK(scene.plan.again[1].request.max_attempts == 1);
    REQUIRE(scene.plan.settled.size() == 3);
    for (const RecoveredOperation& one : scene.plan.settled) {
        CHECK(one.code == Errc::worker_lost);
        CHECK_FALSE(one.was_executed_again);
        CHECK(one.result.attempts == one.operation.attempts);
        CHECK(one.result.diagnostics.message.find("attempts are used up") != std::string::npos);
        CHECK(one.result.diagnostics.remedy.find("max_attempts") != std::string::npos);
    }
    scene.carry_out();
    CHECK(scene.state.find_operation({2})->status == OperationStatus::failed);
    CHECK(scene.state.find_operation({2})->code == Errc::worker_lost);
    CHECK(scene.state.unfinished_count() == 2);
}

// Its newest records may be missing, among them that of an operation's start.
TEST_CASE("below level critical nothing is taken for never sent") {
    for (const bool is_known : {true, false}) {
        ResumeScene scene;
        if (is_known) scene.ran_at(FaultToleranceLevel::high);
        else scene.left(BrowserAdded{{.id = WorkerId{0}, .generation = {1}}});
        scene.config.fault_tolerance.level = FaultToleranceLevel::critical; // of the new host
        const Payload kept = facade::keep(Request::echo({}), 1000);
        scene.orphans = {orphan(scene, 1, true, 0, kept), orphan(scene, 2, false, 0, kept),
                         orphan(scene, 3, true, 0, {}), orphan(scene, 4, false, 0, kept)};
        scene.left(OperationFinished{.id = {4},
                                     .status = OperationStatus::cancelled,
                                     .code = Errc::cancelled}); // as OrphanPolicy::give_up does
        scene.orphans.back() = {*scene.state.find_operation({4}), false};
        REQUIRE(scene.resume() == Errc::ok);
        REQUIRE(scene.plan.again.size() == 1);
        CHECK(scene.plan.again[0].operation.id == RequestId{1});
        REQUIRE(scene.plan.settled.size() == 3);
        for (const RecoveredOperation& one : scene.plan.settled)
            CHECK(one.code == Errc::outcome_unknown);
        scene.carry_out();
        CHECK(scene.state.find_operation({2})->code == Errc::outcome_unknown);
        CHECK(scene.state.unfinished_count() == 1);
    }
}

TEST_CASE("each browser says under which level it runs") {
    ResumeScene scene;
    scene.ran_at(FaultToleranceLevel::critical);
    scene.config.browsers[0].count = 2;
    scene.config.fault_tolerance.level = FaultToleranceLevel::high;
    REQUIRE(scene.resume() == Errc::ok);
    scene.carry_out();
    for (const std::uint32_t i : {0U, 1U}) {
        CHECK(scene.state.find_browser(WorkerId{i})->settings.at("fault_tolerance") == "high");
        CHECK(scene.plan.slots[i].settings.at("fault_tolerance") == "high");
    }
}

TEST_CASE("a state whose ids leave no room is not gone on from") {
    ResumeScene scene;
    scene.left(OperationSubmitted{.id = {(1ULL << 53) - 1}, .operation = "echo"});
    CHECK(scene.resume() == Errc::storage_damaged);
    CHECK_FALSE(scene.diagnostics.message.empty());
}
