#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs tests of build/, which tests/run.sh makes, as on CPUs that lack what this
# one has, in QEMU: a Haswell (AVX2, no AVX-512, VNNI or bf16) and a Nehalem
# (x86-64-v2, no AVX). The last line is "N passed, N failed[, N skipped]".
#
# What takes minutes in QEMU is left out - whole networks, three of four series of
# random shapes -, and what knows nothing of the CPU.

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh

fail () {
  echo "x86: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

if [ "$(uname -m)" != x86_64 ]; then
  echo "x86: this machine is none" >&2
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
install_packages qemu-user || fail "packages are missing"
[ -f build/build.ninja ] || fail "nothing is built; run tests/run.sh first"

# GStreamer's scanner would run outside of QEMU.
export GST_REGISTRY_FORK=no GST_REGISTRY="$PWD/build/x86-registry.bin"
# The C library's own AVX2 is slow in QEMU, and not what is looked at; memory that
# meson has it fill, too.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-ERMS MALLOC_PERTURB_=0

YOLO_TEST_RUN=$$-$(date +%s)
export YOLO_TEST_RUN

tests='cpu-backend cpu-int8 cpu-kernels engine-batch engine-engine network-int8 network-plan
  base-pool'
skipped='-s /cpu/convolutions/2 -s /cpu/convolutions/3 -s /cpu/convolutions/4
  -s /cpu/int8/convolutions/2 -s /cpu/int8/convolutions/3'

logs=
for cpu in Haswell Nehalem; do
  log=build/meson-logs/$cpu-qemu-x86_64.json
  rm -f "$log"
  # shellcheck disable=SC2086 # a list
  QEMU_CPU=$cpu meson test -C build --no-rebuild --print-errorlogs -t 10 --logbase "$cpu" \
    --wrapper qemu-x86_64 --test-args "$skipped" $tests || [ -f "$log" ] || fail "meson ran no test"
  logs="$logs $log"
done

python3 tests/scripts/left-behind.py "$YOLO_TEST_RUN" >build/meson-logs/left-behind.json
# shellcheck disable=SC2086 # a list
exec python3 tests/scripts/count.py $logs build/meson-logs/left-behind.json
