#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds for 64-bit Arm with Debian's cross compiler and runs tests there in
# QEMU, on CPUs with and without dot products. Arm's libraries are unpacked into
# .cache/arm64, nothing of them is installed; remove that folder to fetch them
# anew. The last line is "N passed, N failed[, N skipped]".
#
# What takes minutes in QEMU is left out: whole networks by the hundred; and so is what starts
# a program of Arm's by itself, or waits for brokers, which know no QEMU.

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh

fail () {
  echo "Arm: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

skip () {
  echo "Arm: $*" >&2
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

if [ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] \
    || ! grep -q '^ID=debian' /etc/os-release; then
  skip "needs Debian on x86-64; on Arm itself tests/run.sh does it all"
fi
# shellcheck disable=SC2086 # lists
install_packages $build_packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user \
  || fail "packages are missing"

cache=$PWD/.cache/arm64
root=$cache/root

# apt for another architecture, with folders of its own.
arm_apt () {
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  : >"$cache/apt/status"
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
    -o APT::Install-Recommends=false -o Dir::Cache="$cache/apt" -o Dir::State="$cache/apt" \
    -o Dir::State::status="$cache/apt/status" "$@"
}

make_root () {
  rm -rf "$cache"
  # shellcheck disable=SC2086 # a list
  arm_apt update \
    && arm_apt -y --download-only install $library_packages gstreamer1.0-plugins-base || return
  mkdir -p "$root"
  for package in "$cache"/apt/archives/*.deb; do
    dpkg -x "$package" "$root" || return
  done
  rm -rf "$cache/apt/archives"
  touch "$root/complete"
}

[ -f "$root/complete" ] || make_root || skip "its libraries could not be fetched"

cat >"$cache/cross.ini" <<END
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64', '-L', '$root']
[built-in options]
c_args = ['--sysroot=$root']
c_link_args = ['--sysroot=$root']
[properties]
sys_root = '$root'
pkg_config_libdir = '$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig'
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END

rm -rf build-arm
meson setup build-arm --cross-file "$cache/cross.ini" -Dcuda=disabled ${CI:+--werror} \
    >"$cache/setup.log" 2>&1 || {
  tail -5 "$cache/setup.log" >&2
  fail "meson setup failed"
}
ninja -C build-arm >"$cache/ninja.log" 2>&1 || {
  grep -v '^\[[0-9]*/[0-9]*\] ' "$cache/ninja.log"
  fail "the build failed"
}
grep -A3 'warning:' "$cache/ninja.log"

# GStreamer's scanner is a program of another architecture.
export GST_REGISTRY_FORK=no GST_REGISTRY="$cache/registry.bin"

logs=
# test_on CPU NAME...: runs these tests, or all but the long ones, on QEMU's CPU.
test_on () {
  cpu=$1
  shift
  log=build-arm/meson-logs/$cpu.json
  QEMU_CPU=$cpu meson test -C build-arm --no-rebuild --print-errorlogs -t 10 --logbase "$cpu" "$@" \
    || [ -f "$log" ] || fail "meson ran no test"
  logs="$logs $log"
}

fast_tests () {
  meson test -C build-arm --list --no-suite source --no-suite long --no-suite pipelines \
    --no-suite training \
      2>/dev/null | sed -n 's/^yolo.* //p' \
    | grep -v -e engine-calibrate -e gst-plugin-infer-int8 -e network-tail \
      -e gst-plugin-infer-pipelines -e engine-time -e 'export-[kmqr]' -e export-broker
}

# shellcheck disable=SC2046 # names
test_on max $(fast_tests)
for cpu in cortex-a76 cortex-a72; do
  test_on "$cpu" cpu-int8
done

# shellcheck disable=SC2086 # a list
exec python3 tests/scripts/count.py $logs
