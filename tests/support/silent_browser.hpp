// Tests: a program that is started as a browser and never says anything: a process to be stopped,
// killed and waited for, where a browser would be too much.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "support/temporary_directory.hpp"

#include <filesystem>
#include <fstream>

namespace everpool::tests {

class SilentBrowser {
public:
    SilentBrowser() {
        std::ofstream(file()) << "#!/bin/sh\nexec sleep 600\n"; // whatever its arguments are
        std::filesystem::permissions(file(), std::filesystem::perms::owner_all);
    }

    [[nodiscard]] BrowserSpec spec() const {
        return {.type = BrowserType::chromium, .executable = file()};
    }

private:
    [[nodiscard]] std::filesystem::path file() const { return directory_.path / "browser"; }

    TemporaryDirectory directory_;
};

} // namespace everpool::tests
