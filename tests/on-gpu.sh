#!/bin/sh
# SPDX-License-Identifier: MIT
# on-gpu.sh: everything that only a graphics card can tell, as one Markdown report.
#
#   tests/on-gpu.sh                 on a machine with a card: builds, tests, measures
#   tests/on-gpu.sh pack            on one without: builds, and gathers in on-gpu/ what
#                                   a bare machine with the CUDA toolkit's driver needs
#   tests/on-gpu.sh rehearse        the same on the driver of tests/gpusim, tiny sizes
#
# Where on-gpu/ is there it is used and nothing is built; no network access.
# MODELS="a.onnx b.onnx" are measured (default: the fetched demo's model, or the
# small ones of tests/data) at SIZE="HEIGHT WIDTH" (default: each model's own);
# BATCHES="1 8 32"; REPORT=file (default on-gpu-report.md).

set -u
cd "$(dirname "$0")/.." || exit 1
mode=${1:-run}
report=${REPORT:-on-gpu-report.md}
bundle=on-gpu
programs='test-backend-suite test-backend-staged test-cuda-backend test-cuda-choices
  test-cuda-conv test-cuda-cudnn test-cuda-decode test-cuda-draw test-cuda-int8 test-cuda-ops
  test-cuda-preprocess'

fail () {
  echo "on-gpu.sh: $*" >&2
  exit 1
}

# build FOLDER OPTION...
build () {
  folder=$1
  shift
  command -v meson >/dev/null \
    || fail "meson is missing: run 'tests/on-gpu.sh pack' where it is, and bring on-gpu/ here"
  if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" -Dcuda=enabled "$@" >"$folder.log" 2>&1 \
      || fail "meson setup failed, see $folder.log"
  fi
  ninja -C "$folder" >"$folder.log" 2>&1 || fail "the build failed, see $folder.log"
}

# built FOLDER NAME: where a program of ours is in the build folder.
built () {
  case $2 in
    bench-*) echo "$1/tests/bench/$2" ;;
    test-backend-*) echo "$1/tests/backend/$2" ;;
    *) echo "$1/tests/cuda/$2" ;;
  esac
}

# Programs, and the libraries they need but for libc's and the driver's.
pack () {
  build build-card -Dcuda-tests=card
  rm -rf "$bundle"
  mkdir -p "$bundle/lib"
  for name in $programs bench-cuda bench-devices; do
    [ ! -x "$(built build-card "$name")" ] || cp "$(built build-card "$name")" "$bundle/"
  done
  for program in "$bundle"/test-* "$bundle"/bench-*; do
    ldd "$program"
  done | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u \
    | grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libcuda|libcudnn[^/]*)\.so' \
    | while read -r library; do cp -L "$library" "$bundle/lib/"; done
  echo "$bundle/: $(du -sh "$bundle" | cut -f1)"
}

# tool NAME: where a program of ours is.
tool () {
  if [ -d "$bundle" ] && [ "$mode" = run ]; then
    echo "$bundle/$1"
  else
    built "$folder_built" "$1"
  fi
}

# tests TITLE COMMAND...: all test programs, as a table.
tests () {
  title=$1
  shift
  printf '\n## %s\n\n| program | passed | failed | seconds |\n|---|---|---|---|\n' "$title"
  for name in $programs; do
    program=$(tool "$name")
    if [ ! -x "$program" ]; then
      echo "| $name | not built | | |"
      continue
    fi
    begin=$(date +%s)
    # The tests of all back ends are told which one to test; the other programs look at no argument.
    "$@" "$program" cuda >"$work/test.log" 2>&1
    status=$?
    passed=$(grep -c '^ok ' "$work/test.log")
    failed=$(grep -c '^not ok ' "$work/test.log")
    [ "$status" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
    echo "| $name | $passed | $failed | $(($(date +%s) - begin)) |"
    if [ "$failed" -ne 0 ]; then
      failures=$((failures + failed))
      cp "$work/test.log" "$work/failed-$name.log"
    fi
  done
  for log in "$work"/failed-*.log; do
    [ -f "$log" ] || continue
    printf '\n`%s`:\n\n```\n' "$(basename "$log" .log)"
    grep -vE '^(ok |# box|# Start|# End)' "$log" | tail -15
    echo '```'
    rm -f "$log"
  done
}

measure () {
  for model in $models; do
    printf '\n## %s, precision\n\n' "$(basename "$model")"
    # shellcheck disable=SC2086
    "$(tool bench-cuda)" precision "$model" 2 $size || failures=$((failures + 1))
    for batch in $batches; do
      printf '\n## %s, batch %s\n\n' "$(basename "$model")" "$batch"
      # shellcheck disable=SC2086 # a height and a width, or nothing
      "$(tool bench-cuda)" network "$model" "$batch" $size || failures=$((failures + 1))
      if [ "$batch" = "${batches%% *}" ] || [ "$batch" = 8 ]; then
        printf '\n### Layers\n\n'
        # shellcheck disable=SC2086
        "$(tool bench-cuda)" layers "$model" "$batch" $size || failures=$((failures + 1))
        printf '\n### Layers in int8\n\n'
        # shellcheck disable=SC2086
        "$(tool bench-cuda)" layers-int8 "$model" "$batch" $size || failures=$((failures + 1))
      fi
    done
  done
}

# Two cards: copies of a network, and pieces.
share () {
  for model in $models; do
    printf '\n## %s, several devices\n\n' "$(basename "$model")"
    "$(tool bench-devices)" "$model" 8 "$share_seconds" \
      cuda:0 cuda:0,cuda:1 cuda:0+cuda:1 cuda:0+cpu || failures=$((failures + 1))
  done
}

# The same convolutions in PyTorch, one by one, where it is installed; TensorRT likewise.
compare () {
  if [ "$mode" = run ] \
      && python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    for model in $models; do
      printf '\n## PyTorch, %s\n\n' "$(basename "$model")"
      for batch in $batches; do
        # shellcheck disable=SC2086
        "$(tool bench-cuda)" shapes "$model" "$batch" $size \
          | python3 tests/bench/torch_layers.py "$batch"
      done
    done
  else
    printf '\nPyTorch is not installed.\n'
  fi
  if [ "$mode" = run ] && command -v trtexec >/dev/null; then
    for model in $models; do
      for precision in '--fp16' '--fp16 --int8'; do
        printf '\n## TensorRT, %s, as exported, %s\n\n```\n' "$(basename "$model")" "$precision"
        # shellcheck disable=SC2086 # one or two options
        trtexec --onnx="$model" $precision 2>/dev/null | grep -E 'Throughput|GPU Compute Time'
        echo '```'
      done
    done
  else
    printf '\nTensorRT is not installed.\n'
  fi
}

case $mode in
  pack)
    pack
    exit
    ;;
  run)
    size=${SIZE-}
    share_seconds=5
    batches=${BATCHES:-1 8 32}
    models=${MODELS:-$(ls .cache/best_fp16.onnx 2>/dev/null || echo tests/data/v8n.onnx)}
    if [ -d "$bundle" ]; then
      LD_LIBRARY_PATH=$PWD/$bundle/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
      export LD_LIBRARY_PATH
    else
      folder_built=build-card
      build build-card -Dcuda-tests=card
    fi
    ;;
  rehearse)
    folder_built=build-rehearse
    build build-rehearse -Dcuda-archs= -Dcuda-ptx=80
    size='32 32'
    share_seconds=1
    batches=${BATCHES:-1 2}
    models=${MODELS:-tests/data/v8n.onnx}
    LD_LIBRARY_PATH=$PWD/build-rehearse/tests/gpusim
    GPUSIM_CACHE=$PWD/.cache/gpusim
    GPUSIM_CUBIN=accept
    GPUSIM_DEVICES=2
    YOLO_CUDA_TUNE=0
    export LD_LIBRARY_PATH GPUSIM_CACHE GPUSIM_CUBIN GPUSIM_DEVICES YOLO_CUDA_TUNE
    ;;
  *)
    fail "$mode is none of pack, run, rehearse"
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
XDG_CACHE_HOME=$work/cache
G_TEST_SRCDIR=$PWD
export XDG_CACHE_HOME G_TEST_SRCDIR
failures=0
{
  printf '# On a GPU\n\n'
  date -u '+%Y-%m-%d'
  [ "$mode" = rehearse ] && printf '\n**%s: its times mean nothing.**\n' \
    'A rehearsal on a driver that runs kernels on the CPU'
  command -v nvidia-smi >/dev/null \
    && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
  tests 'Tests'
  if [ "$mode" = run ] && command -v compute-sanitizer >/dev/null; then
    tests 'Tests under compute-sanitizer' \
      compute-sanitizer --error-exitcode 1 --target-processes all
  else
    printf '\ncompute-sanitizer did not run.\n'
  fi
  measure
  share
  compare
  printf '\nfailures: %s\n' "$failures"
} >"$report" 2>"$work/errors"
grep -v '^\*\* Message\|^gpusim:' "$work/errors" >&2
failures=$(sed -n 's/^failures: //p' "$report")
echo "$report: ${failures:-no} failures"
[ "${failures:-1}" = 0 ]
