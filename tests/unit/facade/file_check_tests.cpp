// SPDX-License-Identifier: BSL-1.0
#include "facade/file_check.hpp"

#include "support/catch.hpp"

#include <filesystem>
#include <string>

using everpool::facade::check_file;

namespace {

const std::filesystem::path tests_dir = EVERPOOL_TESTS_DIR;

} // namespace

TEST_CASE("a file that can be read has its size") {
    const std::filesystem::path file = tests_dir / "models" / "mlp.onnx";
    const auto checked = check_file(file);
    CHECK_FALSE(checked.ec);
    CHECK(checked.why.empty());
    CHECK(checked.bytes == std::filesystem::file_size(file));
}

TEST_CASE("what cannot be read says why, and throws nothing") {
    namespace errc = boost::system::errc;
    CHECK(check_file(tests_dir / "no such file").ec == errc::no_such_file_or_directory);
    CHECK(check_file(tests_dir).ec == errc::invalid_argument);
    CHECK(check_file(tests_dir).why == "it is not a regular file");
    // Looking at these is an error in itself, which std::filesystem throws unless told otherwise.
    CHECK(check_file(std::string(300, 'x')).ec == errc::filename_too_long);
    CHECK(check_file(tests_dir / "CMakeLists.txt" / "below").ec);
    CHECK(check_file({}).ec);
}
