#!/bin/sh
# SPDX-License-Identifier: MIT
# gst.sh - GStreamer's own CUDA elements on the stand-in driver: what goes up comes down.
# usage: gst.sh <folder with libcuda.so.1 and libnvcuvid.so.1>
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export GST_REGISTRY="$work/registry.bin" # an old one would remember that there was no GPU
failures=0
number=0

# result "ok" or "not ok", description
result()
{
  number=$((number + 1))
  echo "$1 $number - $2"
}

finish()
{
  echo "1..$number"
  exit $failures
}

if ! command -v gst-launch-1.0 >/dev/null || ! gst-inspect-1.0 videotestsrc >/dev/null 2>&1; then
  echo "1..0 # SKIP gst-launch-1.0 is not installed"
  exit 0
fi
if ! gst-inspect-1.0 cudaupload >/dev/null 2>&1; then
  result "not ok" "GStreamer: the nvcodec plugin registers no cudaupload"
  failures=1
  finish
fi
result ok "GStreamer: the nvcodec plugin registers its CUDA elements"

# videotestsrc is deterministic, so its two runs make the same frames.  Widths are such that
# rows have no padding, whose bytes mean nothing.
round_trip() # format width height environment
{
  caps="video/x-raw,format=$1,width=$2,height=$3"
  source="videotestsrc num-buffers=6 pattern=ball ! $caps"
  gst-launch-1.0 -q $source ! filesink location="$work/before" >"$work/log" 2>&1 &&
    env $4 gst-launch-1.0 -q $source ! \
      cudaupload ! "video/x-raw(memory:CUDAMemory)" ! cudadownload ! "$caps" ! \
      filesink location="$work/after" >>"$work/log" 2>&1
  if [ -s "$work/before" ] && cmp -s "$work/before" "$work/after"; then
    result ok "GStreamer: $1 $2x$3 comes back bit for bit ($4)"
  else
    result "not ok" "GStreamer: $1 $2x$3 ($4)"
    sed 's/^/# /' "$work/log"
    failures=1
  fi
  rm -f "$work/before" "$work/after"
}

round_trip NV12 320 240 GPUSIM_LAZY=0
round_trip NV12 324 178 GPUSIM_LAZY=1
round_trip I420 328 202 GPUSIM_LAZY=1
round_trip RGBA 161 99 GPUSIM_LAZY=0
finish
