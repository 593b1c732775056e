// A host that is killed leaves no browser after two seconds and no directory after the next start.
// SPDX-License-Identifier: BSL-1.0
#include "io/browser.hpp"
#include "support/catch.hpp"
#include "support/processes.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
using everpool::tests::proc_file;
using everpool::tests::processes_of;
using namespace std::chrono_literals;

namespace {

std::set<std::string> nests() {
    std::set<std::string> out;
    std::error_code ignored;
    const fs::path common = fs::temp_directory_path() / ("everpool-" + std::to_string(::geteuid()));
    for (const auto& entry : fs::directory_iterator(common, ignored))
        if (entry.is_directory()) out.insert(entry.path().string());
    return out;
}

/// As Firefox's crash helper is: in a session of its own, where no group's end finds it, and with
/// its home in the nest.
void start_daemon_in(const std::string& nest) {
    const std::string command =
        "HOME=" + nest + "/1 setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $!";
    FILE* const shell = ::popen(command.c_str(), "r");
    REQUIRE(shell != nullptr);
    char line[64];
    REQUIRE(std::fgets(line, sizeof line, shell) != nullptr);
    ::pclose(shell);
    const int daemon = std::stoi(line);
    const auto begun = std::chrono::steady_clock::now();
    while (proc_file(daemon, "environ").find("HOME=" + nest) == std::string::npos) {
        REQUIRE(std::chrono::steady_clock::now() - begun < 10s);
        std::this_thread::yield();
    }
}

/// Within two seconds.
bool are_all_gone(const std::string& nest) {
    const auto begun = std::chrono::steady_clock::now();
    while (!processes_of(nest).empty()) {
        if (std::chrono::steady_clock::now() - begun > 2s) return false;
        std::this_thread::yield();
    }
    return true;
}

void kill_host_when_ready(const char* mode) {
    const auto before = nests();
    // popen's shell execs the program, so that its pid is the host's.
    const std::string command =
        "exec " EVERPOOL_DOOMED_HOST " " + std::string(mode) + " & echo $!; wait";
    FILE* const host = ::popen(command.c_str(), "r");
    REQUIRE(host != nullptr);
    char line[64];
    REQUIRE(std::fgets(line, sizeof line, host) != nullptr);
    const int pid = std::stoi(line);
    std::vector<int> browsers;
    while (std::fgets(line, sizeof line, host) != nullptr && std::string(line) != "ready\n")
        browsers.push_back(std::stoi(line));
    REQUIRE(browsers.size() == 3);

    // Another host may have come up meanwhile.
    const auto is_the_hosts = [&](const std::string& candidate) {
        return std::ranges::any_of(processes_of(candidate), [&](int process) {
            return std::ranges::find(browsers, process) != browsers.end();
        });
    };
    std::string nest;
    for (const std::string& candidate : nests())
        if (before.count(candidate) == 0 && is_the_hosts(candidate)) nest = candidate;
    REQUIRE_FALSE(nest.empty());
    REQUIRE_FALSE(processes_of(nest).empty());

    start_daemon_in(nest);

    REQUIRE(::kill(pid, SIGKILL) == 0);
    CHECK(are_all_gone(nest));
    ::pclose(host);

    const everpool::io::BrowserNest next; // the next start
    CHECK(nests().count(nest) == 0);
}

} // namespace

TEST_CASE("a host killed while its browsers run leaves nothing") { kill_host_when_ready("ready"); }

TEST_CASE("a host killed while its browsers are starting leaves nothing") {
    kill_host_when_ready("early");
}

TEST_CASE("a nest removes its directory, and two nests do not disturb each other") {
    std::string kept;
    {
        const everpool::io::BrowserNest first;
        const auto one = nests();
        everpool::io::BrowserNest second;
        CHECK(nests().size() == one.size() + 1);
        const fs::path directory = second.make_directory();
        CHECK(fs::exists(directory));
        CHECK((fs::status(directory).permissions() & fs::perms::all) == fs::perms::owner_all);
        kept = directory.string();
        start_daemon_in(directory.parent_path().string());
    }
    CHECK_FALSE(fs::exists(kept));
    CHECK(are_all_gone(fs::path(kept).parent_path().string()));
}
