// Everpool browser: the command line of Chromium's family, each switch with its reason.
// SPDX-License-Identifier: BSL-1.0
//
// Measured on Chromium 156 (headless and headless shell). No switch here weakens the sandbox or web
// security; the one that does, --no-sandbox, is added by the driver only where Chromium refuses to
// run without it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace everpool::browser {

inline constexpr std::string_view chromium_flags[] = {
    // Control: a pipe on descriptors 3 and 4 instead of a port that anybody could connect to. The
    // browser exits when the pipe closes, so it does not outlive its host.
    "--remote-debugging-pipe",

    // Silence: without these a worker asks dozens of foreign hosts at each start.
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-quic",
    "--metrics-recording-only", "--no-first-run", "--no-default-browser-check",
    "--password-store=basic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",

    // WebGPU also on software adapters, which a machine without a GPU has. Every result says so.
    "--enable-unsafe-webgpu",
    // WebNN where the build has a backend for it; the page probes it before offering it.
    "--enable-features=WebMachineLearningNeuralNetwork",

    // The pool counts failures itself. With Chromium's own counting, WebGPU stays away after the
    // second loss and the browser kills itself at about the sixth.
    "--disable-gpu-process-crash-limit", "--disable-domain-blocking-for-3d-apis",

    // A worker is not a tab that somebody might look at later.
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",

    // Crash dumps would fill the disk; the pool reports crashes.
    "--disable-breakpad", "--disable-crash-reporter",
    // /dev/shm is small in containers; shared memory goes to the worker's own TMPDIR instead.
    "--disable-dev-shm-usage",
    "--mute-audio",
};

/// The command line after the executable. `is_headless_shell`: the separate binary of the old
/// headless mode, which needs no switch to be headless.
inline std::vector<std::string> chromium_arguments(std::string_view profile_directory,
                                                   bool is_headless_shell, bool without_sandbox,
                                                   const std::vector<std::string>& extra) {
    std::vector<std::string> out(std::begin(chromium_flags), std::end(chromium_flags));
    if (!is_headless_shell) out.emplace_back("--headless=new");
    if (without_sandbox) out.emplace_back("--no-sandbox");
    out.push_back("--user-data-dir=" + std::string(profile_directory));
    out.insert(out.end(), extra.begin(), extra.end());
    return out;
}

} // namespace everpool::browser
