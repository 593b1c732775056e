// SPDX-License-Identifier: BSL-1.0
#include "facade/state_config_check.hpp"
#include "support/catch.hpp"

#include <functional>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using everpool::BrowserStateManagerConfig;
using everpool::facade::checked;

namespace {

/// What the check says after `change` was made to a good configuration; empty: nothing.
std::string complaint(const std::function<void(BrowserStateManagerConfig&)>& change) {
    BrowserStateManagerConfig config;
    change(config);
    try {
        (void)checked(config);
        return {};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

bool names(const std::string& text, const std::string& member) {
    return text.find("BrowserStateManagerConfig::" + member + " must be ") == 0;
}

} // namespace

TEST_CASE(
    "a state's default configuration is within its ranges, and asks the system for processes") {
    CHECK(complaint([](auto&) {}).empty());
    CHECK(checked({}).process_exists);
}

TEST_CASE("a state's member out of range is named, with its range and the value given") {
    CHECK(complaint([](auto& c) { c.commit_interval = 1us; }) ==
          "BrowserStateManagerConfig::commit_interval must be 0.1 ms to 10000 ms, but is 0.001 ms");
    CHECK(complaint([](auto& c) { c.checkpoint_count_kept = 0; }) ==
          "BrowserStateManagerConfig::checkpoint_count_kept must be 1 to 100, but is 0");
    CHECK(names(complaint([](auto& c) { c.commit_interval = 11s; }), "commit_interval"));
    CHECK(names(complaint([](auto& c) { c.checkpoint_interval = 1ms; }), "checkpoint_interval"));
    CHECK(names(complaint([](auto& c) { c.checkpoint_interval = 25h; }), "checkpoint_interval"));
    CHECK(names(complaint([](auto& c) { c.checkpoint_interval = -1ms; }), "checkpoint_interval"));
    CHECK(
        names(complaint([](auto& c) { c.checkpoint_count_kept = 101; }), "checkpoint_count_kept"));
    CHECK(names(complaint([](auto& c) { c.delta_chain_max = 101; }), "delta_chain_max"));
    CHECK(names(complaint([](auto& c) { c.limits.operations_kept = 10'000'001; }),
                "limits.operations_kept"));
    CHECK(names(complaint([](auto& c) { c.transactions_kept = 1'000'001; }), "transactions_kept"));
    CHECK(names(complaint([](auto& c) { c.segment_bytes = 1000; }), "segment_bytes"));
    CHECK(names(complaint([](auto& c) { c.segment_bytes = (1ULL << 30) + 1; }), "segment_bytes"));
    CHECK(names(complaint([](auto& c) { c.compressed_bytes_min = 63; }), "compressed_bytes_min"));
    CHECK(names(complaint([](auto& c) { c.compressed_bytes_min = (64U << 20) + 1; }),
                "compressed_bytes_min"));
}

TEST_CASE("the ends of a state's ranges are within them") {
    CHECK(complaint([](auto& c) { c.commit_interval = 100us; }).empty());
    CHECK(complaint([](auto& c) { c.commit_interval = 10s; }).empty());
    CHECK(complaint([](auto& c) { c.checkpoint_interval = 0s; }).empty());
    CHECK(complaint([](auto& c) { c.checkpoint_interval = 10ms; }).empty());
    CHECK(complaint([](auto& c) { c.checkpoint_interval = 24h; }).empty());
    CHECK(complaint([](auto& c) { c.delta_chain_max = 0; }).empty());
    CHECK(complaint([](auto& c) { c.transactions_kept = 0; }).empty());
    CHECK(complaint([](auto& c) { c.segment_bytes = 64 << 10; }).empty());
    CHECK(complaint([](auto& c) { c.limits.operations_kept = 0; }).empty());
}

TEST_CASE("a state's enumerators are checked, as they may come from a number") {
    CHECK(names(complaint([](auto& c) {
                    c.fault_tolerance = static_cast<everpool::FaultToleranceLevel>(9);
                }),
                "fault_tolerance"));
    CHECK(names(complaint([](auto& c) { c.recovery = static_cast<everpool::RecoveryMode>(9); }),
                "recovery"));
    CHECK(names(complaint([](auto& c) { c.orphans = static_cast<everpool::OrphanPolicy>(9); }),
                "orphans"));
}
