// A fuzzer's inputs without a fuzzer: each file goes through the same entry point.
// SPDX-License-Identifier: BSL-1.0
//
//     fuzz_decode_replay FILE-OR-FOLDER...
//
// For compilers without libFuzzer, and for a debugger. Also feeds each input cut off at every
// length, since that is what a peer that dies sends.
#include "fuzz.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::vector<std::filesystem::path> files_of(int count, char** names) {
    std::vector<std::filesystem::path> files;
    for (int i = 0; i < count; ++i) {
        if (!std::filesystem::is_directory(names[i])) {
            files.emplace_back(names[i]);
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator(names[i]))
            files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// In memory of exactly the right size, so that a sanitizer sees a byte too much being read.
void feed(const std::string& input, std::size_t bytes) {
    const std::vector<std::uint8_t> exact(input.begin(), input.begin() + bytes);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

} // namespace

int main(int argc, char** argv) {
    const auto files = files_of(argc - 1, argv + 1);
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        const std::string input{std::istreambuf_iterator<char>(file), {}};
        if (!file) {
            std::fprintf(stderr, "%s cannot be read\n", path.c_str());
            return 2;
        }
        std::fprintf(stderr, "%s\n", path.c_str()); // the last one named is the one that failed
        for (std::size_t bytes = 0; bytes < input.size(); bytes += 1 + input.size() / 4096)
            feed(input, bytes);
        feed(input, input.size());
    }
    std::printf("%zu inputs\n", files.size());
    return files.empty() ? 2 : 0;
}
