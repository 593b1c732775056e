// Everpool facade: what a ResourcePoolConfig consists of, by name.
// SPDX-License-Identifier: BSL-1.0
//
// The one list of members, for JSON and for variables. A member stands here as a pointer; its name
// is made from that, so that no name can be that of another member. Who adds a member to one of
// these structs and not to its list cannot compile this file: the list must have as many as there
// are, of these types in this order. (One that stands there twice is found by its test.)
#pragma once

#include "everpool/resource_pool_config.hpp"

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace everpool::facade {

/// The name of a member, from its pointer. Compilers have it in the name of the function: "... At =
/// &everpool::Tolerance::atol", and then "]" or "; ...".
template <auto At>
constexpr std::string_view member_name() noexcept {
    std::string_view text = __PRETTY_FUNCTION__;
    constexpr std::string_view mark = "At = ";
    text.remove_prefix(text.find(mark) + mark.size());
    text = text.substr(0, text.find_first_of(";]"));
    return text.substr(text.rfind(':') + 1);
}
static_assert(member_name<&Tolerance::atol>() == "atol");
static_assert(member_name<&ResourcePoolConfig::seed>() == "seed");

enum class Measure : bool { none, bytes };

/// One member of a struct.
template <auto At, Measure Is = Measure::none>
struct Member {
    static constexpr auto at = At;
    static constexpr std::string_view name = member_name<At>();
    static constexpr bool is_bytes = Is == Measure::bytes;

    template <class Class, class T>
    static T type_of(T Class::*);
    using Type = decltype(type_of(At));
};

/// One that is a number of bytes.
template <auto At>
using Bytes = Member<At, Measure::bytes>;

template <class... Each>
struct MemberList {
    /// Does T begin with these members, in this order?
    template <class T>
    static constexpr bool is_begin_of = requires {
        T{std::declval<typename Each::Type>()...};
    };
    /// Is there room for one more behind them?
    template <class T>
    static constexpr bool is_part_of = requires {
        T{std::declval<typename Each::Type>()..., {}};
    };
    /// Has T these members, in this order, and no others?
    template <class T>
    static constexpr bool is_all_of = is_begin_of<T> && !is_part_of<T>;

    /// Calls `visit` with a Member for each.
    template <class Visit>
    static constexpr void for_each(Visit&& visit) {
        (visit(Each{}), ...);
    }
};

/// The members of T. Only for the structs below.
template <class T>
struct Members {};

template <>
struct Members<Tolerance> : MemberList<Member<&Tolerance::atol>, Member<&Tolerance::rtol>> {};

template <>
struct Members<VoteOptions>
    : MemberList<Member<&VoteOptions::float32>, Member<&VoteOptions::float64>,
                 Member<&VoteOptions::float16>, Member<&VoteOptions::decisions>> {};

template <>
struct Members<RetryBudgetConfig>
    : MemberList<Member<&RetryBudgetConfig::percent_per_success>,
                 Member<&RetryBudgetConfig::saved_max>, Member<&RetryBudgetConfig::floor>,
                 Member<&RetryBudgetConfig::floor_interval>> {};

template <>
struct Members<HedgeOptions>
    : MemberList<Member<&HedgeOptions::enabled>, Member<&HedgeOptions::quantile>,
                 Member<&HedgeOptions::delay_min>, Member<&HedgeOptions::sample_count_min>,
                 Member<&HedgeOptions::budget>> {};

template <>
struct Members<QueuePolicy>
    : MemberList<Member<&QueuePolicy::count_max>, Member<&QueuePolicy::timeout>,
                 Member<&QueuePolicy::timeout_action>> {};

template <>
struct Members<QueuePolicies>
    : MemberList<Member<&QueuePolicies::high>, Member<&QueuePolicies::normal>,
                 Member<&QueuePolicies::low>> {};

template <>
struct Members<WebDriverOptions>
    : MemberList<Member<&WebDriverOptions::endpoint>, Member<&WebDriverOptions::driver>,
                 Member<&WebDriverOptions::capabilities_json>> {};

template <>
struct Members<BrowserSpec>
    : MemberList<Member<&BrowserSpec::type>, Member<&BrowserSpec::count>,
                 Member<&BrowserSpec::executable>, Member<&BrowserSpec::extra_arguments>,
                 Member<&BrowserSpec::extra_preferences>, Member<&BrowserSpec::webdriver>> {};

template <>
struct Members<BrowserPreferences>
    : MemberList<Member<&BrowserPreferences::text>, Member<&BrowserPreferences::vision>,
                 Member<&BrowserPreferences::audio>, Member<&BrowserPreferences::multimodal>> {};

template <>
struct Members<BatchingOptions>
    : MemberList<Member<&BatchingOptions::max_batch>, Member<&BatchingOptions::max_delay>,
                 Member<&BatchingOptions::preferred_sizes>> {};

template <>
struct Members<ModelSpec> : MemberList<Member<&ModelSpec::name>, Member<&ModelSpec::file>,
                                       Member<&ModelSpec::family>, Member<&ModelSpec::providers>,
                                       Member<&ModelSpec::warm_up>, Member<&ModelSpec::batching>> {
};

template <>
struct Members<OperationModule>
    : MemberList<Member<&OperationModule::name>, Member<&OperationModule::file>> {};

template <>
struct Members<FaultToleranceOptions>
    : MemberList<
          Member<&FaultToleranceOptions::level>, Member<&FaultToleranceOptions::recovery_strategy>,
          Member<&FaultToleranceOptions::custom_strategy>, Member<&FaultToleranceOptions::simulate>,
          Member<&FaultToleranceOptions::state_directory>, Member<&FaultToleranceOptions::orphans>,
          Member<&FaultToleranceOptions::on_recovered>,
          Bytes<&FaultToleranceOptions::request_bytes_kept>,
          Member<&FaultToleranceOptions::checkpoint_interval>,
          Member<&FaultToleranceOptions::commit_interval>,
          Member<&FaultToleranceOptions::recovery>> {};

template <>
struct Members<ResourcePoolConfig>
    : MemberList<
          Member<&ResourcePoolConfig::browsers>, Member<&ResourcePoolConfig::standby_count>,
          Member<&ResourcePoolConfig::remote_alternatives>, Member<&ResourcePoolConfig::models>,
          Member<&ResourcePoolConfig::modules>, Member<&ResourcePoolConfig::browser_preferences>,
          Member<&ResourcePoolConfig::default_timeout>, Member<&ResourcePoolConfig::max_attempts>,
          Member<&ResourcePoolConfig::hedge>, Member<&ResourcePoolConfig::vote>,
          Member<&ResourcePoolConfig::on_event>, Member<&ResourcePoolConfig::fault_tolerance>,
          Member<&ResourcePoolConfig::queue_policies>, Member<&ResourcePoolConfig::priority_aging>,
          Member<&ResourcePoolConfig::start_timeout>,
          Member<&ResourcePoolConfig::page_start_timeout>,
          Member<&ResourcePoolConfig::ping_interval>, Member<&ResourcePoolConfig::acceptable_pause>,
          Member<&ResourcePoolConfig::ping_timeout>,
          Member<&ResourcePoolConfig::compute_ping_timeout>,
          Member<&ResourcePoolConfig::hung_operation_grace>,
          Member<&ResourcePoolConfig::canary_interval>,
          Member<&ResourcePoolConfig::restart_delay_min>,
          Member<&ResourcePoolConfig::restart_delay_max>,
          Member<&ResourcePoolConfig::restart_healthy_after>,
          Member<&ResourcePoolConfig::restart_count_max>,
          Member<&ResourcePoolConfig::restart_intensity>,
          Member<&ResourcePoolConfig::restart_period>, Member<&ResourcePoolConfig::fleet_window>,
          Member<&ResourcePoolConfig::stop_grace>, Member<&ResourcePoolConfig::queue_count_max>,
          Member<&ResourcePoolConfig::max_in_flight_per_worker>,
          Bytes<&ResourcePoolConfig::in_flight_bytes_max>,
          Bytes<&ResourcePoolConfig::frame_bytes_max>, Member<&ResourcePoolConfig::seed>> {};

/// A struct that has a list here.
template <class T>
concept HasMembers = requires {
    Members<T>::template is_all_of<T>;
};

namespace detail {

template <class... T>
inline constexpr bool are_listed = (Members<T>::template is_all_of<T> && ...);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_of_program = false;
template <class Signature>
inline constexpr bool is_of_program<std::function<Signature>> = true;
template <class T>
inline constexpr bool is_of_program<std::shared_ptr<T>> = true;
template <>
inline constexpr bool is_of_program<std::optional<WarmUp>> = true;

} // namespace detail

static_assert(detail::are_listed<Tolerance, VoteOptions, RetryBudgetConfig, HedgeOptions>);
static_assert(detail::are_listed<QueuePolicy, QueuePolicies, WebDriverOptions, BrowserSpec>);
static_assert(detail::are_listed<BrowserPreferences, BatchingOptions, ModelSpec, OperationModule>);
static_assert(detail::are_listed<FaultToleranceOptions>);
static_assert(detail::are_listed<ResourcePoolConfig>);

/// What can be set by a program only.
template <class T>
concept OfProgram = detail::is_of_program<T>;

template <class T>
concept Optional = detail::is_optional<T> && !OfProgram<T>;

// -------------------------------------------------------------------------------------------------

/// It has none of its own, as nothing prints it.
constexpr std::string_view name_of(OrphanPolicy policy) noexcept {
    switch (policy) {
    case OrphanPolicy::redispatch: return "redispatch";
    case OrphanPolicy::give_up: return "give_up";
    }
    return "unrecognised";
}

/// Calls `visit` with each enumerator, in order. \pre they are numbered from 0 without a gap
template <class Enum>
requires std::same_as<std::underlying_type_t<Enum>, std::uint8_t>
constexpr void for_each_enumerator(auto&& visit) {
    for (unsigned i = 0; i <= 0xff; ++i) {
        const auto value = static_cast<Enum>(i);
        if (name_of(value) == "unrecognised") return;
        visit(value);
    }
}

} // namespace everpool::facade
