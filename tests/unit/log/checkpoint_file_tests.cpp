// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/checkpoint_file.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdio>

using namespace everpool::log;
using everpool::test::body_of;
using everpool::test::some_log;

namespace {

const CheckpointHeader full{
    .log = some_log(), .kind = CheckpointKind::full, .is_compressed = true, .lsn = {900}};
const CheckpointHeader delta{
    .log = some_log(), .kind = CheckpointKind::delta, .lsn = {950}, .parent = {900}};

std::vector<std::byte> file_of(const CheckpointHeader& header, std::span<const std::byte> body) {
    const auto encoded = encode_checkpoint_header(header, body);
    std::vector<std::byte> file(encoded.size() + body.size());
    std::ranges::copy(body, std::ranges::copy(encoded, file.begin()).out);
    return file;
}

CheckpointEntry entry_of(std::span<const std::byte> file) {
    return checkpoint_entry(file.first<file_header_bytes>());
}

FormatError judge(std::span<const std::byte> file) {
    CheckpointHeader header;
    std::span<const std::byte> body;
    return decode_checkpoint(file, header, body);
}

} // namespace

TEST_CASE("a checkpoint is read back as it was written, whatever its size") {
    for (const CheckpointHeader& written : {full, delta}) {
        for (const std::size_t bytes : {0u, 1u, 7u, 8u, 1000u, 100'000u}) {
            const auto body = body_of(bytes, bytes);
            const auto file = file_of(written, body);
            CheckpointHeader header;
            std::span<const std::byte> read;
            REQUIRE(decode_checkpoint(file, header, read) == FormatError::ok);
            CHECK(header == written);
            CHECK(std::equal(read.begin(), read.end(), body.begin(), body.end()));
            CHECK(decode_checkpoint(file, written.log, entry_of(file), header, read) ==
                  FormatError::ok);
        }
    }
}

TEST_CASE("a checkpoint stands where the diagram says") {
    const auto file = file_of(delta, body_of(1, 10));
    CHECK(std::string_view(reinterpret_cast<const char*>(file.data()), 8) == "EVPCKP\r\n");
    CHECK(load<std::uint32_t>(&file[8]) == 1);
    CHECK(load<std::uint32_t>(&file[12]) == 2); // a delta, not compressed
    CHECK(load<std::uint64_t>(&file[32]) == 950);
    CHECK(load<std::uint64_t>(&file[40]) == 900);
    CHECK(load<std::uint64_t>(&file[48]) == 10);
    CHECK(load<std::uint32_t>(&file[60]) == crc32c(std::span(file).first(60)));
    CHECK(load<std::uint8_t>(&file_of(full, {})[13]) == 1);
    CHECK(entry_of(file) == CheckpointEntry{.kind = CheckpointKind::delta,
                                            .lsn = {950},
                                            .parent = {900},
                                            .file_bytes = 74,
                                            .digest = load<std::uint32_t>(&file[60])});
}

TEST_CASE("every bit flipped in a checkpoint is found") {
    auto file = file_of(full, body_of(1, 3000));
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        file[bit / 8] ^= std::byte{1} << bit % 8;
        CAPTURE(bit);
        REQUIRE(judge(file) == FormatError::damaged);
        file[bit / 8] ^= std::byte{1} << bit % 8;
    }
    std::printf("  bits of a checkpoint flipped: %zu tried, all found\n", file.size() * 8);
}

TEST_CASE("a checkpoint cut off anywhere, or with a byte too much, is damaged") {
    const auto file = file_of(full, body_of(1, 3000));
    CHECK(judge({}) == FormatError::absent);
    CHECK(judge(std::vector<std::byte>(3064)) == FormatError::absent);
    for (std::size_t count = 1; count < file.size(); ++count) {
        const std::vector<std::byte> cut(file.begin(),
                                         file.begin() + static_cast<std::ptrdiff_t>(count));
        REQUIRE(judge(cut) == FormatError::damaged);
    }
    auto longer = file;
    longer.emplace_back();
    CHECK(judge(longer) == FormatError::damaged);
}

TEST_CASE("a checkpoint of a newer version says so, though its body means nothing to us") {
    auto file = file_of(full, body_of(1, 100));
    store(&file[8], std::uint32_t{2});
    detail::seal_file_header(file.data());
    CHECK(judge(file) == FormatError::newer_version);
    CHECK(judge(std::span(file).first(file_header_bytes)) == FormatError::newer_version);
}

TEST_CASE("a checkpoint of another log, or of a time that was cut off, is not the manifest's") {
    const auto file = file_of(full, body_of(1, 100));
    const CheckpointEntry entry = entry_of(file);
    CheckpointHeader header;
    std::span<const std::byte> body;
    CHECK(decode_checkpoint(file, some_log(2), entry, header, body) == FormatError::foreign);
    // Of the same name, size and record, with another body.
    const auto other = file_of(full, body_of(2, 100));
    CHECK(judge(other) == FormatError::ok);
    CHECK(decode_checkpoint(other, full.log, entry, header, body) == FormatError::foreign);
}

TEST_CASE("a checkpoint that contradicts itself is damaged, even with the right checksums") {
    const auto with = [](std::size_t at, auto value) {
        auto file = file_of(delta, body_of(1, 100));
        store(&file[at], value);
        store(&file[56], crc32c_extend(crc32c(std::span(file).first(56)),
                                       std::span(file).subspan(file_header_bytes)));
        detail::seal_file_header(file.data());
        return judge(file);
    };
    CHECK(with(12, std::uint8_t{2}) == FormatError::ok);
    CHECK(with(12, std::uint8_t{0}) == FormatError::damaged); // no kind
    CHECK(with(12, std::uint8_t{3}) == FormatError::damaged);
    CHECK(with(12, std::uint8_t{1}) == FormatError::damaged); // full, with a parent
    CHECK(with(13, std::uint8_t{2}) == FormatError::damaged); // an unknown flag
    CHECK(with(14, std::uint16_t{1}) == FormatError::damaged);
    CHECK(with(40, std::uint64_t{951}) == FormatError::damaged); // a parent after it
    CHECK(with(48, std::uint64_t{99}) == FormatError::damaged);
    CHECK(with(32, number_max) == FormatError::ok);
    CHECK(with(32, number_max + 1) == FormatError::damaged);
}

TEST_CASE("a checkpoint's name holds its kind and its record") {
    CHECK(checkpoint_name(CheckpointKind::full, Lsn{0xa7}) == "checkpoint-00000000000000a7.full");
    CHECK(checkpoint_name(CheckpointKind::delta, Lsn{1}) == "checkpoint-0000000000000001.delta");
    for (const CheckpointKind kind : {CheckpointKind::full, CheckpointKind::delta})
        CHECK(parse_checkpoint_name(checkpoint_name(kind, Lsn{77})) ==
              CheckpointName{kind, Lsn{77}});
    for (const char* name : {"", "checkpoint-00000000000000a7", "checkpoint-00000000000000a7.half",
                             "checkpoint-0000000000000a7.full", "MANIFEST"})
        CHECK_FALSE(parse_checkpoint_name(name));
}
