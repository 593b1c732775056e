# cmake -DSOURCE=<file> -DCOMPILER=<c++> -DOPTIONS=<list> -P check.cmake
#
# The file must compile as it stands; and must not with EVERPOOL_MISTAKE defined, for the reason that
# its line `// expect: <regular expression>` gives.
# SPDX-License-Identifier: BSL-1.0
file(STRINGS "${SOURCE}" expected REGEX "^// expect: ")
string(REPLACE "// expect: " "" expected "${expected}")
if(NOT expected)
    message(FATAL_ERROR "${SOURCE} does not say what to expect")
endif()

set(command "${COMPILER}" ${OPTIONS} -std=c++20 -fsyntax-only "${SOURCE}")
execute_process(COMMAND ${command} RESULT_VARIABLE failed ERROR_VARIABLE errors)
if(failed)
    message(FATAL_ERROR "does not compile even without the mistake:\n${errors}")
endif()
execute_process(COMMAND ${command} -DEVERPOOL_MISTAKE RESULT_VARIABLE failed ERROR_VARIABLE errors)
if(NOT failed)
    message(FATAL_ERROR "compiles with the mistake")
endif()
if(NOT errors MATCHES "${expected}")
    message(FATAL_ERROR "fails, but not for '${expected}':\n${errors}")
endif()
