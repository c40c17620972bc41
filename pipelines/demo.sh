#!/bin/sh
# SPDX-License-Identifier: MIT
# Finds objects in a real video: installs what is missing, builds, gets a model
# and a video out of published packages, runs. Leaves demo-output/annotated.mp4,
# detections.jsonl and summary.txt.
#
#   pipelines/demo.sh
#   MODEL=my.onnx VIDEO=my.mp4 pipelines/demo.sh

set -eu

# MODEL and VIDEO are named from where the user stands.
absolute () {
  case $1 in
    /* | *://*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}
model=${MODEL:+$(absolute "$MODEL")}
video=${VIDEO:+$(absolute "$VIDEO")}
for file in "$model" "$video"; do
  case $file in
    '' | *://*) ;;
    *)
      [ -e "$file" ] || {
        echo "demo: no such file: $file" >&2
        exit 1
      }
      ;;
  esac
done

cd "$(dirname "$0")/.."
. tests/scripts/packages.sh
# shellcheck disable=SC2086 # lists
install_packages $tool_packages $plugin_packages $run_packages

echo "building"
if [ ! -f build/build.ninja ]; then
  rm -rf build
  meson setup build >/dev/null
fi
if ! output=$(ninja -C build pipelines/demo gst-plugin/libgstyolo.so 2>&1); then
  echo "$output" >&2
  exit 1
fi

[ -n "$model" ] || model=$(tests/scripts/fetch.sh model)
[ -n "$video" ] || video=$(tests/scripts/fetch.sh vtest)

export GST_PLUGIN_PATH="$PWD/build/gst-plugin${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}"
exec build/pipelines/demo "$model" "$video" demo-output
