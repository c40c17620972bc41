#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian package, installs it, runs what it brings, removes it. It
# changes the system, so that it is for a root of its own: `tests/debian13.sh
# --package` runs it in one. The last line is "N passed, N failed".

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh

passed=0 failed=0

# check NAME COMMAND...: counts it, and shows what it said if it failed.
check () {
  name=$1
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok - $name"
  else
    failed=$((failed + 1))
    echo "not ok - $name"
    echo "$said" | tail -20
  fi
}

finish () {
  echo "$passed passed, $failed failed"
  exit $((failed > 0))
}

build () {
  rm -rf "$work/source"
  mkdir -p "$work/source"
  tar -c --exclude './build*' --exclude ./.cache --exclude ./.git . | tar -x -C "$work/source" \
    && cd "$work/source" && dpkg-buildpackage -us -uc -b
}

# One frame through all three elements, found where the package has put them.
run () {
  gst-launch-1.0 -q videotestsrc num-buffers=3 ! video/x-raw,width=320,height=240 \
    ! yoloinfer device=cpu model-file="$PWD/tests/data/v8n.onnx" input-size=64 ! yolooverlay \
    ! yoloexport ! fakesink | grep -c '"objects"' | grep -qx 3
}

is_gone () {
  ! gst-inspect-1.0 yoloinfer
}

# shellcheck disable=SC2086 # lists
install_packages build-essential debhelper $build_packages $run_packages || {
  failed=1
  finish
}
unset GST_PLUGIN_PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
GST_REGISTRY=$work/registry.bin
export GST_REGISTRY

check 'the package is built' build
check 'it installs' as_root apt-get install -y -qq "$work"/gstreamer1.0-yolo_*.deb
check 'GStreamer finds the elements' gst-inspect-1.0 yoloinfer
check 'a pipeline runs' run
check 'yolo-eval is there' yolo-eval --help
check 'it can be removed' as_root apt-get remove -y -qq gstreamer1.0-yolo
check 'nothing is left' is_gone
finish
