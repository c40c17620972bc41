#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian package, installs it, runs what it brings, removes it. It
# changes the system, so that it is for a root of its own: `tests/debian.sh
# trixie --package` runs it in one. The last line is "N passed, N failed".

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

# What is found is GstAnalytics metadata too.
analytics () {
  python3 - "$PWD/tests/data/v8n.onnx" <<'END'
import sys
import gi
gi.require_version('Gst', '1.0')
gi.require_version('GstAnalytics', '1.0')
from gi.repository import Gst, GstAnalytics

Gst.init(None)
pipeline = Gst.parse_launch(
    'videotestsrc num-buffers=1 ! video/x-raw,width=320,height=240 ! yoloinfer device=cpu '
    f'model-file="{sys.argv[1]}" input-size=64 ! appsink name=sink')
pipeline.set_state(Gst.State.PLAYING)
frame = pipeline.get_by_name('sink').emit('pull-sample').get_buffer()
meta = GstAnalytics.buffer_get_analytics_relation_meta(frame)
sys.exit(meta is None or GstAnalytics.relation_get_length(meta) == 0)
END
}

# What brings the library that they are made with; here it is installed for the build as well.
depends () {
  dpkg-query -W -f '${Depends}' gstreamer1.0-yolo | grep -q 'libgstreamer-plugins-bad1.0-0'
}

is_gone () {
  ! gst-inspect-1.0 yoloinfer
}

# shellcheck disable=SC2086 # lists
install_packages build-essential debhelper $build_packages libgstreamer-plugins-bad1.0-dev \
  $run_packages $test_packages || {
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
check 'objects are GstAnalytics metadata' analytics
check 'its library comes with the package' depends
check 'yolo-eval is there' yolo-eval --help
check 'yolo-archive is there' yolo-archive --help
check 'yolo-server is there' yolo-server --version
check 'yolo-quantize is there' yolo-quantize --help
check 'it can be removed' as_root apt-get remove -y -qq gstreamer1.0-yolo
check 'nothing is left' is_gone
finish
