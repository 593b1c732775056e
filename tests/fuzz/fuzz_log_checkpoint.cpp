// The envelope of a log's checkpoint, its name, and the names of segments.
// SPDX-License-Identifier: BSL-1.0
//
// Input: what to mend (log_seal.hpp) u8 | the file, which is also taken for a name.
#include "everpool/log/checkpoint_file.hpp"
#include "everpool/log/record_body.hpp"
#include "fuzz.hpp"
#include "log_seal.hpp"
#include "support/run_length_compressor.hpp"

namespace {

using namespace everpool;
using namespace everpool::log;
using fuzz::require;

void check_names(std::string_view name) {
    if (const auto index = segment_index_of(name))
        require(segment_name(*index) == name, "a segment has one name");
    if (const auto parsed = parse_checkpoint_name(name))
        require(checkpoint_name(parsed->kind, parsed->lsn) == name, "a checkpoint has one name");
}

void check_file(std::span<const std::byte> file) {
    CheckpointHeader header;
    std::span<const std::byte> body;
    if (decode_checkpoint(file, header, body) != FormatError::ok) return;
    require(fuzz::is_same(body, file.subspan(file_header_bytes)), "a body is the rest of the file");
    const auto encoded = encode_checkpoint_header(header, body);
    require(fuzz::is_same(encoded, file.first(file_header_bytes)),
            "a checkpoint that is taken is one that a writer makes");
    const CheckpointEntry entry = checkpoint_entry(encoded);
    require(entry.file_bytes == file.size() && entry.lsn == header.lsn &&
                entry.parent == header.parent && entry.kind == header.kind,
            "an entry says what the file says");
    require(decode_checkpoint(file, header.log, entry, header, body) == FormatError::ok,
            "a checkpoint is the one of its entry");
    check_names(checkpoint_name(header.kind, header.lsn));
    if (!header.is_compressed) return;
    std::vector<std::byte> raw;
    const bool is_taken = decompress_body(body, 100'000, test::RunLengthCompressor(), raw);
    require(raw.size() <= (is_taken ? 100'000u : 0u), "a body is bounded");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    check_names(fuzz::text_of(data + 1, size - 1));
    std::vector<std::byte> file = fuzz::copy_of(fuzz::bytes_of(data, size).subspan(1));
    if ((data[0] & fuzz::mend_header) != 0) fuzz::mend_file_header(file, true);
    check_file(file);
    return 0;
}
