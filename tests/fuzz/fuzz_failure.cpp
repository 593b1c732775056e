// What browsers and pages write when they fail, and what is made of it.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/browser/failure_text.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/model_family.hpp"
#include "everpool/utf8.hpp"
#include "fuzz.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace {

using namespace everpool;
using fuzz::require;

bool is_one_line(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

void check_normaliser(std::string_view text) {
    for (const std::size_t bytes_max : {0u, 1u, 7u, 512u}) {
        const std::string normal = browser::normalise_failure_text(text, bytes_max);
        require(normal.size() <= bytes_max, "normalised text is bounded");
        require(is_utf8(normal), "normalised text is UTF-8");
        require(is_one_line(normal), "normalised text is one line");
        require(
            std::none_of(normal.begin(), normal.end(),
                         [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }),
            "normalised text has no digit and no capital letter");
        require(normal.find("  ") == std::string::npos, "normalised text has no double space");
    }
    const std::string frames = browser::normalise_failure_stack(text);
    require(static_cast<std::size_t>(std::count(frames.begin(), frames.end(), '\n')) <=
                browser::failure_frames_max,
            "a stack is bounded");
    require(is_utf8(frames), "a stack is UTF-8");
}

/// Other accidents, the same failure.
void check_sameness(std::string_view text) {
    const auto print = [](const std::string& tail) {
        return categorize_browser_failure(tail).fingerprint;
    };
    const std::string beginning(text.substr(0, 256));
    require(print("error 17: " + beginning) == print("error 4711: " + beginning),
            "a number is an accident");
    require(print("at http://127.0.0.1:4/a " + beginning) ==
                print("at http://127.0.0.1:99/b-7 " + beginning),
            "a place is an accident");
}

void check_classifier(std::string_view text) {
    const std::string message(text.substr(0, text.size() / 2));
    const std::string stack(text.substr(text.size() / 2));
    const FailureContext contexts[] = {{},
                                       {.browser = BrowserType::firefox,
                                        .version = stack,
                                        .model = message,
                                        .provider = Provider::webgpu,
                                        .phase = FailurePhase::sent,
                                        .is_idempotent = false}};
    const FailureEvidence all[] = {
        UnhandledError{message, stack},
        OperationFailed{Errc::operation_failed, message, stack},
        LaunchFailed{Errc::browser_launch_failed, message},
        PageCrashed{message},
        PageNavigated{message},
        AdapterBecameFallback{message},
        DeviceLost{DeviceApi::webnn, stack, message},
        ProcessExited{static_cast<int>(text.size() * 2654435761U), FailureDomain::page, message}};
    for (const FailureContext& context : contexts)
        for (const FailureEvidence& evidence : all) {
            const BrowserFailure failure = categorize_browser_failure(evidence, context);
            require(name_of(failure.category) != "unrecognised", "the category is one");
            require(failure.message.size() < 2048, "a message is bounded");
            require(is_utf8(failure.message), "a message is UTF-8");
            require(is_one_line(failure.message), "a message is one line");
            require(failure == categorize_browser_failure(evidence, context),
                    "the same evidence is judged alike");
            if (!context.is_idempotent)
                require(failure.retryability == Retryability::not_retryable,
                        "what was sent and must not be executed twice is not repeated");
        }
}

void check_names(std::string_view text) {
    require(name_of(detect_model_type(text)) != "unrecognised", "the family is one");
    const auto type = detect_browser_type(text);
    require(!type || name_of(*type) != "unrecognised", "the browser is one");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    check_normaliser(text);
    check_sameness(text);
    check_classifier(text);
    check_names(text);
    return 0;
}
