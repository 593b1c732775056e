// 5. A circuit breaker alone, in front of a peer that fails for a while. Links everpool::core only.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/circuit_breaker.hpp>

#include <chrono>
#include <cstdio>

int main() {
    using namespace everpool;
    using namespace std::chrono_literals;

    const TimePoint start = std::chrono::steady_clock::now();
    const auto tell = [&](const BreakerChange& change) {
        std::printf("%2d s: %s, because of %s\n", static_cast<int>((change.at - start) / 1s),
                    name_of(change.to).data(), name_of(change.reason).data());
    };
    CircuitBreaker breaker{{.open_time = 10s}, {.on_change = tell}};
    int failed = 0, spared = 0;
    for (TimePoint now = start; now < start + 60s; now += 500ms) { // by hand, so that nobody waits
        if (auto permit = breaker.try_acquire(now)) {
            const bool is_down = now > start + 5s && now < start + 20s;
            failed += is_down ? 1 : 0;
            permit.record(is_down ? Outcome::failure : Outcome::success, now);
        } else {
            ++spared; // ask somebody else; permit.retry_at() says until when
        }
    }
    std::printf("%d calls failed, %d were spared\n", failed, spared);
    return breaker.state() == BreakerState::closed && failed < 10 ? 0 : 1;
}
