#!/bin/sh
# Installs what Everpool's build, tests and demo need and this machine lacks. Does nothing the
# second time (but ask again for a package that the system's archive does not have).
# SPDX-License-Identifier: BSL-1.0
#
#     sh cmake/setup.sh          everything: build, demo and tests
#     sh cmake/setup.sh demo     what the demo needs: build tools, libraries, browsers
#
# Debian 12 and newer, Ubuntu 24.04 and newer; packages through apt-get (by sudo when not root), and
# onnxruntime-web by npm from the lock file src/web/package-lock.json. Nothing else is changed.
set -eu
profile=${1:-test}
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

case $profile in demo | test) ;; *) fail "unknown profile '$profile' (demo or test)" ;; esac

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# One package per word; a|b: any of them will do, the first that can be had is taken.
# A command stands before a colon where the program may as well come from elsewhere.
packages='
    g++:g++ cmake:cmake ninja:ninja-build ccache:ccache mold:mold
    libboost1.81-dev|libboost1.83-dev|libboost1.88-dev
    libboost-json1.81-dev|libboost-json1.83-dev|libboost-json1.88-dev
    libcereal-dev libzstd-dev
    libfmt-dev node:nodejs npm:npm ca-certificates
    chromium chromium-headless-shell chromium-sandbox firefox-esr|firefox mesa-vulkan-drivers'
if [ "$profile" = test ]; then
    packages="$packages
    chromium-driver webkit2gtk-driver xvfb
    clang++-16:clang-16 libclang-rt-16-dev
    catch2 libbenchmark-dev librocksdb-dev libleveldb-dev libsqlite3-dev python3:python3 python3-numpy python3-onnx"
fi

# Prints the words whose package is not there.
missing_packages() {
    for word in $packages; do
        case $word in
        *:*) command -v "${word%%:*}" >/dev/null 2>&1 && continue ;;
        esac
        found=
        for name in $(printf '%s' "${word#*:}" | tr '|' ' '); do
            is_installed "$name" && found=$name
        done
        [ -n "$found" ] || printf '%s\n' "${word#*:}"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        fail "not root, and there is no sudo; as root: apt-get install $wanted"
    fi
}

missing=$(missing_packages)
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 ||
        fail "no apt-get here; install by hand: $(printf '%s ' $missing)"
    wanted=$(printf '%s ' $missing | tr '|' ' ')
    say "missing: $(printf '%s ' $missing)"
    as_root apt-get -qq update
    wanted=
    for word in $missing; do
        candidate=
        for name in $(printf '%s' "$word" | tr '|' ' '); do
            # The version table knows what can be had; a name that others mention has no candidate.
            if apt-cache policy "$name" | grep -q 'Candidate: [^(]'; then
                candidate=$name
                break
            fi
        done
        if [ -n "$candidate" ]; then
            wanted="$wanted $candidate"
        else
            say "no package $word in this system's archive; going on without it"
        fi
    done
    if is_installed libboost1.74-dev; then
        say 'libboost1.74-dev cannot stand beside the newer Boost: apt-get replaces it'
    fi
    if [ -n "$wanted" ]; then
        say "apt-get install$wanted"
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends $wanted >/dev/null
    fi
fi

# What npm installed is noted by a copy of the lock file that it was installed from.
noted=src/web/node_modules/.installed-from-package-lock.json
if ! cmp -s src/web/package-lock.json "$noted"; then
    say 'npm ci in src/web (onnxruntime-web, and a browser with WebNN for the tests)'
    (cd src/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp src/web/package-lock.json "$noted"
fi
if [ "$profile" = test ]; then
    node cmake/unpack_webnn_browser.mjs
fi
say 'everything is there'
