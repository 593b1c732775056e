// Simulator: what can go wrong, and how often.
// SPDX-License-Identifier: BSL-1.0
//
// Every fault here must be survived: no request may lose its answer, get two, or get a wrong one,
// and when the faults stop the pool must become whole again. The two exceptions are named:
// permanent start failures take a worker away for good, and a stop that is stuck is given up by
// timeout.
#pragma once

#include "world.hpp"

#include <cstdint>

namespace everpool::simulation {

inline constexpr Duration message_lateness_max = 30s;
inline constexpr Duration stall_max = 20s;
inline constexpr Duration sleep_max = 10min;
inline constexpr Duration clock_error_max = 100ms;
inline constexpr std::uint32_t slowdown_max = 20;
inline constexpr Duration broken_machine_max = 60s;

struct FaultMenu {
    // Per operation, while a worker computes it.
    Ratio crash;        ///< page or process dies; one or two signs of it arrive, or only a silence
    Ratio hang;         ///< compute thread, page or process stops; nothing tells
    Ratio stuck;        ///< this operation never ends, but pings are answered (a hung shader)
    Ratio device_lost;  ///< it and all that wait are answered with device_lost; the event follows
    Ratio context_lost; ///< its WebNN context goes: the event, then device_lost for what it has
    Ratio slow;         ///< from now on its operations take several times as long
    Ratio failure;      ///< it is answered with an error that is final
    Ratio lie; ///< it is executed, and answered with a code by which a driver says it was not

    Ratio wrong; ///< from now on its answers are wrong, until it is started anew

    // Per look at a worker that is silent.
    Ratio starvation; ///< threads of it wait for a processor, so that it is looked at again

    // Per failure of a worker.
    Ratio stubborn; ///< the rung that cures it is a larger one than it looks
    Ratio memory;   ///< a page that dies does so for want of memory, and its engine says so
    Ratio
        software; ///< a GPU that was lost is there again for a new document only, or a new browser

    // Per operation, while a driver sends it.
    Ratio unsent;       ///< the connection has gone
    Ratio backpressure; ///< the connection has too much to write already

    // Per event that a driver reports.
    Ratio late;      ///< up to message_lateness_max, when nobody waits for it any more
    Ratio duplicate; ///< twice
    Ratio reordered; ///< overtaken by others
    Ratio garbage;   ///< the page sent something else: the driver reports protocol_error
    Ratio lost_pong; ///< pongs only; other messages are never lost on a connection that lives

    // Per canary.
    Ratio wrong_canary;     ///< the known inference gives something else
    Ratio swallowed_canary; ///< it gives nothing

    // Per start of a worker.
    Ratio failed_start;    ///< reported as failed
    Ratio hung_start;      ///< nothing is heard, but that a browser's driver gives it up
    Ratio crashed_start;   ///< lost before it is ready
    Ratio permanent_start; ///< reported as failed, with no hope
    Ratio reconnect_storm; ///< connects and closes many times
    Ratio slow_start;      ///< takes so long that it may be timed out
    Ratio failed_step;     ///< one of its steps fails or hangs, see start_failure.hpp

    // Per second, if it is not so already.
    /// Every start of a browser on this machine fails alike, for up to broken_machine_max.
    Ratio broken_machine;

    // Per second.
    Ratio host_stall; ///< the host stands still, up to stall_max (busy, in a debugger)
    Ratio host_sleep; ///< likewise, for minutes: it is suspended
    Ratio report;     ///< the host reports any failure of a worker that is fine, as it may
    Ratio storm;      ///< the same happens to all workers, at once or within milliseconds
    Ratio stray;      ///< an event of no living worker: old or invented generations, unknown ids

    // Per call of the core.
    Ratio clock_error; ///< its time was read up to clock_error_max before, or is ahead by as much

    // Per stop of a worker.
    Ratio stuck_stop; ///< never answered

    /// A random subset: each fault is on in half of the seeds, with a rate of its own.
    static FaultMenu random(World& world) {
        FaultMenu menu;
        const auto maybe = [&](Ratio& fault, std::uint32_t low, std::uint32_t high) {
            const auto denominator = static_cast<std::uint32_t>(world.between(low, high));
            if (world.chance(1, 2)) fault = {1, denominator};
        };
        maybe(menu.crash, 10, 200);
        maybe(menu.hang, 30, 500);
        maybe(menu.stuck, 30, 500);
        maybe(menu.device_lost, 10, 200);
        maybe(menu.failure, 5, 50);
        maybe(menu.lie, 10, 200);
        maybe(menu.wrong, 10, 200);
        maybe(menu.starvation, 1, 4);
        maybe(menu.stubborn, 1, 10);
        maybe(menu.unsent, 10, 200);
        maybe(menu.backpressure, 10, 200);
        maybe(menu.late, 10, 200);
        maybe(menu.duplicate, 5, 100);
        maybe(menu.reordered, 3, 50);
        maybe(menu.garbage, 50, 500);
        maybe(menu.lost_pong, 3, 50);
        maybe(menu.wrong_canary, 2, 20);
        maybe(menu.swallowed_canary, 2, 20);
        maybe(menu.failed_start, 2, 10);
        maybe(menu.hung_start, 3, 20);
        maybe(menu.crashed_start, 2, 10);
        maybe(menu.reconnect_storm, 3, 20);
        maybe(menu.slow_start, 3, 20);
        maybe(menu.broken_machine, 20, 200);
        maybe(menu.host_stall, 20, 200);
        maybe(menu.stray, 1, 5);
        maybe(menu.stuck_stop, 2, 5);
        maybe(menu.context_lost, 10, 200);
        maybe(menu.slow, 10, 200);
        maybe(menu.memory, 1, 4);
        maybe(menu.software, 1, 4);
        maybe(menu.failed_step, 2, 20);
        maybe(menu.host_sleep, 100, 1000);
        maybe(menu.report, 10, 100);
        maybe(menu.storm, 20, 200);
        maybe(menu.clock_error, 2, 50);
        return menu;
    }
};

} // namespace everpool::simulation
