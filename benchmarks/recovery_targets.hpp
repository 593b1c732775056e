// Parts of scenario_recovery: what a row must show.
// SPDX-License-Identifier: BSL-1.0
//
// Every target is relative to what the same run has measured, or a time that callers were promised.
#pragma once

#include "recovery_floors.hpp"
#include "scenario_report.hpp"

#include <fmt/format.h>

#include <everpool/fault_injector.hpp>
#include <everpool/recovery_record.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scenario {

/// What `n` faults of one kind have shown. In ms, from the fault on.
struct FaultFigures {
    everpool::Fault fault{};
    everpool::FaultIntensity intensity{everpool::FaultIntensity::severe};
    std::size_t n{0}, lost{0}, twice{0}, wrong{0}, leaked{0}, not_restored{0};
    std::vector<double> detect, first_answer, capacity;
    std::vector<double> restore;       ///< capacity, from the detection on
    std::vector<double> model_compute; ///< run times of the model itself, without any fault
    std::optional<everpool::RecoveryCount> recoveries; ///< by the pool's own count
    /// Of a host: operations that its pool had been handed and no record was left of. Nobody had
    /// been told anything of them.
    std::optional<std::size_t> unheard_of;
    std::string trouble;
    std::vector<std::string> paths; ///< of its recoveries
};

struct Verdict {
    bool is_met{true};
    std::string rule;

    void demand(bool is_so, const std::string& what) {
        rule += (rule.empty() ? "" : "; ") + what + (is_so ? "" : " (missed)");
        is_met = is_met && is_so;
    }
};

/// Which promise a fault falls under.
enum class FaultKind { crash, hang, device, other };

inline FaultKind kind_of(everpool::Fault fault) {
    using enum everpool::Fault;
    switch (fault) {
    case browser_kill:
    case renderer_kill:
    case page_crash:
    case network_service_kill:
    case socket_drop:
    case page_reload:
    case page_navigate: return FaultKind::crash;
    case browser_stop:
    case renderer_stop:
    case network_service_stop:
    case main_loop:
    case worker_loop: return FaultKind::hang;
    case gpu_kill:
    case gpu_kill_repeated:
    case device_destroy:
    case context_lost: return FaultKind::device;
    default: return FaultKind::other;
    }
}

/// Is a new browser the least that cures it? Then a cold start is what it may take, else a reload.
inline bool ends_browser(everpool::Fault fault, everpool::BrowserType engine) {
    using enum everpool::Fault;
    using everpool::BrowserType;
    switch (fault) {
    case browser_kill:
    case browser_stop:
    case all_browsers_kill: return true;
    // Firefox has no part that carries the connections but the browser itself. A WebDriver session
    // of WebKitGTK is gone with it, as with its page's process; a page that merely hangs, or has
    // lost its connections, is reloaded or replaced in the same session.
    case network_service_kill:
    case network_service_stop:
        return engine == BrowserType::firefox || engine == BrowserType::webkit;
    case renderer_kill:
    case page_crash: return engine == BrowserType::webkit;
    default: return false;
    }
}

/// Its page needs a new process, which a plain reload does not.
inline bool kills_page_process(everpool::Fault fault) {
    return fault == everpool::Fault::renderer_kill || fault == everpool::Fault::page_crash;
}

inline Verdict judge(const FaultFigures& row, const RecoveryFloors& floors,
                     everpool::BrowserType engine, bool judges_times) {
    Verdict out;
    out.demand(row.lost + row.twice + row.wrong + row.leaked + row.not_restored == 0,
               "lost, twice, wrong, leaked and not restored are 0");
    if (!judges_times) return out;
    const FaultKind kind = kind_of(row.fault);
    if (kind == FaultKind::crash && !row.first_answer.empty()) {
        const double limit = 60 + quantile(row.model_compute, 0.95);
        out.demand(quantile(row.first_answer, 0.95) <= limit,
                   fmt::format("first_answer_ms.p95 <= 60 + the model's p95 = {:.0f}", limit));
    }
    if (kind == FaultKind::hang && !row.detect.empty())
        out.demand(quantile(row.detect, 0.95) <= 1200, "detect_ms.p95 <= 1200");
    if (row.restore.empty()) return out;
    if (floors.session.empty() || floors.reload.empty()) {
        out.demand(false, "there is a floor to compare with");
        return out;
    }
    if (kind == FaultKind::device) {
        const double limit = 1.3 * median(floors.session);
        out.demand(median(row.restore) <= limit,
                   fmt::format("from detection to the same page's answers, p50 <= 1.3 x a fresh "
                               "session = {:.0f}",
                               limit));
    } else if (kind != FaultKind::other || row.fault == everpool::Fault::all_browsers_kill) {
        const bool is_cold = ends_browser(row.fault, engine);
        const double limit = 1.3 * median(is_cold ? floors.cold_start : floors.reload);
        out.demand(median(row.restore) <= limit,
                   fmt::format("from detection to full capacity, p50 <= 1.3 x {} and model load = "
                               "{:.0f}",
                               is_cold ? "cold start" : "reload", limit));
        if (kills_page_process(row.fault) && !is_cold && !floors.reload_after_crash.empty())
            out.rule += fmt::format("; a bare browser's page whose process died takes {:.0f}",
                                    median(floors.reload_after_crash));
    }
    return out;
}

} // namespace scenario
