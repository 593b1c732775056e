// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/manifest.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <cstdio>

using namespace everpool::log;
using everpool::test::some_log;

namespace {

Manifest sample_manifest() {
    Manifest manifest{.log = some_log(),
                      .number = 12,
                      .first_segment = 4,
                      .next_segment = 9,
                      .checkpoints = {},
                      .cuts = {}};
    for (std::uint64_t i = 0; i < 4; ++i)
        manifest.checkpoints.push_back(
            {.kind = i % 2 == 0 ? CheckpointKind::full : CheckpointKind::delta,
             .lsn = {100 + 10 * i},
             .parent = {i % 2 == 0 ? 0 : 90 + 10 * i},
             .file_bytes = 5000 + i,
             .digest = static_cast<std::uint32_t>(0xabcd'0000 + i)});
    manifest.cuts = {{.segment = 5, .offset = 4096, .lsn = {120}, .next_segment = 6},
                     {.segment = 7, .offset = 70'000, .lsn = {140}, .next_segment = 9}};
    return manifest;
}

FormatError judge_manifest(std::span<const std::byte> file) {
    Manifest manifest;
    return decode_manifest(file, manifest);
}

/// After a change on purpose: what a writer would have made.
FormatError judge_sealed(std::vector<std::byte> file) {
    store(&file[56], crc32c_extend(crc32c(std::span(file).first(56)),
                                   std::span(file).subspan(file_header_bytes)));
    detail::seal_file_header(file.data());
    return judge_manifest(file);
}

} // namespace

TEST_CASE("a manifest is read back as it was written") {
    Manifest manifest;
    REQUIRE(decode_manifest(encode_manifest(sample_manifest()), manifest) == FormatError::ok);
    CHECK(manifest == sample_manifest());
    const Manifest empty{.log = some_log(), .checkpoints = {}, .cuts = {}};
    REQUIRE(decode_manifest(encode_manifest(empty), manifest) == FormatError::ok);
    CHECK(manifest == empty); // what was in it before is gone
    CHECK(encode_manifest(empty).size() == file_header_bytes);
}

TEST_CASE("a manifest stands where the diagram says") {
    const auto file = encode_manifest(sample_manifest());
    CHECK(file.size() == 64 + 4 * 32 + 2 * 32);
    CHECK(std::string_view(reinterpret_cast<const char*>(file.data()), 8) == "EVPMAN\r\n");
    CHECK(load<std::uint32_t>(&file[8]) == 1);
    CHECK(load<std::uint16_t>(&file[12]) == 4);
    CHECK(load<std::uint16_t>(&file[14]) == 2);
    CHECK(load<std::uint64_t>(&file[32]) == 12);
    CHECK(load<std::uint64_t>(&file[40]) == 4);
    CHECK(load<std::uint64_t>(&file[48]) == 9);
    CHECK(load<std::uint64_t>(&file[64 + 32]) == 110);
    CHECK(load<std::uint64_t>(&file[64 + 40]) == 100);
    CHECK(load<std::uint64_t>(&file[64 + 48]) == 5001);
    CHECK(load<std::uint32_t>(&file[64 + 56]) == 0xabcd'0001);
    CHECK(load<std::uint32_t>(&file[64 + 60]) == 2);
    CHECK(load<std::uint64_t>(&file[192 + 32]) == 7);
    CHECK(load<std::uint64_t>(&file[192 + 40]) == 70'000);
    CHECK(load<std::uint64_t>(&file[192 + 48]) == 140);
    CHECK(load<std::uint64_t>(&file[192 + 56]) == 9);
}

TEST_CASE("every bit flipped in a manifest is found") {
    auto file = encode_manifest(sample_manifest());
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        file[bit / 8] ^= std::byte{1} << bit % 8;
        CAPTURE(bit);
        REQUIRE(judge_manifest(file) == FormatError::damaged);
        file[bit / 8] ^= std::byte{1} << bit % 8;
    }
    std::printf("  bits of a manifest flipped: %zu tried, all found\n", file.size() * 8);
}

TEST_CASE("a manifest cut off anywhere, or with a byte too much, is damaged") {
    const auto file = encode_manifest(sample_manifest());
    CHECK(judge_manifest({}) == FormatError::absent);
    CHECK(judge_manifest(std::vector<std::byte>(file.size())) == FormatError::absent);
    for (std::size_t count = 1; count < file.size(); ++count) {
        const std::vector<std::byte> cut(file.begin(),
                                         file.begin() + static_cast<std::ptrdiff_t>(count));
        REQUIRE(judge_manifest(cut) == FormatError::damaged);
    }
    auto longer = file;
    longer.emplace_back();
    CHECK(judge_manifest(longer) == FormatError::damaged);
    CHECK(judge_sealed(longer) == FormatError::damaged);
}

TEST_CASE("a manifest of a newer version says so, and another kind of file does") {
    auto file = encode_manifest(sample_manifest());
    store(&file[8], std::uint32_t{2});
    CHECK(judge_sealed(file) == FormatError::newer_version);
    detail::seal_file_header(file.data());
    file.resize(100); // whatever comes after the header
    CHECK(judge_manifest(file) == FormatError::newer_version);
    CHECK(judge_manifest(encode_checkpoint_header({.log = some_log(), .lsn = {1}}, {})) ==
          FormatError::not_ours);
}

TEST_CASE("a manifest that contradicts itself is damaged, even with the right checksums") {
    const auto with = [](std::size_t at, auto value) {
        auto file = encode_manifest(sample_manifest());
        store(&file[at], value);
        return judge_sealed(std::move(file));
    };
    CHECK(with(32, std::uint64_t{1}) == FormatError::ok);
    CHECK(with(32, number_max + 1) == FormatError::damaged);
    CHECK(with(48, number_max + 1) == FormatError::damaged);
    CHECK(with(12, std::uint16_t{5}) == FormatError::damaged);
    CHECK(with(12, std::uint16_t{0xffff}) == FormatError::damaged);
    CHECK(with(40, std::uint64_t{10}) == FormatError::damaged);     // begins after its end
    CHECK(with(64, std::uint64_t{111}) == FormatError::damaged);    // checkpoints not in order
    CHECK(with(64 + 28, std::uint32_t{3}) == FormatError::damaged); // no kind
    CHECK(with(64 + 28, std::uint32_t{0x101}) == FormatError::damaged);
    CHECK(with(64 + 40, std::uint64_t{111}) == FormatError::damaged); // a parent after it
    CHECK(with(192, std::uint64_t{7}) == FormatError::damaged);       // two cuts of a segment
    CHECK(with(192 + 24, std::uint64_t{9}) == FormatError::ok);
    CHECK(with(192 + 24, std::uint64_t{5}) == FormatError::damaged);  // goes on where it ended
    CHECK(with(192 + 24, std::uint64_t{10}) == FormatError::damaged); // beyond all there are
}

TEST_CASE("a manifest has its limits, and at them it is whole") {
    Manifest large = sample_manifest();
    large.checkpoints.resize(manifest_checkpoints_max, large.checkpoints.back());
    large.cuts.clear();
    large.next_segment = manifest_cuts_max + 1;
    for (std::uint64_t i = 0; i < manifest_cuts_max; ++i)
        large.cuts.push_back({.segment = i, .offset = 4096, .lsn = {1}, .next_segment = i + 1});
    Manifest read;
    auto file = encode_manifest(large);
    REQUIRE(decode_manifest(file, read) == FormatError::ok);
    CHECK(read == large);
    store(&file[14], static_cast<std::uint16_t>(manifest_cuts_max + 1));
    file.resize(file.size() + 32);
    store(&file[file.size() - 32], std::uint64_t{manifest_cuts_max});
    store(&file[file.size() - 8], std::uint64_t{manifest_cuts_max + 1});
    CHECK(judge_sealed(file) == FormatError::damaged);
}
