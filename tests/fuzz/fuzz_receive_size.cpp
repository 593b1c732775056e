// The guess at a message's length from its beginning: never above the limit, and right or none.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/wire/codec.hpp"
#include "fuzz.hpp"
#include "io/receive_size.hpp"

#include <memory>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace everpool;
    const auto input = fuzz::bytes_of(data, size);
    const auto frame = std::make_shared<const std::vector<std::byte>>(input.begin(), input.end());
    const wire::Limits limits;
    wire::Message message;
    const bool is_message = wire::decode(*frame, frame, limits, message) == wire::DecodeResult::ok;
    for (const std::size_t bytes : {size, size / 2, std::min<std::size_t>(size, 64)}) {
        const std::vector<std::byte> beginning(input.begin(), input.begin() + bytes);
        const std::size_t announced = io::announced_frame_bytes(beginning, limits);
        fuzz::require(announced <= limits.frame_bytes_max, "nothing above the limit is announced");
        if (is_message)
            fuzz::require(announced == 0 || announced == size,
                          "a message's length is told rightly");
    }
    if (is_message && (message.index() == 5 || message.index() == 6))
        fuzz::require(io::may_carry_tensors(*frame), "runs and results may carry tensors");
    return 0;
}
