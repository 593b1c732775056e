// The table of settings, held against the browsers that are installed here: a setting that is said
// to exist stands in their files, and one that is said to be gone does not.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "everpool/browser/profile.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

using namespace everpool;
using namespace everpool::browser;
namespace fs = std::filesystem;

namespace {

std::string contents_of(const fs::path& file) {
    std::string out(fs::file_size(file), '\0');
    std::ifstream in(file, std::ios::binary);
    in.read(out.data(), static_cast<std::streamsize>(out.size()));
    REQUIRE(in);
    return out;
}

bool has(const std::string& haystack, const std::string& needle) {
    const std::boyer_moore_horspool_searcher searcher(needle.begin(), needle.end());
    return std::search(haystack.begin(), haystack.end(), searcher) != haystack.end();
}

/// As a whole: a C string of that name, and no longer one that ends or begins so.
bool has_string(const std::string& haystack, std::string_view text) {
    return has(haystack, '\0' + std::string(text) + '\0');
}

/// The executables of one browser that are there.
std::vector<fs::path> installed(BrowserType type) {
    std::vector<fs::path> out;
    std::error_code ignored;
    for (const std::string_view candidate : candidates_of(type).executables)
        if (candidate.starts_with('/') && fs::is_regular_file(candidate, ignored))
            out.emplace_back(candidate);
    return out;
}

/// CTest reads the words and counts a skipped test as one.
bool is_missing(const std::vector<fs::path>& executables, const char* name) {
    if (executables.empty()) std::printf("skipped: %s is not installed\n", name);
    return executables.empty();
}

} // namespace

TEST_CASE("Chromium has the switches that it is said to have, and no others") {
    const auto executables = installed(BrowserType::chromium);
    if (is_missing(executables, "Chromium")) return;
    for (const fs::path& executable : executables) {
        const std::string bytes = contents_of(executable);
        const bool is_shell = executable.filename().string().find("headless") != std::string::npos;
        for (const ProfileEntry& entry : profile_entries) {
            if (entry.engine != BrowserEngine::chromium) continue;
            CAPTURE(executable, entry.name, entry.value);
            const bool is_here = has_string(bytes, entry.name.substr(2)) &&
                                 // Names of features and adapters are parts of longer strings.
                                 (entry.value.empty() || has(bytes, std::string(entry.value)));
            const bool is_claimed =
                entry.state != SettingState::gone && (is_shell || !entry.is_of_headless_shell_only);
            CHECK(is_here == is_claimed);
        }
    }
}

TEST_CASE("Firefox has the preferences that it is said to have, and no others") {
    const auto executables = installed(BrowserType::firefox);
    if (is_missing(executables, "Firefox")) return;
    const fs::path folder = executables.front().parent_path();
    // Preferences with a meaning of their own are compiled in, the others stand in the archives.
    const std::string library = contents_of(folder / "libxul.so");
    std::string archives;
    for (const char* archive : {"omni.ja", "browser/omni.ja"})
        if (fs::exists(folder / archive)) archives += contents_of(folder / archive);
    for (const ProfileEntry& entry : profile_entries) {
        if (entry.engine != BrowserEngine::gecko) continue;
        CAPTURE(entry.name);
        const bool is_here = has_string(library, entry.name) ||
                             has(archives, "pref(\"" + std::string(entry.name) + '"');
        CHECK(is_here == (entry.state != SettingState::gone));
    }
}

// The table says which entries every worker has anyway, and those are proven with it.
TEST_CASE("WebGPU's switches stand in the installed Chromium") {
    const auto executables = installed(BrowserType::chromium);
    if (is_missing(executables, "Chromium")) return;
    const std::string bytes = contents_of(executables.front());
    for (const char* name : {"enable-unsafe-webgpu", "disable-gpu-process-crash-limit",
                             "disable-domain-blocking-for-3d-apis"})
        CHECK(has_string(bytes, name));
    CHECK_FALSE(has_string(bytes, "everpool-has-no-such-switch")); // the search is not blind
}
