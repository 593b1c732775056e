// A log's manifest: what is taken can be written, and gives the same bytes.
// SPDX-License-Identifier: BSL-1.0
//
// Input: what to mend (log_seal.hpp) u8 | the file.
#include "everpool/log/manifest.hpp"
#include "fuzz.hpp"
#include "log_seal.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace everpool;
    const auto input = fuzz::bytes_of(data, size);
    if (input.empty()) return 0;
    std::vector<std::byte> file = fuzz::copy_of(input.subspan(1));
    if ((data[0] & fuzz::mend_header) != 0) fuzz::mend_file_header(file, true);
    log::Manifest manifest;
    if (log::decode_manifest(file, manifest) != log::FormatError::ok) return 0;
    fuzz::require(manifest.checkpoints.size() <= log::manifest_checkpoints_max &&
                      manifest.cuts.size() <= log::manifest_cuts_max,
                  "a manifest is bounded");
    fuzz::require(log::encode_manifest(manifest) == file,
                  "a manifest that is taken is one that a writer makes");
    return 0;
}
