// Who waits for a recovery hears of its end, once, and of no other worker's.
// SPDX-License-Identifier: BSL-1.0
#include "facade/recovery_desk.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"
#include "support/told_results.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

using namespace everpool;
using namespace std::chrono_literals;
using core::LossCause;
using core::Notice;
using facade::RecoveryDesk;
using facade::WaitTicket;
using What = Notice::What;

namespace {

constexpr WorkerId w0{0}, w1{1};

using RecoveriesTold = tests::ToldResults<RecoveryRecord>;

class DeskScene {
public:
    DeskScene() {
        desk_.open({.worker_count = 2, .strategy = RecoveryStrategy::progressive}, 2, "progressive",
                   FaultToleranceLevel::none);
        say({.what = What::worker_starting, .worker = w0});
        say({.what = What::worker_starting, .worker = w1});
    }

    void say(const Notice& notice) { desk_.on(notice, BrowserType::chromium, now_); }
    void make_ready(WorkerId worker) { say({.what = What::worker_ready, .worker = worker}); }
    void lose(WorkerId worker) {
        make_ready(worker);
        say({.what = What::worker_lost, .worker = worker, .cause = LossCause::page_crashed});
        say({.what = What::worker_starting,
             .worker = worker,
             .cause = LossCause::page_crashed,
             .rung = RecoveryRung::reload_page});
    }
    [[nodiscard]] std::shared_ptr<RecoveriesTold> wait(WorkerId worker, WaitTicket ticket = {}) {
        auto told = std::make_shared<RecoveriesTold>();
        desk_.wait(worker, ticket,
                   {tests::handler_into<RecoveryRecord>(told), context_.get_executor()});
        return told;
    }
    [[nodiscard]] RecoveryDesk& desk() noexcept { return desk_; }
    /// What has been completed until now is told.
    void settle() { tests::settle(context_); }

private:
    boost::asio::io_context context_{1};
    RecoveryDesk desk_{context_.get_executor()};
    TimePoint now_{1h};
};

} // namespace

TEST_CASE("who waits for a recovery is told what it was, when the worker is ready again") {
    DeskScene scene;
    scene.lose(w0);
    const auto told = scene.wait(w0), others = scene.wait(w1);
    scene.settle();
    CHECK(told->empty());
    scene.make_ready(w0);
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK_FALSE(told->front().first);
    CHECK(told->front().second.cause == "page_crashed");
    CHECK(told->front().second.outcome == RecoveryOutcome::recovered);
    CHECK(others->empty());
    scene.desk().end_all(Errc::cancelled);
}

TEST_CASE("who waits for a first start hears of its end, which is no recovery's") {
    DeskScene scene;
    const auto told = scene.wait(w0);
    scene.make_ready(w0);
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK_FALSE(told->front().first);
    CHECK(told->front().second.worker.is_none());
    CHECK(told->front().second.path.empty());
}

TEST_CASE("of a worker that is given up the error is its last start's") {
    DeskScene scene;
    scene.lose(w0);
    const auto told = scene.wait(w0);
    const Errc code = GENERATE(Errc::browser_launch_failed, Errc::browser_not_found,
                               Errc::worker_lost, Errc::worker_unresponsive);
    scene.say({.what = What::worker_failed, .worker = w0, .code = code});
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK(told->front().first == code);
    CHECK(told->front().second.outcome == RecoveryOutcome::given_up);
}

TEST_CASE("nobody is left waiting by a pool that has found itself broken") {
    DeskScene scene;
    scene.lose(w0);
    const auto first = scene.wait(w0), second = scene.wait(w1);
    scene.desk().end_all(Errc::internal_error);
    scene.say({.what = What::worker_stopped, .worker = w0}); // too late to be told to anybody
    scene.settle();
    REQUIRE(first->size() == 1);
    CHECK(first->front().first == Errc::internal_error);
    REQUIRE(second->size() == 1);
    CHECK(second->front().first == Errc::internal_error);
}

TEST_CASE("who cancels a wait is told so, and the others hear of the end") {
    DeskScene scene;
    scene.lose(w0);
    const auto cancelled = scene.wait(w0, {1}), patient = scene.wait(w0, {2});
    scene.desk().withdraw({1});
    scene.settle();
    REQUIRE(cancelled->size() == 1);
    CHECK(cancelled->front().first == Errc::cancelled);
    CHECK(patient->empty());
    scene.make_ready(w0);
    scene.settle();
    CHECK(cancelled->size() == 1);
    REQUIRE(patient->size() == 1);
    CHECK_FALSE(patient->front().first);
    CHECK(patient->front().second.outcome == RecoveryOutcome::recovered);
}

// The slot stays connected, and what is cancelled through it by then is something else.
TEST_CASE("a cancellation that comes after the end changes nothing") {
    DeskScene scene;
    scene.lose(w0);
    const auto told = scene.wait(w0, {1}), other = scene.wait(w1, {2});
    scene.make_ready(w0);
    scene.desk().withdraw({1});
    scene.settle();
    REQUIRE(told->size() == 1);
    CHECK_FALSE(told->front().first);
    CHECK(other->empty());
    scene.desk().end_all(Errc::cancelled);
}
