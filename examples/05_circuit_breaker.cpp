// 5. A circuit breaker alone, in front of a peer that fails for a while. Links everpool::core only.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/circuit_breaker.hpp>

#include <chrono>
#include <cstdio>

int main() {
    using namespace everpool;
    using namespace std::chrono_literals;

    TimePoint now = std::chrono::steady_clock::now(); // moved by hand below, so that nobody waits
    const TimePoint start = now;
    const auto tell = [&](const BreakerChange& change) {
        std::printf("%5.1f s: %s, because of %s\n",
                    std::chrono::duration<double>(now - start).count(), name_of(change.to).data(),
                    name_of(change.reason).data());
    };
    CircuitBreaker breaker{{.open_time = 10s}, {.on_change = tell}};

    int asked = 0, failed = 0, spared = 0;
    for (; now < start + 60s; now += 500ms) {
        auto permit = breaker.try_acquire(now);
        if (!permit) {
            ++spared; // ask somebody else; permit.retry_at() says until when
            continue;
        }
        const bool is_down = now > start + 5s && now < start + 20s;
        ++asked;
        failed += is_down ? 1 : 0;
        permit.record(is_down ? Outcome::failure : Outcome::success, now);
    }
    std::printf("asked %d times, %d failed, %d were spared\n", asked, failed, spared);
    return breaker.state() == BreakerState::closed && failed < 10 ? 0 : 1;
}
