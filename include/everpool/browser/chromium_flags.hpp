// Everpool browser: the command line of Chromium's family, each switch with its reason.
// SPDX-License-Identifier: BSL-1.0
//
// Measured on Chromium 156 (headless and headless shell). No switch here weakens the sandbox or web
// security; the one that does, --no-sandbox, is added only where Chromium does not run otherwise.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::browser {

inline constexpr std::string_view chromium_flags[] = {
    // Control: a pipe on descriptors 3 and 4 instead of a port that anybody could connect to. The
    // browser exits when the pipe closes, so it does not outlive its host.
    "--remote-debugging-pipe",

    // Silence: without these a worker asks dozens of foreign hosts at each start.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-quic",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",

    // WebGPU also on software adapters, which a machine without a GPU has. Every result says so.
    "--enable-unsafe-webgpu",
    // WebNN where the build has a backend for it; the page probes it before offering it.
    "--enable-features=WebMachineLearningNeuralNetwork",

    // The pool counts failures itself. Chromium's own rules (content/browser/gpu) are against pages
    // and drivers that go on killing the GPU process, and it never tells; requestAdapter() answers
    // null. A host name that has lost its device twice within two minutes gets no adapter, after a
    // third loss none does, until the browser's user navigates. The third death of the GPU process
    // moves it to software, the next three to display only, and then the browser kills itself.
    // Measured without a GPU: 12 deaths of 12 recover with both switches. With the second alone
    // there is no adapter after the third death and no browser after the sixth; with the first
    // alone every other death needs a reload by the control channel.
    "--disable-gpu-process-crash-limit",
    "--disable-domain-blocking-for-3d-apis",

    // A worker is not a tab that somebody might look at later.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",

    // Crash dumps would fill the disk; the pool reports crashes.
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--mute-audio",
};

/// Room for one message of the pool's largest default size. Containers commonly have 64 MiB.
inline constexpr std::uint64_t shared_memory_bytes_min = 256ULL << 20;

/// What the command line depends on besides the table.
struct ChromiumCircumstances {
    /// The separate binary of the old headless mode, which needs no switch to be headless.
    bool is_headless_shell{false};
    /// Run by root, where Chromium starts only without its sandbox.
    bool is_root{false};
    /// /dev/shm has less than shared_memory_bytes_min. A page that finds it full dies, so shared
    /// memory then goes to files in the worker's own TMPDIR. Not otherwise: files mean a disk.
    /// Chromium 156 keeps all of it in memfds whatever this switch says; it is for older ones.
    bool has_small_shared_memory{false};
};

/// The command line after the executable.
inline std::vector<std::string> chromium_arguments(std::string_view profile_directory,
                                                   ChromiumCircumstances circumstances,
                                                   const std::vector<std::string>& extra) {
    std::vector<std::string> out(std::begin(chromium_flags), std::end(chromium_flags));
    if (!circumstances.is_headless_shell) out.emplace_back("--headless=new");
    if (circumstances.is_root) out.emplace_back("--no-sandbox");
    if (circumstances.has_small_shared_memory) out.emplace_back("--disable-dev-shm-usage");
    out.push_back("--user-data-dir=" + std::string(profile_directory));
    out.insert(out.end(), extra.begin(), extra.end());
    return out;
}

} // namespace everpool::browser
