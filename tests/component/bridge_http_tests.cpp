// What the bridge serves over HTTP, and what it does not.
// SPDX-License-Identifier: BSL-1.0
#include "bridge_scene.hpp"
#include "io/embedded_files.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace everpool::test {
namespace {

/// A file with this content that goes away with the test.
class ScratchFile {
public:
    explicit ScratchFile(std::string_view content) {
        std::string name =
            (std::filesystem::temp_directory_path() / "everpool-test-XXXXXX").string();
        const int descriptor = ::mkstemp(name.data());
        REQUIRE(descriptor >= 0);
        ::close(descriptor);
        path = name;
        fill(content);
    }
    ~ScratchFile() { std::filesystem::remove(path); }
    void fill(std::string_view content) const {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    }
    std::filesystem::path path;
};

TEST_CASE("the worker page is served under its token with all protective fields") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const HttpAnswer answer = http_ask(host.port(), {.target = page});
    REQUIRE(answer.status == 200);
    CHECK(answer.fields.at("content-type") == "text/html; charset=utf-8");
    CHECK(answer.fields.at("cache-control") == "no-store");
    CHECK(answer.fields.at("cross-origin-opener-policy") == "same-origin");
    CHECK(answer.fields.at("cross-origin-embedder-policy") == "require-corp");
    CHECK(answer.fields.at("cross-origin-resource-policy") == "same-origin");
    CHECK(answer.fields.at("referrer-policy") == "no-referrer");
    CHECK(answer.fields.at("x-content-type-options") == "nosniff");
    const std::string& policy = answer.fields.at("content-security-policy");
    CHECK(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';"));
    CHECK(policy.find("unsafe-inline") == std::string::npos);
    CHECK(policy.find("'unsafe-eval'") == std::string::npos);
    CHECK(policy.find("*") == std::string::npos);
    CHECK(answer.body.find("<script") != std::string::npos);
}

TEST_CASE("the page's URL tells the page how large a frame may be") {
    io::BridgeConfig config = bridge_config_for_tests;
    config.frame_bytes_max = 70'000;
    BridgeHost host(config);
    const std::string url =
        host.with([](io::Bridge& bridge) { return bridge.admit(WorkerId{0}, Generation{1}); });
    CHECK(url.ends_with("/?frame_bytes_max=70000"));
    CHECK(http_ask(host.port(), {.target = url.substr(url.find("/w/"))}).status == 200);
}

TEST_CASE("every embedded file comes back byte for byte with its type and tag") {
    BridgeHost host;
    REQUIRE_FALSE(io::embedded_files().empty());
    HttpClient client(host.port());
    for (const io::EmbeddedFile& file : io::embedded_files()) {
        CAPTURE(file.url_path);
        const HttpAnswer answer = client.ask({.target = std::string(file.url_path)});
        CHECK(answer.status == 200);
        CHECK(answer.fields.at("content-type") == file.mime);
        CHECK(answer.fields.at("etag") == file.etag);
        CHECK(std::ranges::equal(std::as_bytes(std::span(answer.body)), file.bytes));
    }
    CHECK(host.stats().http_requests == io::embedded_files().size());
}

TEST_CASE("scripts and WebAssembly have the types that browsers insist on") {
    for (const io::EmbeddedFile& file : io::embedded_files()) {
        if (file.url_path.ends_with("js")) CHECK(file.mime == "text/javascript; charset=utf-8");
        if (file.url_path.ends_with(".wasm")) CHECK(file.mime == "application/wasm");
    }
}

TEST_CASE("a known tag is answered 304 without a body, on the same connection") {
    BridgeHost host;
    HttpClient client(host.port());
    const std::string target(io::embedded_files().front().url_path);
    const HttpAnswer first = client.ask({.target = target});
    const std::string tag = first.fields.at("etag");
    const HttpAnswer known = client.ask({.target = target, .fields = {{"If-None-Match", tag}}});
    CHECK(known.status == 304);
    CHECK(known.body.empty());
    CHECK(known.fields.at("etag") == tag);
    const HttpAnswer other =
        client.ask({.target = target, .fields = {{"If-None-Match", "\"other\""}}});
    CHECK(other.status == 200);
    CHECK(other.body == first.body);
}

TEST_CASE("HEAD gives the fields and the length without the body") {
    BridgeHost host;
    HttpClient client(host.port());
    const io::EmbeddedFile& file = io::embedded_files().front();
    const HttpAnswer head = client.ask({.target = std::string(file.url_path), .method = "HEAD"});
    CHECK(head.status == 200);
    CHECK(head.fields.at("content-length") == std::to_string(file.bytes.size()));
    CHECK(head.body.empty());
    CHECK(client.ask({.target = std::string(file.url_path)}).status == 200);
}

TEST_CASE("models and modules are streamed from disk, as they are at that moment") {
    std::string content(3'000'000, '\0');
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 >> 3);
    const ScratchFile model(content);
    const ScratchFile module("export async function run() {}");
    BridgeHost host;
    const std::string page = host.admit(0);
    host.with([&](io::Bridge& bridge) {
        bridge.add_model("mlp.v1", model.path);
        bridge.add_module("twice", module.path);
    });
    HttpClient client(host.port());
    const HttpAnswer first = client.ask({.target = page + io::Bridge::model_path("mlp.v1")});
    REQUIRE(first.status == 200);
    CHECK(first.body == content);
    CHECK(first.fields.at("content-type") == "application/octet-stream");
    const HttpAnswer script = client.ask({.target = page + io::Bridge::module_path("twice")});
    CHECK(script.body == "export async function run() {}");
    CHECK(script.fields.at("content-type") == "text/javascript");

    model.fill("changed");
    const HttpAnswer second = client.ask({.target = page + io::Bridge::model_path("mlp.v1"),
                                          .fields = {{"If-None-Match", first.fields.at("etag")}}});
    CHECK(second.status == 200);
    CHECK(second.body == "changed");
}

TEST_CASE("an empty model file is served as what it is") {
    const ScratchFile model("");
    BridgeHost host;
    const std::string page = host.admit(0);
    host.with([&](io::Bridge& bridge) { bridge.add_model("empty", model.path); });
    HttpClient client(host.port());
    CHECK(client.ask({.target = page + "models/empty"}).status == 200);
    CHECK(client.ask({.target = page + "models/empty"}).body.empty());
}

TEST_CASE("a registered file that is gone, or a directory, is answered 404 in words") {
    BridgeHost host;
    const std::string page = host.admit(0);
    host.with([&](io::Bridge& bridge) {
        bridge.add_model("gone", "/nonexistent/model.onnx");
        bridge.add_model("directory", std::filesystem::temp_directory_path());
    });
    for (const char* name : {"gone", "directory"}) {
        const HttpAnswer answer = http_ask(host.port(), {.target = page + "models/" + name});
        CHECK(answer.status == 404);
        CHECK(answer.body == "The registered file cannot be read.\n");
    }
}

TEST_CASE("names with odd characters are reachable by their own path and by no other") {
    const ScratchFile model("odd");
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::string name = "../a b/%2e";
    host.with([&](io::Bridge& bridge) { bridge.add_model(name, model.path); });
    CHECK(http_ask(host.port(), {.target = page + io::Bridge::model_path(name)}).body == "odd");
    CHECK(http_ask(host.port(), {.target = page + "models/../a"}).status == 404);
}

TEST_CASE("no path leads out of the tables") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::vector<std::string> targets = {"/",
                                              "/everpool",
                                              "/everpool/",
                                              "/everpool/../everpool/page.js",
                                              "/../../etc/passwd",
                                              "/everpool/%2e%2e/%2e%2e/etc/passwd",
                                              "/everpool/..%2f..%2fetc/passwd",
                                              "//etc/passwd",
                                              "/ort/../../../etc/passwd",
                                              "/everpool\\..\\page.js",
                                              "/everpool/page.js/",
                                              "/everpool/PAGE.JS",
                                              page + "models/",
                                              page + "models/../../../etc/passwd",
                                              page + "models/%2e%2e%2fpasswd",
                                              page + "modules/../models/mlp",
                                              page + "worker.html",
                                              page + "/",
                                              page + "everpool/page.js"};
    for (const std::string& target : targets) {
        CAPTURE(target);
        CHECK(http_ask(host.port(), {.target = target}).status == 404);
    }
}

TEST_CASE("only GET and HEAD are served, and no bodies are taken") {
    BridgeHost host;
    const HttpAnswer answer =
        http_ask(host.port(), {.target = "/everpool/page.js", .method = "DELETE"});
    CHECK(answer.status == 405);
    CHECK(answer.fields.at("allow") == "GET, HEAD");
    const HttpAnswer with_body = http_ask(
        host.port(),
        {.target = "/everpool/page.js", .method = "POST", .fields = {{"Content-Length", "5"}}});
    CHECK(with_body.status == 413);
    CHECK(host.stats().requests_malformed == 1);
}

TEST_CASE("a request's header is bounded") {
    BridgeHost host;
    const HttpAnswer answer =
        http_ask(host.port(),
                 {.target = "/everpool/page.js", .fields = {{"X-Long", std::string(9000, 'x')}}});
    CHECK(answer.status == 431);
    CHECK(answer.fields.at("connection") == "close");
    CHECK(host.stats().requests_malformed == 1);
}

TEST_CASE("what is not HTTP is told so and disconnected") {
    BridgeHost host;
    HttpClient client(host.port());
    const HttpAnswer answer = client.ask_raw("\x16\x03\x01 hello\r\n\r\n");
    CHECK(answer.status == 400);
    CHECK_THROWS(client.ask({.target = "/everpool/page.js"}));
    CHECK(host.stats().requests_malformed == 1);
    CHECK(host.stats().http_requests == 0);
}

TEST_CASE("a client that never finishes its request is disconnected in time") {
    auto config = bridge_config_for_tests;
    config.request_timeout = std::chrono::milliseconds(50);
    BridgeHost host(config);
    HttpClient client(host.port());
    CHECK_THROWS(client.ask_raw("GET /everpool/page.js HTTP/1.1\r\nHost:"));
    CHECK(counted(host, &io::BridgeStats::requests_unfinished, 1) == 1);
}

TEST_CASE("a client that hangs up in mid-request is counted, one between two requests is not") {
    BridgeHost host;
    {
        HttpClient client(host.port());
        client.write_raw("GET /everpool/page.js HT");
    }
    {
        HttpClient client(host.port());
        CHECK(client.ask({.target = "/nothing"}).status == 404);
    }
    CHECK(counted(host, &io::BridgeStats::requests_unfinished, 1) == 1);
}

TEST_CASE("a silent client is disconnected in time, and has done nothing wrong") {
    auto config = bridge_config_for_tests;
    config.request_timeout = std::chrono::milliseconds(50);
    BridgeHost host(config);
    HttpClient client(host.port());
    CHECK(client.ask({.target = "/nothing"}).status == 404);
    CHECK_THROWS(client.ask_raw("")); // waits for what never comes, until it is thrown out
    CHECK(host.stats().requests_unfinished == 0);
}

TEST_CASE("an upgrade with something behind it, before it was answered, is malformed") {
    BridgeHost host;
    const std::string page = host.admit(0);
    const std::string authority = "127.0.0.1:" + std::to_string(host.port());
    const std::string request = "GET " + page + "data HTTP/1.1\r\nHost: " + authority +
                                "\r\nOrigin: http://" + authority +
                                "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                                "Sec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Protocol: everpool.v1\r\n\r\n";
    HttpClient client(host.port());
    CHECK(client.ask_raw(request + "early").status == 400);
    CHECK(host.stats().requests_malformed == 1);
    CHECK(host.stats().upgrades == 0);
}

TEST_CASE("beyond the connection limit clients wait until a place is free") {
    auto config = bridge_config_for_tests;
    config.http_connection_count_max = 2;
    BridgeHost host(config);
    auto first = std::make_unique<HttpClient>(host.port());
    HttpClient second(host.port());
    CHECK(first->ask({.target = "/nothing"}).status == 404);
    CHECK(second.ask({.target = "/nothing"}).status == 404);
    HttpClient third(host.port()); // in the backlog
    first.reset();
    CHECK(third.ask({.target = "/nothing"}).status == 404);
}

TEST_CASE("connections that were upgraded and greeted take no place of the limit") {
    auto config = bridge_config_for_tests;
    config.http_connection_count_max = 1;
    BridgeHost host(config);
    const std::string page = host.admit(0);
    const WebSocketClient control = greet(host, page, Channel::control);
    const WebSocketClient data = greet(host, page, Channel::data);
    CHECK(http_ask(host.port(), {.target = "/nothing"}).status == 404);
}

} // namespace
} // namespace everpool::test
