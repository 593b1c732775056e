// A decoder with a bug planted, which the same checks must find; else fuzzing proves nothing.
// SPDX-License-Identifier: BSL-1.0
#include "frame_checks.hpp"

namespace {

using namespace everpool;

/// Takes a dimension of 5 for one of 4. No golden message has one of 5.
wire::DecodeResult decode_wrongly(std::span<const std::byte> frame,
                                  std::shared_ptr<const void> owner, const wire::Limits& limits,
                                  wire::Message& out) {
    const auto result = wire::decode(frame, std::move(owner), limits, out);
    if (auto* run = std::get_if<wire::Run>(&out))
        for (Tensor& tensor : run->tensors)
            for (std::int64_t& dimension : tensor.shape)
                if (dimension == 5) dimension = 4;
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::check_frame(fuzz::bytes_of(data, size), decode_wrongly);
    return 0;
}
