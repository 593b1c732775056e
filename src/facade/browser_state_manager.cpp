// Everpool facade: BrowserStateManager, which hands everything on to a StateKeeper.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser_state_manager.hpp"

#include "everpool/core/state_json.hpp"
#include "facade/state_config_check.hpp"
#include "facade/state_keeper.hpp"
#include "io/linux/file_directory.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace everpool {

class BrowserStateManager::Body : public facade::StateKeeper {
public:
    using StateKeeper::StateKeeper;

    static std::unique_ptr<Body> open(BrowserStateManagerConfig config) {
        config = facade::checked(std::move(config));
        std::unique_ptr<io::FileDirectory> directory;
        Diagnostics why;
        if (!config.directory.empty())
            if (const error_code ec = io::FileDirectory::open(config.directory, directory, why))
                throw Error(ec, std::move(why));
        const std::string path = config.directory.string();
        try {
            return std::make_unique<Body>(std::move(config), std::move(directory));
        } catch (const Error& error) {
            throw Error(error.code(), located(error.diagnostics(), path));
        }
    }

private:
    /// Not everything that can refuse knows where it is.
    static Diagnostics located(Diagnostics why, const std::string& path) {
        if (why.message.find(path) == why.message.npos)
            why.message = fmt::format("the state in {}: {}", path, why.message);
        return why;
    }
};

BrowserStateManager::BrowserStateManager(BrowserStateManagerConfig config)
    : body_(Body::open(std::move(config))) {}

BrowserStateManager::~BrowserStateManager() = default;

const RecoveryReport& BrowserStateManager::recovery() const noexcept { return body_->recovery(); }

const std::vector<OrphanedOperation>& BrowserStateManager::orphans() const noexcept {
    return body_->orphans();
}

CommitResult BrowserStateManager::commit(Transaction transaction,
                                         std::optional<Durability> durability) {
    return body_->commit(std::move(transaction),
                         durability.value_or(durability_of(body_->config().fault_tolerance)));
}

CommitResult BrowserStateManager::commit(Transaction transaction, Durability durability,
                                         std::function<void(error_code)> when_done) {
    return body_->commit(std::move(transaction), durability, std::move(when_done));
}

error_code BrowserStateManager::flush() { return body_->flush(); }
StateSnapshot BrowserStateManager::snapshot() const { return body_->snapshot(); }
StateStorageHealth BrowserStateManager::health() const { return body_->health(); }

error_code BrowserStateManager::checkpoint(CheckpointDemand demand) {
    return body_->checkpoint(demand);
}

std::vector<std::string> BrowserStateManager::verify() const { return body_->verify(); }

CommitResult BrowserStateManager::reconcile(const StateSnapshot& other, std::string_view whose,
                                            AbsentRecords absent) {
    return body_->reconcile(other, whose, absent);
}

error_code
BrowserStateManager::transactions(const TransactionFilter& filter,
                                  const std::function<bool(const Transaction&)>& visit) const {
    return body_->visit(1, filter, visit);
}

std::vector<Transaction> BrowserStateManager::last_transactions(std::size_t count) const {
    return body_->last_transactions(count);
}

error_code
BrowserStateManager::export_json_lines(const std::function<void(std::string_view)>& write,
                                       const TransactionFilter& filter) const {
    std::string line;
    return body_->visit(1, filter, [&](const Transaction& transaction) {
        line.clear();
        core::append_json_line(line, transaction);
        write(line);
        return true;
    });
}

} // namespace everpool
