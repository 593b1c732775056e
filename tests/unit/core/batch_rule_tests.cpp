// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/batch_rule.hpp"
#include "support/catch.hpp"

using namespace everpool::core;
using namespace std::chrono_literals;

TEST_CASE("a batch that need not wait is always enough") {
    CHECK(BatchRule{.rows_max = 8}.is_enough(1));
    const BatchRule waits{.rows_max = 8, .delay_max = 1ms};
    CHECK_FALSE(waits.is_enough(7));
    CHECK(waits.is_enough(8));
    const BatchRule prefers{.rows_max = 8, .delay_max = 1ms, .preferred = {4, 6}};
    CHECK_FALSE(prefers.is_enough(3));
    CHECK(prefers.is_enough(4));
}

TEST_CASE("a batch has the largest preferred number of rows that there are, else what there is") {
    const BatchRule rule{.rows_max = 8, .delay_max = 1ms, .preferred = {4, 6}};
    CHECK(rule.most_of(3) == 8); // it has waited long enough
    CHECK(rule.most_of(4) == 4);
    CHECK(rule.most_of(5) == 4);
    CHECK(rule.most_of(100) == 6);
    CHECK(BatchRule{.rows_max = 8}.most_of(100) == 8);
}

TEST_CASE("batches of a like number of rows are one kind of work") {
    const BatchRule rule{.rows_max = 9, .first_work = 20};
    CHECK(rule.work_count() == 3); // 2 and 3; 4 to 7; 8 and 9
    CHECK(rule.work_of(1, 5) == 5);
    CHECK(rule.work_of(2, 5) == 20);
    CHECK(rule.work_of(3, 5) == 20);
    CHECK(rule.work_of(4, 5) == 21);
    CHECK(rule.work_of(9, 5) == 22);
    CHECK(rule.work_of(1000, 5) == 22); // a request that is larger than any batch
    CHECK(BatchRule{}.work_count() == 0);
    CHECK(BatchRule{}.work_of(1000, 5) == 5);
}
