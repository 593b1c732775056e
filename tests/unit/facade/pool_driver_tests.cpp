// What a pool tells of itself, as far as it needs no browser that ever answers.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "facade/pool_driver.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/silent_browser.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <memory>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace everpool;
using facade::PoolDriver;
using Kind = PoolEvent::Kind;

namespace everpool::facade {

/// Does what only a bug of Everpool does, and what only the core does.
struct PoolDriverProbe {
    static void break_core(PoolDriver& driver, std::string_view why) {
        driver.performing_ = true; // as in any step
        driver.core_.on_broken(why, PoolDriver::now(), driver.actions_);
        driver.perform_all();
        driver.work_off();
    }
    static void tell(PoolDriver& driver, const core::Notice& notice) { driver.perform(notice); }
};

} // namespace everpool::facade

namespace {

/// A pool of one browser, on this thread: nothing happens but within these functions.
class PoolScene {
public:
    explicit PoolScene(ResourcePoolConfig config = of_little_tolerance())
        : driver_(
              std::make_shared<PoolDriver>(context_.get_executor(), watched(std::move(config)))) {}
    ~PoolScene() {
        driver_->close_listeners();
        on_strand([&] { driver_->abort(); });
    }
    PoolScene(const PoolScene&) = delete;
    PoolScene& operator=(const PoolScene&) = delete;

    void start() {
        on_strand([&] {
            driver_->start([this](error_code ec, const StartReport&) { started_.push_back(ec); });
        });
    }
    /// \return what who waits for a recovery of that worker is told
    [[nodiscard]] std::shared_ptr<std::vector<error_code>> recover(WorkerId worker) {
        auto told = std::make_shared<std::vector<error_code>>();
        on_strand([&] {
            driver_->recover(driver_->next_wait(), worker,
                             categorize_browser_failure(PageCrashed{}, {}),
                             [told](error_code ec, const RecoveryRecord&) { told->push_back(ec); });
        });
        return told;
    }
    void break_core(std::string_view why) {
        on_strand([&] { facade::PoolDriverProbe::break_core(*driver_, why); });
    }
    void tell(const core::Notice& notice) {
        on_strand([&] { facade::PoolDriverProbe::tell(*driver_, notice); });
    }

    [[nodiscard]] const std::vector<error_code>& started() const noexcept { return started_; }
    [[nodiscard]] std::vector<PoolEvent> events(Kind kind) const {
        std::vector<PoolEvent> out = events_;
        std::erase_if(out, [kind](const PoolEvent& event) { return event.kind != kind; });
        return out;
    }

private:
    static ResourcePoolConfig of_little_tolerance() {
        ResourcePoolConfig config;
        config.fault_tolerance.level = FaultToleranceLevel::none;
        return config;
    }
    ResourcePoolConfig watched(ResourcePoolConfig config) {
        config.browsers = {browser_.spec()};
        config.on_event = [this](const PoolEvent& event) { events_.push_back(event); };
        return config;
    }
    template <class Body>
    void on_strand(Body body) {
        boost::asio::post(driver_->strand(), std::move(body));
        tests::settle(context_);
    }

    tests::SilentBrowser browser_;
    boost::asio::io_context context_{1};
    std::vector<PoolEvent> events_;
    std::vector<error_code> started_;
    std::shared_ptr<PoolDriver> driver_;
};

} // namespace

TEST_CASE("a pool that finds itself broken says so once, with what it found and what to do") {
    PoolScene scene;
    scene.start();
    CHECK(scene.events(Kind::warning).empty());
    scene.break_core("found by a test");
    scene.break_core("found by it once more");
    const std::vector<PoolEvent> warnings = scene.events(Kind::warning);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].code == Errc::internal_error);
    CHECK(warnings[0].diagnostics.message ==
          "the pool stops: its invariant 'found by a test' does not hold");
    CHECK_FALSE(warnings[0].diagnostics.remedy.empty());
    CHECK(scene.started() == std::vector<error_code>{Errc::internal_error});
}

// The last word of a worker that such a pool kills may never come.
TEST_CASE("nobody waits for a recovery in a pool that is broken, neither before nor afterwards") {
    PoolScene scene;
    scene.start();
    const auto before = scene.recover(WorkerId{0});
    CHECK(before->empty()); // its browser is being started
    scene.break_core("found by a test");
    CHECK(*before == std::vector<error_code>{Errc::internal_error});
    CHECK(*scene.recover(WorkerId{0}) == std::vector<error_code>{Errc::internal_error});
}

TEST_CASE("a level that wants more workers than there are is told of at the start, as a warning") {
    ResourcePoolConfig config;
    config.fault_tolerance.level = FaultToleranceLevel::high;
    config.standby_count = 0;
    PoolScene scene(config);
    CHECK(scene.events(Kind::warning).empty());
    scene.start();
    const std::vector<PoolEvent> warnings = scene.events(Kind::warning);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].code == Errc::ok); // nothing has failed
    CHECK(warnings[0].diagnostics.message.find("level high") == 0);
    CHECK_FALSE(warnings[0].diagnostics.remedy.empty());
    CHECK(scene.started().empty()); // it goes on
}

TEST_CASE("the event of a lost worker says who found its answer wrong") {
    using enum WrongAnswerFinder;
    const WrongAnswerFinder finder = GENERATE(canary, vote, warm_up);
    CAPTURE(name_of(finder));
    PoolScene scene;
    scene.start();
    scene.tell({.what = core::Notice::What::worker_lost,
                .worker = WorkerId{0},
                .generation = {1},
                .cause = core::LossCause::wrong_answer,
                .found_by = finder});
    const std::vector<PoolEvent> lost = scene.events(Kind::worker_lost);
    REQUIRE(lost.size() == 1);
    REQUIRE(lost[0].failure);
    CHECK(std::get<WrongAnswer>(lost[0].failure->evidence).found_by == finder);
    CHECK(lost[0].diagnostics.message.find(name_of(finder)) != std::string::npos);
}
