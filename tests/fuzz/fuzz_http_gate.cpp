// The decision on HTTP requests. Whatever is let in has what it takes to be let in.
// SPDX-License-Identifier: BSL-1.0
//
// An input is lines: target, Host, Origin, subprotocols, then a byte of flags. "$" stands for the
// worker's token, which is another one in each process.
#include "fuzz.hpp"
#include "io/http_gate.hpp"

#include <array>
#include <string>

namespace {

using namespace everpool;

constexpr std::string_view authority = "127.0.0.1:1234", origin = "http://127.0.0.1:1234";

struct Gate {
    io::LiveTokens tokens;
    std::string token{tokens.mint(WorkerId{7})};
    io::HttpGate gate{authority, origin, tokens};
};

std::string with_token(std::string_view text, const std::string& token) {
    std::string out;
    for (const char c : text) c == '$' ? out += token : out += c;
    return out;
}

void check_let_in(const io::HttpRequestFacts& request, const io::HttpVerdict& verdict,
                  const std::string& token) {
    using fuzz::require;
    require(request.host == authority && request.names_host_once, "the Host is ours");
    require(request.is_http_1_1 && (request.is_get || request.is_head), "it is a GET or a HEAD");
    require(verdict.path.find('?') == verdict.path.npos, "the path has no query");
    const std::string below = "/w/" + token + '/';
    const bool is_below = request.target.substr(0, below.size()) == below;
    if (verdict.route == io::HttpRoute::shared_file) {
        require(!verdict.path.starts_with("/w/"), "what lies under a token needs the token");
        require(!request.is_upgrade, "a file is no socket");
        return;
    }
    require(is_below && verdict.worker == WorkerId{7}, "the token is the worker's");
    const bool is_socket = verdict.route == io::HttpRoute::socket;
    require(is_socket == request.is_upgrade, "sockets are upgraded, and nothing else is");
    if (!is_socket) return;
    require(request.is_get && request.origin == origin, "the Origin is ours");
    require(request.subprotocols.find("everpool.v1") != request.subprotocols.npos,
            "it speaks everpool.v1");
    require(verdict.path == name_of(verdict.channel), "the channel is the path's");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Gate gate;
    std::array<std::string, 4> lines;
    std::string_view rest = fuzz::text_of(data, size);
    for (std::string& line : lines) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        line = with_token(rest.substr(0, end), gate.token);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const unsigned flags = rest.empty() ? 0 : static_cast<unsigned char>(rest.front());
    io::HttpRequestFacts request{lines[0], lines[1], lines[2], lines[3]};
    request.is_http_1_1 = (flags & 1) != 0;
    request.names_host_once = (flags & 2) != 0;
    request.is_get = (flags & 4) != 0;
    request.is_head = (flags & 8) != 0;
    request.is_upgrade = (flags & 16) != 0;
    const io::HttpVerdict verdict = gate.gate.judge(request);
    if (verdict.refusal == io::HttpRefusal::none) check_let_in(request, verdict, gate.token);
    return 0;
}
