# How Everpool's own targets are compiled. Functions only: including this file changes nothing.
# SPDX-License-Identifier: BSL-1.0

# everpool_compile_options(<target>): C++20 without extensions, and warnings for the project's own
# developers. They never travel to a consumer: the options are PRIVATE and, when Everpool is a part
# of another project, off by default. Whether they are errors is CMAKE_COMPILE_WARNING_AS_ERROR,
# which only the presets set.
function(everpool_compile_options target)
    target_compile_features(${target} PRIVATE cxx_std_20)
    set_target_properties(${target} PROPERTIES
        CXX_EXTENSIONS OFF
        POSITION_INDEPENDENT_CODE ON)
    if(EVERPOOL_WARNINGS AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
        target_compile_options(${target} PRIVATE
            # Without -Wsign-conversion, which is in -Wconversion for clang and not for g++.
            -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow
            # Designated initialisers that leave the rest at its defaults are how configurations
            # are meant to be written.
            -Wno-missing-field-initializers)
    endif()
endfunction()

# everpool_program(<name> SOURCES <file>... LINK <target>...): an executable of the project's own.
function(everpool_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
    add_executable(${name} ${arg_SOURCES})
    everpool_compile_options(${name})
    target_link_libraries(${name} PRIVATE ${arg_LINK})
    # The sanitizers' presets compile without optimisation, in half the time. What links everpool::core
    # alone computes (simulations, property tests) and would then run for minutes.
    if(NOT "everpool::everpool" IN_LIST arg_LINK AND CMAKE_CXX_FLAGS_DEBUG MATCHES "-O0")
        target_compile_options(${name} PRIVATE $<$<CONFIG:Debug>:-O1>)
    endif()
endfunction()
