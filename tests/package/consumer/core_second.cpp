// The same headers a second time in one program.
// SPDX-License-Identifier: BSL-1.0
#include "core_headers.hpp"

std::size_t element_bytes_seen_elsewhere() {
    return everpool::element_bytes(everpool::DataType::float32);
}
