# Runs the fuzzer with a bug planted: the golden messages alone must not show the bug, and fuzzing must.
# SPDX-License-Identifier: BSL-1.0
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

execute_process(COMMAND "${CANARY}" -runs=0 ${CORPUS}
    RESULT_VARIABLE status ERROR_VARIABLE words)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "the bug shows without fuzzing, so finding it proves nothing:\n${words}")
endif()

# With a seed and an empty folder for what it finds, each run is the same.
execute_process(COMMAND "${CANARY}" -seed=1 -max_total_time=100 "-artifact_prefix=${FOLDER}/"
    "${FOLDER}" ${CORPUS}
    RESULT_VARIABLE status ERROR_VARIABLE words)
if(status EQUAL 0)
    message(FATAL_ERROR "the planted bug was not found:\n${words}")
endif()
if(NOT words MATCHES "it does not hold that ${CLAIM}")
    message(FATAL_ERROR "something else than the planted bug was found:\n${words}")
endif()
string(REGEX MATCH "Test unit written to [^\n]*" found "${words}")
message(STATUS "the planted bug was found. ${found}")
