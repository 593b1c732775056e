// The door to child processes, with real ones.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/child_process.hpp"
#include "io/linux/process_watch.hpp"
#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace everpool;
using io::ChildOptions;
using io::ChildProcess;

namespace {

/// One child, whose exit ends run().
struct Scene {
    boost::asio::io_context context;
    std::shared_ptr<ChildProcess> child = std::make_shared<ChildProcess>(context.get_executor());
    std::string output;
    std::optional<int> status;
    std::function<void()> on_output = [] {};
    std::function<void()> on_exit = [] {};

    error_code start(ChildOptions options) {
        return child->start(
            options,
            [this](std::string_view piece) {
                output += piece;
                on_output();
            },
            [] {},
            [this](int wait_status) {
                status = wait_status;
                on_exit();
            });
    }
    error_code start_shell(std::string script) {
        return start({"/bin/sh", {"-c", std::move(script)}, {"PATH=/usr/bin:/bin"}, false});
    }
    void run() { context.run(); }
};

} // namespace

TEST_CASE("the exit of a child is an event with its status") {
    Scene scene;
    REQUIRE_FALSE(scene.start_shell("exit 7"));
    scene.run();
    REQUIRE(scene.status.has_value());
    CHECK(WEXITSTATUS(*scene.status) == 7);
    CHECK(scene.child->process_id() == 0);
}

// Asio's sockets do not close themselves on exec: browsers held the bridge's port.
TEST_CASE("a child has none of the host's sockets and files") {
    const bool has_pipe = GENERATE(false, true);
    Scene scene;
    const boost::asio::ip::tcp::acceptor ours(scene.context,
                                              {boost::asio::ip::address_v4::loopback(), 0});
    REQUIRE_FALSE(
        scene.start({"/bin/sh",
                     {"-c", "for f in /proc/$$/fd/*; do [ ! -e $f ] || echo ${f##*/}; done"},
                     {"PATH=/usr/bin:/bin"},
                     has_pipe}));
    scene.run();
    CHECK(scene.output == (has_pipe ? "0\n1\n2\n3\n4\n" : "0\n1\n2\n"));
}

TEST_CASE("what a child writes to either output is heard") {
    Scene scene;
    REQUIRE_FALSE(scene.start_shell("echo out; echo err >&2"));
    scene.run();
    CHECK(scene.output == "out\nerr\n");
    CHECK(scene.child->last_output() == scene.output);
}

TEST_CASE("a child inherits nothing of the host's environment") {
    Scene scene;
    REQUIRE_FALSE(scene.start({"/usr/bin/env", {}, {"ONLY=this"}, false}));
    scene.run();
    CHECK(scene.output == "ONLY=this\n");
}

TEST_CASE("children of the child die with it") {
    Scene scene;
    // The grandchild never ends by itself, and holds descriptor 4 open as long as it lives.
    REQUIRE_FALSE(scene.start(
        {"/bin/sh", {"-c", "sleep 100000 & echo started; wait"}, {"PATH=/usr/bin:/bin"}, true}));
    scene.on_output = [&] { scene.child->kill_group(); };
    char byte = 0;
    error_code all_gone;
    boost::asio::async_read(scene.child->control_out(), boost::asio::buffer(&byte, 1),
                            [&](error_code ec, std::size_t) { all_gone = ec; });
    scene.run();
    REQUIRE(scene.status.has_value());
    CHECK(WTERMSIG(*scene.status) == SIGKILL);
    CHECK(all_gone == boost::asio::error::eof);
}

TEST_CASE("what cannot be executed is an error of the start") {
    Scene scene;
    CHECK(scene.start({"/nonexistent/browser", {}, {}, false}) ==
          boost::system::errc::no_such_file_or_directory);
    CHECK(scene.start({"/etc/passwd", {}, {}, false}) == boost::system::errc::permission_denied);
}

// With a pipe the first command to a browser that had just died ended the host by SIGPIPE.
TEST_CASE("a command to a child that has exited is an error, not the end of the host") {
    Scene scene;
    const std::string command = "command";
    error_code written;
    scene.on_exit = [&] {
        boost::asio::async_write(scene.child->control_in(), boost::asio::buffer(command),
                                 [&](error_code ec, std::size_t) { written = ec; });
    };
    REQUIRE_FALSE(scene.start({"/bin/true", {}, {}, true}));
    scene.run();
    CHECK(written == boost::asio::error::broken_pipe);
}

namespace {

/// Children one after the other, each started as soon as the first of several watches says that the
/// one before has died, while the others' events are on the way; two threads run the event loop.
class Succession {
public:
    /// \return how many were told to be dead that nobody had killed
    int run(int count) {
        left_ = count;
        boost::asio::post(strand_, [this] { begin_next(); });
        std::thread other([this] { context_.run(); });
        context_.run();
        other.join();
        REQUIRE(left_ == -1); // all were started
        return ended_by_themselves_;
    }

private:
    void begin_next() {
        watches_.clear();
        if (left_-- == 0) return child_.reset();
        const int number = left_;
        is_killed_ = false;
        before_ = std::exchange(child_, std::make_shared<ChildProcess>(strand_));
        const ChildOptions sleeper{"/bin/sleep", {"3600"}, {}, true};
        const auto died = [this, number] { on_death(number); };
        const error_code ec = child_->start(
            sleeper, [](std::string_view) {}, [] {}, [died](int) { died(); });
        if (ec) return;
        for (int i = 0; i < 8; ++i)
            watches_.push_back(std::make_unique<io::ProcessWatch>(strand_, child_->process_id(),
                                                                  child_->process_id(), died));
        // Some time to be wrong in.
        const auto timer =
            std::make_shared<boost::asio::steady_timer>(strand_, std::chrono::milliseconds{3});
        timer->async_wait([this, timer, number](boost::system::error_code) {
            if (number != left_) return;
            is_killed_ = true;
            child_->kill_group();
        });
    }
    void on_death(int number) {
        if (number != left_) return;
        ended_by_themselves_ += is_killed_ ? 0 : 1;
        begin_next();
    }

    boost::asio::io_context context_;
    boost::asio::strand<boost::asio::io_context::executor_type> strand_{
        boost::asio::make_strand(context_)};
    std::shared_ptr<ChildProcess> child_, before_;
    std::vector<std::unique_ptr<io::ProcessWatch>> watches_;
    int left_{0}, ended_by_themselves_{0};
    bool is_killed_{false};
};

} // namespace

// Asio may wake the wait for a new descriptor by what was meant for the one that had its number and
// its place before. What was taken for dead was killed then.
TEST_CASE("a child that has just been started is not taken for the one before it") {
    CHECK(Succession().run(1000) == 0);
}

TEST_CASE("a child reads commands on descriptor 3 and answers on descriptor 4") {
    Scene scene;
    const std::string command = "ping\n";
    std::string answer(5, '?');
    REQUIRE_FALSE(scene.start({"/bin/sh", {"-c", "read line <&3; echo $line >&4"}, {}, true}));
    boost::asio::async_write(scene.child->control_in(), boost::asio::buffer(command),
                             [](error_code, std::size_t) {});
    boost::asio::async_read(scene.child->control_out(), boost::asio::buffer(answer),
                            [](error_code, std::size_t) {});
    scene.run();
    CHECK(answer == command);
}
