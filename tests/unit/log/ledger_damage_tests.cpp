// A whole log, cut once and gone on with, that was damaged: every bit of every file flipped in
// turn, every file cut off at every byte. It opens as it was, or says what is wrong; never as
// anything else.
// SPDX-License-Identifier: BSL-1.0
//
// segment_damage_tests.cpp does so for one segment, as long as it may be.
#include "ledger_rig.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;

namespace {

/// A checkpoint, a torn record that was cut off behind it, and two segments after that.
LedgerRig cut_log() {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    rig.checkpoint(CheckpointKind::full);
    rig.commit(2);
    rig.commit(1, 700);
    std::string last = rig.files("segment-").back();
    Bytes bytes = *rig.disk->contents(last);
    const std::size_t used = used_bytes(bytes);
    bytes.resize(used + 100);
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>((used - 1) / 512 * 512), bytes.end(),
              std::byte{}); // its last sector was not written
    rig.power_cut();
    rig.disk->put(last, std::move(bytes));
    for (int life = 0; life < 2; ++life) {
        REQUIRE_FALSE(rig.open());
        CHECK(rig.report.ending == (life == 0 ? LogEnding::torn_tail : LogEnding::clean));
        rig.commit(3);
        REQUIRE_FALSE(rig.ledger->close());
        rig.power_cut();
    }
    REQUIRE(rig.files("segment-").size() == 3);
    return rig;
}

struct Tally {
    std::uint64_t tried{0};
    std::uint64_t same{0};    ///< opened as if nothing had happened
    std::uint64_t refused{0}; ///< in mode point_in_time, too
    std::uint64_t told{0};    ///< opened in that mode, with a report that is not of a whole log
    std::uint64_t wrong{0};

    void print(const char* what) const {
        std::printf("  %s: %llu tried, %llu as it was, %llu refused, %llu reported, %llu wrong\n",
                    what, static_cast<unsigned long long>(tried),
                    static_cast<unsigned long long>(same), static_cast<unsigned long long>(refused),
                    static_cast<unsigned long long>(told), static_cast<unsigned long long>(wrong));
    }
};

class Trial {
public:
    explicit Trial(LedgerRig& rig) : rig_(rig) {}

    /// Opens what is there. `may_be_shorter`: by the nature of the damage nothing can tell that the
    /// log once had more records.
    void judge(const std::string& what, bool may_be_shorter, Tally& tally) {
        ++tally.tried;
        const bool is_fine = opens(RecoveryMode::absolute);
        bool is_right = is_right_;
        const bool is_open = is_fine || opens(RecoveryMode::point_in_time);
        is_right = is_right && is_right_;
        ++(is_fine ? tally.same : is_open ? tally.told : tally.refused);
        const bool is_silent = is_open && !is_irregular_ && last_ != rig_.journal.last();
        if (is_right && (!is_silent || may_be_shorter)) return;
        ++tally.wrong;
        INFO(what << ": opened up to record " << last_ << ", " << rig_.report.text());
        CHECK(tally.wrong > 10); // says where, ten times at most
    }

private:
    /// Opens it, and puts back the manifest, the only thing that opening changes.
    bool opens(RecoveryMode mode) {
        const Bytes* const manifest = rig_.disk->contents("MANIFEST");
        const Bytes before = manifest ? *manifest : Bytes{};
        LedgerConfig config = rig_.config;
        config.recovery = mode;
        JournalVisitor visitor(rig_.journal);
        std::optional<Ledger> ledger;
        const error_code ec = Ledger::open(*rig_.disk, config, rig_log(), visitor, rig_.report,
                                           rig_.diagnostics, ledger);
        last_ = visitor.last();
        is_right_ = visitor.complaint().empty();
        is_irregular_ = rig_.report.ending != LogEnding::clean ||
                        rig_.report.records_skipped != 0 ||
                        !rig_.report.checkpoints_rejected.empty();
        if (!ec) rig_.disk->put("MANIFEST", before);
        return !ec;
    }

    LedgerRig& rig_;
    std::uint64_t last_{0};
    bool is_right_{true};
    bool is_irregular_{false};
};

Tally flip_every_bit() {
    LedgerRig rig = cut_log();
    Trial trial(rig);
    Tally tally;
    for (const std::string& name : rig.disk->names()) {
        const Bytes contents = *rig.disk->contents(name);
        for (std::size_t at = 0; at < contents.size(); ++at) {
            for (std::size_t bit = 0; bit < 8; ++bit) {
                Bytes damaged = contents;
                damaged[at] ^= std::byte{1} << bit;
                rig.disk->put(name, std::move(damaged));
                trial.judge("bit " + std::to_string(bit) + " of byte " + std::to_string(at) +
                                " of " + name,
                            false, tally);
            }
        }
        rig.disk->put(name, contents);
    }
    return tally;
}

} // namespace

TEST_CASE("a bit flipped anywhere in a log that was cut once is found") {
    const Tally tally = flip_every_bit();
    tally.print("bits of a log with a cut flipped");
    CHECK(tally.wrong == 0);
    CHECK(tally.told > 10'000);
}

TEST_CASE("a file of a log that was cut once, cut off anywhere or gone, is found") {
    LedgerRig rig = cut_log();
    Trial trial(rig);
    Tally tally;
    const std::string last = rig.files("segment-").back();
    for (const std::string& name : rig.disk->names()) {
        const Bytes contents = *rig.disk->contents(name);
        for (std::size_t count = 0; count < contents.size(); ++count) {
            rig.disk->put(
                name, {contents.begin(), contents.begin() + static_cast<std::ptrdiff_t>(count)});
            trial.judge(std::to_string(count) + " bytes of " + name, name == last, tally);
        }
        rig.disk->drop(name);
        trial.judge("without " + name, name == last, tally);
        rig.disk->put(name, contents);
    }
    tally.print("files of a log with a cut cut off");
    CHECK(tally.wrong == 0);
    CHECK(tally.told > 1'000);
}
