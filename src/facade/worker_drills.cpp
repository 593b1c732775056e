// Everpool facade: what drills do to a worker.
// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_driver.hpp"

#include <boost/asio/post.hpp>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace everpool::facade {

namespace {

error_code write_program(const std::filesystem::path& file, std::string_view text) {
    std::ofstream out(file);
    out << text;
    out.close();
    if (!out) return boost::system::errc::make_error_code(boost::system::errc::io_error);
    std::error_code ec;
    std::filesystem::permissions(file, std::filesystem::perms::owner_all, ec);
    return ec;
}

} // namespace

std::vector<int> WorkerDriver::processes(io::BrowserPart part) const {
    return has_browser() ? browser().processes(part) : std::vector<int>();
}

void WorkerDriver::execute(std::string script, io::Browser::Handler handler) {
    if (has_browser() && !page_.empty())
        return browser().async_execute(page_, io::PageThread::main, std::move(script),
                                       std::move(handler));
    boost::asio::post(with_.strand, [handler = std::move(handler)] {
        handler(Errc::no_worker_available, {"the worker has no page now", {}, {}, {}});
    });
}

void WorkerDriver::fail_next_launches(std::size_t count, LaunchFailure how) {
    launches_to_fail_ = count;
    how_to_fail_ = how;
}

/// Another program in the browser's place, which really fails in the way that is wanted.
error_code WorkerDriver::sabotage(io::BrowserOptions& options) {
    --launches_to_fail_;
    options.spec.executable = options.directory / "no-browser";
    switch (how_to_fail_) {
    case LaunchFailure::bad_path: break;
    case LaunchFailure::crash_at_start:
        return write_program(options.spec.executable, "#!/bin/sh\nkill -SEGV $$\n");
    case LaunchFailure::never_answers:
        return write_program(options.spec.executable, "#!/bin/sh\nexec sleep 86400\n");
    }
    return {};
}

} // namespace everpool::facade
