// SPDX-License-Identifier: BSL-1.0
#include "io/token.hpp"

#include <boost/system/system_error.hpp>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace everpool::io {

std::string make_token() {
    std::array<unsigned char, token_length / 2> bytes{};
    for (std::size_t filled = 0; filled < bytes.size();) {
        const ssize_t got = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
        if (got > 0) filled += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            throw boost::system::system_error(errno, boost::system::system_category(), "getrandom");
    }
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(token_length);
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept {
    if (left.size() != right.size()) return false;
    // volatile: the compiler must neither leave the loop early nor turn it into a memcmp.
    volatile unsigned char difference = 0;
    for (std::size_t i = 0; i < left.size(); ++i)
        difference = static_cast<unsigned char>(difference | (left[i] ^ right[i]));
    return difference == 0;
}

const std::string& LiveTokens::mint(WorkerId worker) {
    std::string token = make_token();
    revoke(worker);
    return entries_.emplace_back(Entry{worker, std::move(token)}).token;
}

void LiveTokens::revoke(WorkerId worker) noexcept {
    std::erase_if(entries_, [&](const Entry& entry) { return entry.worker == worker; });
}

std::optional<WorkerId> LiveTokens::find(std::string_view token) const noexcept {
    std::optional<WorkerId> found;
    for (const Entry& entry : entries_)
        if (equal_in_constant_time(entry.token, token)) found = entry.worker;
    return found;
}

bool LiveTokens::belongs(WorkerId worker, std::string_view token) const noexcept {
    const auto found = find(token);
    return found && *found == worker;
}

} // namespace everpool::io
