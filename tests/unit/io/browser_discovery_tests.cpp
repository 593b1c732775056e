// The search for browsers on a real file system.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "io/browser.hpp"
#include "support/catch.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace everpool;
namespace fs = std::filesystem;

namespace {

/// A PATH of two directories of its own, and what is put there.
class DiscoveryScene {
public:
    DiscoveryScene() {
        std::string name = (fs::temp_directory_path() / "everpool-test-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        root_ = name;
        fs::create_directory(first());
        fs::create_directory(second());
        const char* path = std::getenv("PATH");
        old_path_ = path == nullptr ? "" : path;
        ::setenv("PATH", (first().string() + ":" + second().string()).c_str(), 1);
    }
    ~DiscoveryScene() {
        ::setenv("PATH", old_path_.c_str(), 1);
        fs::remove_all(root_);
    }
    DiscoveryScene(const DiscoveryScene&) = delete;
    DiscoveryScene& operator=(const DiscoveryScene&) = delete;

    [[nodiscard]] fs::path first() const { return root_ / "first"; }
    [[nodiscard]] fs::path second() const { return root_ / "second"; }

    static void put(const fs::path& file, const char* content, bool is_executable = true) {
        std::ofstream(file) << content;
        fs::permissions(file, is_executable ? fs::perms::owner_all
                                            : fs::perms::owner_read | fs::perms::owner_write);
    }

    struct Found {
        fs::path executable;
        error_code ec;
        Diagnostics diagnostics;
    };
    static Found find(BrowserType type, const fs::path& executable = {}) {
        BrowserSpec spec;
        spec.type = type;
        spec.executable = executable;
        Found found;
        found.executable = io::find_browser(spec, found.ec, found.diagnostics);
        return found;
    }

private:
    fs::path root_;
    std::string old_path_;
};

constexpr const char* script = "#!/bin/sh\nexec real-browser \"$@\"\n";
constexpr const char* program = "\x7f"
                                "ELF as far as this test goes";

/// A kind of browser that is not installed on this machine, so that only the PATH can have it.
BrowserType absent_browser() {
    for (const BrowserType type : {BrowserType::edge, BrowserType::chrome}) {
        bool is_installed = false;
        for (const std::string_view candidate : browser::candidates_of(type).executables)
            is_installed = is_installed || (candidate.front() == '/' && fs::exists(candidate));
        if (!is_installed) return type;
    }
    WARN("skipped: every kind of browser is installed here");
    return BrowserType::chromium;
}

std::string name_in_path(BrowserType type) {
    return std::string(browser::candidates_of(type).executables.back());
}

} // namespace

TEST_CASE("a browser that is nowhere is not found, and all that was searched is named") {
    const BrowserType type = absent_browser();
    if (type == BrowserType::chromium) return;
    const DiscoveryScene scene;
    const DiscoveryScene::Found found = DiscoveryScene::find(type);
    CHECK(found.ec == Errc::browser_not_found);
    CHECK(found.executable.empty());
    for (const std::string_view candidate : browser::candidates_of(type).executables)
        CHECK(found.diagnostics.message.find(candidate) != std::string::npos);
    CHECK(found.diagnostics.remedy.find(browser::candidates_of(type).package) != std::string::npos);
}

TEST_CASE("the PATH is searched from its beginning, for programs only") {
    const BrowserType type = absent_browser();
    if (type == BrowserType::chromium) return;
    const DiscoveryScene scene;
    const std::string name = name_in_path(type);

    fs::create_directory(scene.first() / name);
    CHECK(DiscoveryScene::find(type).ec == Errc::browser_not_found);
    fs::remove(scene.first() / name);

    DiscoveryScene::put(scene.first() / name, program, false);
    CHECK(DiscoveryScene::find(type).ec == Errc::browser_not_found);

    DiscoveryScene::put(scene.second() / name, program);
    CHECK(DiscoveryScene::find(type).executable == scene.second() / name);

    DiscoveryScene::put(scene.first() / name, program);
    CHECK(DiscoveryScene::find(type).executable == scene.first() / name);
}

TEST_CASE("a script is passed over, and named if nothing else is found") {
    const BrowserType type = absent_browser();
    if (type == BrowserType::chromium) return;
    const DiscoveryScene scene;
    const fs::path wrapper = scene.first() / name_in_path(type);
    DiscoveryScene::put(wrapper, script);
    const DiscoveryScene::Found found = DiscoveryScene::find(type);
    CHECK(found.ec == Errc::browser_not_found);
    CHECK(found.diagnostics.message.find(wrapper.string() + " is a script") != std::string::npos);

    const fs::path real = scene.second() / name_in_path(type);
    DiscoveryScene::put(real, program);
    CHECK(DiscoveryScene::find(type).executable == real);
}

TEST_CASE("an executable that the user names is taken as it is, a script too") {
    const DiscoveryScene scene;
    const fs::path wrapper = scene.first() / "my-browser";
    DiscoveryScene::put(wrapper, script);
    CHECK(DiscoveryScene::find(BrowserType::chromium, wrapper).executable == wrapper);
    CHECK(DiscoveryScene::find(BrowserType::firefox, wrapper).executable == wrapper);
}

TEST_CASE("an executable that the user names and that is none is refused by its name") {
    const DiscoveryScene scene;
    const fs::path text = scene.first() / "notes.txt";
    DiscoveryScene::put(text, "not a program", false);
    for (const fs::path& file : {text, scene.first(), scene.first() / "nothing"}) {
        const DiscoveryScene::Found found = DiscoveryScene::find(BrowserType::firefox, file);
        CHECK(found.ec == Errc::browser_not_found);
        CHECK(found.diagnostics.message ==
              "firefox: '" + file.string() + "' is not an executable file");
        CHECK(found.diagnostics.remedy.find("BrowserSpec::executable") != std::string::npos);
    }
}

TEST_CASE("an empty PATH is searched as well") {
    const DiscoveryScene scene;
    ::setenv("PATH", "", 1);
    const BrowserType type = absent_browser();
    if (type == BrowserType::chromium) return;
    CHECK(DiscoveryScene::find(type).ec == Errc::browser_not_found);
    ::unsetenv("PATH");
    CHECK(DiscoveryScene::find(type).ec == Errc::browser_not_found);
}

TEST_CASE("what is found of this machine's browsers is a program, not a script") {
    for (const BrowserType type :
         {BrowserType::chromium, BrowserType::chrome, BrowserType::edge, BrowserType::firefox}) {
        const DiscoveryScene::Found found = DiscoveryScene::find(type);
        if (found.ec) continue;
        CAPTURE(found.executable);
        std::ifstream file(found.executable, std::ios::binary);
        std::string beginning(4, '\0');
        file.read(beginning.data(), 4);
        CHECK(beginning == "\x7f"
                           "ELF");
    }
}

TEST_CASE("a browser whose WebDriver is missing is not found, and the words name the driver") {
    BrowserSpec spec;
    spec.type = BrowserType::webkit;
    spec.executable = "/bin/true";
    spec.webdriver.driver = "/nonexistent/driver";
    error_code ec;
    Diagnostics diagnostics;
    CHECK(io::find_browser(spec, ec, diagnostics).empty());
    CHECK(ec == Errc::browser_not_found);
    CHECK(diagnostics.message.find("'/nonexistent/driver'") != std::string::npos);
    CHECK(diagnostics.remedy.find("webdriver.driver") != std::string::npos);

    const DiscoveryScene empty_path;
    spec.type = BrowserType::edge; // no distribution puts its driver into /usr/bin
    spec.webdriver = {.capabilities_json = "{}"};
    if (fs::exists("/usr/bin/msedgedriver")) return;
    CHECK(io::find_browser(spec, ec, diagnostics).empty());
    CHECK(ec == Errc::browser_not_found);
    CHECK(diagnostics.message.find("no WebDriver for edge was found") != std::string::npos);
    CHECK(diagnostics.message.find("msedgedriver") != std::string::npos);
    CHECK(diagnostics.remedy.find("install msedgedriver") != std::string::npos);
}

TEST_CASE("at a WebDriver endpoint nothing is looked for") {
    BrowserSpec spec;
    spec.type = BrowserType::edge;
    spec.webdriver.endpoint = "http://127.0.0.1:9515";
    error_code ec;
    Diagnostics diagnostics;
    CHECK(io::find_browser(spec, ec, diagnostics).empty());
    CHECK_FALSE(ec);
}
