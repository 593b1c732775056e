// Tests: everything that is in a directory, to be compared with what is there later.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace everpool::tests {

/// By name: the bytes of a file, the target of a link, "/" for a directory; those inside it, too.
using DirectoryContents = std::map<std::string, std::string>;

inline DirectoryContents contents_of(const std::filesystem::path& directory) {
    namespace fs = std::filesystem;
    DirectoryContents out;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
        std::string& contents = out[entry.path().lexically_relative(directory).string()];
        if (entry.is_symlink()) contents = "-> " + fs::read_symlink(entry.path()).string();
        else if (entry.is_directory()) contents = "/";
        else {
            std::ifstream in(entry.path(), std::ios::binary);
            contents.assign(std::istreambuf_iterator<char>(in), {});
        }
    }
    return out;
}

} // namespace everpool::tests
