# cmake -D SIMULATE=<program> -D SEEDS=<count> -P check_coverage.cmake
# What the simulator is said to draw it draws: each cause of a loss, each strategy, each fault of
# the host, each drill, and each rung's start failing and hanging at each of its steps.
# SPDX-License-Identifier: BSL-1.0
execute_process(COMMAND "${SIMULATE}" --seeds ${SEEDS} RESULT_VARIABLE status
    OUTPUT_VARIABLE output ECHO_OUTPUT_VARIABLE)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "status ${status}")
endif()
set(rungs recreate_device replace_compute reload_page new_page restart_browser restart_adjusted
    other_browser other_type other_provider other_machine)
list(TRANSFORM rungs PREPEND "starts that failed by ")
set(missing "")
foreach(line IN ITEMS lost strategies host impatience together drills ${rungs})
    if(NOT output MATCHES "\n${line}: ([^\n]*)")
        message(FATAL_ERROR "there is no line '${line}'")
    endif()
    if("${CMAKE_MATCH_1} " MATCHES "[ /]0[ /]")
        string(APPEND missing "${line}: ${CMAKE_MATCH_1}\n")
    endif()
endforeach()
if(missing)
    message(FATAL_ERROR "in ${SEEDS} seeds there are none of\n${missing}")
endif()
