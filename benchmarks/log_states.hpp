// A state manager at work, for the benchmark of the log: operations that are submitted, sent,
// finished.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "log_store.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

namespace bench {

/// Checkpoints only when they are asked for; all else is the default.
inline everpool::BrowserStateManagerConfig state_config(const std::filesystem::path& directory) {
    return {.directory = directory, .checkpoint_interval = {}};
}

inline void commit(everpool::BrowserStateManager& state, everpool::Transaction transaction,
                   everpool::Durability durability) {
    const auto result = state.commit(std::move(transaction), durability);
    check(!result.code, result.code.message() + " " + result.diagnostics.text());
}

/// The transactions of one operation after the other: each has three. With the request's 640 bytes,
/// which survive the host along with it, a record has some 256 B on average.
class OperationLives {
public:
    OperationLives() {
        std::vector<std::byte> bytes(640);
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<std::byte>(i * i * 2654435761U >> 16);
        payload_ = everpool::Payload(std::move(bytes));
    }

    /// The first: the browser that they run on.
    [[nodiscard]] everpool::Transaction browser() const {
        return make(everpool::BrowserAdded{
            {.id = worker_, .connection = everpool::ConnectionStatus::ready, .generation = life_}});
    }

    [[nodiscard]] everpool::Transaction next() {
        const everpool::RequestId id{1 + step_ / 3};
        switch (step_++ % 3) {
        case 0:
            return make(everpool::OperationSubmitted{.id = id,
                                                     .operation = "inference",
                                                     .model = "bert-base",
                                                     .inputs_digest = id.value,
                                                     .is_idempotent = true,
                                                     .payload = payload_});
        case 1: return make(everpool::OperationDispatched{id, worker_, life_});
        default: break;
        }
        everpool::Transaction end = make(everpool::OperationFinished{.id = id, .worker = worker_});
        end.changes.emplace_back(
            everpool::MetricRecorded{.key = {.model = "bert-base", .operation = "inference"},
                                     .duration = std::chrono::milliseconds(20)});
        return end;
    }

private:
    static everpool::Transaction make(everpool::Change change) {
        everpool::Transaction out;
        out.actor = "pool";
        out.changes.push_back(std::move(change));
        return out;
    }

    everpool::Payload payload_;
    const everpool::WorkerId worker_{0};
    const everpool::Generation life_{1};
    std::uint64_t step_{0};
};

} // namespace bench
