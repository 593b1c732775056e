// Writes the inputs that the log's fuzzers begin with, by the encoders themselves.
// SPDX-License-Identifier: BSL-1.0
//
//     make_log_corpus tests/fuzz/corpus
#include "everpool/log/manifest.hpp"
#include "everpool/log/record_body.hpp"
#include "everpool/log/segment_writer.hpp"
#include "log_seal.hpp"
#include "support/run_length_compressor.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using namespace everpool;
using namespace everpool::log;

constexpr std::uint8_t mend_all = fuzz::mend_header | fuzz::mend_fragments | fuzz::mend_chain;
std::filesystem::path corpus;

std::vector<std::byte> bytes_of(std::string_view text) {
    return fuzz::copy_of(std::as_bytes(std::span(text.data(), text.size())));
}

void write(const char* fuzzer, const char* name, std::uint8_t mend,
           std::span<const std::byte> rest) {
    std::filesystem::create_directories(corpus / fuzzer);
    std::ofstream file(corpus / fuzzer / name, std::ios::binary);
    file.put(static_cast<char>(mend));
    file.write(reinterpret_cast<const char*>(rest.data()),
               static_cast<std::streamsize>(rest.size()));
    if (!file.flush()) std::perror(name), std::exit(1);
}

std::vector<std::byte> dull_body() {
    const test::RunLengthCompressor compressor;
    std::vector<std::byte> body;
    if (!compress_body(std::vector<std::byte>(1000, std::byte{'x'}), compressor, body))
        std::abort();
    return body;
}

void write_records() {
    const auto record = [](const char* name, std::uint16_t place, const FragmentHeader& header,
                           std::span<const std::byte> payload) {
        std::vector<std::byte> bytes(2 + fragment_header_bytes + padded(payload.size()));
        store(bytes.data(), place);
        std::copy(payload.begin(), payload.end(), bytes.begin() + 2 + fragment_header_bytes);
        seal_fragment(bytes.data() + 2, header, fragment_seed(LogId{}, 1));
        write("fuzz_log_record", name, 0, bytes);
        write("fuzz_log_record", (std::string(name) + "_mended").c_str(), fuzz::mend_fragments,
              bytes);
    };
    record("empty", 0, {.type = FragmentType::full, .lsn = {1}}, {});
    record("text", 8, {.length = 5, .type = FragmentType::full, .lsn = {2}, .synced = {1}},
           bytes_of("hello"));
    record("compressed", 100,
           {.length = static_cast<std::uint16_t>(dull_body().size()),
            .type = FragmentType::full,
            .flags = flag_compressed,
            .lsn = {900}},
           dull_body());
    const std::vector<std::byte> rest(64, std::byte{7});
    record("first", block_bytes / 8 - 12, {.length = 64, .type = FragmentType::first, .lsn = {3}},
           rest);
    record("last", 0, {.length = 64, .type = FragmentType::last, .lsn = {3}, .chain = 9}, rest);
}

void write_segments() {
    const auto segment = [](const char* name, std::uint8_t mend, std::span<const std::size_t> sizes,
                            std::size_t zeroes) {
        const SegmentHeader header{.log = {{1, 2, 3}}, .index = 2, .first = {10}, .synced = {5}};
        const auto encoded = encode_segment_header(header);
        std::vector<std::byte> bytes(encoded.begin(), encoded.begin() + file_header_bytes);
        SegmentWriter writer(header.log, header.index, header.first, header.chain);
        for (const std::size_t size : sizes) {
            const std::vector<std::byte> body(size, std::byte{'r'});
            const Lsn lsn = writer.next();
            writer.append(lsn, Lsn{lsn.value - 1}, body, size % 2 != 0, bytes);
        }
        bytes.resize(bytes.size() + zeroes);
        write("fuzz_log_segment", name, mend, bytes);
    };
    const std::size_t none[] = {0};
    const std::size_t few[] = {20, 0, 100, 7, 33};
    const std::size_t long_one[] = {16, 33'000, 50};
    const std::size_t edge[] = {block_bytes - 32 - 32 - 16, 8, 9};
    segment("no_record", 0, std::span(none).first(0), 0);
    segment("empty_record", 0, none, 0);
    segment("few", 0, few, 40);
    segment("few_mended", mend_all, few, 0);
    segment("few_without_chain", fuzz::mend_header | fuzz::mend_fragments, few, 100);
    segment("over_blocks", mend_all, long_one, 0);
    segment("at_edge", mend_all, edge, 0);
}

void write_manifests() {
    Manifest manifest{.log = {{1, 2, 3}},
                      .number = 4,
                      .first_segment = 2,
                      .next_segment = 8,
                      .checkpoints = {},
                      .cuts = {}};
    write("fuzz_log_manifest", "empty", 0, encode_manifest(manifest));
    manifest.checkpoints = {{.kind = CheckpointKind::full, .lsn = {50}, .file_bytes = 999},
                            {.kind = CheckpointKind::delta,
                             .lsn = {60},
                             .parent = {50},
                             .file_bytes = 99,
                             .digest = 77}};
    write("fuzz_log_manifest", "checkpoints", fuzz::mend_header, encode_manifest(manifest));
    manifest.cuts = {{.segment = 2, .offset = 4096, .lsn = {55}, .next_segment = 6},
                     {.segment = 6, .offset = 8000, .lsn = {58}, .next_segment = 7}};
    write("fuzz_log_manifest", "cuts", 0, encode_manifest(manifest));
    write("fuzz_log_manifest", "cuts_mended", fuzz::mend_header, encode_manifest(manifest));
}

void write_checkpoints() {
    const auto checkpoint = [](const char* name, std::uint8_t mend, const CheckpointHeader& header,
                               std::span<const std::byte> body) {
        const auto encoded = encode_checkpoint_header(header, body);
        std::vector<std::byte> file(encoded.begin(), encoded.end());
        file.insert(file.end(), body.begin(), body.end());
        write("fuzz_log_checkpoint", name, mend, file);
    };
    const CheckpointHeader full{.log = {{1, 2, 3}}, .lsn = {50}};
    const CheckpointHeader delta{.log = {{1, 2, 3}},
                                 .kind = CheckpointKind::delta,
                                 .is_compressed = true,
                                 .lsn = {60},
                                 .parent = {50}};
    checkpoint("full", 0, full, bytes_of("the state"));
    checkpoint("full_mended", fuzz::mend_header, full, bytes_of("the state"));
    checkpoint("delta", 0, delta, dull_body());
    checkpoint("delta_mended", fuzz::mend_header, delta, dull_body());
    write("fuzz_log_checkpoint", "name", 0,
          bytes_of(checkpoint_name(CheckpointKind::full, Lsn{7})));
    write("fuzz_log_checkpoint", "segment_name", 0, bytes_of(segment_name(7)));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::fprintf(stderr, "make_log_corpus FOLDER\n"), 2;
    corpus = argv[1];
    write_records();
    write_segments();
    write_manifests();
    write_checkpoints();
}
