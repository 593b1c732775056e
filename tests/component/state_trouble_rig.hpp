// Tests: a state on disk that is to be opened where it cannot be.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "support/catch.hpp"
#include "support/directory_contents.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

inline BrowserStateManagerConfig trouble_config(const std::filesystem::path& directory,
                                                RecoveryMode mode = RecoveryMode::point_in_time) {
    BrowserStateManagerConfig config;
    config.directory = directory;
    config.recovery = mode;
    config.commit_interval = std::chrono::milliseconds(1);
    config.checkpoint_interval = Duration::zero();
    config.segment_bytes = 64 << 10;
    return config;
}

/// Of the size that is given, and not to be compressed.
inline Transaction submission(std::uint64_t id, std::size_t bytes = 1000) {
    std::vector<std::byte> payload(bytes);
    std::uint32_t noise = static_cast<std::uint32_t>(id) * 2'654'435'761U + 1;
    for (std::byte& b : payload) {
        noise = noise * 1'664'525U + 1'013'904'223U;
        b = static_cast<std::byte>(noise >> 24);
    }
    Transaction out;
    out.actor = "host";
    out.changes.emplace_back(OperationSubmitted{.id = RequestId{id},
                                                .operation = "inference",
                                                .is_idempotent = true,
                                                .payload = Payload(std::move(payload))});
    return out;
}

/// All of them are durable in the end.
inline void submit(BrowserStateManager& manager, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t id = first; id <= last; ++id) {
        const CommitResult result = manager.commit(submission(id), Durability::none);
        INFO(result.diagnostics.text());
        REQUIRE_FALSE(result.code);
    }
    REQUIRE_FALSE(manager.flush());
}

/// Exactly the operations 1 to `last`, with their payloads, and nothing is wrong.
inline void require_operations(const BrowserStateManager& manager, std::uint64_t last) {
    const StateSnapshot state = manager.snapshot();
    std::uint64_t count = 0;
    state.visit_operations([&](const OperationState& operation) {
        const Transaction was = submission(operation.id.value, operation.payload.bytes().size());
        CHECK(std::get<OperationSubmitted>(was.changes.front()).payload == operation.payload);
        ++count;
    });
    CHECK(count == last);
    for (std::uint64_t id = 1; id <= last; ++id)
        CHECK(state.find_operation(RequestId{id}) != nullptr);
    CHECK(manager.verify() == std::vector<std::string>{});
}

/// A log of some segments, with checkpoints, of operations 1 to 200.
inline void make_state(const std::filesystem::path& directory) {
    BrowserStateManager manager(trouble_config(directory));
    submit(manager, 1, 80);
    REQUIRE_FALSE(manager.checkpoint(CheckpointDemand::full));
    submit(manager, 81, 120);
    REQUIRE_FALSE(manager.checkpoint(CheckpointDemand::any));
    submit(manager, 121, 200);
}

/// As make_state() left it.
inline void require_state(const std::filesystem::path& directory) {
    const BrowserStateManager manager(trouble_config(directory));
    INFO(manager.recovery().text());
    CHECK(manager.recovery().ending == LogEnding::clean);
    CHECK(manager.recovery().checkpoints_read == 2);
    require_operations(manager, 200);
}

struct Refusal {
    error_code code;
    Diagnostics why;
};

/// Opens it, in vain. It must say which directory is meant, and what to do.
inline Refusal refused(const BrowserStateManagerConfig& config) {
    try {
        const BrowserStateManager manager(config);
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.diagnostics().message.find(config.directory.string()) != std::string::npos);
        CHECK_FALSE(error.diagnostics().remedy.empty());
        return {error.code(), error.diagnostics()};
    }
    FAIL("it was opened");
    return {};
}

/// The same, and not a byte of what is there may change.
inline Refusal refused_unchanged(const BrowserStateManagerConfig& config) {
    const DirectoryContents before = contents_of(config.directory);
    Refusal refusal = refused(config);
    CHECK(contents_of(config.directory) == before);
    return refusal;
}

inline bool mentions(const std::string& text, std::string_view what) {
    UNSCOPED_INFO(text);
    return text.find(what) != std::string::npos;
}

} // namespace everpool::tests
