# Files that become part of the library's read-only data.
# SPDX-License-Identifier: BSL-1.0
#
# everpool_embed(TARGET <target> FILES <path>=<url path>...)
#
# Adds one generated source to the target. It has a table {url path, MIME type, ETag, bytes}, see
# src/io/embedded_files.hpp, and takes the bytes in with the assembler's .incbin, which costs no
# compile time, whatever their number. The ETags are content hashes, so they are computed by the
# build, not when the project is configured: the source is written again when one of the files has
# changed, and only then. Paths are relative to the current source directory or absolute.
set(EVERPOOL_EMBED_GENERATOR "${CMAKE_CURRENT_LIST_DIR}/embed_generate.cmake")

function(everpool_embed)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET" "FILES")
    if(NOT arg_TARGET OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "everpool_embed(TARGET <target> FILES <path>=<url path>...)")
    endif()
    set(paths "")
    set(manifest "")
    foreach(entry IN LISTS arg_FILES)
        if(NOT entry MATCHES "^(.+)=(/[^=]+)$")
            message(FATAL_ERROR "everpool_embed: '${entry}' is not <path>=</url path>")
        endif()
        set(url "${CMAKE_MATCH_2}")
        cmake_path(ABSOLUTE_PATH CMAKE_MATCH_1 NORMALIZE OUTPUT_VARIABLE path)
        if(NOT EXISTS "${path}")
            message(FATAL_ERROR "everpool_embed: there is no ${path}\n"
                "The files of onnxruntime-web come with: sh cmake/setup.sh")
        endif()
        list(APPEND paths "${path}")
        string(APPEND manifest "${url}=${path}\n")
    endforeach()

    set(directory "${CMAKE_CURRENT_BINARY_DIR}/embedded")
    file(CONFIGURE OUTPUT "${directory}/manifest.txt" CONTENT "${manifest}" @ONLY)
    set(source "${directory}/embedded_files.cpp")
    add_custom_command(
        OUTPUT "${source}"
        COMMAND "${CMAKE_COMMAND}" "-DMANIFEST=${directory}/manifest.txt" "-DOUTPUT=${source}"
            -P "${EVERPOOL_EMBED_GENERATOR}"
        DEPENDS ${paths} "${directory}/manifest.txt" "${EVERPOOL_EMBED_GENERATOR}"
        COMMENT "Embedding the worker page and onnxruntime-web"
        VERBATIM)
    target_sources(${arg_TARGET} PRIVATE "${source}")
endfunction()
