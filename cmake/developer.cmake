# What a developer of Everpool wants and a consumer does not: ccache and a fast linker, if they are
# there. Only CMakePresets.json includes this file (CMAKE_PROJECT_TOP_LEVEL_INCLUDES).
# SPDX-License-Identifier: BSL-1.0
include_guard(GLOBAL)

find_program(EVERPOOL_CCACHE ccache)
mark_as_advanced(EVERPOOL_CCACHE)
if(EVERPOOL_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${EVERPOOL_CCACHE}")
endif()

# clang wants the lld of its own version, g++ takes any.
find_program(EVERPOOL_LINKER NAMES mold ld.lld-16 ld.lld)
mark_as_advanced(EVERPOOL_LINKER)
if(EVERPOOL_LINKER MATCHES "mold$")
    add_link_options(-fuse-ld=mold)
elseif(EVERPOOL_LINKER)
    get_filename_component(linker "${EVERPOOL_LINKER}" NAME)
    if(linker STREQUAL "ld.lld")
        add_link_options(-fuse-ld=lld)
    elseif(CMAKE_CXX_COMPILER MATCHES "clang")
        add_link_options(--ld-path=${EVERPOOL_LINKER})
    endif()
endif()
