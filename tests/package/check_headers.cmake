# cmake -DCOMPILER=<c++> -DOPTIONS=<list> -DHEADER=<everpool/...> -DNEVER=<list of regexes>
#       -P check_headers.cmake
#
# Preprocesses HEADER and fails if any file it draws in matches one of NEVER. So a host pays at compile
# time for what the header promises only, however deep an include hides.
# SPDX-License-Identifier: BSL-1.0
file(WRITE "${SCRATCH}/one_header.cpp" "#include <${HEADER}>\n")
execute_process(
    COMMAND "${COMPILER}" ${OPTIONS} -std=c++20 -M "${SCRATCH}/one_header.cpp"
    RESULT_VARIABLE failed OUTPUT_VARIABLE drawn_in ERROR_VARIABLE errors)
if(failed)
    message(FATAL_ERROR "${errors}")
endif()
if(NOT drawn_in MATCHES "${HEADER}")
    message(FATAL_ERROR "the compiler's list does not even name ${HEADER}")
endif()
foreach(pattern IN LISTS NEVER)
    if(drawn_in MATCHES "[^ \n]*${pattern}[^ \n]*")
        message(FATAL_ERROR "${HEADER} draws in ${CMAKE_MATCH_0}")
    endif()
endforeach()
