// Everpool doors: the secrets that tell one worker's page from everybody else on this machine.
// SPDX-License-Identifier: BSL-1.0
//
// A token is 32 bytes from the kernel's generator, written as 64 hexadecimal digits, and is part of
// the page's URL. Whoever knows it can speak for that worker, so it is compared in constant time
// and never logged.
#pragma once

#include "everpool/ids.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

inline constexpr std::size_t token_length = 64;

/// A new token. Throws boost::system::system_error if the kernel has no randomness to give.
std::string make_token();

/// Compares without revealing, by the time it takes, how much of the text was right. The lengths
/// are not secret.
bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept;

/// The tokens in force, one a worker at most.
class LiveTokens {
public:
    /// A new token for the worker. The one it had is worth nothing from now on.
    const std::string& mint(WorkerId worker);
    void revoke(WorkerId worker) noexcept;

    /// Whose token this is. Looks at every live token to its end, whatever matches.
    [[nodiscard]] std::optional<WorkerId> find(std::string_view token) const noexcept;

    /// True if it is this worker's.
    [[nodiscard]] bool belongs(WorkerId worker, std::string_view token) const noexcept;

private:
    struct Entry {
        WorkerId worker;
        std::string token;
    };
    std::vector<Entry> entries_;
};

} // namespace everpool::io
