#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh FUZZER SOURCE FOLDER [SECONDS]: makes the first inputs in FOLDER, runs
# the fuzzer over them and over all that once failed (regressions/), then lets
# it look for more. What it finds is left in FOLDER/found.

set -eu

fuzzer=$1 source=$2 folder=$3 seconds=${4:-20}

rm -rf "$folder/first"
mkdir -p "$folder/first" "$folder/found" "$folder/new"
case $fuzzer in
  *torch) make=tests/scripts/make-checkpoints.py ;;
  *settings) make=tests/fuzz/make-settings.py ;;
  *) make=tests/fuzz/make-corpus.py ;;
esac
python3 "$source/$make" "$source/tests/data" "$folder/first"

# Nothing of a file's making may take more than this: no large allocation, an
# answer within a second, times twenty for the sanitizers and busy machines.
# Freed memory that AddressSanitizer holds back is counted too: little of it.
sparing=quarantine_size_mb=16:allocator_release_to_os_interval_ms=500
export ASAN_OPTIONS="$sparing:${ASAN_OPTIONS:-}"
# A finding ends with 1: the 77 that libFuzzer has for it is a skip to Meson.
limits="-rss_limit_mb=512 -malloc_limit_mb=128 -timeout=20 -verbosity=0 -print_final_stats=0
  -error_exitcode=1 -timeout_exitcode=1"

# shellcheck disable=SC2086 # a list
"$fuzzer" $limits -artifact_prefix="$folder/found/" -runs=0 \
  "$folder/first" "$source/tests/fuzz/regressions"
# shellcheck disable=SC2086
"$fuzzer" $limits -artifact_prefix="$folder/found/" -max_total_time="$seconds" -seed="${SEED:-1}" \
  -max_len=100000 "$folder/new" "$folder/first" "$source/tests/fuzz/regressions"
