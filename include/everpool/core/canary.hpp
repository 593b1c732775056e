// Everpool core: when a worker is asked what is known, to see whether it still answers rightly.
// SPDX-License-Identifier: BSL-1.0
//
// A lost buffer or a driver that rounds wrongly does not fail, it answers. So a ready worker runs
// one model's warm-up inference again from time to time, whose answer is known: on the path that
// callers' operations take, behind those that are there, the models in turn. One question is under
// way at most. Of a model that came without a WarmUp::answer none is known, and none is asked for.
//
// Its answer has no deadline of its own: it waits its turn. But if nothing at all comes from the
// worker for `patience`, it will not come either.
#pragma once

#include "everpool/core/model_set.hpp"
#include "everpool/ids.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <optional>

namespace everpool::core {

class Canary {
public:
    /// `interval` 0: never.
    Canary(Duration interval, Duration patience, std::uint32_t model_count) noexcept
        : interval_(interval), patience_(patience), model_count_(model_count) {}

    /// The worker has become ready, which the models' warm-ups have just proved.
    void start(TimePoint now) noexcept {
        model_.reset();
        wait(now);
    }
    void stop() noexcept {
        model_.reset();
        deadline_ = never;
    }

    /// Is it time for a question?
    [[nodiscard]] bool is_due(TimePoint now) const noexcept { return !model_ && now >= deadline_; }
    /// Not now: the worker is somebody's own.
    void postpone(TimePoint now) noexcept { wait(now); }
    /// \return what to ask for: the next one in both sets; empty: none, and nothing is asked
    std::optional<ModelId> ask(const ModelSet& ready, const ModelSet& known,
                               TimePoint now) noexcept {
        for (std::uint32_t i = 0; i < model_count_ && !model_; ++i) {
            const ModelId candidate{(next_ + i) % model_count_};
            if (ready.contains(candidate) && known.contains(candidate)) model_ = candidate;
        }
        if (!model_) {
            wait(now);
            return std::nullopt;
        }
        next_ = (model_->value + 1) % model_count_;
        deadline_ = later(now, patience_);
        return model_;
    }

    [[nodiscard]] bool is_asked() const noexcept { return model_.has_value(); }
    /// \return whether it had been asked for
    bool on_answer(ModelId model, TimePoint now) noexcept {
        if (model_ != model) return false;
        model_.reset();
        wait(now);
        return true;
    }
    /// The worker has answered something else: it gets on.
    void on_progress(TimePoint now) noexcept {
        if (model_) deadline_ = later(now, patience_);
    }
    /// Neither the answer nor anything else has come.
    [[nodiscard]] bool is_overdue(TimePoint now) const noexcept {
        return model_ && now >= deadline_;
    }
    /// The host stood still for so long.
    void on_host_late(Duration lost) noexcept { deadline_ = later(deadline_, lost); }

    /// When is_due() or is_overdue() may become true.
    [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }

private:
    void wait(TimePoint now) noexcept {
        const bool is_ever = interval_ > Duration{} && model_count_ != 0;
        deadline_ = is_ever ? later(now, interval_) : never;
    }

    Duration interval_, patience_;
    std::uint32_t model_count_;
    std::uint32_t next_{0};
    std::optional<ModelId> model_;
    TimePoint deadline_{never};
};

} // namespace everpool::core
