#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the Python that the benchmarks' peers live in: a virtual environment
# in .cache/bench-venv, made on first use out of PyPI's packages; or
# $BENCH_PYTHON, where somebody has one already.

set -eu
cd "$(dirname "$0")/../.."

if [ -n "${BENCH_PYTHON:-}" ]; then
  echo "$BENCH_PYTHON"
  exit
fi
venv=$PWD/.cache/bench-venv
packages='openvino==2026.4.* onnxruntime==1.32.* onnx==1.23.* numpy opencv-python-headless'
if [ "$(cat "$venv/complete" 2>/dev/null)" != "$packages" ]; then
  rm -rf "$venv"
  mkdir -p .cache
  python3 -m venv "$venv" >&2
  set -f                        # the stars are pip's
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check $packages >&2
  echo "$packages" >"$venv/complete"
fi
echo "$venv/bin/python"
