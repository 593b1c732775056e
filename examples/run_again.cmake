# cmake -D PROGRAM=<07_browser_state> -D DIRECTORY=<where> -P run_again.cmake
# Its first run is killed, its second one says what it found.
# SPDX-License-Identifier: BSL-1.0
file(REMOVE_RECURSE "${DIRECTORY}")
execute_process(COMMAND "${PROGRAM}" "${DIRECTORY}" RESULT_VARIABLE ending)
if(NOT ending MATCHES "[Kk]illed")
    message(FATAL_ERROR "the first run was not killed, it ended with ${ending}")
endif()
execute_process(COMMAND "${PROGRAM}" "${DIRECTORY}" RESULT_VARIABLE ending OUTPUT_VARIABLE found)
message(STATUS "the second run:\n${found}")
if(NOT ending EQUAL 0 OR NOT found MATCHES "left unfinished: operation 1, now outcome_unknown")
    message(FATAL_ERROR "the second run ended with ${ending}")
endif()
# Lines of JSON are lines: one for each transaction, none empty.
if(found MATCHES "\n\n" OR NOT found MATCHES "}\n{[^\n]*\"actor\":\"recovery\"[^\n]*}\n$")
    message(FATAL_ERROR "what was exported is not lines of JSON")
endif()
file(REMOVE_RECURSE "${DIRECTORY}")
