// Everpool core: what a worker slot is at present, and what it may turn into.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/next_adjustment.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/core/action.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/model_family.hpp"
#include "everpool/recovery_rung.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::core {

class WorkerShape {
public:
    /// Of the slot with that number. \pre slot < config.worker_browsers.size()
    WorkerShape(const CoreConfig& config, std::size_t slot)
        : family_(config.family.value_or(ModelFamily::unknown)),
          provider_count_max_(config.provider_count_max) {
        choices_.push_back({config.worker_browsers[slot]});
        if (config.worker_alternatives.empty()) return;
        // One by one: for a range g++ 12 warns at -O2 of a copy beyond the end that there is not.
        for (const WorkerAlternative other : config.worker_alternatives[slot])
            choices_.push_back(other);
    }

    /// Of the configured rungs, those that would make something else of this form after such a
    /// failure.
    [[nodiscard]] RungSet possible(RungSet rungs, BrowserFailureCategory failure,
                                   const WorkerForm& form) const noexcept {
        if (!next_adjustment(form, failure)) rungs.erase(RecoveryRung::restart_adjusted);
        for (const RecoveryRung rung :
             {RecoveryRung::other_browser, RecoveryRung::other_type, RecoveryRung::other_machine})
            if (!other(form, rung)) rungs.erase(rung);
        if (provider_count_max_ < 2) rungs.erase(RecoveryRung::other_provider);
        return rungs;
    }

    /// This rung is being tried against that failure.
    void apply(RecoveryRung rung, BrowserFailureCategory failure) noexcept {
        switch (rung) {
        case RecoveryRung::restart_adjusted:
            if (const auto attempt = next_adjustment(form_, failure)) {
                form_.adjustment = *attempt;
                form_.adjusted_for = failure;
            }
            break;
        case RecoveryRung::other_browser:
        case RecoveryRung::other_type:
        case RecoveryRung::other_machine: turn_to(other(form_, rung)); break;
        case RecoveryRung::other_provider:
            form_.provider_turns =
                static_cast<std::uint8_t>((form_.provider_turns + 1) % provider_count_max_);
            break;
        default: break;
        }
    }

    /// As configured again.
    void reset() noexcept { form_ = {}; }

    [[nodiscard]] const WorkerForm& form() const noexcept { return form_; }
    [[nodiscard]] BrowserType browser() const noexcept { return choices_[form_.browser].type; }
    [[nodiscard]] bool has_other_browser() const noexcept { return choices_.size() > 1; }

private:
    void turn_to(std::optional<std::uint8_t> browser) noexcept {
        if (!browser) return;
        form_.browser = *browser;
        form_.adjustment = 0; // adjustments are of one browser
        form_.adjusted_for = BrowserFailureCategory::unknown;
    }
    /// The next set of settings for such a failure that has more than the form has already.
    [[nodiscard]] std::optional<std::uint8_t>
    next_adjustment(const WorkerForm& form, BrowserFailureCategory failure) const noexcept {
        static_assert(browser::adjustment_attempt_max <= UINT8_MAX);
        const auto attempt = browser::next_adjustment(choices_[form.browser].type, failure, family_,
                                                      {form.adjusted_for, form.adjustment});
        if (!attempt) return std::nullopt;
        return static_cast<std::uint8_t>(*attempt);
    }
    /// By which rung a worker turns from the one to the other. Another machine is the larger step,
    /// whatever runs there: its browser is not ours, and may be of any version.
    [[nodiscard]] static constexpr RecoveryRung rung_between(WorkerAlternative from,
                                                             WorkerAlternative to) noexcept {
        if (from.machine != to.machine) return RecoveryRung::other_machine;
        return from.type == to.type ? RecoveryRung::other_browser : RecoveryRung::other_type;
    }
    /// The next one in turn that this rung turns to.
    [[nodiscard]] std::optional<std::uint8_t> other(const WorkerForm& form,
                                                    RecoveryRung rung) const noexcept {
        for (std::size_t i = 1; i < choices_.size(); ++i) {
            const std::size_t at = (form.browser + i) % choices_.size();
            if (rung_between(choices_[form.browser], choices_[at]) == rung)
                return static_cast<std::uint8_t>(at);
        }
        return std::nullopt;
    }

    std::vector<WorkerAlternative> choices_; ///< the configured one, then its alternatives
    ModelFamily family_;
    std::uint8_t provider_count_max_;
    WorkerForm form_;
};

} // namespace everpool::core
