# cmake -D SIMULATE=<program> -P check_arguments.cmake
# The command line says what it takes, and complains about what it does not take.
# SPDX-License-Identifier: BSL-1.0
function(check_refused complaint)
    execute_process(COMMAND "${SIMULATE}" ${ARGN}
        RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
    string(FIND "${errors}" "${complaint}" place)
    if(NOT status EQUAL 2 OR place EQUAL -1 OR NOT output STREQUAL "")
        message(FATAL_ERROR "'${ARGN}': status ${status}, expected 2 and '${complaint}'\n"
            "${output}${errors}")
    endif()
endfunction()

check_refused("there is no argument '--sead'" --sead 1)
check_refused("there is no argument '17'" 17)
check_refused("--seed needs a value" --seed)
check_refused("--seed must be an integer from 0 to 2^64 - 1, not '-1'" --seed -1)
check_refused("--seed must be an integer from 0 to 2^64 - 1, not '1x'" --seed 1x)
check_refused("--seed must be an integer from 0 to 2^64 - 1, not '1e3'" --seed 1e3)
check_refused("not '18446744073709551616'" --seed 18446744073709551616)
check_refused("--seeds must be an integer of at least 1, not '0'" --seeds 0)
check_refused("--seeds needs a value" --seed 1 --seeds)
check_refused("--hours must be a number from 0 to 10000, not 'nan'" --hours nan)
check_refused("--hours must be a number from 0 to 10000, not '-1'" --hours -1)
check_refused("--hours must be a number from 0 to 10000, not '10001'" --hours 10001)
check_refused("--canary has no bug 'moth'" --canary=moth)

execute_process(COMMAND "${SIMULATE}" --help RESULT_VARIABLE status OUTPUT_VARIABLE output)
foreach(flag IN ITEMS --seed --seeds --hours --canary --trace --help)
    if(NOT status EQUAL 0 OR NOT output MATCHES "\n  ${flag}[ []")
        message(FATAL_ERROR "--help: status ${status}, says nothing of ${flag}\n${output}")
    endif()
endforeach()

# The largest seed is one like any other.
execute_process(COMMAND "${SIMULATE}" --seed 18446744073709551615 --hours 0.001
    RESULT_VARIABLE status OUTPUT_VARIABLE output)
if(NOT status EQUAL 0 OR NOT output MATCHES "1 seeds, each twice: ")
    message(FATAL_ERROR "the largest seed: status ${status}\n${output}")
endif()
