// Everpool browser: who hangs, told from who answers.
// SPDX-License-Identifier: BSL-1.0
//
// Measured on Chromium 156, Firefox ESR 153 and WebKitGTK 2.50 by stopping (SIGSTOP) or looping one
// part at a time; a dash is no answer within 1.5 s. TCP connections stay open in all of these.
//
//   Chromium                    page  compute  protocol  control  evaluate
//   main thread loops            -      yes      yes       yes       -
//   compute thread loops        yes      -       yes       yes      yes
//   page process stopped         -       -       yes       yes       -
//   network service stopped      -       -        -        yes      yes
//   browser process stopped     yes     yes      yes        -        -
//   GPU process stopped         yes     yes      yes       yes      yes    (a deadline finds it)
//   all of them stopped          -       -        -         -        -
//
//   Firefox                     page  compute  protocol  control
//   main thread loops            -       -       yes       yes   the worker's socket waits for it
//   compute thread loops        yes      -       yes       yes
//   page process stopped         -       -       yes       yes
//   parent process stopped       -       -        -         -    the parent does the networking
//
//   WebKitGTK: as Firefox, but the network process is one of its own, so that a stopped parent
//   leaves all sockets answering, as in Chromium.
#pragma once

#include "everpool/browser_failure.hpp"

#include <cstdint>
#include <string_view>

namespace everpool::browser {

/// What explains the silence. The smallest part, where several do.
enum class Silence : std::uint8_t {
    none,                    ///< everybody who was asked answers
    busy,                    ///< the compute thread computes, and its operation is in time
    compute_hung,            ///< it should have been done
    page_hung,               ///< the page's main thread loops, or its process is stopped
    network_service_stopped, ///< the sockets are dead, the browser lives
    browser_stopped,         ///< the browser process is, the others live (or die with it: Firefox)
    tree_stopped, ///< all processes of the browser: a stopped container, a frozen machine
};

constexpr std::string_view name_of(Silence silence) noexcept {
    switch (silence) {
    case Silence::none: return "none";
    case Silence::busy: return "busy";
    case Silence::compute_hung: return "compute_hung";
    case Silence::page_hung: return "page_hung";
    case Silence::network_service_stopped: return "network_service_stopped";
    case Silence::browser_stopped: return "browser_stopped";
    case Silence::tree_stopped: return "tree_stopped";
    }
    return "unrecognised";
}

constexpr FailureDomain domain_of(Silence silence) noexcept {
    switch (silence) {
    case Silence::none:
    case Silence::busy: return FailureDomain::operation;
    case Silence::compute_hung: return FailureDomain::compute;
    case Silence::page_hung: return FailureDomain::page;
    case Silence::network_service_stopped: return FailureDomain::network_service;
    case Silence::browser_stopped:
    case Silence::tree_stopped: break;
    }
    return FailureDomain::browser;
}

namespace detail {

/// The sockets of both threads are silent, and the browser process is not (as far as it is known).
constexpr Silence judge_silent_sockets(BrowserEngine engine, const ChannelsSilent& seen) noexcept {
    // Firefox has no network process to be stopped: its parent is, or the page is to blame.
    if (engine == BrowserEngine::gecko)
        return seen.protocol == ChannelAnswer::silent && seen.control != ChannelAnswer::answers
                   ? Silence::browser_stopped
                   : Silence::page_hung;
    if (seen.protocol == ChannelAnswer::answers) return Silence::page_hung;
    const bool is_network_dead =
        seen.protocol == ChannelAnswer::silent || seen.evaluate == ChannelAnswer::answers;
    return is_network_dead ? Silence::network_service_stopped : Silence::page_hung;
}

} // namespace detail

/// Judges what was seen. A channel that was not asked is taken to be fine, unless all others say
/// otherwise; so ask as many as there are.
constexpr Silence diagnose_silence(BrowserEngine engine, const ChannelsSilent& seen) noexcept {
    const bool is_compute_silent = seen.compute == ChannelAnswer::silent;
    const bool is_page_silent = seen.page == ChannelAnswer::silent;
    if (seen.control == ChannelAnswer::silent) {
        const bool has_answer = seen.compute == ChannelAnswer::answers ||
                                seen.page == ChannelAnswer::answers ||
                                seen.protocol == ChannelAnswer::answers;
        if (has_answer || !(is_compute_silent || is_page_silent)) return Silence::browser_stopped;
        // Without its parent nothing of a Firefox answers, so no more than that is known.
        return engine == BrowserEngine::gecko ? Silence::browser_stopped : Silence::tree_stopped;
    }
    const bool is_socket_dead = is_compute_silent && seen.page == ChannelAnswer::unknown &&
                                seen.protocol == ChannelAnswer::silent;
    if (is_page_silent || is_socket_dead) {
        const bool is_compute_fine = seen.compute == ChannelAnswer::answers;
        return is_compute_fine ? Silence::page_hung : detail::judge_silent_sockets(engine, seen);
    }
    if (is_compute_silent) return seen.is_compute_in_time ? Silence::busy : Silence::compute_hung;
    if (seen.evaluate == ChannelAnswer::silent) return Silence::page_hung;
    if (seen.protocol == ChannelAnswer::silent && seen.page != ChannelAnswer::answers &&
        seen.compute != ChannelAnswer::answers)
        return detail::judge_silent_sockets(engine, seen);
    return Silence::none;
}

} // namespace everpool::browser
