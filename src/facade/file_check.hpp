// Everpool facade: can a file that the host registered be read?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace everpool::facade {

struct FileCheck {
    error_code ec;          ///< set if it cannot be read: the system's, or one that comes nearest
    std::string why;        ///< the same in words
    std::uint64_t bytes{0}; ///< its size if it can
};

/// Opens the file and reads nothing. Never throws for the sake of a path, however odd.
FileCheck check_file(const std::filesystem::path& file);

} // namespace everpool::facade
