// SPDX-License-Identifier: BSL-1.0
#include "facade/file_check.hpp"

#include <boost/system/errc.hpp>

#include <fstream>
#include <system_error>

namespace everpool::facade {

namespace fs = std::filesystem;
namespace errc = boost::system::errc;

FileCheck check_file(const fs::path& file) {
    std::error_code cause;
    const bool is_regular = fs::is_regular_file(file, cause);
    if (cause) return {cause, cause.message(), 0};
    if (!is_regular)
        return {errc::make_error_code(errc::invalid_argument), "it is not a regular file", 0};
    if (!std::ifstream(file, std::ios::binary).is_open())
        return {errc::make_error_code(errc::permission_denied), "it cannot be opened", 0};
    const std::uint64_t bytes = fs::file_size(file, cause);
    if (cause) return {cause, cause.message(), 0};
    return {{}, {}, bytes};
}

} // namespace everpool::facade
