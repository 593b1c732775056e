// Tests: one life of a state writer, from its start to its kill, and what the kill left.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "component/kill_journal.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/log/ledger.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

extern char** environ;

namespace everpool::tests {

// --- what it left --------------------------------------------------------------------------------

struct KilledRemains {
    bool has_manifest_draft{false};         ///< the manifest was being replaced
    bool has_unpublished_checkpoint{false}; ///< a checkpoint was written, and counts not yet
    bool has_superfluous_segment{false};    ///< one that the manifest does not need any more
    bool has_empty_segment{false};          ///< one that was begun, and holds no record
};

inline std::vector<std::byte> read_bytes(const std::filesystem::path& file, std::size_t most) {
    std::ifstream in(file, std::ios::binary);
    std::string text(most, '\0');
    in.read(text.data(), static_cast<std::streamsize>(most));
    text.resize(static_cast<std::size_t>(in.gcount()));
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

inline KilledRemains look_at(const std::filesystem::path& directory) {
    KilledRemains out;
    log::Manifest manifest;
    if (log::decode_manifest(read_bytes(directory / "MANIFEST", 1 << 20), manifest) !=
        log::FormatError::ok)
        return out;
    for (const auto& file : std::filesystem::directory_iterator(directory)) {
        const std::string name = file.path().filename();
        if (name == "MANIFEST.tmp") out.has_manifest_draft = true;
        if (const auto index = log::segment_index_of(name)) {
            if (*index < manifest.first_segment) out.has_superfluous_segment = true;
            const auto begin = read_bytes(file.path(), log::segment_header_bytes + 32);
            const auto tail =
                std::span(begin).subspan(std::min(begin.size(), log::segment_header_bytes));
            if (std::ranges::all_of(tail, [](std::byte b) { return b == std::byte{}; }))
                out.has_empty_segment = true;
        }
        if (const auto checkpoint = log::parse_checkpoint_name(name))
            if (manifest.checkpoints.empty() || checkpoint->lsn > manifest.checkpoints.back().lsn)
                out.has_unpublished_checkpoint = true;
    }
    return out;
}

// --- its life ------------------------------------------------------------------------------------

/// It is killed so long after it has sent so many of these.
struct KillMoment {
    ReportKind after{};
    std::size_t count{1};
    std::chrono::microseconds delay{};

    static KillMoment choose(core::Prng& prng) {
        const auto up_to = [&](std::uint64_t us) {
            return std::chrono::microseconds(prng.below(us));
        };
        switch (prng.below(8)) {
        case 0: return {.after = ReportKind::opening, .delay = up_to(1'000)};
        case 1: return {.after = ReportKind::opening, .delay = up_to(10'000)};
        case 2: return {.after = ReportKind::opened, .delay = up_to(5'000)};
        case 3:
        case 4:
            return {.after = ReportKind::checkpoint_begun,
                    .count = 1 + prng.below(8),
                    .delay = up_to(2'000)};
        case 5: return {.after = ReportKind::opened, .delay = up_to(30'000)};
        default: return {.after = ReportKind::opened, .delay = up_to(150'000)};
        }
    }
};

struct KilledLife {
    std::unique_ptr<KillJournal> journal;
    std::uint32_t checkpoints_kept{0};
    bool was_killed{false}; ///< and did not end by itself
    std::string command;
};

/// A started writer, and the end of the pipe that it reports to.
class KilledWriter {
public:
    explicit KilledWriter(std::vector<std::string> arguments) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return;
        pipe_ = ends[0];
        (void)::fcntl(pipe_, F_SETPIPE_SZ, 1 << 20);
        (void)::fcntl(pipe_, F_SETFL, O_NONBLOCK);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        if (::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = 0;
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
    }
    KilledWriter(const KilledWriter&) = delete;
    KilledWriter& operator=(const KilledWriter&) = delete;
    ~KilledWriter() {
        (void)end();
        if (pipe_ >= 0) ::close(pipe_);
    }

    /// Listens until the moment has come. False: it has ended by itself, or does nothing.
    bool listen(const KillMoment& moment, KillJournal& journal) {
        using Clock = std::chrono::steady_clock;
        const auto patience = Clock::now() + std::chrono::seconds(60);
        std::optional<Clock::time_point> due;
        while (pid_ != 0) {
            if (!due && journal.count(moment.after) >= moment.count)
                due = Clock::now() + moment.delay;
            const auto left = due.value_or(patience) - Clock::now();
            if (left <= Clock::duration::zero()) return due.has_value();
            const std::timespec wait{.tv_sec = left / std::chrono::seconds(1),
                                     .tv_nsec = (left % std::chrono::seconds(1)).count()};
            pollfd ready{.fd = pipe_, .events = POLLIN, .revents = 0};
            if (::ppoll(&ready, 1, &wait, nullptr) > 0 && !receive(journal)) return false;
        }
        return false;
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// It stands still when this returns, and lives.
    bool halt() {
        int status = 0;
        if (pid_ == 0 || ::kill(pid_, SIGSTOP) != 0) return false;
        while (::waitpid(pid_, &status, WUNTRACED) < 0)
            if (errno != EINTR) return false;
        if (!WIFSTOPPED(status)) pid_ = 0;
        return pid_ != 0;
    }
    void go_on() { ::kill(pid_, SIGCONT); }

    /// True: by SIGKILL.
    bool end() {
        if (pid_ == 0) return false;
        ::kill(pid_, SIGKILL);
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
        pid_ = 0;
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }

    /// What is still in the pipe. \pre end()
    void drain(KillJournal& journal) {
        while (receive(journal)) {}
    }

private:
    /// False: the other end is closed.
    bool receive(KillJournal& journal) {
        const ssize_t count = ::read(pipe_, buffer_.data(), buffer_.size());
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        journal.receive(std::span(buffer_).first(static_cast<std::size_t>(count)));
        return count > 0;
    }

    int pipe_{-1};
    pid_t pid_{0};
    std::vector<std::byte> buffer_ = std::vector<std::byte>(1 << 20);
};

/// Is there a checkpoint, so that the log that is kept begins before what comes now?
inline bool has_checkpoint(const std::filesystem::path& directory) {
    log::Manifest manifest;
    return log::decode_manifest(read_bytes(directory / "MANIFEST", 1 << 20), manifest) ==
               log::FormatError::ok &&
           !manifest.checkpoints.empty();
}

/// A short chain of checkpoints collects most, and the first one of all collects what came before
/// it; the log does not reach back to the life's beginning then, so the writer tells the order of
/// its transactions.
inline KilledLife live_and_kill(const std::filesystem::path& directory, std::uint32_t life,
                                const char* bug, core::Prng& prng) {
    KilledLife out;
    const bool is_listening = prng.ratio(1, 3) || !has_checkpoint(directory);
    out.checkpoints_kept = is_listening ? 1 + static_cast<std::uint32_t>(prng.below(3)) : 100;
    std::vector<std::string> arguments{EVERPOOL_STATE_WRITER,
                                       directory.string(),
                                       std::to_string(life),
                                       std::to_string(prng.next()),
                                       std::to_string(out.checkpoints_kept),
                                       is_listening ? "1" : "0",
                                       bug};
    const KillMoment moment = KillMoment::choose(prng);
    for (const std::string& argument : arguments) out.command += argument + ' ';
    out.command += "# killed " + std::to_string(moment.delay.count()) + " us after report " +
                   std::to_string(static_cast<int>(moment.after)) + ", the " +
                   std::to_string(moment.count) + "th";
    out.journal = std::make_unique<KillJournal>();
    KilledWriter writer(std::move(arguments));
    const bool was_time = writer.listen(moment, *out.journal);
    out.was_killed = writer.end() && was_time;
    writer.drain(*out.journal);
    return out;
}

} // namespace everpool::tests
