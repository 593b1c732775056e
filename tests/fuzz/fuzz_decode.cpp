// The decoder of everpool.v1, fed with whatever a page may send.
// SPDX-License-Identifier: BSL-1.0
#include "frame_checks.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace everpool;
    fuzz::check_frame(fuzz::bytes_of(data, size), wire::decode);
    return 0;
}
