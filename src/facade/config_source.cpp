// SPDX-License-Identifier: BSL-1.0
#include "everpool/config_source.hpp"

#include "everpool/error.hpp"
#include "facade/config_check.hpp"
#include "facade/config_document.hpp"
#include "facade/config_reader.hpp"
#include "facade/file_check.hpp"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace everpool {

namespace fs = std::filesystem;

namespace {

/// One byte more than may be read is enough to know that there are too many, though the file grows
/// meanwhile.
std::string text_of_file(const fs::path& file, const std::string& name) {
    // Who may write into its directory can put something else there between this and the reading.
    const facade::FileCheck checked = facade::check_file(file);
    if (checked.ec)
        throw std::invalid_argument(fmt::format("{} cannot be read: {}", name, checked.why));
    std::string text(config_bytes_max + 1, '\0');
    std::ifstream stream(file, std::ios::binary);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad())
        throw std::invalid_argument(fmt::format("{} cannot be read: an error on the way", name));
    if (stream.gcount() > static_cast<std::streamsize>(config_bytes_max))
        throw std::invalid_argument(
            fmt::format("{} has more than {} bytes", name, config_bytes_max));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

ResourcePoolConfig read(std::string_view text, std::string_view subject, const fs::path& directory,
                        ResourcePoolConfig base) {
    facade::read_config(facade::parse_config(text, subject), base, directory);
    facade::check_config(base);
    return base;
}

} // namespace

ResourcePoolConfig config_from_json(std::string_view text, ResourcePoolConfig base) {
    return read(text, "the configuration", {}, std::move(base));
}

ResourcePoolConfig config_from_file(const fs::path& file, ResourcePoolConfig base) {
    const std::string name = '\'' + escape_remote_text(file.string(), 300) + '\'';
    const std::string text = text_of_file(file, name);
    std::error_code no_directory; // the working directory may have been removed
    const fs::path whole = fs::absolute(file, no_directory);
    if (no_directory)
        throw std::invalid_argument(
            fmt::format("{} lies nowhere: {}", name, no_directory.message()));
    return read(text, name, whole.parent_path(), std::move(base));
}

} // namespace everpool
