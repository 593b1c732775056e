// A host that commits to a state as fast as it can, from several threads, until it is killed. It
// announces every transaction on its standard output before, and acknowledges it after.
//
//     state_writer <directory> <life> <seed> <checkpoints kept> <is_listening 0|1> [<planted bug>]
//
// A planted bug must be found by whoever kills it:
//     hasty      acknowledges first, and commits then
//     forgetful  keeps in memory what it acknowledges as durable
//     secretive  commits now and then what it has not announced
// SPDX-License-Identifier: BSL-1.0
#include "component/host/writer_report.hpp"
#include "component/host/writer_script.hpp"

#include <everpool/browser_state_manager.hpp>
#include <everpool/core/state_codec.hpp>

#include "io/linux/process_identity.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace everpool;
using namespace everpool::tests;

/// Whole messages, one after the other, of any thread.
class Reporter {
public:
    void send(Report report, std::span<const std::byte> bytes = {}) {
        const std::scoped_lock lock(mutex_);
        report.bytes = static_cast<std::uint32_t>(bytes.size());
        message_.resize(sizeof report + bytes.size());
        std::memcpy(message_.data(), &report, sizeof report);
        if (!bytes.empty())
            std::memcpy(message_.data() + sizeof report, bytes.data(), bytes.size());
        for (std::size_t sent = 0; sent < message_.size();) {
            const ssize_t count = ::write(STDOUT_FILENO, message_.data() + sent,
                                          message_.size() - sent);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) ::_exit(3); // nobody listens
            sent += static_cast<std::size_t>(count);
        }
    }

    [[noreturn]] void fail(const std::string& text) {
        send({.kind = ReportKind::failed}, std::as_bytes(std::span(text)));
        ::_exit(2);
    }

private:
    std::mutex mutex_;
    std::vector<std::byte> message_;
};

struct Options {
    std::string directory;
    std::uint32_t life{0};
    std::uint64_t seed{0};
    std::uint32_t checkpoints_kept{0};
    bool is_listening{false};
    std::string_view bug;
};

class Writer {
public:
    Writer(const Options& options, Reporter& reporter)
        : options_(options), reporter_(reporter), manager_(open()) {}

    [[noreturn]] void run() {
        reporter_.send({.kind = ReportKind::opened});
        const StateSnapshot found = manager_.snapshot();
        std::vector<std::thread> threads;
        for (std::uint16_t thread = 0; thread < 4; ++thread)
            threads.emplace_back([this, thread, found] { write(thread, found); });
        make_checkpoints();
    }

private:
    BrowserStateManagerConfig open() {
        BrowserStateManagerConfig config =
            writer_config(options_.directory, options_.checkpoints_kept);
        if (options_.is_listening)
            config.on_transaction = [this](const Transaction& transaction) { tell(transaction); };
        reporter_.send({.kind = ReportKind::opening});
        return config;
    }

    /// By the listener: one after the other.
    void tell(const Transaction& transaction) {
        Report report{.kind = ReportKind::applied, .number = transaction.number};
        if (transaction.actor == "recovery") {
            Transaction told = transaction;
            told.number = unnumbered;
            told_.clear();
            core::encode_transaction(told, told_);
            report.thread = recovery_thread;
            report.sequence = ++recoveries_;
            reporter_.send(report, told_);
            return;
        }
        const char* at = transaction.actor.c_str();
        char* end = nullptr;
        (void)std::strtoul(at, &end, 10);
        report.thread = static_cast<std::uint16_t>(std::strtoul(end, &end, 10));
        report.sequence = static_cast<std::uint32_t>(std::strtoul(end, &end, 10));
        reporter_.send(report);
    }

    [[noreturn]] void write(std::uint16_t thread, const StateSnapshot& found) {
        WriterScript script(options_.life, thread, options_.seed, io::identity_of(::getpid()),
                            found);
        core::Prng prng(options_.seed + thread);
        std::vector<std::byte> bytes;
        for (;;) {
            Transaction transaction = script.next();
            transaction.number = unnumbered; // the manager gives it
            const Report report{.durability = durability_of(thread, prng),
                                .thread = thread,
                                .sequence = script.sequence()};
            bytes.clear();
            core::encode_transaction(transaction, bytes);
            const bool is_secret = options_.bug == "secretive" && prng.ratio(1, 50);
            if (!is_secret) send(ReportKind::announced, report, bytes);
            commit(std::move(transaction), report, prng.ratio(1, 2));
        }
    }

    /// Each thread mostly in a way of its own, so that they disturb each other as much as they can.
    static Durability durability_of(std::uint16_t thread, core::Prng& prng) {
        if (prng.ratio(1, 4)) return static_cast<Durability>(prng.below(4));
        constexpr std::array most{Durability::sync, Durability::os, Durability::group,
                                  Durability::none};
        return most[thread];
    }

    void commit(Transaction transaction, Report report, bool may_use_callback) {
        const Durability durability = report.durability;
        const bool is_promise = durability != Durability::none;
        const bool uses_callback =
            durability == Durability::group || (durability == Durability::sync && may_use_callback);
        const bool is_hasty = options_.bug == "hasty";
        const bool is_forgetful = options_.bug == "forgetful";
        if (is_hasty && is_promise) send(ReportKind::acknowledged, report);
        if (uses_callback && !is_hasty && !is_forgetful) {
            check(manager_.commit(std::move(transaction), durability,
                                  [this, report](error_code ec) {
                                      if (ec) reporter_.fail("a commit: " + ec.message());
                                      send(ReportKind::acknowledged, report);
                                  }));
            return;
        }
        const CommitResult result =
            manager_.commit(std::move(transaction), is_forgetful ? Durability::none : durability);
        check(result);
        report.number = result.number;
        if (is_promise && !is_hasty && durability != Durability::group)
            send(ReportKind::acknowledged, report);
    }

    void check(const CommitResult& result) {
        if (result.code)
            reporter_.fail("commit: " + result.code.message() + ": " + result.diagnostics.text());
    }

    void send(ReportKind kind, Report report, std::span<const std::byte> bytes = {}) {
        report.kind = kind;
        reporter_.send(report, bytes);
    }

    [[noreturn]] void make_checkpoints() {
        core::Prng prng(options_.seed + 99);
        for (;;) {
            std::this_thread::sleep_for(std::chrono::microseconds(2000 + prng.below(4000)));
            const auto demand =
                prng.ratio(1, 5) ? CheckpointDemand::full : CheckpointDemand::any;
            reporter_.send({.kind = ReportKind::checkpoint_begun});
            if (const error_code ec = manager_.checkpoint(demand))
                reporter_.fail("a checkpoint: " + ec.message());
            reporter_.send({.kind = ReportKind::checkpoint_ended});
        }
    }

    const Options& options_;
    Reporter& reporter_;
    std::vector<std::byte> told_;
    std::uint32_t recoveries_{0};
    BrowserStateManager manager_;
};

} // namespace

int main(int argc, char** argv) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody else would end it
    if (argc < 6) return 1;
    Reporter reporter;
    try {
        const Options options{.directory = argv[1],
                              .life = static_cast<std::uint32_t>(std::stoul(argv[2])),
                              .seed = std::stoull(argv[3]),
                              .checkpoints_kept = static_cast<std::uint32_t>(std::stoul(argv[4])),
                              .is_listening = std::string_view(argv[5]) == "1",
                              .bug = argc > 6 ? argv[6] : ""};
        Writer(options, reporter).run();
    } catch (const std::exception& error) {
        reporter.fail(error.what());
    }
}
