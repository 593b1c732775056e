// An operation module written for one test, in a directory that no other test process has.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/request.hpp"
#include "everpool/resource_pool_config.hpp"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace everpool::tests {

/// The file, and what registers it. It is removed with this object.
class ModuleFile {
public:
    ModuleFile(std::string name, std::string_view text) : name_(std::move(name)) {
        // Two build trees may run the same test at the same time.
        std::string directory =
            (std::filesystem::temp_directory_path() / "everpool-module-XXXXXX").string();
        if (::mkdtemp(directory.data()) == nullptr)
            throw std::runtime_error("cannot make " + directory);
        directory_ = directory;
        std::ofstream(file()) << text;
    }
    ~ModuleFile() {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    ModuleFile(const ModuleFile&) = delete;
    ModuleFile& operator=(const ModuleFile&) = delete;

    [[nodiscard]] std::filesystem::path file() const { return directory_ / (name_ + ".mjs"); }
    [[nodiscard]] OperationModule spec() const { return {name_, file()}; }

private:
    std::string name_;
    std::filesystem::path directory_;
};

/// An operation that ends when it is aborted, its worker dies, or `milliseconds` have passed.
class SlowModule : public ModuleFile {
public:
    SlowModule()
        : ModuleFile("slow", R"(
            export async function run(inputs, { parameters, signal }) {
                await new Promise((resolve, reject) => {
                    setTimeout(resolve, parameters.ms);
                    signal.addEventListener("abort", () => reject(new Error("aborted")));
                });
                return { outputs: {} };
            })") {}

    static Request request(int milliseconds, bool idempotent = false) {
        Request out;
        out.operation = "slow";
        out.parameters = "{\"ms\": " + std::to_string(milliseconds) + "}";
        out.idempotent = idempotent;
        return out;
    }
};

} // namespace everpool::tests
