// 7. The state alone. Its first run is killed in the middle of an operation; run it again to see
// what is known of that.
//
//     07_browser_state <directory, that need not be there>
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/browser_state_manager.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: 07_browser_state <directory, that need not be there>\n");
        return 2;
    }
    using namespace everpool;
    BrowserStateManager state({.directory = argv[1]});
    std::printf("%s\n", state.recovery().text().c_str());

    if (state.recovery().is_new) {
        const BrowserState browser{.id = WorkerId{0}, .connection = ConnectionStatus::ready};
        Transaction start{.actor = "example"};
        start.changes = {BrowserAdded{browser},
                         OperationSubmitted{.id = RequestId{1}, .operation = "inference"},
                         OperationDispatched{.id = RequestId{1}, .worker = browser.id}};
        const CommitResult started = state.commit(start, Durability::sync);
        if (started.code) throw Error(started.code, started.diagnostics);
        std::printf("the operation runs, on record; now the host is killed\n");
        std::fflush(stdout);
        std::raise(SIGKILL); // no destructor runs, nothing more is written
    }
    for (const OrphanedOperation& orphan : state.orphans())
        std::printf("left unfinished: operation %d, now %s\n",
                    static_cast<int>(orphan.operation.id.value),
                    name_of(orphan.operation.status).data());
    for (const Transaction& last : state.last_transactions(2))
        std::printf("transaction %d by '%s': %zu changes\n", static_cast<int>(last.number),
                    last.actor.c_str(), last.changes.size());
    const auto print = [](std::string_view line) { std::printf("%s", std::string(line).c_str()); };
    return state.export_json_lines(print) || !state.verify().empty() ? 1 : 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
