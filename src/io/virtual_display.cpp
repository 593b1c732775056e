// SPDX-License-Identifier: BSL-1.0
#include "io/virtual_display.hpp"

#include "io/token.hpp"

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace everpool::io {

namespace fs = std::filesystem;

namespace {

/// $1: the directory, $2: the server, then the child and its arguments. The server chooses a free
/// number and tells it; the shell then becomes the child, so that the group's leader is that.
constexpr char shell_script[] = R"(
directory=$1 server=$2
shift 2
mkfifo -m 600 "$directory/display" || exit 1
"$server" -displayfd 3 -auth "$directory/xauthority" -screen 0 800x600x24 \
    -nolisten tcp -nolisten unix -nolock -noreset 3>"$directory/display" &
read -r number <"$directory/display"
[ -n "$number" ] || { echo "$server does not start" >&2; exit 1; }
DISPLAY=":$number" XAUTHORITY="$directory/xauthority" exec "$@"
)";

void append_field(std::string& out, std::string_view field) {
    out += static_cast<char>(field.size() >> 8);
    out += static_cast<char>(field.size() & 0xff);
    out += field;
}

/// One entry for every display, in the form that X servers and clients read.
void write_secret(const fs::path& file) {
    std::string entry("\xff\xff"); // of any family
    append_field(entry, "");       // of any address
    append_field(entry, "");       // and any display
    append_field(entry, "MIT-MAGIC-COOKIE-1");
    constexpr std::size_t cookie_bytes = 16;
    append_field(entry, make_token().substr(0, cookie_bytes));
    std::ofstream out(file, std::ios::binary);
    out.write(entry.data(), static_cast<std::streamsize>(entry.size()));
    out.close();
    if (!out)
        throw std::system_error(std::make_error_code(std::errc::io_error),
                                "cannot write " + file.string());
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

} // namespace

void put_on_display(ChildOptions& child, const fs::path& directory, const fs::path& server) {
    if (server.empty()) {
        for (const char* name : {"DISPLAY", "XAUTHORITY"})
            if (const char* value = std::getenv(name))
                child.environment.push_back(std::string(name) + '=' + value);
        return;
    }
    write_secret(directory / "xauthority");
    std::vector<std::string> arguments{"-c",
                                       shell_script,
                                       "everpool-display",
                                       directory.string(),
                                       server.string(),
                                       child.executable.string()};
    arguments.insert(arguments.end(), child.arguments.begin(), child.arguments.end());
    child.executable = "/bin/sh";
    child.arguments = std::move(arguments);
}

} // namespace everpool::io
