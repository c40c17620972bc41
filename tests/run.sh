#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [--all] [--no-sanitizers | --elsewhere | --quick]: installs what is missing,
# builds into build/, runs the tests; then builds with AddressSanitizer and UBSan into
# build-asan/ and runs the unit tests there. The last line is "N passed, N failed[, N skipped]".
#
# What is slow by nature is shared out: each capability and each check of the
# stand-in driver runs with the programs that it is for. --all has each program
# run with each of them (the suite "all"), and compiles for every GPU.
#
# --elsewhere is for a second system on a machine whose own has run it all: it
# leaves out the sanitizers, and the suites "source" and "once", which look at what
# neither another compiler nor other libraries change. --quick leaves out the suites
# "long" and "pipelines" as well: whole networks and programs, which take most of the time.
#
# The second leg leaves out the suites "source" (checks of text), "long", "gpusim"
# (the stand-in driver's own tests: it is never built with a sanitizer), and
# "pipelines" and "training" (programs that are not built with the sanitizer, Python
# among them, cannot load a plugin that is).

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh

usage () {
  echo "usage: tests/run.sh [--all] [--no-sanitizers | --elsewhere | --quick]" >&2
  exit 2
}

all=
sanitizers=yes
elsewhere=
quick=
for word; do
  case $word in
    --all) all=yes ;;
    --no-sanitizers) sanitizers= ;;
    --elsewhere) sanitizers='' elsewhere=yes ;;
    --quick) sanitizers='' elsewhere=yes quick=yes ;;
    *) usage ;;
  esac
done

fail () {
  echo "$*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

[ -n "$elsewhere" ] || test_packages="$test_packages $fuzz_packages"
# shellcheck disable=SC2086 # lists
install_packages $build_packages $run_packages $test_packages || fail "packages are missing"
# shellcheck disable=SC2086 # a list
install_packages $broker_packages || echo "tests that need a broker will skip" >&2

# configure FOLDER OPTION...: makes it, or makes it anew when it does not work.
configure () {
  folder=$1
  shift
  # In continuous integration a warning is an error.
  set -- "$@" ${CI:+--werror}
  if [ -f "$folder/build.ninja" ]; then
    meson setup --reconfigure "$folder" "$@" >/dev/null 2>&1 && return
    rm -rf "$folder"
  fi
  output=$(meson setup "$folder" "$@" 2>&1) || {
    echo "$output"
    return 1
  }
}

# The driver that runs kernels on the CPU reads PTX: of 7.5 and of 8.0, between which
# the kernels' sources differ, and of 9.0 for newer devices. Machine code is made for
# 8.0, which takes no more than its PTX. With --all everything of meson_options.txt is
# compiled; it is named here since meson remembers what it was given before.
cuda="-Dcuda-archs=80 -Dcuda-ptx=75,80,90"
[ -z "$all" ] || cuda="-Dcuda-archs=75,80,86,87,89,90,100,110,120,121 -Dcuda-ptx=75,80,90,120"
# On a machine with a card they run on that.
if nvidia-smi -L >/dev/null 2>&1; then
  cuda="-Dcuda-tests=card -Dcuda-archs=75,80,86,87,89,90,100,110,120,121"
  cuda="$cuda -Dcuda-ptx=75,80,90,120"
fi

# build FOLDER: quiet unless it fails or warns.
build () {
  ninja -C "$1" >"$1/ninja.log" 2>&1 || {
    grep -v '^\[[0-9]*/[0-9]*\] ' "$1/ninja.log"
    return 1
  }
  grep -A3 'warning:' "$1/ninja.log" || true
}

# The model and the videos that some tests need; they skip without.
if [ -x tests/scripts/fetch.sh ]; then
  tests/scripts/fetch.sh model bus zidane vtest >/dev/null \
    || echo "The demo's model or pictures could not be fetched; tests that need them skip." >&2
fi

left_out=
[ -n "$all" ] || left_out='--no-suite all'
[ -z "$elsewhere" ] || left_out="$left_out --no-suite source --no-suite once"
[ -z "$quick" ] || left_out="$left_out --no-suite long --no-suite pipelines"

logs=
# test_in FOLDER OPTION...: runs its tests and adds its log to those to count.
test_in () {
  log=$1/meson-logs/testlog.json
  rm -f "$log"
  # shellcheck disable=SC2086 # options
  meson test -C "$@" $left_out --no-rebuild --print-errorlogs || [ -f "$log" ] \
    || fail "meson ran no test in $1"
  if [ -f "$log" ]; then
    logs="$logs $log"
  fi
}

# Whatever the tests start carries this, and must be gone when they are.
YOLO_TEST_RUN=$$-$(date +%s)
export YOLO_TEST_RUN

# Ends with the total of the logs, to which it adds what is still running.
finish () {
  python3 tests/scripts/left-behind.py "$YOLO_TEST_RUN" >build/meson-logs/left-behind.json
  # shellcheck disable=SC2086 # a list
  exec python3 tests/scripts/count.py $logs build/meson-logs/left-behind.json
}

echo "== build"
# shellcheck disable=SC2086 # a list
if ! { configure build $cuda && build build; }; then
  fail "the build failed"
fi
# A machine may be slow, or busy with something else.
test_in build -t 4
[ -n "$sanitizers" ] || finish

echo "== AddressSanitizer and UBSan"
sanitize="-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false"
sanitize="$sanitize -Dcuda-archs= -Dcuda-ptx=80"
# shellcheck disable=SC2086 # a list
if ! { configure build-asan $sanitize && build build-asan; }; then
  fail "the build with sanitizers failed"
fi
# GStreamer's own scanner is a program without the sanitizer: our plugin is
# scanned in the test's process, all others before and outside of it.
export ASAN_OPTIONS=detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.supp:print_suppressions=0"
GST_REGISTRY="$PWD/build-asan/registry.bin" gst-inspect-1.0 fakesink >/dev/null
if [ -d build-asan/tests/gpusim ]; then
  LD_LIBRARY_PATH="$PWD/build-asan/tests/gpusim" \
    GST_REGISTRY="$PWD/build-asan/tests/gpusim/gst-registry.bin" gst-inspect-1.0 fakesink >/dev/null
fi
test_in build-asan -t 10 --no-suite source --no-suite long --no-suite pipelines \
  --no-suite training --no-suite gpusim
finish
