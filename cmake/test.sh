#!/bin/sh
# Everpool's whole test: installs what is missing, builds, runs every test; ctest's summary last.
# SPDX-License-Identifier: BSL-1.0
#
#     sh cmake/test.sh           all of it
#     sh cmake/test.sh dev       one of the steps: dev, asan, tsan, fuzz
#
# The steps; by hand: `cmake --preset P && cmake --build --preset P && ctest --preset P`.
#   asan   whatever runs the library's code, with real browsers too, under AddressSanitizer and
#          UndefinedBehaviorSanitizer; fault drills (minutes each) aside: `ctest --preset asan -L drill`
#   tsan   the same under ThreadSanitizer, as far as there is more than one thread
#   fuzz   the decoders' fuzzers, for a few seconds each
#   dev    everything: units, simulation, real browsers, packages, benchmarks in short form
set -eu
cd "$(dirname "$0")/.."
steps=${*:-asan tsan fuzz dev}
for step in $steps; do
    case $step in
    asan | tsan | fuzz | dev) ;;
    *) printf 'test.sh: no step %s\n' "$step" >&2; exit 2 ;; # before half an hour of the others
    esac
done

sh cmake/setup.sh test

run() {
    preset=$1
    shift
    started=$(date +%s)
    printf '\n== %s: configure and build\n' "$preset"
    cmake --preset "$preset" >build/configure.log 2>&1 || { cat build/configure.log >&2; exit 1; }
    cmake --build --preset "$preset" -- --quiet
    printf '== %s: test (built in %d s)\n' "$preset" $(($(date +%s) - started))
    ctest --preset "$preset" "$@"
}

mkdir -p build
for step in $steps; do
    case $step in
    asan | tsan) run "$step" --label-exclude 'package|bench|drill|examples|layers|models|web' ;;
    *) run "$step" ;;
    esac
done
