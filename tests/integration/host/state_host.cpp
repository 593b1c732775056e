// A host whose pool keeps its state in a directory, to be killed.
//
//     state_host <what it does> <level> <state directory> <module> [first index]
//
// unfinished: two workers have the model mlp, and run 20 inferences; then five operations are left
// unfinished (one that may be repeated, one that may not, one that is too large to be kept, another
// one that may be repeated, one that waits and must not be repeated). All that is durable when it
// prints "ready".
// endless: runs the module without end, eight at a time, each with an index of its own, of which
// the odd ones must not be executed twice. Prints "executed <index>" when the page says so,
// "answered <index>" when the caller hears of it, "recovered <digest of its inputs> <why it was not
// executed>" of what an earlier host has left ("ok" if it was).
// unrecorded: one operation runs, and one that must not be executed twice waits; when that is
// durable the first is cancelled, and the other one is sent. Nothing more is written for ten
// seconds.
// SPDX-License-Identifier: BSL-1.0
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <everpool/browser_state_manager.hpp>
#include <everpool/everpool.hpp>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace everpool;

void print(const std::string& line) {
    // One write a line: what was written is the parent's, whenever this process dies.
    if (::write(STDOUT_FILENO, (line + '\n').c_str(), line.size() + 1) < 0) std::exit(1);
}

Request module_request(std::uint64_t index, bool is_idempotent, std::size_t elements = 1) {
    Request request;
    request.operation = "module";
    request.parameters = "{\"index\": " + std::to_string(index) + "}";
    request.inputs = {Tensor::of<std::uint64_t>("index", {static_cast<std::int64_t>(elements)},
                                                std::vector(elements, index))};
    request.idempotent = is_idempotent;
    request.timeout = std::chrono::minutes{30};
    return request;
}

void ignore(error_code, const Result&) {}

/// What is queued says nothing of how many operations there are: at level critical each copy
/// counts.
void wait_for(const ResourcePool& pool, std::uint32_t in_flight, std::size_t operations) {
    const auto state = pool.state();
    while (pool.snapshot().in_flight < in_flight ||
           state->snapshot().operation_count() < operations)
        std::this_thread::yield();
}

void leave_unfinished(Runtime& runtime, ResourcePool& pool) {
    const auto mlp = tests::samples_of("mlp");
    for (std::size_t i = 0; i < 20; ++i)
        (void)runtime.run(pool, Request::inference("mlp", mlp.samples[i % 8].inputs));
    pool.async_run(module_request(1, true), ignore);
    pool.async_run(module_request(2, false), ignore);
    pool.async_run(module_request(3, true, 16 << 10), ignore); // 128 KiB
    pool.async_run(module_request(4, true), ignore);
    pool.async_run(module_request(5, false), ignore); // waits: two workers take two each
    wait_for(pool, 4, 20 + 5);
    if (pool.state()->flush()) std::exit(1);
    print("ready");
}

/// Submits the next one when one is answered.
void run_on(ResourcePool& pool, std::uint64_t index) {
    pool.async_run(module_request(index, index % 2 == 0),
                   [&pool, index](error_code ec, const Result&) {
                       if (!ec) print("answered " + std::to_string(index));
                       run_on(pool, index + 8);
                   });
}

void send_unrecorded(ResourcePool& pool) {
    static boost::asio::cancellation_signal cancel;
    pool.async_run(module_request(1, false),
                   boost::asio::bind_cancellation_slot(cancel.slot(), ignore));
    pool.async_run(module_request(2, false), ignore);
    wait_for(pool, 1, 2);
    if (pool.state()->flush()) std::exit(1);
    cancel.emit(boost::asio::cancellation_type::terminal);
}

ResourcePoolConfig config_for(std::string_view what, char** argv) {
    ResourcePoolConfig config;
    config.modules = {{"module", argv[4]}};
    config.fault_tolerance.level = fault_tolerance_level_from(argv[2]).value();
    config.standby_count = 0; // it is about one browser
    config.fault_tolerance.state_directory = argv[3];
    config.max_in_flight_per_worker = 3;
    if (what == "unfinished") {
        config.models = {tests::spec_of(tests::samples_of("mlp"), ModelFamily::text)};
        config.browsers.at(0).count = 2;
        config.max_in_flight_per_worker = 2;
    } else if (what == "unrecorded") {
        config.max_in_flight_per_worker = 1;
        config.fault_tolerance.commit_interval = std::chrono::seconds{10};
    }
    config.on_event = [](const PoolEvent& event) {
        const std::string& text = event.diagnostics.remote_text;
        // That level critical has too few workers here is meant so.
        if (event.kind == PoolEvent::Kind::warning && event.code != Errc::ok)
            print("warning " + event.diagnostics.message);
        if (event.kind != PoolEvent::Kind::page_message) return;
        if (const auto at = text.find("executed "); at != std::string::npos) print(text.substr(at));
    };
    config.fault_tolerance.on_recovered = [](const RecoveredOperation& one) {
        print("recovered " + std::to_string(one.operation.inputs_digest) + ' ' +
              (one.code ? one.code.message() : "ok"));
    };
    return config;
}

} // namespace

int main(int argc, char** argv) try {
    if (argc < 5) return 2;
    const std::string_view what = argv[1];
    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config_for(what, argv)};
    runtime.start(pool);
    const std::uint64_t first = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 0;
    if (what == "unfinished") leave_unfinished(runtime, pool);
    else if (what == "unrecorded") send_unrecorded(pool);
    else
        for (std::uint64_t i = 0; i < 8; ++i) run_on(pool, first + i);
    for (;;) ::pause();
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
