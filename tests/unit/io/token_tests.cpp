// SPDX-License-Identifier: BSL-1.0
#include "io/token.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <set>

namespace everpool::io {
namespace {

TEST_CASE("a token is 64 hexadecimal digits and never the same twice") {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const std::string token = make_token();
        CHECK(token.size() == token_length);
        CHECK(std::ranges::all_of(
            token, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }));
        CHECK(seen.insert(token).second);
    }
}

TEST_CASE("texts are equal only if every character is") {
    const std::string token = make_token();
    CHECK(equal_in_constant_time(token, token));
    CHECK(equal_in_constant_time("", ""));
    CHECK_FALSE(equal_in_constant_time(token, token.substr(1)));
    CHECK_FALSE(equal_in_constant_time(token, ""));
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string other = token;
        other[i] = other[i] == 'a' ? 'b' : 'a';
        CHECK_FALSE(equal_in_constant_time(token, other));
    }
}

TEST_CASE("a worker has one token, the last, until it is revoked") {
    LiveTokens tokens;
    const std::string first = tokens.mint(WorkerId{1});
    const std::string other = tokens.mint(WorkerId{2});
    CHECK(tokens.find(first) == WorkerId{1});
    const std::string second = tokens.mint(WorkerId{1});
    CHECK_FALSE(tokens.find(first));
    CHECK(tokens.find(second) == WorkerId{1});
    CHECK(tokens.belongs(WorkerId{1}, second));
    CHECK_FALSE(tokens.belongs(WorkerId{1}, other));
    tokens.revoke(WorkerId{1});
    CHECK_FALSE(tokens.find(second));
    CHECK(tokens.find(other) == WorkerId{2});
    CHECK_FALSE(tokens.find(""));
}

} // namespace
} // namespace everpool::io
