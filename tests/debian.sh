#!/bin/sh
# SPDX-License-Identifier: MIT
# debian.sh SUITE [--package | COMMAND...]: builds and tests in a root of another Debian.
#
#   trixie   Debian 13 (GStreamer 1.26): tests/run.sh --elsewhere
#   forky    Debian's testing suite (GStreamer 1.28, the newest compiler):
#            tests/run.sh --quick
#
# What these do not change is left to this machine: see there. With --package it builds,
# installs and tries the Debian package there instead: tests/package.sh. With a COMMAND
# it runs that, in the folder of the sources.
#
# Makes the root with debootstrap in .cache/debian-SUITE and keeps it there; makes it anew
# when it does not work, and that of testing, which changes, when it is older than a month.
# Packages come from where this machine's apt takes them, or from $DEBIAN_MIRROR. A root
# of testing that cannot be made, as while its packages do not fit one another, is a skip:
# nothing here can mend it. Needs root.

set -u
cd "$(dirname "$0")/.." || exit 1
. tests/scripts/packages.sh
. tests/scripts/debian-root.sh

suite=${1:-}
case $suite in
  trixie) tests=--elsewhere ;;
  forky) tests=--quick ;;
  *)
    echo "usage: tests/debian.sh trixie|forky [--package | COMMAND...]" >&2
    exit 2
    ;;
esac
shift

fail () {
  echo "Debian $suite: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

skip () {
  echo "Debian $suite: $*" >&2
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

[ "$(id -u)" = 0 ] || fail "run this as root: it makes a root folder of its own"
install_packages debootstrap debian-archive-keyring || fail "packages are missing"

cache=$PWD/.cache/debian-$suite
root=$cache/root
mkdir -p "$cache"
is_old () {
  [ "$suite" = forky ] && [ -n "$(find "$cache/debootstrap.log" -mtime +30 2>/dev/null)" ]
}

# The root and its packages; a second call finds all there and does nothing.
ready_root () {
  [ -x "$root/usr/bin/apt-get" ] || make_root "$root" "$suite" "$cache/debootstrap.log" || return
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  mkdir -p "$root/src"
  cp tests/scripts/packages.sh "$root/src/packages.sh"
  # shellcheck disable=SC2016 # expands in the root
  in_root "$root" sh -c '
    dpkg --audit | grep -q . && exit 1
    . /src/packages.sh
    # the headers of GstAnalytics: what uses them is built and tested nowhere else
    install_packages $build_packages $run_packages $test_packages \
      libgstreamer-plugins-bad1.0-dev || exit 1
    install_packages $broker_packages || echo "tests that need a broker will skip" >&2
    apt-get clean'
}

if is_old || ! ready_root; then
  [ -d "$root" ] && echo "Debian $suite: making the root anew" >&2
  if ! { make_root "$root" "$suite" "$cache/debootstrap.log" && ready_root; }; then
    [ "$suite" = forky ] && skip "its packages could not be installed; testing may be in transition"
    fail "the root could not be made"
  fi
fi
# shellcheck disable=SC2016 # dpkg-query's variables
in_root "$root" dpkg-query -W -f '${Package} ${Version}\n' gcc libgstreamer1.0-dev \
  libprotobuf-c-dev meson

# The source as it is here, without what git ignores; the cache of fetched
# files; and ../shared where there is one. The folders of an earlier run stay.
mkdir -p "$root/src/yolo" "$root/src/shared"
find "$root/src/yolo" -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf {} +
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard \
  | tar -c --null --files-from=- --ignore-failed-read 2>/dev/null | tar -x -C "$root/src/yolo" \
  || fail "the source could not be copied"
mkdir -p "$root/src/yolo/.cache"
for folder in .cache/*; do
  case $folder in
    */debian*|*/arm64*|*.log) ;;
    *) [ -e "$folder" ] && cp -a "$folder" "$root/src/yolo/.cache/" ;;
  esac
done
if [ -d ../shared ]; then
  rm -rf "$root/src/shared"
  cp -aH ../shared "$root/src/shared"
else
  rm -rf "$root/src/shared"
fi

case ${1:-} in
  --package) in_root "$root" sh /src/yolo/tests/package.sh ;;
  '') in_root "$root" sh /src/yolo/tests/run.sh "$tests" ;;
  *) in_root "$root" sh -c 'cd /src/yolo && exec "$@"' sh "$@" ;;
esac
