// A PoolCore with a clock that the test turns, and its invariants checked after every event.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event_text.hpp"
#include "everpool/core/invariants.hpp"
#include "everpool/core/pool_core.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::core {

using namespace std::chrono_literals;

inline constexpr WorkerId w0{0}, w1{1}, w2{2};
inline constexpr ModelId m0{0}, m1{1};

/// All actions of one kind, in order.
template <class What>
std::vector<What> all(const Actions& actions) {
    std::vector<What> found;
    for (const Action& action : actions)
        if (const What* one = std::get_if<What>(&action)) found.push_back(*one);
    return found;
}

/// The only action of its kind.
template <class What>
What only(const Actions& actions) {
    const std::vector<What> found = all<What>(actions);
    INFO(actions.size() << " actions");
    REQUIRE(found.size() == 1);
    return found.front();
}

template <class What>
bool has(const Actions& actions, const What& what) {
    for (const Action& action : actions)
        if (action == Action(what)) return true;
    return false;
}

/// What the only loss among them was found by.
inline std::optional<WrongAnswerFinder> finder_of_loss(const Actions& actions) {
    std::vector<Notice> losses = all<Notice>(actions);
    std::erase_if(losses, [](const Notice& one) { return one.what != Notice::What::worker_lost; });
    REQUIRE(losses.size() == 1);
    return losses.front().found_by;
}

/// Index of an action; the number of actions if it is not there.
inline std::size_t place_of(const Actions& actions, const Action& action) {
    std::size_t i = 0;
    while (i < actions.size() && actions[i] != action) ++i;
    return i;
}

struct CoreRig {
    explicit CoreRig(CoreConfig config, std::uint64_t seed = 1) : core(std::move(config), seed) {}

    /// `count` chromium workers, no models.
    static CoreConfig workers(std::size_t count,
                              std::uint32_t in_flight_max = CoreConfig{}.max_in_flight_per_worker) {
        CoreConfig config;
        config.worker_browsers.assign(count, BrowserType::chromium);
        config.max_in_flight_per_worker = in_flight_max;
        return config;
    }

    Actions send(const Event& event) {
        Actions actions;
        core.on(event, now, actions);
        check(text_of(event));
        return actions;
    }

    /// Lets time pass, waking the core whenever it asked for it.
    Actions pass(Duration duration) {
        Actions actions;
        const TimePoint end = now + duration;
        while (core.next_wakeup() <= end) {
            now = std::max(now, core.next_wakeup());
            core.on_wakeup(now, actions);
            check("wakeup");
        }
        now = end;
        core.on_wakeup(now, actions);
        check("wakeup");
        return actions;
    }

    /// As pass(), but the workers answer their pings.
    Actions pass_alive(Duration duration) {
        return pass_answering(duration, [](const SendPing&) { return true; });
    }
    /// As pass_alive(), but the compute threads do not answer.
    Actions pass_without_compute(Duration duration) {
        return pass_answering(
            duration, [](const SendPing& ping) { return ping.channel == wire::Channel::control; });
    }
    template <class Choice>
    Actions pass_answering(Duration duration, Choice is_answered) {
        Actions actions;
        for (const TimePoint end = now + duration; now < end;) {
            for (const Action& action : pass(std::min<Duration>(10ms, end - now))) {
                actions.push_back(action);
                if (const auto* ask = std::get_if<AskControl>(&action);
                    ask && answers_control && ask->question != ControlQuestion::starvation)
                    send(ControlAnswered{ask->worker, ask->generation, ask->question,
                                         ask->sequence});
                const auto* ping = std::get_if<SendPing>(&action);
                if (ping != nullptr && is_answered(*ping))
                    send(
                        PongArrived{ping->worker, ping->generation, ping->channel, ping->sequence});
            }
        }
        return actions;
    }

    bool answers_control{true}; ///< of browsers, in pass_answering() and its like

    Generation generation(WorkerId worker) const { return core.worker(worker).generation; }
    WorkerState state(WorkerId worker) const { return core.worker(worker).state; }

    /// Brings a worker from launching to ready, models and all.
    Actions make_ready(WorkerId worker) {
        const Generation life = generation(worker);
        Actions actions = send(WorkerConnected{worker, life});
        for (std::uint32_t i = 0; i < core.config().model_count; ++i) {
            if (state(worker) != WorkerState::starting) break;
            send(ModelLoaded{worker, life, ModelId{i}});
            actions = send(ModelWarmedUp{worker, life, ModelId{i}});
        }
        return actions;
    }

    /// Start, and every worker ready.
    void start() {
        send(Start{});
        for (std::uint32_t i = 0; i < core.worker_count(); ++i) make_ready(WorkerId{i});
    }

    Actions submit(std::uint64_t id) { return send(Submit{{.id = RequestId{id}}}); }
    Actions submit(RequestMeta meta) { return send(Submit{meta}); }

    /// The worker's answer to a Dispatch.
    Actions reply(const Dispatch& to, Errc code = Errc::ok) {
        return send(Replied{to.worker, to.generation, to.request, to.attempt, code});
    }
    /// The driver's: it could not be sent.
    Actions refuse(const Dispatch& to, Errc code) {
        return send(Replied{to.worker, to.generation, to.request, to.attempt, code, false});
    }
    Actions lose(WorkerId worker, LossCause cause) {
        return send(WorkerLost{worker, generation(worker), cause});
    }

    void check(const std::string& after) const {
        const auto broken = check_invariants(core);
        INFO("after " << after << ": " << (broken ? *broken : std::string_view("fine")));
        REQUIRE(!broken);
    }

    TimePoint now{1h};
    PoolCore core;
};

} // namespace everpool::core
