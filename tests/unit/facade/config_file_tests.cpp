// SPDX-License-Identifier: BSL-1.0
#include "config_texts.hpp"
#include "everpool/config_source.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace everpool;

TEST_CASE("relative paths in a file are relative to its directory") {
    const tests::TemporaryDirectory directory;
    const std::filesystem::path file = directory.path / "pool.json";
    std::ofstream(file) << R"({
      "browsers": [{"executable": "bin/chrome", "webdriver": {"driver": "../driver"}}],
      "models": [{"name": "a", "file": "models/a.onnx"}, {"name": "b", "file": "/b.onnx"}],
      "fault_tolerance": {"state_directory": "./state"}})";
    ResourcePoolConfig base;
    base.modules = {{"mine", "mine.mjs"}};
    const ResourcePoolConfig config = config_from_file(file, base);
    CHECK(config.browsers[0].executable == directory.path / "bin/chrome");
    // Where `..` leads to is the system's affair, as there may be symbolic links.
    CHECK(config.browsers[0].webdriver.driver == directory.path / "../driver");
    CHECK(config.models[0].file == directory.path / "models/a.onnx");
    CHECK(config.models[1].file == "/b.onnx");
    CHECK(config.fault_tolerance.state_directory == directory.path / "./state");
    CHECK(config.modules[0].file == "mine.mjs"); // the base's is the host's affair
    CHECK(config_from_file(std::filesystem::relative(file)).models[0].file.is_absolute());
    CHECK(config_from_json(R"({"fault_tolerance": {"state_directory": "state"}})")
              .fault_tolerance.state_directory == "state");
}

TEST_CASE("relative paths in a linked file are relative to the link's directory") {
    const tests::TemporaryDirectory directory;
    std::filesystem::create_directories(directory.path / "releases/7");
    std::filesystem::create_directory_symlink("releases/7", directory.path / "current");
    std::ofstream(directory.path / "releases/7/pool.json")
        << R"({"models": [{"name": "a", "file": "../a.onnx"}]})";
    std::ofstream(directory.path / "releases/a.onnx") << "weights";
    const auto file_of = [](const std::filesystem::path& file) {
        return config_from_file(file).models.at(0).file;
    };
    CHECK(std::filesystem::exists(file_of(directory.path / "current/pool.json")));
    CHECK(std::filesystem::exists(file_of(directory.path / "current/../7/pool.json")));
    std::filesystem::create_symlink("releases/7/pool.json", directory.path / "pool.json");
    CHECK(file_of(directory.path / "pool.json") == directory.path / "../a.onnx");
}

TEST_CASE("a file that is none, or holds none, is named") {
    const tests::TemporaryDirectory directory;
    const auto at_fault = [](const std::filesystem::path& file) {
        return tests::complaint([&] { return config_from_file(file); });
    };
    const std::filesystem::path file = directory.path / "pool.json";
    const std::string name = '\'' + file.string() + '\'';
    CHECK(at_fault(file) == name + " cannot be read: No such file or directory");
    CHECK(at_fault({}).find("'' cannot be read: ") == 0);
    CHECK(at_fault(directory.path).ends_with("cannot be read: it is not a regular file"));
    CHECK(at_fault("/dev/zero").ends_with("cannot be read: it is not a regular file"));
    const std::filesystem::path pipe = directory.path / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(at_fault(pipe).ends_with("cannot be read: it is not a regular file"));

    std::ofstream(file) << "{\n\"seed\" 1}";
    CHECK(at_fault(file) == name + " is no JSON: syntax error at line 2, column 8 (byte 9)");
    std::ofstream(file) << "";
    CHECK(at_fault(file).find("is no JSON: incomplete JSON") != std::string::npos);
    std::ofstream(file) << R"({"seed": -1})"; // of a member it says what is always said
    CHECK(at_fault(file) == tests::complaint([] { return config_from_json(R"({"seed": -1})"); }));
    std::ofstream(file) << "{}" << std::string(config_bytes_max - 2, ' ');
    CHECK(at_fault(file).empty());
    std::ofstream(file, std::ios::app) << ' ';
    CHECK(at_fault(file) == name + " has more than 1048576 bytes");
}
