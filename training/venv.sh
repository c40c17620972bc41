#!/bin/sh
# SPDX-License-Identifier: MIT
# venv.sh [--existing]: prints the Python that training runs in: that of a virtual environment in
# the user's cache, made on first use out of PyPI's packages; or $TRAINING_PYTHON, where somebody
# has one already. With --existing nothing is made: without an environment it ends with 1.

set -eu
cd "$(dirname "$0")"

if [ -n "${TRAINING_PYTHON:-}" ]; then
  echo "$TRAINING_PYTHON"
  exit
fi
# Another list, and another path of the cache, is another environment.
key=$(cksum <requirements.txt | cut -d' ' -f1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/yolo
venv=$cache/training-$key
if [ ! -e "$venv/complete" ]; then
  [ "${1:-}" != --existing ] || exit 1
  for python in python3.13 python3.12 python3.11 python3; do
    if "$python" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
        2>/dev/null; then
      break
    fi
    python=
  done
  if [ -z "$python" ]; then
    echo "training needs Python 3.11 to 3.13 with its module venv; install one, or set" \
      "TRAINING_PYTHON" >&2
    exit 1
  fi
  mkdir -p "$cache"
  # Two that come at once: the second waits, and finds it made.
  exec 9>"$venv.lock"
  flock 9
  if [ ! -e "$venv/complete" ]; then
    echo "Making an environment of Python in $venv: about 5 GB, once" >&2
    "$python" -m venv --clear "$venv" >&2
    "$venv/bin/pip" install --disable-pip-version-check -r requirements.txt >&2
    # A compiler for GPU kernels, 1 GB, which nothing here uses.
    "$venv/bin/pip" uninstall --quiet --disable-pip-version-check --yes triton >&2
    touch "$venv/complete"
  fi
fi
echo "$venv/bin/python"
