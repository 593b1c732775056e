// SPDX-License-Identifier: BSL-1.0
#include "facade/config_check.hpp"

#include "everpool/browser/firefox_preferences.hpp"
#include "everpool/browser/webdriver_endpoint.hpp"
#include "everpool/request.hpp"
#include "everpool/state_change.hpp"
#include "everpool/wire/json_check.hpp"
#include "facade/range_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace everpool::facade {

namespace {

constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t capabilities_bytes_max = std::size_t{64} << 10;
constexpr std::size_t capabilities_depth_max = 16;
constexpr std::size_t remote_alternative_count_max = 16;

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

void check_tensors(std::string_view member, const std::vector<Tensor>& tensors,
                   const ModelSpec& model) {
    for (const Tensor& tensor : tensors)
        if (!tensor.is_consistent())
            refuse(member, "tensors with as many bytes as dtype and shape ask for",
                   tensor.describe() + " with " + fmt::to_string(tensor.data.bytes.size()) +
                       " bytes for '" + model.name + '\'');
}

void check_batching(const BatchingOptions& batching, ModelFamily family) {
    using namespace std::chrono_literals;
    if (batching.max_batch)
        check_range("models[].batching->max_batch", *batching.max_batch, 1, 4096);
    check_range("models[].batching->max_delay", batching.max_delay, 0ms, 10s);
    std::uint32_t least = 1;
    for (const std::uint32_t size : batching.preferred_sizes) {
        if (size < least || size > batching.rows_max(family))
            refuse("models[].batching->preferred_sizes",
                   fmt::format("ascending, 1 to max_batch ({})", batching.rows_max(family)),
                   fmt::to_string(size));
        least = size + 1;
    }
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
        check_range("models[].providers.size()", model.providers.size(), 1, 8);
        if (name_of(model.family) == "unrecognised")
            refuse("models[].family", "a ModelFamily", "no enumerator for '" + model.name + '\'');
        if (model.batching) check_batching(*model.batching, model.family);
        if (!model.warm_up) continue;
        check_tensors("models[].warm_up->inputs", model.warm_up->inputs, model);
        check_tensors("models[].warm_up->answer", model.warm_up->answer, model);
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

/// `list`: the member that the browser stands in.
void check_webdriver(const std::string& list, const WebDriverOptions& options) {
    const auto quoted = [](std::string_view text) {
        return '\'' + escape_remote_text(text, 200) + '\'';
    };
    if (!options.endpoint.empty() && !browser::webdriver_endpoint_from(options.endpoint))
        refuse(list + "[].webdriver.endpoint",
               "empty or http://HOST[:PORT][/PATH], without user and password",
               quoted(options.endpoint));
    if (!options.endpoint.empty() && !options.driver.empty())
        refuse(list + "[].webdriver.driver", "empty where webdriver.endpoint is given",
               quoted(options.driver.string()));
    const std::string_view capabilities = options.capabilities_json;
    check_range(list + "[].webdriver.capabilities_json.size()", capabilities.size(), 0,
                capabilities_bytes_max);
    if (!capabilities.empty() && !wire::is_json_object(capabilities, capabilities_depth_max))
        refuse(
            list + "[].webdriver.capabilities_json",
            fmt::format("empty or a JSON object, nested at most {} deep", capabilities_depth_max),
            quoted(capabilities));
}

void check_browser(const std::string& list, const BrowserSpec& browser) {
    if (!browser.extra_preferences.empty() && browser.type != BrowserType::firefox)
        refuse(list + "[].extra_preferences", "empty but for firefox",
               fmt::format("{} for {}", browser.extra_preferences.size(), name_of(browser.type)));
    for (const auto& [name, value] : browser.extra_preferences)
        if (!browser::is_firefox_preference(name, value))
            refuse(list + "[].extra_preferences",
                   "a name of [A-Za-z0-9._+-] with true, false, an integer or a quoted text",
                   '\'' + escape_remote_text(name, 200) + "' = '" + escape_remote_text(value, 200) +
                       '\'');
    check_webdriver(list, browser.webdriver);
}

void check_remote_alternatives(const std::vector<BrowserSpec>& browsers) {
    const std::string list = "remote_alternatives";
    check_range(list + ".size()", browsers.size(), 0, remote_alternative_count_max);
    for (const BrowserSpec& browser : browsers) {
        if (browser.count != 1) refuse(list + "[].count", "1", fmt::to_string(browser.count));
        if (browser.webdriver.endpoint.empty())
            refuse(list + "[].webdriver.endpoint", "given", "empty");
        check_browser(list, browser);
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
    if (options.recovery_strategy > RecoveryStrategy::custom)
        refuse("fault_tolerance.recovery_strategy", "a RecoveryStrategy", "no enumerator");
    const bool is_custom = options.recovery_strategy == RecoveryStrategy::custom;
    if (is_custom != (options.custom_strategy != nullptr))
        refuse("fault_tolerance.custom_strategy",
               is_custom
                   ? "given for the strategy custom"
                   : fmt::format("empty for the strategy {}", name_of(options.recovery_strategy)),
               is_custom ? "empty" : fmt::format("'{}'", options.custom_strategy->name()));
    check_range("fault_tolerance.request_bytes_kept", options.request_bytes_kept, 0,
                state_payload_bytes_max);
    if (options.checkpoint_interval != 0ns)
        check_range("fault_tolerance.checkpoint_interval", options.checkpoint_interval, 10ms, 24h);
    check_range("fault_tolerance.commit_interval", options.commit_interval, 100us, 10s);
}

void check_queue_policy(const std::string& name, const QueuePolicy& policy) {
    using namespace std::chrono_literals;
    const std::string member = "queue_policies." + name;
    if (policy.count_max) check_range(member + ".count_max", *policy.count_max, 1, 1'000'000);
    if (policy.timeout) check_range(member + ".timeout", *policy.timeout, 1ms, 24h);
    if (name_of(policy.timeout_action) == "unrecognised")
        refuse(member + ".timeout_action", "a TimeoutAction", "no enumerator");
}

} // namespace

void check_config(const ResourcePoolConfig& config) {
    using namespace std::chrono_literals;
    std::uint64_t workers = 0;
    for (const BrowserSpec& browser : config.browsers) {
        check_range("browsers[].count", browser.count, 1, worker_count_max);
        check_browser("browsers", browser);
        workers += browser.count;
    }
    check_range("browsers (sum of count)", workers, 1, worker_count_max);
    if (config.standby_count) check_range("standby_count", *config.standby_count, 0, 8);
    check_range("browsers (sum of count, with standbys and rivals)",
                workers + standby_count(config) + rival_count(config), 1, worker_count_max);
    check_remote_alternatives(config.remote_alternatives);
    check_models(config);
    check_modules(config);
    check_fault_tolerance(config.fault_tolerance);
    check_range("default_timeout", config.default_timeout, 1ms, 24h);
    check_range("max_attempts", config.max_attempts, 1, 100);
    check_range("hedge.delay_min", config.hedge.delay_min, 0ms, 1min);
    check_range("hedge.sample_count_min", config.hedge.sample_count_min, 10, 20'000);
    if (!(config.hedge.quantile >= 0.5 && config.hedge.quantile <= 0.999))
        refuse("hedge.quantile", "0.5 to 0.999", fmt::format("{}", config.hedge.quantile));
    check_config(config.hedge.budget);
    check_config(config.vote);
    check_range("start_timeout", config.start_timeout, 1s, 1h);
    check_range("page_start_timeout", config.page_start_timeout, 100ms, 1h);
    check_range("ping_interval", config.ping_interval, 10ms, 30s);
    check_range("acceptable_pause", config.acceptable_pause, 0ms, 1h);
    check_range("ping_timeout", config.ping_timeout, config.ping_interval, 1h);
    check_range("hung_operation_grace", config.hung_operation_grace, 10ms, 1h);
    check_range("compute_ping_timeout", config.compute_ping_timeout, 10ms, 24h);
    if (config.canary_interval != 0ms)
        check_range("canary_interval", config.canary_interval, 10ms, 24h);
    check_range("restart_delay_min", config.restart_delay_min, 1ms, 1h);
    check_range("restart_delay_max", config.restart_delay_max, config.restart_delay_min, 24h);
    check_range("restart_healthy_after", config.restart_healthy_after, 0ms, 24h);
    check_range("restart_count_max", config.restart_count_max, 1, 1000);
    check_range("restart_intensity", config.restart_intensity, 1, 1000);
    check_range("restart_period", config.restart_period, 0ms, 24h);
    check_range("fleet_window", config.fleet_window, 1s, 24h);
    check_range("stop_grace", config.stop_grace, 0ms, 60s);
    check_range("queue_count_max", config.queue_count_max, 1, 1'000'000);
    check_queue_policy("high", config.queue_policies.high);
    check_queue_policy("normal", config.queue_policies.normal);
    check_queue_policy("low", config.queue_policies.low);
    check_range("priority_aging", config.priority_aging, 0ms, 24h);
    check_range("max_in_flight_per_worker", config.max_in_flight_per_worker, 1, 1024);
    check_range("in_flight_bytes_max", config.in_flight_bytes_max, 1, 1ULL << 40);
    check_range("frame_bytes_max", config.frame_bytes_max, 64ULL << 10, 1ULL << 30);
}

std::uint32_t work_count(const ResourcePoolConfig& config) {
    return static_cast<std::uint32_t>(config.models.size() + 2 + config.modules.size());
}

std::vector<core::BatchRule> batch_rules(const ResourcePoolConfig& config) {
    std::vector<core::BatchRule> out;
    std::uint32_t first_work = work_count(config);
    for (const ModelSpec& model : config.models) {
        core::BatchRule& rule = out.emplace_back();
        if (model.batching)
            rule = {.rows_max = model.batching->rows_max(model.family),
                    .delay_max = model.batching->max_delay,
                    .preferred = model.batching->preferred_sizes};
        rule.first_work = static_cast<std::uint16_t>(first_work);
        first_work += rule.work_count();
    }
    if (std::ranges::none_of(out, &core::BatchRule::joins)) out.clear();
    return out;
}

std::uint16_t work_of(const ResourcePoolConfig& config, std::string_view operation, ModelId model) {
    if (!model.is_none()) return static_cast<std::uint16_t>(model.value);
    const std::size_t echo = config.models.size();
    if (operation == "compute") return static_cast<std::uint16_t>(echo + 1);
    const auto module = std::ranges::find(config.modules, operation, &OperationModule::name);
    if (module == config.modules.end()) return static_cast<std::uint16_t>(echo);
    return static_cast<std::uint16_t>(echo + 2 + (module - config.modules.begin()));
}

std::uint32_t standby_count(const ResourcePoolConfig& config) {
    return config.standby_count.value_or(measures_of(config.fault_tolerance.level).standbys);
}

std::uint32_t rival_count(const ResourcePoolConfig& config) {
    return config.fault_tolerance.recovery_strategy == RecoveryStrategy::parallel ? 2 : 0;
}

std::vector<BrowserSpec> expand_browsers(const ResourcePoolConfig& config) {
    std::vector<BrowserSpec> out;
    for (const BrowserSpec& browser : config.browsers)
        for (std::uint32_t i = 0; i < browser.count; ++i) out.push_back(browser);
    return out;
}

} // namespace everpool::facade
