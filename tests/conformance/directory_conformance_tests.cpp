// What log/file_system.hpp promises as long as nothing fails, of a real directory and of the
// simulated disk. What a power cut leaves can only be asked of the latter.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/log/file_system.hpp"
#include "io/linux/file_directory.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace everpool {
namespace {

using boost::system::error_code;
using log::OpenMode;
using Bytes = std::vector<std::byte>;
namespace errc = boost::system::errc;

struct RealRig {
    RealRig() {
        Diagnostics diagnostics;
        const error_code ec = io::FileDirectory::open(temporary.path, owned, diagnostics);
        INFO(diagnostics.text());
        REQUIRE(!ec);
    }
    log::Directory& directory() { return *owned; }

    tests::TemporaryDirectory temporary;
    std::unique_ptr<io::FileDirectory> owned;
};

struct SimulatedRig {
    log::Directory& directory() { return disk; }
    tests::SimulatedDisk disk;
};

Bytes bytes_of(std::string_view text) {
    Bytes out;
    for (const char c : text) out.push_back(static_cast<std::byte>(c));
    return out;
}

std::unique_ptr<log::File> opened(log::Directory& directory, std::string_view name, OpenMode mode) {
    std::unique_ptr<log::File> file;
    const error_code ec = directory.open(name, mode, file);
    INFO(name << ": " << ec.message());
    REQUIRE(!ec);
    REQUIRE(file);
    return file;
}

error_code refusal(log::Directory& directory, std::string_view name, OpenMode mode) {
    std::unique_ptr<log::File> file;
    const error_code ec = directory.open(name, mode, file);
    CHECK_FALSE(file);
    return ec;
}

std::uint64_t size_of(log::File& file) {
    std::uint64_t bytes = 0;
    REQUIRE(!file.size(bytes));
    return bytes;
}

/// All of it, and it is asked for more than there is.
Bytes contents(log::File& file) {
    Bytes out(size_of(file) + 100);
    std::size_t count = 0;
    REQUIRE(!file.read(0, out, count));
    CHECK(count == size_of(file));
    out.resize(count);
    return out;
}

std::vector<std::string> names_in(log::Directory& directory) {
    std::vector<std::string> names;
    REQUIRE(!directory.list(names));
    std::ranges::sort(names);
    return names;
}

TEMPLATE_TEST_CASE("a file is made once, and opened only if it is there", "", RealRig,
                   SimulatedRig) {
    TestType rig;
    log::Directory& directory = rig.directory();
    CHECK(refusal(directory, "a", OpenMode::read) == errc::no_such_file_or_directory);
    CHECK(refusal(directory, "a", OpenMode::write) == errc::no_such_file_or_directory);
    CHECK(names_in(directory).empty());
    REQUIRE(!opened(directory, "a", OpenMode::create)->write(0, bytes_of("first")));
    CHECK(refusal(directory, "a", OpenMode::create) == errc::file_exists);
    CHECK(contents(*opened(directory, "a", OpenMode::read)) == bytes_of("first"));
    opened(directory, "b", OpenMode::create);
    CHECK(names_in(directory) == std::vector<std::string>{"a", "b"});
}

TEMPLATE_TEST_CASE("what was written is read, wherever it lies", "", RealRig, SimulatedRig) {
    TestType rig;
    const auto file = opened(rig.directory(), "a", OpenMode::create);
    REQUIRE(!file->write(3, bytes_of("def")));
    CHECK(size_of(*file) == 6);
    REQUIRE(!file->write(0, bytes_of("abc")));
    REQUIRE(!file->write(4, bytes_of("E")));
    REQUIRE(!file->write(6, {}));
    CHECK(contents(*file) == bytes_of("abcdEf"));
    REQUIRE(!file->write(8, bytes_of("i")));
    const Bytes gap = contents(*file);
    REQUIRE(gap.size() == 9);
    CHECK(gap[6] == std::byte{0});
    CHECK(gap[7] == std::byte{0});
}

TEMPLATE_TEST_CASE("a read ends at the end of the file, and beyond it is nothing", "", RealRig,
                   SimulatedRig) {
    TestType rig;
    const auto file = opened(rig.directory(), "a", OpenMode::create);
    REQUIRE(!file->write(0, bytes_of("abcdef")));
    Bytes buffer(4, std::byte{'-'});
    std::size_t count = 99;
    REQUIRE(!file->read(4, buffer, count));
    CHECK(count == 2);
    CHECK(buffer == bytes_of("ef--"));
    for (const std::uint64_t offset :
         {std::uint64_t{6}, std::uint64_t{7}, std::uint64_t{1} << 40}) {
        count = 99;
        REQUIRE(!file->read(offset, buffer, count));
        CHECK(count == 0);
    }
    REQUIRE(!file->read(1, std::span(buffer).first(0), count));
    CHECK(count == 0);
}

TEMPLATE_TEST_CASE("a file that is only to be read cannot be changed", "", RealRig, SimulatedRig) {
    TestType rig;
    REQUIRE(!opened(rig.directory(), "a", OpenMode::create)->write(0, bytes_of("abc")));
    const auto file = opened(rig.directory(), "a", OpenMode::read);
    CHECK(file->write(0, bytes_of("x")));
    CHECK(file->allocate(100));
    CHECK(contents(*file) == bytes_of("abc"));
}

TEMPLATE_TEST_CASE("room is zeroes, and keeps what was there", "", RealRig, SimulatedRig) {
    TestType rig;
    const auto file = opened(rig.directory(), "a", OpenMode::create);
    REQUIRE(!file->write(0, bytes_of("abc")));
    constexpr std::size_t large = (1 << 21) + 17;
    REQUIRE(!file->allocate(large));
    Bytes expected = bytes_of("abc");
    expected.resize(large);
    CHECK(contents(*file) == expected);
    REQUIRE(!file->allocate(large));
    CHECK(contents(*file) == expected);
    REQUIRE(!file->allocate(2));
    CHECK(contents(*file) == bytes_of("ab"));
    REQUIRE(!file->allocate(5)); // what was cut off does not come back
    expected = bytes_of("ab");
    expected.resize(5);
    CHECK(contents(*file) == expected);
    REQUIRE(!file->allocate(0));
    CHECK(size_of(*file) == 0);
}

TEMPLATE_TEST_CASE("a new name replaces what had it", "", RealRig, SimulatedRig) {
    TestType rig;
    log::Directory& directory = rig.directory();
    REQUIRE(!opened(directory, "new", OpenMode::create)->write(0, bytes_of("new")));
    REQUIRE(!opened(directory, "old", OpenMode::create)->write(0, bytes_of("old")));
    const auto still_open = opened(directory, "old", OpenMode::read);
    REQUIRE(!directory.rename("new", "old"));
    REQUIRE(!directory.sync());
    CHECK(names_in(directory) == std::vector<std::string>{"old"});
    CHECK(contents(*opened(directory, "old", OpenMode::read)) == bytes_of("new"));
    CHECK(contents(*still_open) == bytes_of("old"));
    CHECK(directory.rename("new", "old") == errc::no_such_file_or_directory);
    CHECK(contents(*opened(directory, "old", OpenMode::read)) == bytes_of("new"));
}

TEMPLATE_TEST_CASE("a file that is removed is gone, except for those who have it open", "", RealRig,
                   SimulatedRig) {
    TestType rig;
    log::Directory& directory = rig.directory();
    const auto file = opened(directory, "a", OpenMode::create);
    REQUIRE(!file->write(0, bytes_of("abc")));
    REQUIRE(!directory.remove("a"));
    REQUIRE(!directory.sync());
    CHECK(names_in(directory).empty());
    CHECK(directory.remove("a") == errc::no_such_file_or_directory);
    CHECK(refusal(directory, "a", OpenMode::read) == errc::no_such_file_or_directory);
    REQUIRE(!file->write(3, bytes_of("d")));
    REQUIRE(!file->sync());
    CHECK(contents(*file) == bytes_of("abcd"));
    REQUIRE(!opened(directory, "a", OpenMode::create)->write(0, bytes_of("again")));
    CHECK(contents(*file) == bytes_of("abcd"));
}

TEMPLATE_TEST_CASE("all who have a file open see the same bytes at once", "", RealRig,
                   SimulatedRig) {
    TestType rig;
    const auto writer = opened(rig.directory(), "a", OpenMode::create);
    const auto reader = opened(rig.directory(), "a", OpenMode::read);
    const auto other = opened(rig.directory(), "a", OpenMode::write);
    REQUIRE(!writer->write(0, bytes_of("abc")));
    CHECK(contents(*reader) == bytes_of("abc"));
    REQUIRE(!other->write(1, bytes_of("X")));
    CHECK(contents(*reader) == bytes_of("aXc"));
    CHECK(contents(*writer) == bytes_of("aXc"));
}

// As when one thread makes durable what was there, and others go on writing.
TEMPLATE_TEST_CASE("a file may be written by some threads while another one syncs it", "", RealRig,
                   SimulatedRig) {
    TestType rig;
    const auto file = opened(rig.directory(), "a", OpenMode::create);
    constexpr std::size_t piece = 100, pieces = 200, writers = 3;
    REQUIRE(!file->allocate(piece * pieces * writers));
    std::atomic<int> failures{0};
    std::atomic<std::size_t> running{writers};
    std::vector<std::thread> threads;
    for (std::size_t w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            const Bytes bytes(piece, static_cast<std::byte>(w + 1));
            for (std::size_t i = 0; i < pieces; ++i)
                if (file->write((i * writers + w) * piece, bytes)) ++failures;
            --running;
        });
    do {
        if (file->sync()) ++failures;
    } while (running != 0);
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
    const Bytes all = contents(*file);
    REQUIRE(all.size() == piece * pieces * writers);
    bool is_right = true;
    for (std::size_t i = 0; i < all.size(); ++i)
        is_right = is_right && all[i] == static_cast<std::byte>(i / piece % writers + 1);
    CHECK(is_right);
}

// Whatever the steps are, both give the same answers: the one is compared with the other.
TEST_CASE("the real directory and the simulated disk tell the same after every step") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        core::Prng prng(seed);
        RealRig real;
        SimulatedRig simulated;
        const std::array<std::string, 4> names{"a", "b", "c", "d"};
        for (int step = 0; step < 60; ++step) {
            const std::string& name = names[prng.below(names.size())];
            const std::string& other = names[prng.below(names.size())];
            const std::uint64_t what = prng.below(8), offset = prng.below(9'000),
                                bytes = prng.below(9'000), value = prng.next();
            INFO("seed " << seed << ", step " << step << ", what " << what << ", name " << name);
            const auto perform = [&](log::Directory& directory) -> error_code {
                std::unique_ptr<log::File> file;
                const Bytes piece(bytes, static_cast<std::byte>(value));
                if (what == 0) return directory.rename(name, other);
                if (what == 1) return directory.remove(name);
                if (what == 2) return directory.sync();
                const auto mode = what <= 4 ? OpenMode::create : OpenMode::write;
                if (error_code ec = directory.open(name, mode, file)) return ec;
                if (what == 5) return file->allocate(bytes);
                if (what == 6) return file->sync();
                return file->write(offset, piece);
            };
            CHECK(perform(real.directory()).value() == perform(simulated.directory()).value());
            REQUIRE(names_in(real.directory()) == names_in(simulated.directory()));
        }
        for (const std::string& name : names_in(real.directory()))
            CHECK(contents(*opened(real.directory(), name, OpenMode::read)) ==
                  contents(*opened(simulated.directory(), name, OpenMode::read)));
    }
}

} // namespace
} // namespace everpool
