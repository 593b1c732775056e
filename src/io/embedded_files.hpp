// Everpool doors: the files that are part of the library's own read-only data.
// SPDX-License-Identifier: BSL-1.0
//
// The table is written by cmake/embed.cmake; the bytes come in through the assembler, so 16 MiB of
// WebAssembly cost no compile time and are paged in from the library's file only when they are
// served.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace everpool::io {

struct EmbeddedFile {
    std::string_view url_path; ///< "/everpool/page.js"
    std::string_view mime;     ///< "text/javascript"
    std::string_view etag;     ///< with its quotes; changes whenever the content does
    std::span<const std::byte> bytes;
};

/// All of them, sorted by url_path.
std::span<const EmbeddedFile> embedded_files() noexcept;

} // namespace everpool::io
