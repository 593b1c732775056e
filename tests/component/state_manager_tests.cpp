// BrowserStateManager as a host uses it: on a real directory, with real processes.
// SPDX-License-Identifier: BSL-1.0
//
// What it does on disks that fail, and under power cuts, is in
// unit/facade/state_keeper_*_tests.cpp; full and read-only disks are in state_trouble_tests.cpp,
// killed hosts in state_kill_tests.cpp.
#include "io/linux/process_identity.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

#include <boost/json/parse.hpp>

#include <everpool/browser_state_manager.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace fs = std::filesystem;
using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

BrowserStateManagerConfig config_in(const TemporaryDirectory& place) {
    return {.directory = place.path / "state", .commit_interval = 10s, .checkpoint_interval = {}};
}

Transaction note(std::string text) {
    Transaction transaction{.actor = "test"};
    transaction.changes.emplace_back(Note{std::move(text)});
    return transaction;
}

Transaction arrival(std::uint32_t id, ProcessIdentity process) {
    Transaction transaction{.actor = "test"};
    transaction.changes.emplace_back(BrowserAdded{{.id = WorkerId{id},
                                                   .connection = ConnectionStatus::ready,
                                                   .generation = Generation{1},
                                                   .process = process}});
    return transaction;
}

/// A process that lives until it is told otherwise.
class Sleeper {
public:
    Sleeper() {
        std::string name = "sleep", time = "1000";
        char* const argv[] = {name.data(), time.data(), nullptr};
        if (::posix_spawnp(&pid_, "sleep", nullptr, nullptr, argv, environ) != 0) pid_ = 0;
        REQUIRE(pid_ != 0);
    }
    ~Sleeper() { end(); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    [[nodiscard]] ProcessIdentity identity() const { return io::identity_of(pid_); }
    void end() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
        pid_ = 0;
    }

private:
    pid_t pid_{0};
};

} // namespace

TEST_CASE("a state is there again when its directory is opened again") {
    const TemporaryDirectory place;
    std::optional<StateSnapshot> before;
    {
        BrowserStateManager state(config_in(place));
        CHECK(state.recovery().is_new);
        CHECK(!state.commit(arrival(1, {})).code);
        Transaction stop{.actor = "test"};
        stop.changes.emplace_back(
            BrowserChanged{.id = WorkerId{1}, .connection = ConnectionStatus::stopped});
        CHECK(!state.commit(std::move(stop)).code);
        before = state.snapshot();
    } // its end makes all of it durable
    BrowserStateManager state(config_in(place));
    CHECK_FALSE(state.recovery().is_new);
    CHECK(state.recovery().last_record == 2);
    CHECK(state.snapshot() == *before);
    CHECK(state.orphans().empty());
    CHECK(state.verify().empty());
}

TEST_CASE("directory and files are their owner's only") {
    const TemporaryDirectory place;
    BrowserStateManager state(config_in(place));
    CHECK(!state.commit(note("1"), Durability::sync).code);
    struct stat found {};
    REQUIRE(::stat((place.path / "state").c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0700);
    for (const auto& file : fs::directory_iterator(place.path / "state")) {
        REQUIRE(::stat(file.path().c_str(), &found) == 0);
        CHECK((found.st_mode & 0777) == 0600);
    }
}

TEST_CASE("the fault tolerance level decides of commits that do not say") {
    const auto commit_at = [](FaultToleranceLevel level, std::optional<Durability> durability) {
        const TemporaryDirectory place;
        BrowserStateManagerConfig config = config_in(place);
        config.fault_tolerance = level;
        BrowserStateManager state(config);
        REQUIRE(!state.commit(note("begins the log"), Durability::sync).code);
        REQUIRE(!state.commit(note("1"), durability).code);
        return state.health();
    };
    for (const auto level : {FaultToleranceLevel::none, FaultToleranceLevel::low}) {
        CHECK(commit_at(level, {}).with_system == 1); // in memory
        CHECK(commit_at(level, Durability::sync).durable == 2);
    }
    for (const auto level : {FaultToleranceLevel::medium, FaultToleranceLevel::high}) {
        CHECK(commit_at(level, {}).durable == 1); // within ten seconds
        CHECK(commit_at(level, Durability::os).with_system == 2);
    }
    CHECK(commit_at(FaultToleranceLevel::critical, {}).durable == 2);
    CHECK(commit_at(FaultToleranceLevel::critical, Durability::none).with_system == 1);
}

TEST_CASE("at level medium nobody asks, and it is durable all the same") {
    const TemporaryDirectory place;
    BrowserStateManagerConfig config = config_in(place);
    config.commit_interval = 1ms;
    BrowserStateManager state(config);
    std::promise<error_code> told;
    CHECK(!state.commit(note("1")).code);
    CHECK(!state.commit(note("2"), Durability::group, [&](error_code ec) { told.set_value(ec); })
               .code);
    auto future = told.get_future();
    REQUIRE(future.wait_for(60s) == std::future_status::ready);
    CHECK(!future.get());
    CHECK(state.health().durable == 2);
}

TEST_CASE("without a directory the state is in memory, and everything else is as with one") {
    BrowserStateManager state;
    CHECK(state.recovery().is_new);
    CHECK(state.commit(arrival(1, {})).number == 1);
    CHECK(state.snapshot().browser_count() == 1);
    CHECK_FALSE(state.health().is_on_disk);
    CHECK(!state.flush());
    CHECK(!state.checkpoint());
    CHECK(state.verify().empty());
    CHECK(state.last_transactions(5).size() == 1);
}

TEST_CASE("a wrong configuration is refused by name, before anything is made") {
    const TemporaryDirectory place;
    BrowserStateManagerConfig config = config_in(place);
    config.checkpoint_count_kept = 0;
    try {
        const BrowserStateManager state(config);
        FAIL("it was taken");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string(error.what()) ==
              "BrowserStateManagerConfig::checkpoint_count_kept must be 1 to 100, but is 0");
    }
    CHECK(fs::is_empty(place.path));
}

TEST_CASE("browsers are reconciled against the processes that really exist") {
    const TemporaryDirectory place;
    Sleeper living, dying;
    const ProcessIdentity alive = living.identity();
    // The number is somebody's, who was started at another time: it was given anew.
    const ProcessIdentity reused{.pid = alive.pid, .start_time_ticks = alive.start_time_ticks + 1};
    {
        BrowserStateManager state(config_in(place));
        CHECK(!state.commit(arrival(1, alive)).code);
        CHECK(!state.commit(arrival(2, dying.identity())).code);
        CHECK(!state.commit(arrival(3, reused)).code);
    }
    dying.end();
    const BrowserStateManager state(config_in(place));
    const StateSnapshot found = state.snapshot();
    CHECK(found.find_browser(WorkerId{1})->connection == ConnectionStatus::disconnected);
    CHECK(found.find_browser(WorkerId{1})->process == alive);
    CHECK(found.find_browser(WorkerId{2})->connection == ConnectionStatus::lost);
    CHECK(found.find_browser(WorkerId{3})->connection == ConnectionStatus::lost);
    CHECK(found.find_browser(WorkerId{3})->process == ProcessIdentity{});
}

TEST_CASE("the log is exported as JSON, a transaction a line, and filtered like any reading") {
    const TemporaryDirectory place;
    BrowserStateManager state(config_in(place));
    CHECK(!state.commit(arrival(1, {})).code);
    CHECK(!state.commit(note("with \"quotes\"\nand a second line")).code);
    CHECK(!state.checkpoint());
    CHECK(!state.commit(note("third")).code);
    std::vector<std::string> lines;
    const auto write = [&](std::string_view line) { lines.emplace_back(line); };
    REQUIRE(!state.export_json_lines(write));
    REQUIRE(lines.size() == 3);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        CHECK(lines[i].back() == '\n');
        CHECK(lines[i].find('\n') == lines[i].size() - 1);
        const boost::json::value parsed = boost::json::parse(lines[i]);
        CHECK(parsed.at("number").to_number<std::uint64_t>() == i + 1);
        CHECK(parsed.at("actor").as_string() == "test");
    }
    CHECK(boost::json::parse(lines[0]).at("changes").at(0).at("action").as_string() ==
          "browser_added");
    CHECK(boost::json::parse(lines[1]).at("changes").at(0).at("text").as_string() ==
          "with \"quotes\"\nand a second line");
    lines.clear();
    REQUIRE(!state.export_json_lines(write, {.action = ChangeKind::browser_added}));
    CHECK(lines.size() == 1);
    std::size_t notes = 0;
    REQUIRE(!state.transactions({.action = ChangeKind::note}, [&](const Transaction&) {
        ++notes;
        return true;
    }));
    CHECK(notes == 2);
    CHECK(state.last_transactions(1).front().number == 3);
}

TEST_CASE("another view is merged, and the merge is in the log") {
    const TemporaryDirectory place;
    BrowserStateManager state(config_in(place)), other;
    CHECK(!state.commit(arrival(1, {})).code);
    CHECK(!other.commit(arrival(1, {})).code);
    Transaction model{.actor = "test"};
    model.changes.emplace_back(ModelRegistered{{.name = "bert"}});
    CHECK(!other.commit(std::move(model)).code);
    const CommitResult result = state.reconcile(other.snapshot(), "the standby");
    CHECK(!result.code);
    CHECK(result.number == 2);
    CHECK(state.snapshot().find_model("bert") != nullptr);
    const auto last = state.last_transactions(1);
    CHECK(std::get<Reconciled>(last.front().changes.front()).source == "the standby");
    CHECK(state.verify().empty());
}
