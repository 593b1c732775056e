// A host that only wants the decisions and the wire protocol: everpool::core, header-only.
// SPDX-License-Identifier: BSL-1.0
#include "core_headers.hpp"

#include <cstdio>

std::size_t element_bytes_seen_elsewhere();

int main() {
    const auto tensor = everpool::Tensor::of<float>("x", {1, 2}, {1.0F, 2.0F});
    const everpool::error_code ec = everpool::Errc::queue_full;
    std::printf("%s %s\n", tensor.describe().c_str(), ec.message().c_str());
    return tensor.is_consistent() && element_bytes_seen_elsewhere() == 4 ? 0 : 1;
}
