// Everpool facade: an error of whatever category as one of this library's codes.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"

namespace everpool::facade {

/// `otherwise`: what it counts as if it is somebody else's. \pre ec is set
inline Errc own_code(error_code ec, Errc otherwise) noexcept {
    return ec.category() == error_category() ? static_cast<Errc>(ec.value()) : otherwise;
}

} // namespace everpool::facade
