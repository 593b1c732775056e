// What each kind of evidence is taken for, and what real error texts are taken for.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/utf8.hpp"
#include "support/catch.hpp"

#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace everpool;
using namespace std::chrono_literals;
using enum BrowserFailureCategory;
using Domain = FailureDomain;

namespace {

const FailureContext on_webgpu{.browser = BrowserType::chromium, .provider = Provider::webgpu};
const FailureContext on_wasm{.browser = BrowserType::firefox, .provider = Provider::wasm};

struct Row {
    FailureEvidence evidence;
    FailureContext context;
    BrowserFailureCategory category;
    Domain domain;
    Retryability retryability;
};

constexpr auto same = Retryability::retry_same_worker;
constexpr auto other = Retryability::retry_other_worker;
constexpr auto never_again = Retryability::not_retryable;

const std::vector<Row>& rows() {
    static const std::vector<Row> table{
        {ProcessExited{9}, on_webgpu, crash, Domain::browser, other},
        {ProcessExited{21 << 8}, on_webgpu, crash, Domain::browser, other},
        {ProcessExited{11, Domain::page}, on_webgpu, crash, Domain::page, other},
        {ProcessExited{9, Domain::gpu}, on_webgpu, webgpu, Domain::gpu, same},
        {ProcessExited{9, Domain::gpu}, on_wasm, crash, Domain::gpu, same},
        {ProcessExited{9, Domain::network_service}, {}, crash, Domain::network_service, other},
        {ConnectionClosed{WorkerChannel::compute, 1001}, {}, connection, Domain::compute, other},
        {ConnectionClosed{WorkerChannel::page}, {}, connection, Domain::page, other},
        {ConnectionClosed{WorkerChannel::control}, {}, connection, Domain::browser, other},
        {PageCrashed{"crashed"}, {}, crash, Domain::page, other},
        {PageCrashed{"OOM"}, {}, memory, Domain::page, other},
        {ChannelsSilent{.page = ChannelAnswer::silent}, {}, timeout, Domain::page, other},
        {ChannelsSilent{.compute = ChannelAnswer::silent, .is_compute_in_time = true},
         {},
         unknown,
         Domain::operation,
         same},
        {ChannelsSilent{.protocol = ChannelAnswer::silent}, on_webgpu, connection,
         Domain::network_service, other},
        {ChannelsSilent{.protocol = ChannelAnswer::silent}, on_wasm, timeout, Domain::browser,
         other},
        {DeviceLost{DeviceApi::webgpu, "unknown"}, {}, webgpu, Domain::gpu, same},
        {DeviceLost{DeviceApi::webgpu, "destroyed"}, {}, webgpu, Domain::compute, same},
        {DeviceLost{DeviceApi::webnn, "", "WebNN context is lost due to connection error."},
         {},
         webnn,
         Domain::gpu,
         same},
        {AdapterBecameFallback{"google/swiftshader"}, {}, webgpu, Domain::browser, other},
        {UnhandledError{"WebAssembly.Memory.grow(): Maximum memory size exceeded"},
         {},
         memory,
         Domain::compute,
         other},
        {PageHidden{}, {}, resource, Domain::page, same},
        {PageNavigated{"chrome://crash"}, {}, connection, Domain::page, other},
        {MemoryPressure{Domain::machine, 1 << 30, 0}, {}, memory, Domain::machine, other},
        {LatencyDrift{10ms, 100ms}, {}, resource, Domain::compute, other},
        {WrongAnswer{WrongAnswerFinder::vote}, on_webgpu, webgpu, Domain::compute, other},
        {WrongAnswer{WrongAnswerFinder::canary}, on_wasm, api, Domain::compute, other},
        {WrongAnswer{WrongAnswerFinder::host}, on_wasm, api, Domain::compute, other},
        {LaunchFailed{Errc::browser_not_found}, {}, launch, Domain::browser, other},
        {LaunchFailed{Errc::browser_launch_failed, "out of memory"},
         {},
         launch,
         Domain::browser,
         other},
        {OperationFailed{Errc::device_lost}, on_webgpu, webgpu, Domain::gpu, same},
        {OperationFailed{Errc::provider_unavailable}, on_wasm, api, Domain::browser, other},
        {OperationFailed{Errc::worker_unresponsive}, {}, timeout, Domain::page, other},
        {OperationFailed{Errc::outcome_unknown}, {}, crash, Domain::page, never_again},
        {OperationFailed{Errc::invalid_input, "out of memory"},
         {},
         api,
         Domain::operation,
         never_again},
        {OperationFailed{Errc::operation_failed, "RangeError: Array buffer allocation failed"},
         {},
         memory,
         Domain::page,
         other},
        {OperationFailed{Errc::operation_failed, "TypeError: x is not a function"},
         {},
         api,
         Domain::operation,
         never_again},
        {OperationFailed{Errc::operation_failed, "I do not like it"},
         {},
         unknown,
         Domain::operation,
         never_again},
        {DeadlineExceeded{2s, 1s}, {}, timeout, Domain::operation, other},
        {DeadlineExceeded{2s, 1s, ChannelAnswer::silent}, on_webgpu, timeout, Domain::compute,
         other},
        // An endless shader: the thread answers, the GPU does not, and nothing else ever tells.
        {DeadlineExceeded{2s, 1s, ChannelAnswer::answers}, on_webgpu, webgpu, Domain::gpu, other},
        {DeadlineExceeded{2s, 1s, ChannelAnswer::answers}, on_wasm, timeout, Domain::operation,
         other},
    };
    return table;
}

} // namespace

TEST_CASE("each kind of evidence leads to a category, a domain and what may be done") {
    std::set<std::size_t> kinds;
    for (const Row& row : rows()) {
        const BrowserFailure failure = categorize_browser_failure(row.evidence, row.context);
        CAPTURE(failure.message);
        CHECK(name_of(failure.category) == name_of(row.category));
        CHECK(name_of(failure.domain) == name_of(row.domain));
        CHECK(name_of(failure.retryability) == name_of(row.retryability));
        CHECK(failure.evidence == row.evidence);
        CHECK(failure == categorize_browser_failure(row.evidence, row.context));
        kinds.insert(row.evidence.index());
    }
    CHECK(kinds.size() == std::variant_size_v<FailureEvidence>); // none was forgotten
}

TEST_CASE("who found an answer to be wrong is told, and makes it another failure") {
    const FailureContext context{.browser = BrowserType::chromium};
    const auto by_host = categorize_browser_failure(WrongAnswer{WrongAnswerFinder::host}, context);
    const auto by_canary = categorize_browser_failure(WrongAnswer{}, context);
    CHECK(by_host.message.find("a wrong answer, found by host") != std::string::npos);
    CHECK(by_canary.message.find("a wrong answer, found by canary") != std::string::npos);
    CHECK(by_host.fingerprint != by_canary.fingerprint);
}

TEST_CASE("real error texts are told apart") {
    constexpr struct {
        std::string_view text;
        BrowserFailureCategory category;
    } table[] = {
        // Chromium and V8
        {"RangeError: Array buffer allocation failed", memory},
        {"WebAssembly.Memory.grow(): Maximum memory size exceeded", memory},
        {"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
         memory},
        {"Running as root without --no-sandbox is not supported. See https://crbug.com/638180.",
         launch},
        {"Failed to create a ProcessSingleton for your profile directory.", launch},
        {"A valid external Instance reference no longer exists.", webgpu},
        {"No available adapters.", webgpu},
        {"NotSupportedError: Failed to execute 'createContext' on 'ML': WebNN is not supported on "
         "this platform.",
         webnn},
        {"UnknownError: Failed to execute 'createContext' on 'ML': WebNN is disabled due to some "
         "unresolvable issues.",
         webnn},
        {"WebNN context is lost due to connection error.", webnn},
        {"FATAL:gpu_data_manager_impl_private.cc(423) GPU process isn't usable. Goodbye.", crash},
        {"net::ERR_ABORTED", connection},
        {"net::ERR_INSUFFICIENT_RESOURCES", resource},
        // drivers
        {"unknown error: tab crashed", crash},
        {"session deleted because of page crash or hang.", crash},
        {"Maximum number of active sessions", launch},
        {"Failed to match capabilities", launch},
        {"script timeout: Timed out after 30000 ms", timeout},
        // Firefox
        {"browsingContext.navigationCommitted about:tabcrashed?e=tabcrashed", crash},
        {"WebGPU is disabled by blocklist.", webgpu},
        {"Gtk-WARNING **: cannot open display: :99", launch},
        // onnxruntime-web
        {"no available backend found. ERR: [webnn] Error: WebNN is not supported in current "
         "environment",
         webnn},
        {"another WebGPU EP inference session is being created.", webgpu},
        {"Cannot read properties of undefined (reading 'destroy')", webgpu},
        {"RuntimeError: unreachable", crash},
        {"Session already started", api},
        {"WebAssembly JSPI is not supported in the current environment.", api},
        {"Failed to get GPU adapter. You may need to enable flag \"--enable-unsafe-webgpu\"",
         webgpu},
        // what hosts write
        {"WebSocket connection failed", connection},
        {"Connection refused", connection},
        {"ECONNRESET", connection},
        {"operation timed out after 30 s", timeout},
        {"TypeError: gl is not a function", api},
        {"QuotaExceededError", resource},
        {"WebGPU: out of memory", memory},
        {"GPU device lost", webgpu},
        {"Failed to launch the browser process", launch},
        {"the browser crashed", crash},
        {"", unknown},
        {"something went wrong", unknown},
        {"\xff\xfe\x00", unknown},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        CHECK(name_of(categorize_browser_failure(row.text).category) == name_of(row.category));
        const std::runtime_error error{std::string(row.text)};
        CHECK(categorize_browser_failure(error.what(), on_webgpu).category == row.category);
    }
}

// An entry that another one before it always hides could go, or stands in the wrong place.
TEST_CASE("each entry of the table of words can be reached") {
    for (const browser::FailureWords& entry : browser::failure_words) {
        CAPTURE(entry.words);
        const auto* found = browser::find_failure_words(entry.words);
        REQUIRE(found != nullptr);
        CHECK(found->words == entry.words);
    }
}

TEST_CASE("what must not be executed twice is repeated only if it had not been sent") {
    FailureContext context = on_webgpu;
    context.is_idempotent = false;
    CHECK(categorize_browser_failure(ProcessExited{9}, context).retryability == other);
    for (const FailurePhase phase : {FailurePhase::sent, FailurePhase::maybe_executed}) {
        context.phase = phase;
        const BrowserFailure failure = categorize_browser_failure(ProcessExited{9}, context);
        CHECK(failure.retryability == never_again);
        CHECK(failure.phase == phase);
    }
    context.is_idempotent = true;
    CHECK(categorize_browser_failure(ProcessExited{9}, context).retryability == other);
}

TEST_CASE("a message is a sentence that names the browser, the failure and the model") {
    const FailureContext context{.browser = BrowserType::chromium,
                                 .version = "156.0.8078.79",
                                 .model = "bert",
                                 .provider = Provider::webgpu};
    CHECK(categorize_browser_failure(ProcessExited{9}, context).message ==
          "chromium 156.0.8078.79: the browser process was ended by signal 9 (SIGKILL) (model "
          "'bert' on webgpu)");
    CHECK(categorize_browser_failure(ProcessExited{21 << 8}).message ==
          "a browser: the browser process exited with code 21");
    CHECK(categorize_browser_failure("say \"hi\"\n", on_wasm).message ==
          "firefox: an error that nothing caught (provider wasm) [remote: say \\\"hi\\\"\\n]");
    CHECK(categorize_browser_failure(DeadlineExceeded{1500ms, 1s}).message ==
          "a browser: no answer within 1000 ms (1500 ms so far)");
    CHECK(categorize_browser_failure(MemoryPressure{Domain::page, 300 << 20, 400 << 20}).message ==
          "a browser: the page uses 300 MiB of 400 MiB");
}

TEST_CASE("of a worker that has become slow no times are said that nobody has measured") {
    const auto text = [](LatencyDrift seen) {
        return categorize_browser_failure(seen, {}).message;
    };
    CHECK(text({10ms, 100ms}).find("operations take 100 ms") != std::string::npos);
    CHECK(text({}).find(" ms") == std::string::npos);
}

TEST_CASE("a fingerprint tells failures apart and forgets their accidents") {
    const auto print = [](FailureEvidence evidence, const FailureContext& context = {}) {
        return categorize_browser_failure(std::move(evidence), context).fingerprint;
    };
    CHECK(print(ProcessExited{9}, on_webgpu) != print(ProcessExited{6}, on_webgpu));
    CHECK(print(ProcessExited{9}, on_webgpu) != print(ProcessExited{9}, on_wasm));
    CHECK(print(ProcessExited{9}, on_webgpu) != print(ProcessExited{9 << 8}, on_webgpu));
    CHECK(print(ProcessExited{9}) != print(ProcessExited{9, Domain::page}));
    CHECK(print(ConnectionClosed{}) != print(ConnectionClosed{WorkerChannel::page}));
    CHECK(print(LatencyDrift{1ms, 2ms}) == print(LatencyDrift{3ms, 9ms}));
    CHECK(print(DeadlineExceeded{2s, 1s}) == print(DeadlineExceeded{3s, 1s}));
    CHECK(print(MemoryPressure{Domain::page, 1, 2}) == print(MemoryPressure{Domain::page, 3, 4}));
    // Chrome and Edge fail as Chromium does, and models fail alike.
    FailureContext edge = on_webgpu;
    edge.browser = BrowserType::edge;
    edge.model = "bert";
    edge.version = "157";
    CHECK(print(ProcessExited{9}, edge) == print(ProcessExited{9}, on_webgpu));
    // Every two rows of the table that were judged differently have different fingerprints.
    std::set<std::string> seen;
    for (const Row& row : rows()) seen.insert(print(row.evidence, row.context).text());
    CHECK(seen.size() == rows().size());
}

TEST_CASE("golden: fingerprints of whole failures") {
    CHECK(categorize_browser_failure(ProcessExited{9}, on_webgpu).fingerprint.text() ==
          "92297cdd1df666f5");
    CHECK(categorize_browser_failure("GPU device lost", on_webgpu).fingerprint.text() ==
          "cc7d9e3456c9297c");
}

TEST_CASE("text from outside is harmless, whatever it is") {
    const std::string huge(1U << 20, 'x');
    const std::string rubbish = "\xff\xfe\n\x1b[31m\"" + huge;
    const FailureContext context{.version = rubbish, .model = rubbish};
    for (const FailureEvidence& evidence :
         {FailureEvidence{UnhandledError{rubbish, rubbish}}, FailureEvidence{PageCrashed{rubbish}},
          FailureEvidence{OperationFailed{Errc::operation_failed, rubbish, rubbish}},
          FailureEvidence{LaunchFailed{Errc::browser_launch_failed, rubbish}}}) {
        const std::string message = categorize_browser_failure(evidence, context).message;
        CHECK(message.size() < 1024);
        CHECK(is_utf8(message));
        CHECK(message.find_first_of("\n\x1b") == std::string::npos);
    }
}

TEST_CASE("all words of the vocabulary have names of their own") {
    std::set<std::string_view> names;
    for (const auto category : browser_failure_categories)
        CHECK(names.insert(name_of(category)).second);
    CHECK(name_of(static_cast<BrowserFailureCategory>(browser_failure_categories.size())) ==
          "unrecognised");
    names.clear();
    for (const Row& row : rows()) names.insert(name_of(row.evidence));
    CHECK(names.size() == std::variant_size_v<FailureEvidence>);
}
