// Tests: a strategy that always wants the same, whatever has failed.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/recovery_strategy.hpp"

#include <optional>
#include <string_view>

namespace everpool::tests {

struct OneRung final : BrowserRecoveryStrategy {
    explicit OneRung(RecoveryRung wanted) : rung(wanted) {}
    [[nodiscard]] std::string_view name() const noexcept override { return "one_rung"; }
    [[nodiscard]] std::optional<RecoveryRung> next(const RecoverySituation&) const override {
        return rung;
    }
    RecoveryRung rung;
};

} // namespace everpool::tests
