# cmake -D SIMULATE=<program> -D BUG=<name> -D FOUND=<regex> -P check_canary.cmake
# A planted bug must be found, for what it is, with exit status 1; and the command line that the
# failure prints must find the very same again.
# SPDX-License-Identifier: BSL-1.0
execute_process(COMMAND "${SIMULATE}" --seeds 300 --canary=${BUG}
    RESULT_VARIABLE status OUTPUT_VARIABLE output)
set(report "^(seed [0-9]+: [^\n]*${FOUND}[^\n]*)\nrepeat with: ([^\n]*)\n$")
if(NOT status EQUAL 1 OR NOT output MATCHES "${report}")
    message(FATAL_ERROR "bug '${BUG}' was not found: status ${status}\n${output}")
endif()
set(found "${CMAKE_MATCH_1}")
# The last group; FOUND may have some of its own.
separate_arguments(repeat UNIX_COMMAND "${CMAKE_MATCH_${CMAKE_MATCH_COUNT}}")
execute_process(COMMAND ${repeat} RESULT_VARIABLE status OUTPUT_VARIABLE output)
string(FIND "${output}" "\n${found}\n" place)
if(NOT status EQUAL 1 OR place EQUAL -1)
    string(LENGTH "${output}" length)
    message(FATAL_ERROR "'${repeat}' does not repeat '${found}': status ${status}, ${length} bytes")
endif()
message(STATUS "${found}, twice")
