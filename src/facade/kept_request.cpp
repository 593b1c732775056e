// SPDX-License-Identifier: BSL-1.0
#include "facade/kept_request.hpp"

#include "everpool/wire/codec.hpp"
#include "everpool/xxhash64.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <variant>

namespace everpool::facade {

namespace {

constexpr std::size_t head_bytes = 8;
constexpr std::byte format_version{1};

} // namespace

std::uint64_t digest_of(const std::vector<Tensor>& inputs) noexcept {
    std::uint64_t digest = inputs.size();
    for (const Tensor& input : inputs) {
        digest = xxhash64(std::as_bytes(std::span(input.name)), digest);
        digest = xxhash64(std::as_bytes(std::span(&input.dtype, 1)), digest);
        digest = xxhash64(std::as_bytes(std::span(input.shape)), digest);
        digest = xxhash64(input.data.bytes, digest);
    }
    return digest;
}

Payload keep(const Request& request, std::size_t bytes_max) {
    std::size_t least = head_bytes + request.parameters.size();
    for (const Tensor& input : request.inputs) least += input.data.bytes.size();
    if (least > bytes_max) return {}; // as most of them that are too large: nothing was spent on it
    wire::Run run;
    run.operation = request.operation;
    run.model = request.model;
    run.parameters = request.parameters;
    run.tensors = request.inputs;
    wire::EncodedFrame frame;
    if (wire::encode(run, wire::Limits{}, frame) != Errc::ok ||
        head_bytes + frame.bytes > bytes_max)
        return {};
    std::vector<std::byte> bytes(head_bytes);
    bytes.reserve(head_bytes + frame.bytes);
    bytes[0] = format_version;
    bytes[1] = static_cast<std::byte>(std::min<std::uint32_t>(request.max_attempts, 255));
    bytes[2] = static_cast<std::byte>(request.browser ? static_cast<int>(*request.browser) + 1 : 0);
    bytes[3] = static_cast<std::byte>(static_cast<int>(request.priority) + 1);
    const auto head = std::as_bytes(std::span(frame.head));
    bytes.insert(bytes.end(), head.begin(), head.end());
    for (const auto& piece : frame.payloads) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return Payload(std::move(bytes));
}

std::optional<Request> request_of(const Payload& payload) {
    const auto bytes = payload.bytes();
    if (bytes.size() < head_bytes || bytes[0] != format_version) return std::nullopt;
    // A payload that was read from a log lies anywhere in memory; tensors want to be aligned.
    const auto owner =
        std::make_shared<const std::vector<std::byte>>(bytes.begin() + head_bytes, bytes.end());
    wire::Message message;
    if (wire::decode(*owner, owner, wire::Limits{}, message) != wire::DecodeResult::ok)
        return std::nullopt;
    auto* const run = std::get_if<wire::Run>(&message);
    if (run == nullptr) return std::nullopt;
    Request request;
    request.operation = std::move(run->operation);
    request.model = std::move(run->model);
    request.parameters = std::move(run->parameters);
    request.inputs = std::move(run->tensors);
    request.max_attempts = std::to_integer<std::uint32_t>(bytes[1]);
    const auto browser = std::to_integer<unsigned>(bytes[2]);
    if (browser != 0) {
        request.browser = static_cast<BrowserType>(browser - 1);
        if (name_of(*request.browser) == "unrecognised") return std::nullopt;
    }
    // 0: it was kept by a version that had no priorities.
    if (const auto priority = std::to_integer<unsigned>(bytes[3]); priority != 0) {
        request.priority = static_cast<Priority>(priority - 1);
        if (name_of(request.priority) == "unrecognised") return std::nullopt;
    }
    return request;
}

} // namespace everpool::facade
