#!/bin/sh
# Everpool's demo: installs what is missing, builds, runs. Exit status is the demo's own.
# SPDX-License-Identifier: BSL-1.0
#
#     sh cmake/demo.sh [option of build/demo/examples/demo]...
set -eu
cd "$(dirname "$0")/.."
sh cmake/setup.sh demo
printf 'demo: building in build/demo\n'
mkdir -p build
# The preset is `release` without tests: a machine that only shows the demo need not have their
# libraries.
if ! { cmake --preset demo && cmake --build --preset demo; } >build/demo.log 2>&1; then
    cat build/demo.log >&2
    exit 1
fi
exec build/demo/examples/demo "$@"
