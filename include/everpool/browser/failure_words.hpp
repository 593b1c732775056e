// Everpool browser: what errors say, as a table. The last resort of the classification.
// SPDX-License-Identifier: BSL-1.0
//
// The words are those of Chromium 156, Firefox 153, WebKitGTK 2.50, their drivers, V8 and
// onnxruntime-web 1.30, seen in real failures, and some general ones at the end of each group. The
// first entry that is found counts, so the order is from the most special to the most general: an
// exhausted GPU is short of memory first, and "WebNN ... lost" is no lost connection.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/word_match.hpp"

#include <cstddef>
#include <string_view>

namespace everpool::browser {

struct FailureWords {
    std::string_view words; ///< in small letters; anywhere in the text, also inside other words
    BrowserFailureCategory category;
    FailureDomain domain;
};

inline constexpr FailureWords failure_words[] = {
    // --- memory
    {"array buffer allocation failed", BrowserFailureCategory::memory, FailureDomain::page}, // V8
    {"heap out of memory", BrowserFailureCategory::memory, FailureDomain::page},             // V8
    {"invalid array buffer length", BrowserFailureCategory::memory, FailureDomain::page},    // V8
    {"out of memory", BrowserFailureCategory::memory, FailureDomain::page},
    {"bad_alloc", BrowserFailureCategory::memory, FailureDomain::compute}, // runtimes in WASM
    {"memory.grow", BrowserFailureCategory::memory, FailureDomain::compute},
    {"could not allocate memory", BrowserFailureCategory::memory, FailureDomain::compute}, // WASM
    {"failed to allocate", BrowserFailureCategory::memory, FailureDomain::compute},
    {"allocation failed", BrowserFailureCategory::memory, FailureDomain::compute},
    {"memory pressure", BrowserFailureCategory::memory, FailureDomain::page},
    {"insufficient memory", BrowserFailureCategory::memory, FailureDomain::page},

    // --- the browser did not start
    // Chromium as root.
    {"running as root without", BrowserFailureCategory::launch, FailureDomain::browser},
    {"no usable sandbox", BrowserFailureCategory::launch, FailureDomain::browser}, // Chromium
    // Chromium: two on one profile.
    {"failed to create a processsingleton", BrowserFailureCategory::launch, FailureDomain::browser},
    {"cannot open display", BrowserFailureCategory::launch, FailureDomain::browser}, // GTK
    {"failed to match capabilities", BrowserFailureCategory::launch, FailureDomain::browser},
    {"session not created", BrowserFailureCategory::launch, FailureDomain::browser}, // WebDriver
    {"maximum number of active sessions", BrowserFailureCategory::launch, FailureDomain::browser},
    {"error while loading shared libraries", BrowserFailureCategory::launch,
     FailureDomain::browser},
    {"failed to launch", BrowserFailureCategory::launch, FailureDomain::browser},
    {"failed to start", BrowserFailureCategory::launch, FailureDomain::browser},
    {"cannot find chrome binary", BrowserFailureCategory::launch, FailureDomain::browser},
    {"executable doesn't exist", BrowserFailureCategory::launch, FailureDomain::browser},

    // --- WebNN; before WebGPU, as onnxruntime-web names both in one message
    // "... 'createContext' on 'ML': WebNN is not supported on this platform."
    {"'createcontext' on 'ml'", BrowserFailureCategory::webnn, FailureDomain::compute},
    {"webnn context is lost", BrowserFailureCategory::webnn, FailureDomain::gpu}, // MLContext.lost
    {"webnn is disabled", BrowserFailureCategory::webnn, FailureDomain::browser},
    {"webnn is not supported", BrowserFailureCategory::webnn, FailureDomain::compute},

    // --- WebGPU
    // Chromium, when its GPU process has died.
    {"external instance reference no longer", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    {"device is lost", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    {"device lost", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    {"device was lost", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    // onnxruntime-web after a lost device: dead in its realm, a new thread works at once.
    {"another webgpu ep inference session", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"(reading 'destroy')", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"no available adapters", BrowserFailureCategory::webgpu, FailureDomain::gpu}, // Chromium
    {"failed to get gpu adapter", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    {"webgpu is disabled by blocklist", BrowserFailureCategory::webgpu, FailureDomain::browser},
    {"webgpu is not supported", BrowserFailureCategory::webgpu, FailureDomain::browser},

    // --- crashes
    {"gpu process isn't usable", BrowserFailureCategory::crash, FailureDomain::browser}, // Chromium
    {"tab crashed", BrowserFailureCategory::crash, FailureDomain::page},        // chromedriver
    {"about:tabcrashed", BrowserFailureCategory::crash, FailureDomain::page},   // Firefox
    {"page crash or hang", BrowserFailureCategory::crash, FailureDomain::page}, // WebKitWebDriver
    {"target crashed", BrowserFailureCategory::crash, FailureDomain::page},
    {"page crashed", BrowserFailureCategory::crash, FailureDomain::page},
    {"runtimeerror: unreachable", BrowserFailureCategory::crash, FailureDomain::compute}, // a trap
    {"runtimeerror: aborted", BrowserFailureCategory::crash, FailureDomain::compute}, // Emscripten
    {"memory access out of bounds", BrowserFailureCategory::crash, FailureDomain::compute}, // WASM
    {"segmentation fault", BrowserFailureCategory::crash, FailureDomain::browser},
    {"crash", BrowserFailureCategory::crash, FailureDomain::browser},

    // --- something is used up
    {"err_insufficient_resources", BrowserFailureCategory::resource, FailureDomain::page},
    {"insufficient resources", BrowserFailureCategory::resource, FailureDomain::page},
    {"too many open files", BrowserFailureCategory::resource, FailureDomain::machine},
    {"no space left", BrowserFailureCategory::resource, FailureDomain::machine},
    {"quota", BrowserFailureCategory::resource, FailureDomain::browser},
    {"resource exhausted", BrowserFailureCategory::resource, FailureDomain::page},
    {"resources exhausted", BrowserFailureCategory::resource, FailureDomain::page},

    // --- no answer in time
    {"timed out", BrowserFailureCategory::timeout, FailureDomain::operation},
    {"timedout", BrowserFailureCategory::timeout, FailureDomain::operation},
    {"timeout", BrowserFailureCategory::timeout, FailureDomain::operation},
    {"deadline exceeded", BrowserFailureCategory::timeout, FailureDomain::operation},
    {"not responding", BrowserFailureCategory::timeout, FailureDomain::page},

    // --- the two interfaces, whatever it is
    {"webnn", BrowserFailureCategory::webnn, FailureDomain::compute},
    {"mlcontext", BrowserFailureCategory::webnn, FailureDomain::compute},
    {"webgpu", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"wgsl", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"gpudevice", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"gpubuffer", BrowserFailureCategory::webgpu, FailureDomain::compute},
    {"gpu error", BrowserFailureCategory::webgpu, FailureDomain::gpu},
    {"gpu process", BrowserFailureCategory::webgpu, FailureDomain::gpu},

    // --- connections
    {"net::err_", BrowserFailureCategory::connection, FailureDomain::page}, // Chromium
    {"econn", BrowserFailureCategory::connection, FailureDomain::page},
    {"connection", BrowserFailureCategory::connection, FailureDomain::page},
    {"disconnected", BrowserFailureCategory::connection, FailureDomain::page},
    {"websocket", BrowserFailureCategory::connection, FailureDomain::page},
    {"broken pipe", BrowserFailureCategory::connection, FailureDomain::browser},
    {"networkerror", BrowserFailureCategory::connection, FailureDomain::page},
    {"failed to fetch", BrowserFailureCategory::connection, FailureDomain::page},

    // --- interfaces that are missing or used wrongly
    {"jspi is not supported", BrowserFailureCategory::api, FailureDomain::page}, // onnxruntime-web
    {"session already started", BrowserFailureCategory::api, FailureDomain::compute}, // the same
    {"session mismatch", BrowserFailureCategory::api, FailureDomain::compute},        // the same
    {"no available backend found", BrowserFailureCategory::api, FailureDomain::compute},
    {"notsupportederror", BrowserFailureCategory::api, FailureDomain::operation},
    {"not supported", BrowserFailureCategory::api, FailureDomain::operation},
    {"unsupported", BrowserFailureCategory::api, FailureDomain::operation},
    {"is not a function", BrowserFailureCategory::api, FailureDomain::operation},
    {"is not defined", BrowserFailureCategory::api, FailureDomain::operation},
    {"typeerror", BrowserFailureCategory::api, FailureDomain::operation},
    {"referenceerror", BrowserFailureCategory::api, FailureDomain::operation},
    {"invalidstateerror", BrowserFailureCategory::api, FailureDomain::operation},
    {"syntaxerror", BrowserFailureCategory::api, FailureDomain::operation},
};

/// More of a text is not looked at: what matters stands at its beginning.
inline constexpr std::size_t failure_words_bytes_max = 4096;

/// Whether `words` (small letters) stand anywhere in `text`, whatever the case there.
constexpr bool contains_words(std::string_view text, std::string_view words) noexcept {
    for (std::size_t at = 0; at + words.size() <= text.size(); ++at) {
        std::size_t same = 0;
        while (same < words.size() && everpool::detail::to_lower(text[at + same]) == words[same])
            ++same;
        if (same == words.size()) return true;
    }
    return false;
}

/// The first entry whose words are in the text; null if there is none.
constexpr const FailureWords* find_failure_words(std::string_view text) noexcept {
    const std::string_view beginning = text.substr(0, failure_words_bytes_max);
    for (const FailureWords& entry : failure_words)
        if (contains_words(beginning, entry.words)) return &entry;
    return nullptr;
}

} // namespace everpool::browser
