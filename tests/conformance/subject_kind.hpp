// Conformance: which workers there are to be compared, and what each of them has no part for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/recovery_rung.hpp"
#include "io/browser.hpp"
#include "worker_subject.hpp"

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

namespace everpool::tests {

enum class SubjectKind : std::uint8_t { fake, chromium, firefox, webkit };

constexpr std::string_view name_of(SubjectKind kind) noexcept {
    switch (kind) {
    case SubjectKind::fake: return "fake";
    case SubjectKind::chromium: return "chromium";
    case SubjectKind::firefox: return "firefox";
    case SubjectKind::webkit: break;
    }
    return "webkit";
}

/// \pre it is a real one
constexpr BrowserType type_of(SubjectKind kind) noexcept {
    assert(kind != SubjectKind::fake);
    return kind == SubjectKind::chromium  ? BrowserType::chromium
           : kind == SubjectKind::firefox ? BrowserType::firefox
                                          : BrowserType::webkit;
}

/// What an engine has no part for cannot befall it. The simulator's worker can have all of it.
constexpr bool can_have(SubjectKind kind, Trouble trouble) noexcept {
    switch (trouble) {
    case Trouble::network_stops: // Firefox's own process carries the connections,
    case Trouble::browser_stops: // so that they stop with it
        return kind != SubjectKind::firefox;
    case Trouble::memory_ends: // none that every engine and machine can be made to have; what pages
    case Trouble::device_goes: // and drivers make of these is tested in tests/web and
    case Trouble::context_goes: // tests/integration
    case Trouble::software_only:
    case Trouble::slows_down: return kind == SubjectKind::fake;
    default: return true;
    }
}
constexpr bool can_have(SubjectKind kind, Mishap mishap) noexcept {
    // WebKitGTK has no WebGPU, and so no device to be lost.
    return mishap != Mishap::device_lost || kind != SubjectKind::webkit;
}

/// The rung that cures there what `rung` cures elsewhere. A WebKit's session ends with its page's
/// process, and with its network process: no document can be loaded in it any more.
constexpr RecoveryRung cure_in(SubjectKind kind, RecoveryRung rung) noexcept {
    return kind == SubjectKind::webkit && rung == RecoveryRung::reload_page
               ? RecoveryRung::restart_browser
               : rung;
}

/// Now and then a WebKit starts, takes its page's address, and is heard of no more. The simulator
/// has that as FaultMenu::hung_start.
constexpr bool may_start_in_vain(SubjectKind kind) noexcept { return kind == SubjectKind::webkit; }

/// All that can be had here. WebKitGTK is not everywhere, which is told.
inline std::vector<SubjectKind> all_kinds() {
    std::vector<SubjectKind> out{SubjectKind::fake, SubjectKind::chromium, SubjectKind::firefox};
    BrowserSpec webkit;
    webkit.type = BrowserType::webkit;
    error_code ec;
    Diagnostics why;
    (void)io::find_browser(webkit, ec, why);
    if (!ec) out.push_back(SubjectKind::webkit);
    else std::printf("skipped: %s\n", why.text().c_str());
    return out;
}

/// Those that can have this.
template <class Fault>
std::vector<SubjectKind> kinds_with(Fault fault) {
    std::vector<SubjectKind> out = all_kinds();
    std::erase_if(out, [fault](SubjectKind kind) { return !can_have(kind, fault); });
    return out;
}

} // namespace everpool::tests
