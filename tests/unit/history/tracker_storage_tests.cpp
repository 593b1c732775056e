// What is saved comes back, what is damaged is refused, and what is merged is that of both.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/history/bytes.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"
#include "tracker_series.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using core::Prng;

namespace {

constexpr HistoryWindow windows[] = {HistoryWindow::minute, HistoryWindow::hour, HistoryWindow::day,
                                     HistoryWindow::since_start};

/// Two models over some minutes, with a few failures. \return the time after it
TimePoint fill(PerformanceHistoryTracker& history, std::uint64_t seed, TimePoint now) {
    Prng prng(seed);
    for (int i = 0; i < 600; ++i, now += 700ms) {
        const double ms = 20 * std::exp(0.5 * core::normal_variate(prng));
        history.record(prng.ratio(1, 2) ? bert : vit,
                       prng.ratio(1, 10) ? Errc::device_lost : Errc::ok,
                       {.duration = Duration(static_cast<Duration::rep>(ms * 1e6)),
                        .queue = 1ms,
                        .compute = 7ms,
                        .memory_bytes = 123'456'789,
                        .batch_size = 4,
                        .throughput = 2.5f},
                       now);
    }
    return now;
}

void check_same_statistics(const PerformanceHistoryTracker& one, TimePoint one_now,
                           const PerformanceHistoryTracker& other, TimePoint other_now) {
    for (const HistoryWindow window : windows)
        for (const char* model : {"bert", "vit"}) {
            const auto a = one.stats({.model = model}, window, one_now);
            const auto b = other.stats({.model = model}, window, other_now);
            REQUIRE(a);
            REQUIRE(b);
            CHECK(a->successes == b->successes);
            CHECK(a->failures == b->failures);
            CHECK(a->p50 == b->p50);
            CHECK(a->p99 == b->p99);
            CHECK(a->average == b->average);
        }
}

/// With a checksum that fits, so that the fields themselves must be distrusted.
void seal(std::vector<std::byte>& bytes) {
    std::uint32_t crc = history::crc32c(std::span(bytes).first(bytes.size() - 4));
    for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i, crc >>= 8)
        bytes[i] = static_cast<std::byte>(crc & 0xff);
}

} // namespace

TEST_CASE("the checksum is the Castagnoli CRC") {
    const std::string digits = "123456789";
    CHECK(history::crc32c(std::as_bytes(std::span(digits))) == 0xe306'9283);
}

TEST_CASE("what was saved is loaded, on a clock that shows another time") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 41, start);
    const auto loaded = PerformanceHistoryTracker::load(history.save(now), TimePoint{7000h});
    REQUIRE(loaded);
    // The same slices are in the window only if both clocks stand alike within a slice.
    const auto aligned = PerformanceHistoryTracker::load(history.save(now), now);
    REQUIRE(aligned);
    check_same_statistics(history, now, *aligned, now);
    for (const auto* copy : {&*loaded, &*aligned}) {
        CHECK(copy->entries().size() == history.entries().size());
        CHECK(copy->counts().recorded == 600);
        CHECK(copy->series_count() == 2);
    }
    const auto before = history.analyze_performance_trends({}, 1h, now);
    const auto after = loaded->analyze_performance_trends({}, 1h, TimePoint{7000h});
    CHECK(before->avg_duration_ms == Approx(after->avg_duration_ms));
    CHECK(before->slope_ms_per_hour == Approx(after->slope_ms_per_hour));
    CHECK(loaded->entries().back().metrics.memory_bytes == 123'456'789);
    CHECK(loaded->entries().back().metrics.throughput == 2.5f);
}

TEST_CASE("saving what was loaded gives the same bytes") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 42, start);
    const auto bytes = history.save(now);
    const bool is_same = PerformanceHistoryTracker::load(bytes, now)->save(now) == bytes;
    CHECK(is_same);
}

TEST_CASE("what was saved long ago is in no short window, and weighs less") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 43, start);
    auto loaded = PerformanceHistoryTracker::load(history.save(now), now + 2h, 2h);
    REQUIRE(loaded);
    CHECK(loaded->stats({}, HistoryWindow::hour, now + 2h).error() == HistoryErrc::no_data);
    CHECK(loaded->stats({}, HistoryWindow::since_start, now + 2h)->successes > 500);
    Prng prng(1);
    CHECK(loaded->recommend_browser("bert", prng, now + 2h)->best.operations < 1);
}

// A machine that has just been started has a clock that shows little: what was saved is older than
// the clock.
TEST_CASE("what was saved before the clock began is as old as it is") {
    PerformanceHistoryTracker history;
    TimePoint now = start;
    for (int i = 0; i < 100; ++i, now += 1min)
        history.record(bert, Errc::ok, {.duration = 5ms}, now);
    auto loaded = PerformanceHistoryTracker::load(history.save(now), TimePoint{2min}, 5min);
    REQUIRE(loaded);
    CHECK(loaded->stats({}, HistoryWindow::day, TimePoint{2min})->successes == 100);
    CHECK(loaded->stats({}, HistoryWindow::hour, TimePoint{2min})->successes >= 40);
    CHECK(loaded->stats({}, HistoryWindow::minute, TimePoint{2min}).error() ==
          HistoryErrc::no_data);
    CHECK(loaded->analyze_performance_trends({}, 24h, TimePoint{2min})->entries_analyzed == 100);
    loaded->record(bert, Errc::ok, {.duration = 5ms}, TimePoint{2min});
    CHECK(loaded->stats({}, HistoryWindow::day, TimePoint{2min})->successes == 101);
    CHECK(loaded->stats({}, HistoryWindow::minute, TimePoint{2min})->successes == 1);
}

TEST_CASE("time that runs backwards after loading or merging empties no window") {
    PerformanceHistoryTracker history, other;
    for (int i = 0; i < 100; ++i) history.record(bert, Errc::ok, {.duration = 5ms}, start + i * 1s);
    const TimePoint now = start + 100s;
    const auto before = history.stats({}, HistoryWindow::minute, now)->successes;
    auto loaded = PerformanceHistoryTracker::load(history.save(now), now);
    loaded->record(bert, Errc::ok, {.duration = 5ms}, start - 1min);
    CHECK(loaded->stats({}, HistoryWindow::minute, now)->successes == before + 1);
    other.record(bert, Errc::ok, {.duration = 5ms}, start - 1min);
    history.merge(other, start - 1min);
    history.record(bert, Errc::ok, {.duration = 5ms}, now);
    CHECK(history.stats({}, HistoryWindow::minute, now)->successes == before + 1);
}

TEST_CASE("counts and alarms are saved too") {
    PerformanceHistoryTracker history({.started_count_max = 1});
    const SeriesId id = history.series(bert);
    history.start(id, start);
    history.start(id, start);
    TimePoint now = start;
    for (int i = 0; i < 300; ++i, now += 1s)
        history.record(id, Errc::ok, {.duration = (i < 200 ? 20ms : 10ms) + i % 5 * 100us}, now);
    history.record(id, Errc::ok, {.duration = -1ms}, now);
    auto loaded = PerformanceHistoryTracker::load(history.save(now), now + 1h, 1h);
    REQUIRE(loaded);
    CHECK(loaded->counts().abandoned == 1);
    CHECK(loaded->counts().corrected == 1);
    const auto alarm = loaded->recent(loaded->series(bert), now + 1h)->last_alarm;
    REQUIRE(alarm);
    CHECK(alarm->at == history.recent(id, now)->last_alarm->at);
    CHECK(alarm->direction == TrendDirection::improving);
}

TEST_CASE("what was learnt of workers is saved too") {
    PerformanceHistoryTracker history;
    TimePoint now = start;
    for (int life = 0; life < 20; ++life) {
        history.on_worker_started({0}, now);
        history.on_worker_ended({0}, true, now += 30min);
    }
    auto loaded = PerformanceHistoryTracker::load(history.save(now), now);
    loaded->on_worker_started({0}, now);
    history.on_worker_started({0}, now);
    CHECK(loaded->hazard({0}, 10min, now)->failures_observed == 20);
    CHECK(loaded->hazard({0}, 10min, now)->failure_probability ==
          history.hazard({0}, 10min, now)->failure_probability);
}

TEST_CASE("a smaller configuration keeps the newest") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 44, start);
    history.record(bert, Errc::ok, {.duration = 5ms}, now);
    const auto loaded = PerformanceHistoryTracker::load(
        history.save(now), now, {}, {.entry_count_max = 50, .series_count_max = 1});
    REQUIRE(loaded);
    CHECK(loaded->series_count() == 1);
    CHECK(loaded->stats({.model = "bert"}, HistoryWindow::day, now));
    CHECK(loaded->entries().size() == 50);
}

TEST_CASE("what is no history, of another version, cut short or damaged is refused by name") {
    PerformanceHistoryTracker history;
    history.record(bert, Errc::ok, {.duration = 5ms}, start);
    const auto bytes = history.save(start);
    const auto error_of = [](const std::vector<std::byte>& file) {
        const auto loaded = PerformanceHistoryTracker::load(file, start);
        return loaded ? HistoryErrc{} : loaded.error();
    };
    CHECK(error_of(bytes) == HistoryErrc{});
    CHECK_THROWS(PerformanceHistoryTracker::load({}, start, {}, {.entry_count_max = 0}));
    CHECK(error_of({}) == HistoryErrc::truncated);
    CHECK(error_of(std::vector<std::byte>(100)) == HistoryErrc::not_a_history);
    auto other_version = bytes;
    other_version[8] = std::byte{2};
    seal(other_version);
    CHECK(error_of(other_version) == HistoryErrc::unknown_version);
    auto longer = bytes;
    longer.push_back(std::byte{0});
    CHECK(error_of(longer) == HistoryErrc::damaged);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        REQUIRE(error_of({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}) ==
                HistoryErrc::truncated);
}

TEST_CASE("a flipped bit anywhere is noticed") {
    PerformanceHistoryTracker history;
    history.record(bert, Errc::ok, {.duration = 5ms}, start);
    auto bytes = history.save(start);
    for (std::byte& byte : bytes)
        for (int bit = 0; bit < 8; ++bit) {
            byte ^= std::byte{1} << bit;
            REQUIRE_FALSE(PerformanceHistoryTracker::load(bytes, start));
            byte ^= std::byte{1} << bit;
        }
}

// A checksum is no signature: whoever can write the file can make it fit. Whatever the fields say,
// loading ends, within the limits, and what was loaded can be asked everything.
TEST_CASE("fields that lie do no harm") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 45, start);
    const auto bytes = history.save(now);
    // Room for all that is in the file, and not for a megabyte that is cleared each time.
    const PerformanceHistoryConfig config{.entry_count_max = 1000, .started_count_max = 10};
    Prng prng(46);
    int loaded_count = 0;
    for (int i = 0; i < 3000; ++i) {
        auto file = bytes;
        for (std::uint64_t n = prng.below(4) + 1; n > 0; --n)
            file[20 + prng.below(file.size() - 24)] = static_cast<std::byte>(prng.below(256));
        seal(file);
        auto loaded = PerformanceHistoryTracker::load(file, now, {}, config);
        if (!loaded) continue;
        ++loaded_count;
        for (const HistoryWindow window : windows) {
            CHECK(loaded->stats_by_model(window, now).size() <= 2);
            if (const auto stats = loaded->stats({}, window, now)) CHECK(stats->p50 <= stats->p99);
        }
        if (const auto found = loaded->recommend_browser("bert", prng, now))
            CHECK(std::isfinite(found->best.expected_ms));
        if (i % 20 == 0) {
            if (const auto trend = loaded->analyze_performance_trends({}, 1h, now))
                CHECK(std::isfinite(trend->slope_ms_per_hour));
            history.merge(*loaded, now);
        }
        loaded->record(bert, Errc::ok, {.duration = 1ms}, now);
        REQUIRE(loaded->memory_bytes() <= loaded->config().memory_bytes_max);
    }
    CHECK(loaded_count > 100);
}

TEST_CASE("merging another host's history gives the statistics of both") {
    PerformanceHistoryTracker one, other, both;
    Prng prng(47);
    TimePoint now = start;
    for (int i = 0; i < 1000; ++i, now += 300ms) {
        const auto duration =
            Duration(1'000'000 + static_cast<Duration::rep>(prng.below(90'000'000)));
        const Errc outcome = prng.ratio(1, 8) ? Errc::worker_lost : Errc::ok;
        const SeriesKey& key = prng.ratio(1, 2) ? bert : vit;
        (prng.ratio(1, 3) ? one : other).record(key, outcome, {.duration = duration}, now);
        both.record(key, outcome, {.duration = duration}, now);
    }
    const auto sent = other.save(now);
    one.merge(*PerformanceHistoryTracker::load(sent, now), now);
    check_same_statistics(one, now, both, now);
    REQUIRE(one.entries().size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i) {
        REQUIRE(one.entries()[i].completed_at == both.entries()[i].completed_at);
        REQUIRE(one.entries()[i].metrics.duration == both.entries()[i].metrics.duration);
    }
    CHECK(one.memory_bytes() <= one.config().memory_bytes_max);
}

// --- what users of other libraries complain of ---------------------------------------------------

TEST_CASE("complaint: one caller's local fault spreads to all that share statistics") {
    PerformanceHistoryTracker healthy, faulty;
    TimePoint now = start;
    SeriesKey on_edge = bert;
    on_edge.browser = BrowserType::edge;
    for (int i = 0; i < 200; ++i, now += 1s) {
        healthy.record(bert, Errc::ok, {.duration = 10ms}, now);
        healthy.record(on_edge, Errc::ok, {.duration = 1s}, now);
        faulty.record(bert, Errc::device_lost, {.duration = 1ms}, now); // a bad driver, there
        faulty.record(bert, Errc::device_lost, {.duration = 1ms}, now);
    }
    healthy.merge(faulty, now);
    Prng prng(48);
    const auto found = healthy.recommend_browser("bert", prng, now);
    CHECK(found->best.browser == BrowserType::firefox);
    CHECK(found->best.success_rate.rate > 0.9);
    CHECK(healthy.stats({.browser = BrowserType::firefox}, HistoryWindow::hour, now)->failures ==
          400); // it is not hidden either
}

TEST_CASE("a host that knows nothing takes another's word") {
    PerformanceHistoryTracker fresh, experienced;
    SeriesKey on_edge = bert;
    on_edge.browser = BrowserType::edge;
    for (int i = 0; i < 100; ++i) {
        experienced.record(bert, Errc::ok, {.duration = 10ms}, start + i * 1s);
        experienced.record(on_edge, Errc::ok, {.duration = 400ms}, start + i * 1s);
    }
    fresh.merge(experienced, start + 100s);
    Prng prng(49);
    const auto found = fresh.recommend_browser("bert", prng, start + 100s);
    CHECK(found->best.browser == BrowserType::firefox);
    CHECK(found->best.operations == Approx(8));
}

TEST_CASE("the JSON export is JSON, and has each series with its windows") {
    PerformanceHistoryTracker history;
    const TimePoint now = fill(history, 50, start);
    history.record({"quote\" and \n", BrowserType::edge, "", ""}, Errc::worker_lost, {}, now);
    const boost::json::value json = boost::json::parse(history.export_json(now));
    CHECK(json.at("version").as_int64() == 1);
    CHECK(json.at("recorded").as_int64() == 601);
    const auto& series = json.at("series").as_array();
    REQUIRE(series.size() == 3);
    const auto expected = history.stats({.model = "vit"}, HistoryWindow::day, now);
    const auto& found = *std::find_if(series.begin(), series.end(), [](const auto& one) {
        return one.at("model").as_string() == "vit";
    });
    CHECK(found.at("browser").as_string() == "chromium");
    CHECK(found.at("day").at("successes").as_int64() ==
          static_cast<std::int64_t>(expected->successes));
    CHECK(found.at("day").at("p99_ms").as_double() ==
          Approx(static_cast<double>(expected->p99.count()) * 1e-6));
    CHECK(series[2].at("model").as_string() == "quote\" and \n");
    CHECK_FALSE(series[2].at("day").as_object().contains("p99_ms")); // no success, no duration
    const auto recent =
        history.recent(history.series({"vit", BrowserType::chromium, "wasm", "inference"}), now);
    CHECK(found.at("recent").at("compute_ms").at("mean").to_number<double>() == Approx(7));
    CHECK(found.at("recent").at("duration_ms").at("variance").as_double() ==
          Approx(recent->duration_ms.variance));
    CHECK_FALSE(series[2].at("recent").as_object().contains("duration_ms"));
}

TEST_CASE("names of all characters are exported, and what is not UTF-8 is refused") {
    PerformanceHistoryTracker history;
    std::string name;
    for (char character = 0; character >= 0 && character < 127; ++character) name += character;
    CHECK(history.record({name, BrowserType::edge, "", ""}, Errc::ok, {.duration = 1ms}, start));
    for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82"})
        CHECK_FALSE(history.record({bad, BrowserType::edge, "", ""}, Errc::ok, {}, start));
    CHECK(history.counts().refused == 4);
    const boost::json::value json = boost::json::parse(history.export_json(start));
    CHECK(json.at("series").as_array().at(0).at("model").as_string() == name);
}

TEST_CASE("no name becomes a formula") {
    for (const char* name : {"=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "  =1", "\uFF1D1"}) {
        PerformanceHistoryTracker history;
        history.record({name, BrowserType::edge, "", ""}, Errc::ok, {.duration = 1ms}, start);
        CAPTURE(name);
        CHECK(history.export_csv(start).find(",\"'" + std::string(name) + "\",edge") !=
              std::string::npos);
    }
}

TEST_CASE("the CSV export has a line per entry, and no cell that a spreadsheet would execute") {
    PerformanceHistoryTracker history;
    history.record({"a,\"b\"", BrowserType::edge, "wasm", "=cmd()"}, Errc::ok,
                   {.duration = 1500us, .batch_size = 2}, start);
    CHECK(history.export_csv(start + 2s) ==
          "seconds_ago,model,browser,provider,operation,strategy,outcome,duration_ms,queue_ms,"
          "transfer_ms,compute_ms,memory_bytes,batch_size,throughput\r\n"
          "2,\"a,\"\"b\"\"\",edge,wasm,\"'=cmd()\",,ok,1.5,0,0,0,0,2,0\r\n");
}
