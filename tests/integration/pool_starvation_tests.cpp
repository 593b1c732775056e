// A real browser that gets no processor.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/answering_threads.hpp"
#include "io/browser.hpp"
#include "io/linux/proc_file.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/thread_file.hpp"
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/processors.hpp"
#include "support/test_models.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

/// All threads of a process group share one processor with twenty programs that never leave it, and
/// run when nobody else wants to, as far as there is such a thing: a few milliseconds in a second or
/// two. All are of one session, for the kernel may share by sessions. Until it is destroyed.
class Famine {
public:
    explicit Famine(int group) : group_(group) {
        for (pid_t& rival : rivals_) {
            rival = ::fork();
            if (rival != 0) continue;
            ::sched_setaffinity(0, sizeof one_, &one_);
            for (volatile bool is_over = false; !is_over;) {}
        }
        schedule(SCHED_IDLE, one_);
    }
    /// Over at once: who is killed needs a turn on that processor to die, and so all are first.
    ~Famine() {
        for (const pid_t rival : rivals_)
            if (rival > 0) ::kill(rival, SIGKILL);
        schedule(SCHED_OTHER, usable_);
        for (const pid_t rival : rivals_)
            if (rival > 0) ::waitpid(rival, nullptr, 0);
    }
    Famine(const Famine&) = delete;
    Famine& operator=(const Famine&) = delete;

private:
    void schedule(int policy, const cpu_set_t& where) const {
        const sched_param none{};
        for (const int process : io::members_of_group(group_)) {
            for (const int thread : io::threads_of(process)) {
                ::sched_setaffinity(thread, sizeof where, &where);
                ::sched_setscheduler(thread, policy, &none);
            }
        }
    }

    const int group_;
    const cpu_set_t usable_{usable_processors()}, one_{first_processor()};
    std::array<pid_t, 20> rivals_{};
};

} // namespace

TEST_CASE("a browser that gets no processor for a while is not taken for one that hangs") {
    // Only root may take back the priority that Famine gives away.
    if (!tells_run_times() || ::geteuid() != 0) return;
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config;
    config.browsers.resize(1);
    config.browsers[0].type = type;
    config.models = {spec_of(mlp, ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    const auto run = [&] {
        const Answer answer = test.run(Request::inference("mlp", mlp.samples[1].inputs));
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        REQUIRE(largest_difference(answer.result.outputs, mlp.samples[1].outputs) <= 1e-4);
    };
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (test.pool().snapshot().starvations == 0 && std::chrono::steady_clock::now() < limit) {
        run();
        const Famine famine(test.pool().snapshot().workers.at(0).process_id);
        // Longer than silence is forgiven, and less than the 3 s after which nothing excuses it.
        std::this_thread::sleep_for(1600ms);
    }
    CHECK(test.pool().snapshot().starvations > 0);
    run();
    CHECK(test.told_by(PoolEvent::Kind::worker_lost) == ""); // says why
    test.stop();
}

TEST_CASE("the threads that answer are in a browser by the names that are looked for") {
    const BrowserType type =
        GENERATE(BrowserType::chromium, BrowserType::firefox, BrowserType::webkit);
    CAPTURE(name_of(type));
    ResourcePoolConfig config;
    config.browsers.resize(1);
    config.browsers[0].type = type;
    error_code ec;
    Diagnostics why;
    (void)io::find_browser(config.browsers[0], ec, why);
    if (ec) return; // not every system has a WebKit to be driven
    config.models = {spec_of(samples_of("mlp"), ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    std::set<std::string, std::less<>> names;
    for (const int process : io::members_of_group(test.pool().snapshot().workers[0].process_id))
        for (const int thread : io::threads_of(process))
            names.insert(io::state_of_thread(process, thread).name);
    CHECK(names.contains(browser::compute_thread(engine_of(type))));
    for (const std::string_view name : browser::answering_threads(engine_of(type))) {
        CAPTURE(name);
        CHECK(names.contains(name));
    }
    test.stop();
}
