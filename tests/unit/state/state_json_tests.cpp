// Transactions as lines of JSON, read by Boost.JSON.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_json.hpp"
#include "state_script.hpp"

#include <boost/json.hpp>

#include <string>

using namespace everpool;
using namespace everpool::state_tests;

namespace {

std::string line_of(const Transaction& transaction) {
    std::string line;
    core::append_json_line(line, transaction);
    return line;
}

} // namespace

TEST_CASE("A transaction is one line that says it all") {
    Transaction transaction{.number = 12, .at = noon + 250ns, .actor = "pool"};
    transaction.changes = {OperationDispatched{{7}, {0}, {1}},
                           OperationFinished{.id = {8}, .worker = WorkerId::none()},
                           MetricRecorded{{.model = "m"}, 1500us},
                           BrowserChanged{.id = {1}, .health = HealthStatus::healthy}};
    CHECK(
        line_of(transaction) ==
        R"({"number":12,"at":"2027-01-15T08:00:00.000000250Z","actor":"pool","changes":[)"
        R"({"action":"operation_dispatched","id":7,"worker":0,"generation":1},)"
        R"({"action":"operation_finished","id":8,"worker":null,"status":"completed","code":"ok"},)"
        R"({"action":"metric_recorded","key":{"model":"m","browser":"chromium",)"
        R"("provider":"wasm","operation":""},"duration_ms":1.5,"is_failure":false},)"
        R"({"action":"browser_changed","id":1,"health":"healthy"}]})"
        "\n");
}

TEST_CASE("What JSON cannot say is said in another way") {
    Transaction transaction{.number = UINT64_MAX};
    transaction.changes = {
        Note{"line\nfeed \"quoted\" \xff\x01"},
        OperationSubmitted{
            .id = {1}, .inputs_digest = 1ULL << 53, .payload = Payload(std::vector<std::byte>(5))},
        BrowserChanged{
            .id = {0}, .process = ProcessIdentity{-1, 2}, .settings = {{{"\"k\xc3\"", "v"}}}}};
    const std::string line = line_of(transaction);
    CHECK(std::ranges::count(line, '\n') == 1);
    const boost::json::value json = boost::json::parse(line);
    CHECK(json.at("number") == "18446744073709551615");
    CHECK(json.at("at").is_null());
    CHECK(json.at_pointer("/changes/0/text") == "line\\nfeed \\\"quoted\\\" \\xff\\x01");
    CHECK(json.at_pointer("/changes/1/inputs_digest") == "9007199254740992");
    CHECK(json.at_pointer("/changes/1/payload_bytes") == 5);
    CHECK(json.at_pointer("/changes/2/id").is_int64()); // worker 0 is not none
    CHECK(json.at_pointer("/changes/2/process/pid") == -1);
    CHECK(json.at_pointer("/changes/2/settings").as_object().begin()->value() == "v");
}

TEST_CASE("Times are written as UTC, also before 1970 and on a leap day") {
    CHECK(core::iso_time(WallTime(-1ns)) == "1969-12-31T23:59:59.999999999Z");
    CHECK(core::iso_time(WallTime(951'782'400s)) == "2000-02-29T00:00:00.000000000Z");
    CHECK(core::iso_time(WallTime::max()) == "2262-04-11T23:47:16.854775807Z");
    CHECK(core::iso_time(WallTime::min()) == "1677-09-21T00:12:43.145224192Z");
}

TEST_CASE("Any transaction is a line that a JSON parser reads") {
    PlainState plain;
    scripted_core(5, 300, &plain);
    StateScript script(6);
    for (int i = 0; i < 2000; ++i) {
        const Transaction transaction = script.next(plain);
        const boost::json::value json = boost::json::parse(line_of(transaction));
        REQUIRE(json.at("number").to_number<std::uint64_t>() == transaction.number);
        const auto& changes = json.at("changes").as_array();
        REQUIRE(changes.size() == transaction.changes.size());
        for (std::size_t k = 0; k < changes.size(); ++k)
            REQUIRE(changes[k].at("action") == name_of(kind_of(transaction.changes[k])).data());
    }
}
