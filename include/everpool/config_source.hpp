// Everpool: a pool's configuration out of a JSON file and out of environment variables.
// SPDX-License-Identifier: BSL-1.0
//
// Use it when who runs a host shall set what who wrote it cannot know: how many browsers, which
// directory, how long to wait. The host's own choices are the base, the file goes over them, and
// the environment over both:
//
//     ResourcePoolConfig config = config_from_file("/etc/myapp/pool.json");
//     config = config_from_environment(config);
//     ResourcePool pool{executor, config};
//
//     {
//       "browsers": [{"type": "chromium", "count": 2}, {"type": "firefox"}],
//       "models": [{"name": "mlp", "file": "models/mlp.onnx", "providers": ["webgpu", "wasm"],
//                   "batching": {"max_batch": 32, "max_delay": "2ms"}}],
//       "default_timeout": "5s",
//       "in_flight_bytes_max": "64MiB",
//       "queue_policies": {"low": {"count_max": 100, "timeout": "10s", "timeout_action": "delay"}},
//       "fault_tolerance": {"level": "high", "state_directory": "state"}
//     }
//
//     EVERPOOL_QUEUE_COUNT_MAX=200
//     EVERPOOL_FAULT_TOLERANCE__LEVEL=critical
//     EVERPOOL_QUEUE_POLICIES__LOW__TIMEOUT=10s
//     EVERPOOL_BROWSER_PREFERENCES__TEXT=edge,chromium
//     EVERPOOL_BROWSERS='[{"type": "firefox", "count": 2}]'
//
// Names
//   The members have the names that they have in resource_pool_config.hpp and in what it includes,
//   and mean what is said there. A variable is EVERPOOL_ and the member in upper case, two
//   underscores where a name goes on inside a member.
//
// Values
//   struct        an object. What it does not name keeps the value of the base.
//   vector        a list, in place of the base's. Its entries begin with their defaults. At most
//                 1024 of them.
//   optional      its value, or null for none
//   number, bool  a JSON number, true, false. Whole numbers may not have a fraction.
//   Duration      a text, a number with a unit: "250ms", "1.5s", "5min". Units are ns, us, ms, s,
//                 min, h. A number alone is refused, as nobody could say what it means.
//   bytes         (request_bytes_kept, in_flight_bytes_max, frame_bytes_max) a number, or a text
//                 with a unit: "64MiB". Units are B, KiB, MiB, GiB, TiB.
//   enum          its enumerator's name: "progressive", "webgpu"
//   string, path  a text without NUL characters. `capabilities_json` is a text, too: JSON in JSON.
//   preferences   BrowserSpec::extra_preferences is an object of texts:
//                 {"dom.ipc.processCount": "1"}
//
//   A variable has the value alone, without quotes: EVERPOOL_DEFAULT_TIMEOUT=5s. A list of names is
//   separated by commas, or is JSON; any other list is JSON. Empty, it is an empty text or list.
//
// What cannot be said
//   on_event, on_recovered, simulate and custom_strategy are parts of a program, and the tensors of
//   a model's warm_up are no configuration. They are set in the base, and kept; so "models" in a
//   source has models without a warm-up. To name them here is an error that says so.
//
// Errors
//   Each function throws std::invalid_argument, for the first mistake that it finds, in the words
//   in which ResourcePool's constructor would:
//
//     ResourcePoolConfig::queue_count_max must be 1 to 1000000, but is 0
//     ResourcePoolConfig::browsers[1].type must be one of chromium, chrome, edge, firefox, webkit,
//         but is 'opera'
//     ResourcePoolConfig::queue_count_mx is no member; did you mean queue_count_max?
//     ResourcePoolConfig::default_timeout is given twice
//     EVERPOOL_QUEUE_COUNT_MX is no member's; did you mean EVERPOOL_QUEUE_COUNT_MAX?
//
//   The ranges are judged when all has been read, in the one place where ResourcePool judges them.
//   So what a function returns is a whole configuration that a pool takes: members that are right
//   only together (level critical and its state_directory) stand in one source or in the base.
//   Whether files are there is found out by async_start.
//
//   Texts come from outside: what is not understood is quoted in part and escaped, never passed on.
//
// Thread safety: none needed, nothing is kept. config_from_environment reads the process's
// variables: no other thread may set one meanwhile (setenv(3)).
#pragma once

#include "everpool/resource_pool_config.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace everpool {

/// A longer text is not read.
inline constexpr std::size_t config_bytes_max = std::size_t{1} << 20;

/// `text` is one JSON object, UTF-8, nested at most 16 deep, without comments. Relative paths in it
/// stay as they are: they are relative to the process's working directory.
/// \throws std::invalid_argument; of what is no JSON it says where: line, column, byte.
ResourcePoolConfig config_from_json(std::string_view text, ResourcePoolConfig base = {});

/// The same from a regular file. Relative paths in it are relative to the directory in which the
/// file lies, wherever the host is started; they are made absolute. Of a symbolic link, that is the
/// directory of the link.
/// \throws std::invalid_argument; where the file itself is at fault (it is missing, is a directory,
/// is too large, has no JSON) it names the file. Of a member it says the same as config_from_json.
ResourcePoolConfig config_from_file(const std::filesystem::path& file,
                                    ResourcePoolConfig base = {});

/// From the variables of the process whose names begin with EVERPOOL_. Relative paths in them stay
/// as they are.
///
/// A name that is no member's is refused if it looks like one that is misspelt (one letter of 4,
/// two of 8, else three), if it is a member's with two underscores and more behind it, or that of
/// a member in a group without the group (EVERPOOL_LEVEL). Others are somebody else's, and are
/// passed over, as are those that this library's own tests and benchmarks listen to:
/// EVERPOOL_WEBNN_BROWSER, EVERPOOL_SEEDS, EVERPOOL_STATE_SEEDS, EVERPOOL_KILLS,
/// EVERPOOL_BENCH_..., EVERPOOL_FUZZ_..., EVERPOOL_TEST_....
/// \throws std::invalid_argument
ResourcePoolConfig config_from_environment(ResourcePoolConfig base = {});

/// The same from variables that are passed in, name and value: for tests, and for hosts that have
/// them from elsewhere. Names that do not begin with EVERPOOL_ are passed over.
/// \throws std::invalid_argument
ResourcePoolConfig config_from_variables(const std::map<std::string, std::string>& variables,
                                         ResourcePoolConfig base = {});

} // namespace everpool
