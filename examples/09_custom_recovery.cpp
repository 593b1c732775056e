// 9. A recovery strategy of the host's own: the kind of failure decides whether the page is made
//    anew, the browser restarted, or another one takes its place.
//     09_custom_recovery <directory with mlp.onnx>
// SPDX-License-Identifier: BSL-1.0
#include <boost/asio/use_future.hpp>

#include <everpool/browser/failure_classification.hpp>
#include <everpool/everpool.hpp>
#include <everpool/recovery_manager.hpp>

#include <cstdio>

class CustomRecoveryManager final : public everpool::BrowserRecoveryStrategy {
public:
    std::string_view name() const noexcept override { return "by_category"; }
    std::optional<everpool::RecoveryRung>
    next(const everpool::RecoverySituation& now) const override {
        using enum everpool::BrowserFailureCategory;
        switch (now.category) {
        case connection: return reconnect_->next(now);
        case crash: return restart_->next(now);
        case memory: return failover_->next(now);
        default: return progressive_->next(now);
        }
    }

private:
    using Part = std::shared_ptr<const everpool::BrowserRecoveryStrategy>;
    using By = everpool::RecoveryStrategy;
    const Part reconnect_ = everpool::make_recovery_strategy(By::reconnect);
    const Part restart_ = everpool::make_recovery_strategy(By::restart);
    const Part failover_ = everpool::make_recovery_strategy(By::failover);
    const Part progressive_ = everpool::make_recovery_strategy(By::progressive);
};

int main(int argc, char** argv) try {
    using namespace everpool;
    if (argc != 2) return 2;
    ResourcePoolConfig config;
    config.models = {{.name = "mlp", .file = std::filesystem::path(argv[1]) / "mlp.onnx"}};
    config.fault_tolerance.recovery_strategy = RecoveryStrategy::custom;
    config.fault_tolerance.custom_strategy = std::make_shared<CustomRecoveryManager>();
    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    runtime.start(pool);

    RecoveryManager recovery{pool};
    for (const FailureEvidence& seen :
         {FailureEvidence{ConnectionClosed{}}, FailureEvidence{PageCrashed{.reason = "crashed"}}}) {
        const BrowserFailure failure = categorize_browser_failure(seen);
        const RecoveryRecord record =
            recovery.async_recover(WorkerId{0}, failure, boost::asio::use_future).get();
        std::printf("%s: %s\n", std::string(name_of(failure.category)).c_str(),
                    record.text().c_str());
    }
    runtime.stop(pool);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
