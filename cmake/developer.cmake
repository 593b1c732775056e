# What a developer of Everpool wants and a consumer does not: ccache and a fast linker, if they are
# there. Only CMakePresets.json includes this file (CMAKE_PROJECT_TOP_LEVEL_INCLUDES).
# SPDX-License-Identifier: BSL-1.0
include_guard(GLOBAL)

find_program(EVERPOOL_CCACHE ccache)
mark_as_advanced(EVERPOOL_CCACHE)
if(EVERPOOL_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${EVERPOOL_CCACHE}")
endif()

# mold links with g++ and with clang, and a hundred test programs are linked often.
find_program(EVERPOOL_MOLD mold)
mark_as_advanced(EVERPOOL_MOLD)
if(EVERPOOL_MOLD)
    add_link_options(-fuse-ld=mold)
endif()
