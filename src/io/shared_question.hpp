// Everpool doors: a question that is not asked again before it has been answered.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace everpool::io {

/// Who asks while an answer is awaited has the next one, with all others that do: an answer tells
/// nothing of the time after it was asked for.
class SharedQuestion {
public:
    using Handler = std::function<void(error_code, Diagnostics)>;
    /// Asks. The handler that it is given is called once, even if this question is gone by then.
    using Send = std::function<void(Handler answered)>;

    void ask(Handler handler, const Send& send) {
        state_->next.push_back(std::move(handler));
        if (state_->asking.empty()) round(state_, send);
    }

private:
    struct State {
        std::vector<Handler> asking, next;
    };
    static void round(const std::shared_ptr<State>& state, const Send& send) {
        state->asking.swap(state->next);
        send([state, send](error_code ec, const Diagnostics& why) {
            for (const Handler& handler : std::exchange(state->asking, {})) handler(ec, why);
            if (!state->next.empty() && state->asking.empty()) round(state, send);
        });
    }
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace everpool::io
