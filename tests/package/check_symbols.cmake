# cmake -DPROGRAM=<file> -DNM=<nm> -DNEVER=<list of regexes> -P check_symbols.cmake
# Fails if the program needs or contains a symbol that matches: a header-only consumer has no Asio in it.
# SPDX-License-Identifier: BSL-1.0
execute_process(COMMAND "${NM}" -C "${PROGRAM}" RESULT_VARIABLE failed OUTPUT_VARIABLE symbols)
if(failed OR NOT symbols MATCHES "main")
    message(FATAL_ERROR "cannot read the symbols of ${PROGRAM}")
endif()
foreach(pattern IN LISTS NEVER)
    if(symbols MATCHES "[^\n]*${pattern}[^\n]*")
        message(FATAL_ERROR "${PROGRAM} has: ${CMAKE_MATCH_0}")
    endif()
endforeach()
