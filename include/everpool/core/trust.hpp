// Everpool core: how far a worker's answers are to be believed.
// SPDX-License-Identifier: BSL-1.0
//
// A vote says who was in the minority this once. That may be a flipped bit, or rounding at the
// tolerance's edge, and no reason to restart anything; or an adapter that computes wrongly, and
// then it comes again. So each worker has a score between 0 and 1: an agreement takes it a little
// nearer to 1, a dissent halves it, and in time it goes back to where a new worker begins, for what
// was seen an hour ago says little about now.
//
// Below `quarantine_below` the worker is to be quarantined: it gets no operation of a caller until
// more is known of it. With the defaults that takes two dissents with less than fourteen agreements
// between them; less than ten, if the worker has long agreed. Where nobody can say who is wrong,
// all who differ are doubted a little, which after a few times quarantines each of them.
//
// The way out is a new life, PoolCore::restart_quarantined(): once the worker is idle it is started
// anew, must pass its models' warm-ups like any other, and nothing is held against it. A canary
// (core/canary.hpp) is no part of this. What it finds wrong is no opinion but a fact, for which the
// worker is lost at once.
//
//     trust.on_dissent(now);
//     if (!trust.is_trusted()) start_anew(worker); // then trust.reset()
//
// Not thread-safe; no allocation. Time is an argument.
#pragma once

#include "everpool/core/decay.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace everpool::core {

struct TrustConfig {
    /// Where a worker begins, and what its score goes back to. Default 0.8. Above quarantine_below,
    /// at most 1.
    double initial{0.8};
    /// Below this it is to be quarantined. Default 0.35. Above 0, below initial.
    double quarantine_below{0.35};
    /// How much of the way to 1 an agreement takes it. Default 0.05. 0 to 1.
    double gain{0.05};
    /// A dissent multiplies the score by this. Default 0.5. 0 to 1.
    double dissent_factor{0.5};
    /// An undecided vote multiplies the score of each who differs by this. Default 0.8. 0 to 1.
    double doubt_factor{0.8};
    /// Half of the distance to `initial` is forgotten in this time. Default 1 h. 1 s to 30 days.
    Duration half_life{std::chrono::hours{1}};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const TrustConfig& config) {
    using namespace std::chrono_literals;
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    const auto is_share = [](double value) { return value >= 0 && value <= 1; };
    demand(config.quarantine_below > 0 && config.quarantine_below < config.initial,
           "TrustConfig::quarantine_below must be above 0 and below initial");
    demand(config.initial <= 1, "TrustConfig::initial must be at most 1");
    demand(is_share(config.gain), "TrustConfig::gain must be 0 to 1");
    demand(is_share(config.dissent_factor), "TrustConfig::dissent_factor must be 0 to 1");
    demand(is_share(config.doubt_factor), "TrustConfig::doubt_factor must be 0 to 1");
    demand(config.half_life >= 1s && config.half_life <= 720h,
           "TrustConfig::half_life must be 1 s to 30 days");
}

class Trust {
public:
    /// Throws std::invalid_argument if check_config() does.
    explicit Trust(const TrustConfig& config = {})
        : config_((check_config(config), config)),
          decay_(config.half_life),
          score_(config.initial) {}

    void on_agreement(TimePoint now) noexcept {
        fade(now);
        score_ += config_.gain * (1 - score_);
    }
    /// It was in the minority.
    void on_dissent(TimePoint now) noexcept {
        fade(now);
        score_ *= config_.dissent_factor;
        ++dissent_count_;
    }
    /// It differed from others, and nobody can say who is wrong.
    void on_doubt(TimePoint now) noexcept {
        fade(now);
        score_ *= config_.doubt_factor;
        ++doubt_count_;
    }
    /// A new life: nothing is held against it.
    void reset() noexcept {
        score_ = config_.initial;
        touched_ = TimePoint{};
        is_touched_ = false;
    }

    /// As of the last event.
    [[nodiscard]] double score() const noexcept { return score_; }
    /// May it have operations of callers? If not, start it anew.
    [[nodiscard]] bool is_trusted() const noexcept { return score_ >= config_.quarantine_below; }

    /// Over all its lives.
    [[nodiscard]] std::uint64_t dissent_count() const noexcept { return dissent_count_; }
    [[nodiscard]] std::uint64_t doubt_count() const noexcept { return doubt_count_; }

private:
    /// Time does not lift a quarantine: a worker that gets no operation gives no evidence.
    void fade(TimePoint now) noexcept {
        if (is_touched_ && is_trusted())
            score_ = config_.initial + (score_ - config_.initial) * decay_.factor(now - touched_);
        touched_ = is_touched_ ? std::max(touched_, now) : now;
        is_touched_ = true;
    }

    TrustConfig config_;
    Decay decay_;
    double score_;
    TimePoint touched_{};
    bool is_touched_{false};
    std::uint64_t dissent_count_{0}, doubt_count_{0};
};

} // namespace everpool::core
