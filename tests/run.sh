#!/bin/sh
# Installs what is missing, builds into build/, runs every test; then builds
# with AddressSanitizer and UBSan into build-asan/ and runs the unit tests
# there. The last line is "N passed, N failed[, N skipped]".
#
# The second leg leaves out the suites "source" (checks of text), "long", "gpusim"
# (the stand-in driver's own tests: it is never built with a sanitizer), and
# "pipelines" (programs that are not built with the sanitizer cannot load a
# plugin that is).

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh

fail () {
  echo "$*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

# shellcheck disable=SC2086 # lists
install_packages $build_packages $run_packages $test_packages || fail "packages are missing"

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

# PTX of every capability, for the driver that runs it on the CPU.
ptx="-Dcuda-ptx=75,80,90,100,120"
# On a machine with a card they run on that.
if nvidia-smi -L >/dev/null 2>&1; then
  ptx="$ptx -Dcuda-tests=card"
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
    || echo "The demo's model or pictures could not be fetched; tests that need them are skipped." >&2
fi

logs=
# test_in FOLDER OPTION...: runs its tests and adds its log to those to count.
test_in () {
  log=$1/meson-logs/testlog.json
  rm -f "$log"
  meson test -C "$@" --no-rebuild --print-errorlogs || [ -f "$log" ] || fail "meson ran no test in $1"
  if [ -f "$log" ]; then
    logs="$logs $log"
  fi
}

echo "== build"
if ! { configure build $ptx && build build; }; then
  fail "the build failed"
fi
test_in build

echo "== AddressSanitizer and UBSan"
sanitize="-Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dcuda-archs= -Dcuda-ptx=80"
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
  LD_LIBRARY_PATH="$PWD/build-asan/tests/gpusim" GST_REGISTRY="$PWD/build-asan/tests/gpusim/gst-registry.bin" \
    gst-inspect-1.0 fakesink >/dev/null
fi
test_in build-asan -t 4 --no-suite source --no-suite long --no-suite pipelines --no-suite gpusim

# shellcheck disable=SC2086 # a list
exec python3 tests/scripts/count.py $logs
