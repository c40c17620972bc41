#!/bin/sh
# SPDX-License-Identifier: MIT
# A wall of two cameras to try: installs what is missing, builds, plays the demo's video from an
# RTSP server of its own on the loopback, and starts yolo-server on it. Prints the address of the
# page; Ctrl-C ends all of it.
#
#   pipelines/server.sh
#   MODEL=my.onnx LISTEN=127.0.0.1:8080 pipelines/server.sh

set -eu

model=${MODEL:-}
case $model in
  '' | /*) ;;
  *) model=$PWD/$model ;;
esac
[ -z "$model" ] || [ -e "$model" ] || {
  echo "server: no such file: $model" >&2
  exit 1
}

cd "$(dirname "$0")/.."
. tests/scripts/packages.sh
# shellcheck disable=SC2086 # lists
install_packages $tool_packages $plugin_packages $server_packages $run_packages \
  libgstrtspserver-1.0-dev

echo "building"
if [ ! -f build/build.ninja ]; then
  rm -rf build
  meson setup build >/dev/null
fi
if ! output=$(ninja -C build pipelines/server/yolo-server tests/pipelines/rtsp-server \
    gst-plugin/libgstyolo.so 2>&1); then
  echo "$output" >&2
  exit 1
fi

[ -n "$model" ] || model=$(tests/scripts/fetch.sh model)
video=$(tests/scripts/fetch.sh vtest)

folder=$(mktemp -d)
cameras=
finish () {
  # shellcheck disable=SC2086 # a list
  [ -z "$cameras" ] || kill $cameras 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# camera NAME FILTER: an RTSP server that plays the video, and the line of it in the settings. The
# video begins again where a client finds it ended.
camera () {
  build/tests/pipelines/rtsp-server "( multifilesrc location=\"$video\" loop=true ! avidemux ! \
    avdec_msmpeg4 ! videoconvert ! $2 x264enc tune=zerolatency speed-preset=ultrafast \
    key-int-max=20 ! rtph264pay name=pay0 )" >"$folder/$1.url" &
  cameras="$cameras $!"
  until [ -s "$folder/$1.url" ]; do sleep .1; done
  echo "  $1: {uri: '$(cat "$folder/$1.url")', title: '$3'}" >>"$folder/cameras.yaml"
}

printf 'server:\n  listen: "%s"\ndefaults:\n  model: "%s"\ncameras:\n' \
  "${LISTEN:-127.0.0.1:0}" "$model" >"$folder/cameras.yaml"
camera yard '' 'The yard'
camera mirror 'videoflip method=horizontal-flip !' 'The yard, mirrored'

export GST_PLUGIN_PATH="$PWD/build/gst-plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"
echo "the page is at:"
build/pipelines/server/yolo-server "$folder/cameras.yaml"
