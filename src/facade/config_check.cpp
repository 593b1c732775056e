// SPDX-License-Identifier: BSL-1.0
#include "facade/config_check.hpp"

#include "everpool/request.hpp"
#include "everpool/state_change.hpp"
#include "facade/range_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace everpool::facade {

namespace {

constexpr std::size_t name_bytes_max = 128;

const RangeCheck check_range("ResourcePoolConfig");

[[noreturn]] void refuse(std::string_view member, std::string_view must, std::string_view got) {
    check_range.refuse(member, must, got);
}

void check_name(std::string_view member, std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    // "." and ".." would name directories in the paths that pages fetch from.
    if (name.empty() || name.size() > name_bytes_max || name == "." || name == ".." ||
        !std::all_of(name.begin(), name.end(), allowed))
        refuse(member, "1 to 128 characters of [A-Za-z0-9._-]",
               '\'' + escape_remote_text(name, 200) + '\'');
}

void check_models(const ResourcePoolConfig& config) {
    check_range("models.size()", config.models.size(), 0, model_count_max);
    std::set<std::string_view> seen;
    for (const ModelSpec& model : config.models) {
        check_name("models[].name", model.name);
        if (!seen.insert(model.name).second)
            refuse("models[].name", "unique", '\'' + model.name + "' twice");
        if (model.providers.empty())
            refuse("models[].providers", "not empty", "empty for '" + model.name + '\'');
        if (!model.warm_up) continue;
        for (const Tensor& input : model.warm_up->inputs)
            if (!input.is_consistent())
                refuse("models[].warm_up->inputs",
                       "tensors with as many bytes as dtype and shape ask for",
                       input.describe() + " with " + fmt::to_string(input.data.bytes.size()) +
                           " bytes for '" + model.name + '\'');
    }
}

void check_modules(const ResourcePoolConfig& config) {
    check_range("modules.size()", config.modules.size(), 0, model_count_max);
    std::set<std::string_view> seen{"echo", "inference", "compute"};
    for (const OperationModule& module : config.modules) {
        check_name("modules[].name", module.name);
        if (!seen.insert(module.name).second)
            refuse("modules[].name", "unique and not the name of a built-in operation",
                   '\'' + module.name + '\'');
    }
}

void check_fault_tolerance(const FaultToleranceOptions& options) {
    using namespace std::chrono_literals;
    if (name_of(options.level) == "unrecognised")
        refuse("fault_tolerance.level", "a FaultToleranceLevel", "no enumerator");
    if (name_of(options.recovery) == "unrecognised")
        refuse("fault_tolerance.recovery", "a RecoveryMode", "no enumerator");
    if (options.orphans != OrphanPolicy::redispatch && options.orphans != OrphanPolicy::give_up)
        refuse("fault_tolerance.orphans", "an OrphanPolicy", "no enumerator");
    const std::string_view directory = "fault_tolerance.state_directory";
    const bool is_kept = durability_of(options.level) != Durability::none;
    if (!is_kept && !options.state_directory.empty())
        refuse(directory, fmt::format("empty at level {}", name_of(options.level)),
               '\'' + escape_remote_text(options.state_directory.string(), 200) + '\'');
    if (options.level == FaultToleranceLevel::critical && options.state_directory.empty())
        refuse(directory, "given at level critical", "empty");
    check_range("fault_tolerance.request_bytes_kept", options.request_bytes_kept, 0,
                state_payload_bytes_max);
    if (options.checkpoint_interval != 0ns)
        check_range("fault_tolerance.checkpoint_interval", options.checkpoint_interval, 10ms, 24h);
    check_range("fault_tolerance.commit_interval", options.commit_interval, 100us, 10s);
}

} // namespace

void check_config(const ResourcePoolConfig& config) {
    using namespace std::chrono_literals;
    std::uint64_t workers = 0;
    for (const BrowserSpec& browser : config.browsers) {
        check_range("browsers[].count", browser.count, 1, worker_count_max);
        // Another engine, another protocol: started as one of the others, it would never answer.
        if (browser.type == BrowserType::webkit)
            refuse("browsers[].type", "chromium, chrome, edge or firefox", "webkit");
        workers += browser.count;
    }
    check_range("browsers (sum of count)", workers, 1, worker_count_max);
    check_models(config);
    check_modules(config);
    check_fault_tolerance(config.fault_tolerance);
    check_range("default_timeout", config.default_timeout, 1ms, 24h);
    check_range("max_attempts", config.max_attempts, 1, 100);
    check_range("start_timeout", config.start_timeout, 1s, 1h);
    check_range("ping_interval", config.ping_interval, 10ms, 1h);
    check_range("ping_timeout", config.ping_timeout, 10ms, 1h);
    check_range("compute_ping_timeout", config.compute_ping_timeout, 10ms, 24h);
    check_range("restart_delay_min", config.restart_delay_min, 1ms, 1h);
    check_range("restart_delay_max", config.restart_delay_max, config.restart_delay_min, 24h);
    check_range("restart_count_max", config.restart_count_max, 1, 1000);
    check_range("stop_grace", config.stop_grace, 0ms, 60s);
    check_range("queue_count_max", config.queue_count_max, 1, 1'000'000);
    check_range("max_in_flight_per_worker", config.max_in_flight_per_worker, 1, 1024);
    check_range("in_flight_bytes_max", config.in_flight_bytes_max, 1, 1ULL << 40);
    check_range("frame_bytes_max", config.frame_bytes_max, 64ULL << 10, 1ULL << 30);
}

std::vector<BrowserSpec> expand_browsers(const ResourcePoolConfig& config) {
    std::vector<BrowserSpec> out;
    for (const BrowserSpec& browser : config.browsers)
        for (std::uint32_t i = 0; i < browser.count; ++i) out.push_back(browser);
    return out;
}

} // namespace everpool::facade
