# bench_log: the log beside floors, and beside those databases whose packages are there.
# SPDX-License-Identifier: BSL-1.0
everpool_program(bench_log
    SOURCES bench_log.cpp log_checkpoints.cpp log_durable.cpp log_everpool.cpp log_floor.cpp
        log_os.cpp log_reading.cpp log_state.cpp
    LINK everpool::everpool benchmark::benchmark)
target_include_directories(bench_log PRIVATE
    "${CMAKE_CURRENT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src")
add_test(NAME bench_log COMMAND bench_log --benchmark_min_time=0.02)
set_tests_properties(bench_log PROPERTIES LABELS bench TIMEOUT 120)

# By header and library, not by their CMake packages: RocksDB's wants the development packages of
# everything that it was built with.
function(everpool_bench_peer name header library)
    string(TOUPPER "${name}" upper)
    find_path(EVERPOOL_${upper}_INCLUDE_DIR "${header}")
    find_library(EVERPOOL_${upper}_LIBRARY "${library}")
    mark_as_advanced(EVERPOOL_${upper}_INCLUDE_DIR EVERPOOL_${upper}_LIBRARY)
    if(NOT EVERPOOL_${upper}_INCLUDE_DIR OR NOT EVERPOOL_${upper}_LIBRARY)
        message(STATUS "bench_log: ${name} was not found and is left out "
            "(sh cmake/setup.sh installs it)")
        return()
    endif()
    target_sources(bench_log PRIVATE "log_peer_${name}.cpp")
    target_include_directories(bench_log SYSTEM PRIVATE "${EVERPOOL_${upper}_INCLUDE_DIR}")
    target_link_libraries(bench_log PRIVATE "${EVERPOOL_${upper}_LIBRARY}")
    target_compile_definitions(bench_log PRIVATE EVERPOOL_BENCH_${upper})
endfunction()
everpool_bench_peer(rocksdb rocksdb/db.h rocksdb)
everpool_bench_peer(leveldb leveldb/db.h leveldb)
everpool_bench_peer(sqlite sqlite3.h sqlite3)
