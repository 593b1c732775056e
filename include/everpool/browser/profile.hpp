// Everpool browser: the settings that a failure, or a family of models, asks for.
// SPDX-License-Identifier: BSL-1.0
//
// The specification's tables of settings as data, each entry judged on real browsers: whether it
// exists at all, what it does, and what took its place if it does not. Many switches that are
// passed on from list to list were removed years ago, and a browser ignores what it does not know,
// so nobody notices. tests/unit/browser/profile_proof_tests.cpp looks into the installed browsers
// for each entry, also for those that are said to be gone.
//
//     const auto settings = adjusted_settings(BrowserType::chromium,
//                                             BrowserFailureCategory::webgpu,
//                                             ModelFamily::vision, 2);
//     spec.extra_arguments = settings.arguments; // {"--use-webgpu-adapter=swiftshader", ...}
//
// What every worker is started with anyway (chromium_flags.hpp, firefox_preferences.hpp) is listed
// here too, with what it does, but not passed a second time. Nothing here weakens the sandbox or
// web security; whatever does is no entry, used or not.
//
// Not here, because no browser has a setting for them: batch size, workgroup size, precompiled
// shaders, shared tensors. They belong to the worker page and to the pool. WebKit has none at all.
#pragma once

#include "everpool/browser/chromium_flags.hpp"
#include "everpool/browser/firefox_preferences.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/model_spec.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::browser {

/// What is known of a setting.
enum class SettingState : std::uint8_t {
    effective, ///< it was measured to do what `effect` says
    present,   ///< the browser knows it; nothing was seen to change, or nothing could be here
    refused,   ///< the browser knows it, and it would do harm; never passed
    gone,      ///< the checked versions do not know it
};

constexpr std::string_view name_of(SettingState state) noexcept {
    switch (state) {
    case SettingState::effective: return "effective";
    case SettingState::present: return "present";
    case SettingState::refused: return "refused";
    case SettingState::gone: return "gone";
    }
    return "unrecognised";
}

/// One setting. An entry for which neither category nor family is given would be a part of the
/// tables that every worker is started with.
struct ProfileEntry {
    BrowserEngine engine;
    std::optional<BrowserFailureCategory> category{}; ///< only after such a failure
    std::optional<ModelFamily> family{};              ///< only for such models
    std::uint32_t attempt_from{1}; ///< only from this attempt on: mild ones first
    std::string_view name;         ///< "--switch", or a preference
    std::string_view value{};      ///< as a command line, or user.js, has it
    SettingState state{SettingState::present};
    std::string_view effect{};      ///< what it does, or why it is not used
    std::string_view replaced_by{}; ///< of those that are refused or gone
    /// The headless shell knows it and the full browser does not.
    bool is_of_headless_shell_only{false};
};

/// The versions for which the table was checked.
constexpr std::string_view checked_version_of(BrowserEngine engine) noexcept {
    switch (engine) {
    case BrowserEngine::chromium: return "Chromium and headless shell 156.0.8078.79";
    case BrowserEngine::gecko: return "Firefox ESR 153.7.0";
    case BrowserEngine::webkit: return "WebKitGTK 2.50.6";
    }
    return {};
}

namespace detail {

using Category = BrowserFailureCategory;
inline constexpr auto blink = BrowserEngine::chromium;
inline constexpr auto gecko = BrowserEngine::gecko;

} // namespace detail

inline constexpr ProfileEntry profile_entries[] = {
    // --- Chromium, Chrome, Edge: resources and memory
    {.engine = detail::blink,
     .category = detail::Category::resource,
     .name = "--disable-gpu-rasterization",
     .effect = "pages are drawn by the CPU, which leaves the GPU to the models; nothing to be seen "
               "without a GPU"},
    {.engine = detail::blink,
     .category = detail::Category::resource,
     .name = "--disable-gpu-vsync",
     .effect = "the GPU process does not wait for a display; nothing to be seen without one"},
    {.engine = detail::blink,
     .category = detail::Category::resource,
     .attempt_from = 2,
     .name = "--enable-low-end-device-mode",
     .state = SettingState::effective,
     .effect =
         "JavaScript's heap is limited to 259 instead of 4192 MiB; WASM memory, array buffers "
         "and resident memory stay as they are"},
    {.engine = detail::blink,
     .category = detail::Category::memory,
     .attempt_from = 2,
     .name = "--enable-low-end-device-mode",
     .state = SettingState::effective,
     .effect =
         "JavaScript's heap is limited to 259 instead of 4192 MiB; WASM memory, array buffers "
         "and resident memory stay as they are"},
    {.engine = detail::blink,
     .category = detail::Category::memory,
     .name = "--memory-pressure-off",
     .state = SettingState::gone,
     .effect = "was to keep caches under memory pressure"},
    {.engine = detail::blink,
     .category = detail::Category::memory,
     .name = "--aggressive-cache-discard",
     .state = SettingState::gone,
     .effect = "was to drop caches early"},

    // --- Chromium, Chrome, Edge: the GPU
    {.engine = detail::blink,
     .category = detail::Category::webgpu,
     .name = "--disable-gpu-process-crash-limit",
     .state = SettingState::effective,
     .effect = "WebGPU survives any number of deaths of the GPU process: 12 of 12 were recovered; "
               "without it the sixth ends the browser"},
    {.engine = detail::blink,
     .category = detail::Category::webgpu,
     .name = "--disable-domain-blocking-for-3d-apis",
     .state = SettingState::effective,
     .effect = "a page gets an adapter after its second lost device, too"},
    {.engine = detail::blink,
     .category = detail::Category::webgpu,
     .name = "--enable-unsafe-webgpu",
     .state = SettingState::effective,
     .effect =
         "software adapters are offered; without it there is none on a machine without a GPU"},
    {.engine = detail::blink,
     .category = detail::Category::webgpu,
     .name = "--disable-gpu-watchdog",
     .state = SettingState::refused,
     .effect = "a GPU process that hangs is to be ended, not kept; with an endless shader no "
               "difference was seen",
     .replaced_by = "a deadline for each operation"},
    {.engine = detail::blink,
     .category = detail::Category::webgpu,
     .attempt_from = 2,
     .name = "--use-webgpu-adapter",
     .value = "swiftshader",
     .effect = "WebGPU on the CPU: right, slow, and without the driver that keeps failing"},
    {.engine = detail::blink,
     .category = detail::Category::launch,
     .attempt_from = 2,
     .name = "--disable-gpu",
     .effect = "no GPU is touched when the browser starts; WebGPU goes on on the CPU"},

    // --- Chromium, Chrome, Edge: crashes
    {.engine = detail::blink,
     .category = detail::Category::crash,
     .name = "--disable-crash-reporter",
     .effect = "no dumps of crashes",
     .is_of_headless_shell_only = true},
    {.engine = detail::blink,
     .category = detail::Category::crash,
     .name = "--disable-breakpad",
     .effect = "no crash is reported to anybody; dumps of pages are written nevertheless"},
    {.engine = detail::blink,
     .category = detail::Category::crash,
     .name = "--process-per-tab",
     .state = SettingState::gone,
     .effect = "was to give each page a process; each worker's page has one anyway"},

    // --- Chromium, Chrome, Edge: WebNN, which the specification asks for in Edge for texts
    {.engine = detail::blink,
     .family = ModelFamily::text,
     .name = "--enable-features",
     .value = "WebMachineLearningNeuralNetwork",
     .state = SettingState::effective,
     .effect = "WebNN is offered, and works where the build has a backend (Debian's has none)"},
    {.engine = detail::blink,
     .family = ModelFamily::text,
     .name = "--enable-webnn",
     .state = SettingState::gone,
     .effect = "was never a switch",
     .replaced_by = "--enable-features=WebMachineLearningNeuralNetwork"},
    {.engine = detail::blink,
     .family = ModelFamily::text,
     .name = "--webnn-compile-options",
     .state = SettingState::gone,
     .effect = "was never a switch; the runtime gives its options to each WebNN context"},
    {.engine = detail::blink,
     .category = detail::Category::api,
     .name = "--enable-dawn-features",
     .value = "enable_webnn_extension",
     .state = SettingState::gone,
     .effect = "the switch exists, this feature never did: Dawn is WebGPU, and WebNN no part of it",
     .replaced_by = "--enable-features=WebMachineLearningNeuralNetwork"},

    // --- Chromium, Chrome, Edge: pictures
    {.engine = detail::blink,
     .family = ModelFamily::vision,
     .name = "--enable-zero-copy",
     .effect = "pages draw into the GPU's memory; nothing to be seen without a GPU"},
    {.engine = detail::blink,
     .family = ModelFamily::vision,
     .name = "--enable-gpu-memory-buffer-video-frames",
     .effect = "frames of videos are kept in the GPU's memory; nothing to be seen without a GPU"},

    // --- Firefox: resources and memory
    {.engine = detail::gecko,
     .category = detail::Category::resource,
     .name = "browser.cache.memory.capacity",
     .value = "32768",
     .effect = "32 MiB of what was loaded are kept in memory; by default it goes by the machine's"},
    {.engine = detail::gecko,
     .category = detail::Category::resource,
     .name = "browser.sessionhistory.max_entries",
     .value = "5",
     .effect = "5 instead of 50 pages to go back to; a worker never does"},
    {.engine = detail::gecko,
     .category = detail::Category::memory,
     .name = "browser.cache.memory.capacity",
     .value = "32768",
     .effect = "32 MiB of what was loaded are kept in memory; by default it goes by the machine's"},
    {.engine = detail::gecko,
     .category = detail::Category::memory,
     .name = "browser.sessionhistory.max_entries",
     .value = "5",
     .effect = "5 instead of 50 pages to go back to; a worker never does"},
    {.engine = detail::gecko,
     .category = detail::Category::memory,
     .name = "dom.ipc.processPrelaunch.enabled",
     .value = "false",
     .effect = "no process is kept ready for a page whose own dies"},
    {.engine = detail::gecko,
     .category = detail::Category::memory,
     .attempt_from = 2,
     .name = "dom.ipc.processCount",
     .value = "1",
     .effect = "one process for pages instead of up to 8; a worker has one page"},

    // --- Firefox: the GPU
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "dom.webgpu.enabled",
     .value = "true",
     .state = SettingState::effective,
     .effect = "WebGPU is offered"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "gfx.webgpu.ignore-blocklist",
     .value = "true",
     .state = SettingState::effective,
     .effect = "also on adapters that Firefox does not trust; without it there is none on a "
               "machine without a GPU"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "dom.webgpu.unsafe",
     .value = "true",
     .state = SettingState::gone,
     .effect = "is not among the preferences",
     .replaced_by = "gfx.webgpu.ignore-blocklist"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "gfx.webgpu.force-enabled",
     .value = "true",
     .state = SettingState::gone,
     .effect = "is not among the preferences",
     .replaced_by = "gfx.webgpu.ignore-blocklist"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "gfx.webrender.all",
     .value = "false",
     .state = SettingState::refused,
     .effect = "false is what it is by default, and turns nothing off",
     .replaced_by = "gfx.webrender.software"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "gfx.webrender.force-disabled",
     .value = "true",
     .state = SettingState::gone,
     .effect = "Firefox has no other way to draw any more",
     .replaced_by = "gfx.webrender.software"},
    {.engine = detail::gecko,
     .category = detail::Category::webgpu,
     .name = "gfx.webrender.software",
     .value = "true",
     .effect = "pages are drawn by the CPU, so that only the models use the driver"},

    // --- Firefox: crashes
    {.engine = detail::gecko,
     .category = detail::Category::crash,
     .name = "browser.tabs.remote.autostart",
     .value = "false",
     .state = SettingState::gone,
     .effect = "was to run pages in the browser's own process, so that a page's crash is the "
               "browser's"},

    // --- Firefox: audio
    {.engine = detail::gecko,
     .family = ModelFamily::audio,
     .name = "dom.webgpu.workers.enabled",
     .value = "true",
     .state = SettingState::gone,
     .effect = "WebGPU works in workers without it"},
    {.engine = detail::gecko,
     .family = ModelFamily::audio,
     .name = "dom.webgpu.indirect-dispatch.enabled",
     .value = "true",
     .state = SettingState::gone,
     .effect = "is not among the preferences; the size of a workgroup is a constant of its shader"},
};

/// Whether every worker is started with it anyway.
[[nodiscard]] constexpr bool is_always_set(const ProfileEntry& entry) noexcept {
    if (entry.engine == BrowserEngine::gecko)
        return std::any_of(std::begin(firefox_preferences), std::end(firefox_preferences),
                           [&](const auto& preference) {
                               return preference.first == entry.name &&
                                      preference.second == entry.value;
                           });
    if (entry.engine != BrowserEngine::chromium) return false;
    return std::any_of(
        std::begin(chromium_flags), std::end(chromium_flags),
        [&](std::string_view flag) { return flag.substr(0, flag.find('=')) == entry.name; });
}

/// Whether it is for this browser, failure, family and attempt; it may still not be one to be used.
[[nodiscard]] constexpr bool is_meant_for(const ProfileEntry& entry, BrowserType browser,
                                          BrowserFailureCategory category, ModelFamily family,
                                          std::uint32_t attempt) noexcept {
    return entry.engine == engine_of(browser) && attempt >= entry.attempt_from &&
           (!entry.category || *entry.category == category) &&
           (!entry.family || *entry.family == family);
}

/// Whether it is passed to a browser: it exists, does no harm and is not passed anyway.
[[nodiscard]] constexpr bool is_passed(const ProfileEntry& entry) noexcept {
    return (entry.state == SettingState::effective || entry.state == SettingState::present) &&
           !is_always_set(entry);
}

/// What a browser is started with besides what all are.
struct AdjustedSettings {
    std::vector<std::string> arguments{}; ///< for the command line
    /// Name and value, for user.js.
    std::vector<std::pair<std::string, std::string>> preferences{};

    [[nodiscard]] bool is_empty() const noexcept {
        return arguments.empty() && preferences.empty();
    }

    friend bool operator==(const AdjustedSettings&, const AdjustedSettings&) = default;
};

/// The settings for the `attempt`-th restart (1 is the first) after a failure of that category.
[[nodiscard]] inline AdjustedSettings adjusted_settings(BrowserType browser,
                                                        BrowserFailureCategory category,
                                                        ModelFamily family, std::uint32_t attempt) {
    AdjustedSettings out;
    for (const ProfileEntry& entry : profile_entries) {
        if (!is_meant_for(entry, browser, category, family, attempt) || !is_passed(entry)) continue;
        std::string name(entry.name);
        std::string value(entry.value);
        if (entry.engine == BrowserEngine::gecko)
            out.preferences.emplace_back(std::move(name), std::move(value));
        else out.arguments.push_back(value.empty() ? std::move(name) : name + '=' + value);
    }
    return out;
}

/// The same in words, a line for each entry that is meant for it, also those that are not passed.
[[nodiscard]] inline std::string explain_settings(BrowserType browser,
                                                  BrowserFailureCategory category,
                                                  ModelFamily family, std::uint32_t attempt) {
    std::string out = std::string(name_of(browser)) + ", " + std::string(name_of(category)) +
                      " failure, " + std::string(name_of(family)) + " model, attempt " +
                      std::to_string(attempt) +
                      " (checked: " + std::string(checked_version_of(engine_of(browser))) + ")\n";
    const std::size_t head_bytes = out.size();
    for (const ProfileEntry& entry : profile_entries) {
        if (!is_meant_for(entry, browser, category, family, attempt)) continue;
        out += is_passed(entry)                       ? "  set      "
               : entry.state == SettingState::gone    ? "  gone     "
               : entry.state == SettingState::refused ? "  refused  "
                                                      : "  always   ";
        out += entry.name;
        if (!entry.value.empty()) out += '=' + std::string(entry.value);
        out += ": " + std::string(entry.effect);
        if (!entry.replaced_by.empty()) out += "; instead: " + std::string(entry.replaced_by);
        out += '\n';
    }
    if (out.size() == head_bytes) out += "  nothing to adjust\n";
    return out;
}

} // namespace everpool::browser
