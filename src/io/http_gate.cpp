// SPDX-License-Identifier: BSL-1.0
#include "io/http_gate.hpp"

namespace everpool::io {
namespace {

HttpVerdict refuse(HttpRefusal refusal) noexcept {
    HttpVerdict verdict;
    verdict.refusal = refusal;
    return verdict;
}

/// Is `wanted` in the comma-separated list? Subprotocol names are case-sensitive.
bool list_contains(std::string_view list, std::string_view wanted) noexcept {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t'))
            item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        if (item == wanted) return true;
    }
    return false;
}

} // namespace

HttpVerdict HttpGate::judge(const HttpRequestFacts& request) const noexcept {
    if (!request.names_host_once || request.host != authority_) return refuse(HttpRefusal::host);
    if (!request.is_http_1_1) return refuse(HttpRefusal::version);
    if (!request.is_get && !request.is_head) return refuse(HttpRefusal::method);
    const std::string_view path = request.target.substr(0, request.target.find('?'));
    if (path.empty() || path.front() != '/') return refuse(HttpRefusal::target);
    if (path.starts_with("/w/")) return judge_worker_path(request, path.substr(3));
    if (request.is_upgrade) return refuse(HttpRefusal::not_found);
    HttpVerdict verdict;
    verdict.route = HttpRoute::shared_file;
    verdict.path = path;
    return verdict;
}

HttpVerdict HttpGate::judge_worker_path(const HttpRequestFacts& request,
                                        std::string_view below) const noexcept {
    const std::size_t slash = below.find('/');
    const auto worker = tokens_->find(below.substr(0, slash));
    if (!worker || slash == std::string_view::npos) return refuse(HttpRefusal::token);

    HttpVerdict verdict;
    verdict.worker = *worker;
    verdict.path = below.substr(slash + 1);
    const bool is_control = verdict.path == wire::name_of(wire::Channel::control);
    if (is_control || verdict.path == wire::name_of(wire::Channel::data)) {
        verdict.route = HttpRoute::socket;
        verdict.channel = is_control ? wire::Channel::control : wire::Channel::data;
        if (!request.is_upgrade || !request.is_get) return refuse(HttpRefusal::upgrade_required);
        if (request.origin != origin_) return refuse(HttpRefusal::origin);
        if (!list_contains(request.subprotocols, websocket_subprotocol))
            return refuse(HttpRefusal::subprotocol);
        return verdict;
    }
    if (request.is_upgrade) return refuse(HttpRefusal::not_found);
    verdict.route = verdict.path.empty() ? HttpRoute::worker_page : HttpRoute::worker_file;
    return verdict;
}

} // namespace everpool::io
