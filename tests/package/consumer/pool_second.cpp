// The same headers a second time in one program.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

bool a_pool_can_be_made_elsewhere(everpool::Runtime& runtime) {
    everpool::ResourcePool pool{runtime.get_executor(), {}};
    try {
        (void)runtime.run(pool, everpool::Request::echo({}));
        return false; // nobody started it
    } catch (const everpool::Error& error) {
        return error.code() == everpool::Errc::pool_not_running;
    }
}
