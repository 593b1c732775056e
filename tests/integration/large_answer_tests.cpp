// An answer that is larger than the pool takes. It is the operation's fault, so it must cost that
// operation alone: not the worker, and not another attempt, which would cost the next worker.
// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"

using namespace everpool;
using namespace everpool::tests;

TEST_CASE("an answer beyond frame_bytes_max costs its operation, and no worker") {
    ResourcePoolConfig config;
    config.frame_bytes_max = 64 << 10;
    PoolUnderTest test(config);
    test.start();
    Request request;
    request.operation = "compute";
    request.idempotent = true; // may be tried again, and is not
    request.parameters =
        R"({"wgsl": "@group(0) @binding(0) var<storage, read_write> y : array<f32>; )"
        R"(@compute @workgroup_size(1) fn main() { y[0] = 1; }", )"
        R"("outputs": [{"name": "y", "dtype": "float32", "shape": [65536]}]})";
    const Answer answer = test.run(request);
    INFO(answer.result.diagnostics.text());
    CHECK(answer.ec == Errc::message_too_large);
    CHECK(answer.result.attempts == 1);
    CHECK_FALSE(test.run(Request::echo({})).ec);
    CHECK(test.count_of(PoolEvent::Kind::worker_lost) == 0);
    test.stop();
}
