#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the Python that Ultralytics' package lives in, for tests that compare numbers with it: a
# virtual environment in .cache/ultralytics-venv, which it makes (6 GB); or $ULTRALYTICS_PYTHON.
# With --existing nothing is made: without an environment it ends with 1. The package is under the
# AGPL: only ultralytics-peer.py imports it, a program of its own.

set -eu
cd "$(dirname "$0")/../.."

if [ -n "${ULTRALYTICS_PYTHON:-}" ]; then
  echo "$ULTRALYTICS_PYTHON"
  exit
fi
venv=$PWD/.cache/ultralytics-venv
packages='ultralytics==8.4.190 torch==2.15.*'
if [ "$(cat "$venv/complete" 2>/dev/null)" != "$packages" ]; then
  [ "${1:-}" != --existing ] || exit 1
  rm -rf "$venv"
  mkdir -p .cache
  python3 -m venv "$venv" >&2
  set -f                        # the stars are pip's
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check $packages >&2
  echo "$packages" >"$venv/complete"
fi
echo "$venv/bin/python"
