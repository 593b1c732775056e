// Everpool browser: Chromium's own rules about lost GPUs, which a recovery must not run into.
// SPDX-License-Identifier: BSL-1.0
//
// Chromium protects its user from a page or a driver that keeps on killing the GPU process. It
// never tells: `requestAdapter()` just answers null. Its rules (content/browser/gpu, Chromium 156):
//
//   1. A host name that has lost its device twice within two minutes gets no adapter (one loss is
//      forgiven). More than two losses of whomever within two minutes: no host name does.
//      gpu_data_manager_impl_private.cc: Are3DAPIsBlockedAtTime, kBlockedDomainExpirationPeriod,
//      kMaxNumResetsWithinDuration. The key is the URL's host alone, without scheme and port. A
//      navigation that the browser's user (or its control channel) begins clears the host's losses:
//      UnblockDomainFrom3DAPIs. One that the page begins does not: measured, location.reload() and
//      a new worker get null, and Page.reload, Page.navigate and a new tab get an adapter.
//      Off with --disable-domain-blocking-for-3d-apis.
//   2. The third death of the GPU process in one mode moves it to the next mode, for good: Vulkan
//      and GL on hardware, then software (SwiftShader), then display only, without WebGPU. Each
//      five minutes without a death forgive one. gpu_process_host.cc: RecordProcessCrash,
//      kGpuFallbackCrashCount, kForgiveGpuCrashMinutes; docs/gpu/gpu_process_fallback.md.
//   3. Where no mode is left, the browser kills itself: "GPU process isn't usable. Goodbye." On a
//      machine without a GPU, that begins with software, measured: at the sixth death.
//      2 and 3 are off with --disable-gpu-process-crash-limit.
//
// Measured, killing the GPU process again and again (full browser and headless shell, no GPU): with
// both switches 12 deaths of 12 recover, within 140 ms each. With the second alone the browser
// lives, and every other death needs a Page.reload. With the first alone, or none, there is no
// adapter after the third death, whatever is reloaded, and no browser after the sixth.
//
// The pool passes both (chromium_flags.hpp); a browser that somebody else started, or with other
// arguments, goes by the rules. Firefox and WebKit have nothing like them.
//
//     DeviceLossRules rules(DeviceLossRules::limits_of(arguments), GpuMode::software);
//     rules.on_gpu_process_lost({"127.0.0.1"}, now);
//     switch (rules.remedy_for("127.0.0.1", now)) ...
//
// One object for each life of a browser. The answer is what is needed at least; whatever it is, the
// adapter is read again afterwards, since a worker may come back on software and ten times slower.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::browser {

/// How the GPU process works, best first. Chromium's three kinds on hardware are one here, as long
/// as nobody says otherwise (hardware_mode_count).
enum class GpuMode : std::uint8_t {
    hardware,     ///< a real GPU
    software,     ///< SwiftShader: right, and slow
    display_only, ///< no WebGPU at all
    unusable,     ///< the browser has killed itself
};

constexpr std::string_view name_of(GpuMode mode) noexcept {
    switch (mode) {
    case GpuMode::hardware: return "hardware";
    case GpuMode::software: return "software";
    case GpuMode::display_only: return "display_only";
    case GpuMode::unusable: return "unusable";
    }
    return "unrecognised";
}

/// The least that gives a page an adapter again, cheapest first.
enum class DeviceLossRemedy : std::uint8_t {
    recreate_device, ///< nothing is blocked: a new compute thread asks for an adapter and gets one
    reload_page,     ///< through the control channel, which clears the losses of its host name
    fresh_host_name, ///< the control channel cannot: the same page from w17.localhost
    wait,            ///< all host names are blocked; later they are not
    restart_browser, ///< WebGPU does not come back in this life of the browser
};

constexpr std::string_view name_of(DeviceLossRemedy remedy) noexcept {
    switch (remedy) {
    case DeviceLossRemedy::recreate_device: return "recreate_device";
    case DeviceLossRemedy::reload_page: return "reload_page";
    case DeviceLossRemedy::fresh_host_name: return "fresh_host_name";
    case DeviceLossRemedy::wait: return "wait";
    case DeviceLossRemedy::restart_browser: return "restart_browser";
    }
    return "unrecognised";
}

/// Chromium's numbers, and whether its switches turn them off.
struct DeviceLossLimits {
    bool has_host_blocking{true};
    bool has_crash_limit{true};
    Duration window{std::chrono::minutes{2}};
    std::size_t losses_per_host_max{1}; ///< more than these block the host name
    std::size_t losses_max{2};          ///< more than these block all
    std::uint32_t crashes_per_mode{3};  ///< the last of these ends the mode
    Duration forgiveness{std::chrono::minutes{5}};
    /// Vulkan, GL, Graphite: how many of Chromium's modes are `hardware` here.
    std::uint32_t hardware_mode_count{1};
};

class DeviceLossRules {
public:
    explicit DeviceLossRules(DeviceLossLimits limits = {},
                             GpuMode first_mode = GpuMode::hardware) noexcept
        : limits_(limits), mode_(first_mode) {}

    /// What a command line leaves of the rules.
    [[nodiscard]] static DeviceLossLimits limits_of(std::span<const std::string> arguments) {
        const auto has = [&](std::string_view name) {
            return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
        };
        return {.has_host_blocking = !has("--disable-domain-blocking-for-3d-apis"),
                .has_crash_limit = !has("--disable-gpu-process-crash-limit")};
    }

    /// The GPU process died, or its driver was reset, while pages of these hosts had a device.
    void on_gpu_process_lost(std::span<const std::string_view> hosts, TimePoint now);
    void on_gpu_process_lost(std::initializer_list<std::string_view> hosts, TimePoint now) {
        on_gpu_process_lost(std::span(hosts.begin(), hosts.size()), now);
    }

    /// The control channel reloaded a page of that host, or led one there.
    void on_host_navigated(std::string_view host) {
        std::erase_if(losses_, [&](const Loss& loss) { return loss.host == host; });
    }

    /// The adapter was read: what it really is counts more than what the rules expect.
    void on_adapter_read(GpuMode mode) noexcept {
        if (mode_ == mode) return;
        mode_ = mode;
        crashes_ = modes_left_ = 0;
    }

    /// What the GPU process is expected to be.
    [[nodiscard]] GpuMode mode() const noexcept { return mode_; }

    /// Whether a page of that host gets no adapter.
    [[nodiscard]] bool is_blocked(std::string_view host, TimePoint now) const {
        return is_host_blocked(host, now) || is_all_blocked(now);
    }

    /// What a recovery must do at least, so that a page of that host gets an adapter. \pre a device
    /// was lost, or an adapter asked for in vain
    [[nodiscard]] DeviceLossRemedy remedy_for(std::string_view host, TimePoint now,
                                              bool has_control_channel = true) const;

    /// When nothing is blocked any more by what has happened so far; `now` if nothing is.
    [[nodiscard]] TimePoint unblocked_at(TimePoint now) const {
        if (!limits_.has_host_blocking) return now;
        TimePoint at = now;
        for (const Loss& loss : losses_) at = std::max(at, later(loss.at, limits_.window));
        return at;
    }

    /// How many more deaths of the GPU process this browser survives if they come at once; never
    /// more than `count_max`, which also is the answer where Chromium does not count.
    [[nodiscard]] std::uint32_t deaths_left(std::uint32_t count_max = 1000) const noexcept;

private:
    struct Loss {
        std::string host;
        TimePoint at;
    };
    /// Losses that count are few: two minutes of them, a handful of hosts each.
    static constexpr std::size_t losses_kept_max = 64;

    [[nodiscard]] bool is_recent(const Loss& loss, TimePoint now) const noexcept {
        return later(loss.at, limits_.window) >= now;
    }
    [[nodiscard]] bool is_host_blocked(std::string_view host, TimePoint now) const {
        if (!limits_.has_host_blocking) return false;
        const auto count = std::count_if(losses_.begin(), losses_.end(), [&](const Loss& loss) {
            return loss.host == host && is_recent(loss, now);
        });
        return static_cast<std::size_t>(count) > limits_.losses_per_host_max;
    }
    [[nodiscard]] bool is_all_blocked(TimePoint now) const;
    void count_crash(TimePoint now) noexcept;
    void leave_mode() noexcept;

    DeviceLossLimits limits_;
    GpuMode mode_;
    std::vector<Loss> losses_;    ///< by time
    std::uint32_t crashes_{0};    ///< in this mode, less those forgiven
    std::uint32_t modes_left_{0}; ///< of the hardware's kinds, already left
    TimePoint last_crash_{};
};

// -------------------------------------------------------------------------------------------------

inline void DeviceLossRules::on_gpu_process_lost(std::span<const std::string_view> hosts,
                                                 TimePoint now) {
    std::erase_if(losses_, [&](const Loss& loss) { return !is_recent(loss, now); });
    for (const std::string_view host : hosts) {
        // Pages of one host lose their devices together, and that is one loss.
        const bool is_known = std::any_of(losses_.begin(), losses_.end(), [&](const Loss& loss) {
            return loss.at == now && loss.host == host;
        });
        if (is_known) continue;
        if (losses_.size() == losses_kept_max) losses_.erase(losses_.begin());
        losses_.push_back({std::string(host), now});
    }
    count_crash(now);
}

inline void DeviceLossRules::count_crash(TimePoint now) noexcept {
    if (crashes_ > 0 && now > last_crash_) {
        const auto forgiven = (now - last_crash_) / limits_.forgiveness;
        crashes_ -= static_cast<std::uint32_t>(std::min<Duration::rep>(forgiven, crashes_));
    }
    ++crashes_;
    last_crash_ = now;
    if (limits_.has_crash_limit && crashes_ >= limits_.crashes_per_mode) leave_mode();
}

inline void DeviceLossRules::leave_mode() noexcept {
    crashes_ = 0;
    switch (mode_) {
    case GpuMode::hardware:
        if (++modes_left_ >= limits_.hardware_mode_count) mode_ = GpuMode::software;
        return;
    case GpuMode::software: mode_ = GpuMode::display_only; return;
    case GpuMode::display_only:
    case GpuMode::unusable: mode_ = GpuMode::unusable; return;
    }
}

inline bool DeviceLossRules::is_all_blocked(TimePoint now) const {
    if (!limits_.has_host_blocking) return false;
    // Those of one moment are one event, however many hosts it hit.
    std::size_t events = 0;
    const Loss* previous = nullptr;
    for (const Loss& loss : losses_) {
        if (!is_recent(loss, now)) continue;
        if (previous == nullptr || previous->at != loss.at) ++events;
        previous = &loss;
    }
    return events > limits_.losses_max;
}

inline DeviceLossRemedy DeviceLossRules::remedy_for(std::string_view host, TimePoint now,
                                                    bool has_control_channel) const {
    if (mode_ == GpuMode::display_only || mode_ == GpuMode::unusable)
        return DeviceLossRemedy::restart_browser;
    if (!is_blocked(host, now)) return DeviceLossRemedy::recreate_device;
    if (has_control_channel) {
        DeviceLossRules after = *this; // would it be enough?
        after.on_host_navigated(host);
        if (!after.is_blocked(host, now)) return DeviceLossRemedy::reload_page;
    }
    return is_all_blocked(now) ? DeviceLossRemedy::wait : DeviceLossRemedy::fresh_host_name;
}

inline std::uint32_t DeviceLossRules::deaths_left(std::uint32_t count_max) const noexcept {
    if (!limits_.has_crash_limit) return count_max;
    std::uint32_t modes = 0;
    switch (mode_) {
    case GpuMode::hardware:
        modes = 2 + std::max(limits_.hardware_mode_count, modes_left_ + 1) - modes_left_;
        break;
    case GpuMode::software: modes = 2; break;
    case GpuMode::display_only: modes = 1; break;
    case GpuMode::unusable: return 0;
    }
    return std::min(count_max, modes * limits_.crashes_per_mode - crashes_ - 1);
}

} // namespace everpool::browser
