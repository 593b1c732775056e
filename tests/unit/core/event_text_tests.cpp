// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/event_text.hpp"
#include "support/catch.hpp"

#include <set>
#include <sstream>

using namespace everpool;
using namespace everpool::core;

namespace {

/// One of each kind of a variant, made with its defaults.
template <class Variant, std::size_t Index = 0>
void for_each_kind(auto visit) {
    if constexpr (Index < std::variant_size_v<Variant>) {
        visit(Variant(std::in_place_index<Index>));
        for_each_kind<Variant, Index + 1>(visit);
    }
}

std::string first_word(const std::string& text) { return text.substr(0, text.find(' ')); }

} // namespace

TEST_CASE("every event and every action has a text of its own") {
    std::set<std::string> names;
    std::size_t count = 0;
    const auto note = [&](const auto& value) {
        names.insert(first_word(text_of(value)));
        ++count;
    };
    for_each_kind<Event>(note);
    for_each_kind<Action>(note);
    CHECK(names.size() == count);
    CHECK(count == std::variant_size_v<Event> + std::variant_size_v<Action>);
}

TEST_CASE("texts name their fields, ids of none are a dash, never is a word") {
    CHECK(text_of(Event{WorkerLost{WorkerId{1}, Generation{3}, LossCause::page_crashed}}) ==
          "WorkerLost worker=1 generation=3 cause=page_crashed");
    CHECK(text_of(Event{Submit{{.id = RequestId{7}, .idempotent = false}}}) ==
          "Submit id=7 model=- copies=1 may_hedge=no priority=normal timeout_action=reject lease=0 "
          "deadline=never queue_deadline=never waits_since=never bytes=0 batch=0 rows=1 "
          "preferred_browsers=0 "
          "work=0 max_attempts=3 idempotent=no");
    CHECK(text_of(Action{Complete{RequestId{7}, Errc::queue_full}}) ==
          "Complete request=7 code=queue_full attempts=0 worker=-");
    CHECK(text_of(Action{Notice{.what = Notice::What::worker_starting,
                                .worker = WorkerId{0},
                                .generation = Generation{2},
                                .rung = RecoveryRung::replace_compute}}) ==
          "Notice what=worker_starting worker=0 generation=2 rung=replace_compute");
    CHECK(text_of(Action{Notice{.what = Notice::What::worker_lost,
                                .worker = WorkerId{0},
                                .generation = Generation{2},
                                .cause = LossCause::wrong_answer,
                                .found_by = WrongAnswerFinder::vote,
                                .operations = 2}}) ==
          "Notice what=worker_lost worker=0 generation=2 cause=wrong_answer found_by=vote "
          "operations=2");
}

TEST_CASE("events and actions can be written to a stream") {
    std::ostringstream out;
    out << Event{Start{}} << ", "
        << Action{SendPing{WorkerId{0}, Generation{1}, wire::Channel::data, 9}};
    CHECK(out.str() == "Start, SendPing worker=0 generation=1 channel=data sequence=9");
}
