// Who hangs, for every condition that was measured, with all channels asked and with fewer.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/silence.hpp"
#include "support/catch.hpp"

#include <string_view>

using namespace everpool;
using browser::diagnose_silence;
using browser::Silence;

namespace {

constexpr auto yes = ChannelAnswer::answers;
constexpr auto no = ChannelAnswer::silent;
constexpr auto not_asked = ChannelAnswer::unknown;

struct SilenceRow {
    std::string_view condition;
    ChannelsSilent seen;
    Silence silence;
};

template <std::size_t count>
void check(BrowserEngine engine, const SilenceRow (&rows)[count]) {
    for (const SilenceRow& row : rows) {
        CAPTURE(name_of(engine), row.condition, name_of(row.silence));
        CHECK(name_of(diagnose_silence(engine, row.seen)) == name_of(row.silence));
    }
}

ChannelsSilent channels(ChannelAnswer page, ChannelAnswer compute, ChannelAnswer protocol,
                        ChannelAnswer control, ChannelAnswer evaluate) {
    return {.compute = compute,
            .page = page,
            .control = control,
            .protocol = protocol,
            .evaluate = evaluate};
}

} // namespace

TEST_CASE("in Chromium each part that hangs is told from the others") {
    const SilenceRow rows[] = {
        {"nothing", channels(yes, yes, yes, yes, yes), Silence::none},
        {"main thread loops", channels(no, yes, yes, yes, no), Silence::page_hung},
        {"compute thread loops", channels(yes, no, yes, yes, yes), Silence::compute_hung},
        {"page stopped", channels(no, no, yes, yes, no), Silence::page_hung},
        {"network stopped", channels(no, no, no, yes, yes), Silence::network_service_stopped},
        {"browser stopped", channels(yes, yes, yes, no, no), Silence::browser_stopped},
        {"GPU process stopped", channels(yes, yes, yes, yes, yes), Silence::none},
        {"all stopped", channels(no, no, no, no, no), Silence::tree_stopped},
    };
    check(BrowserEngine::chromium, rows);
}

// Its worker's socket waits for the main thread, and its parent does the networking.
TEST_CASE("in Firefox a stopped parent silences everything, and a loop on the page two sockets") {
    const SilenceRow rows[] = {
        {"main thread loops", channels(no, no, yes, yes, not_asked), Silence::page_hung},
        {"compute thread loops", channels(yes, no, yes, yes, not_asked), Silence::compute_hung},
        {"page stopped", channels(no, no, yes, yes, no), Silence::page_hung},
        {"parent stopped", channels(no, no, no, no, no), Silence::browser_stopped},
        {"parent stopped, control not asked", channels(no, no, no, not_asked, not_asked),
         Silence::browser_stopped},
    };
    check(BrowserEngine::gecko, rows);
}

TEST_CASE("in WebKit a stopped parent leaves the sockets answering") {
    const SilenceRow rows[] = {
        {"main thread loops", channels(no, no, yes, yes, not_asked), Silence::page_hung},
        {"compute thread loops", channels(yes, no, yes, yes, not_asked), Silence::compute_hung},
        {"parent stopped", channels(yes, yes, yes, no, no), Silence::browser_stopped},
        {"network stopped", channels(no, no, no, yes, not_asked), Silence::network_service_stopped},
        {"all stopped", channels(no, no, no, no, no), Silence::tree_stopped},
    };
    check(BrowserEngine::webkit, rows);
}

// A worker that computes cannot answer; taking it for hung would throw away what it has computed.
TEST_CASE("a compute thread in the middle of an operation is busy until its deadline") {
    ChannelsSilent seen = channels(yes, no, yes, yes, yes);
    seen.is_compute_in_time = true;
    CHECK(diagnose_silence(BrowserEngine::chromium, seen) == Silence::busy);
    CHECK(domain_of(Silence::busy) == FailureDomain::operation);
    seen.page = seen.evaluate = no; // that does not excuse the main thread
    CHECK(diagnose_silence(BrowserEngine::chromium, seen) == Silence::page_hung);
}

TEST_CASE("with fewer channels the smallest part that explains the silence is blamed") {
    const SilenceRow rows[] = {
        {"nobody asked", {}, Silence::none},
        {"compute alone", {.compute = no}, Silence::compute_hung},
        {"page alone", {.page = no}, Silence::page_hung},
        {"control alone", {.control = no}, Silence::browser_stopped},
        {"evaluate alone", {.evaluate = no}, Silence::page_hung},
        {"protocol alone", {.protocol = no}, Silence::network_service_stopped},
        {"both sockets", {.compute = no, .page = no}, Silence::page_hung},
        {"both, control lives", {.compute = no, .page = no, .control = yes}, Silence::page_hung},
        {"compute and protocol", {.compute = no, .protocol = no}, Silence::network_service_stopped},
        {"browser stopped, compute busy",
         {.compute = no, .page = yes, .control = no},
         Silence::browser_stopped},
    };
    check(BrowserEngine::chromium, rows);
}

TEST_CASE("every combination of answers is judged, and only silence is blamed") {
    for (const auto engine : {BrowserEngine::chromium, BrowserEngine::gecko, BrowserEngine::webkit})
        for (int code = 0; code < 3 * 3 * 3 * 3 * 3; ++code) {
            const auto answer = [code](int place) {
                return static_cast<ChannelAnswer>(code / place % 3);
            };
            const ChannelsSilent seen =
                channels(answer(1), answer(3), answer(9), answer(27), answer(81));
            bool is_silent = false;
            for (const int place : {1, 3, 9, 27, 81}) is_silent |= answer(place) == no;
            CAPTURE(name_of(engine), code);
            const Silence silence = diagnose_silence(engine, seen);
            CHECK(name_of(silence) != "unrecognised");
            if (!is_silent) CHECK(silence == Silence::none);
            // A compute thread that answers does not hang.
            if (seen.compute == yes) CHECK(silence != Silence::compute_hung);
            if (seen.control == yes) CHECK(domain_of(silence) != FailureDomain::browser);
        }
}
