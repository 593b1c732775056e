// SPDX-License-Identifier: BSL-1.0
#include "io/http_gate.hpp"
#include "support/catch.hpp"

namespace everpool::io {
namespace {

/// A gate with one worker, and a request that it lets pass.
struct GateScene {
    LiveTokens tokens;
    std::string token{tokens.mint(WorkerId{4})};
    HttpGate gate{"127.0.0.1:8080", "http://127.0.0.1:8080", tokens};
    std::string target{"/w/" + token + "/data"};
    HttpRequestFacts request{.target = target,
                             .host = "127.0.0.1:8080",
                             .origin = "http://127.0.0.1:8080",
                             .subprotocols = "everpool.v1",
                             .is_http_1_1 = true,
                             .names_host_once = true,
                             .is_get = true,
                             .is_head = false,
                             .is_upgrade = true};

    [[nodiscard]] HttpRefusal refusal() const { return gate.judge(request).refusal; }
};

TEST_CASE("a good upgrade is recognised with its worker and channel") {
    GateScene scene;
    HttpVerdict verdict = scene.gate.judge(scene.request);
    CHECK(verdict.refusal == HttpRefusal::none);
    CHECK(verdict.route == HttpRoute::socket);
    CHECK(verdict.worker == WorkerId{4});
    CHECK(verdict.channel == wire::Channel::data);
    scene.target = "/w/" + scene.token + "/control?x=1";
    scene.request.target = scene.target;
    verdict = scene.gate.judge(scene.request);
    CHECK(verdict.refusal == HttpRefusal::none);
    CHECK(verdict.channel == wire::Channel::control);
}

TEST_CASE("each lock alone keeps the gate closed") {
    GateScene scene;
    SECTION("Host") {
        scene.request.host = "127.0.0.1:8081";
        CHECK(scene.refusal() == HttpRefusal::host);
    }
    SECTION("two Hosts") {
        scene.request.names_host_once = false;
        CHECK(scene.refusal() == HttpRefusal::host);
    }
    SECTION("Origin") {
        scene.request.origin = "http://127.0.0.1:8081";
        CHECK(scene.refusal() == HttpRefusal::origin);
    }
    SECTION("token") {
        scene.tokens.revoke(WorkerId{4});
        CHECK(scene.refusal() == HttpRefusal::token);
    }
    SECTION("subprotocol") {
        scene.request.subprotocols = "everpool.v10, xeverpool.v1,,";
        CHECK(scene.refusal() == HttpRefusal::subprotocol);
    }
    SECTION("HTTP version") {
        scene.request.is_http_1_1 = false;
        CHECK(scene.refusal() == HttpRefusal::version);
    }
    SECTION("HEAD is no upgrade") {
        scene.request.is_get = false;
        scene.request.is_head = true;
        CHECK(scene.refusal() == HttpRefusal::upgrade_required);
    }
}

TEST_CASE("the Host is judged before anything else is revealed") {
    GateScene scene;
    scene.request.host = "evil.example";
    for (const std::string& target :
         {std::string("/w/x/"), scene.target, std::string("/everpool/page.js")}) {
        scene.request.target = target;
        CHECK(scene.refusal() == HttpRefusal::host);
    }
}

TEST_CASE("a target that is no absolute path is refused") {
    GateScene scene;
    scene.request.is_upgrade = false;
    for (const char* target : {"", "*", "http://127.0.0.1:8080/everpool/page.js", "?/"}) {
        scene.request.target = target;
        CHECK(scene.refusal() == HttpRefusal::target);
    }
}

TEST_CASE("files are routed by where they lie, without their query") {
    GateScene scene;
    scene.request.is_upgrade = false;
    scene.request.target = "/everpool/page.js?v=1";
    CHECK(scene.gate.judge(scene.request).route == HttpRoute::shared_file);
    CHECK(scene.gate.judge(scene.request).path == "/everpool/page.js");
    scene.target = "/w/" + scene.token + "/";
    scene.request.target = scene.target;
    CHECK(scene.gate.judge(scene.request).route == HttpRoute::worker_page);
    scene.target = "/w/" + scene.token + "/models/mlp";
    scene.request.target = scene.target;
    CHECK(scene.gate.judge(scene.request).route == HttpRoute::worker_file);
    CHECK(scene.gate.judge(scene.request).path == "models/mlp");
}

} // namespace
} // namespace everpool::io
