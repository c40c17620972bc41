#!/bin/sh
# SPDX-License-Identifier: MIT
# deploy.sh [BUILD]: makes the image of deploy/Containerfile by its steps in a root of Debian 12,
# without a registry, and runs it as a container would: on a read-only system, as a user without
# rights. Says how large it is, and how long it takes until a camera is served.
#
# With BUILD, a folder in which meson has built the project on Debian 12, that is installed in place
# of building it in the root. Makes the root in .cache/deploy, with debootstrap; packages come from
# where this machine's apt takes them, or from $DEBIAN_MIRROR. Needs root.

set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tests/scripts/packages.sh
. tests/scripts/packages.sh
# shellcheck source=tests/scripts/debian-root.sh
. tests/scripts/debian-root.sh
build=${1:-}

fail () {
  echo "deploy: $*" >&2
  echo "0 passed, 1 failed"
  exit 1
}

[ "$(id -u)" = 0 ] || fail "run this as root: it makes a root folder of its own"
install_packages debootstrap debian-archive-keyring curl || fail "packages are missing"
cache=$PWD/.cache/deploy
root=$cache/root
image=$cache/image
# A system as the base image has it; the second call finds it.
make_base () {
  [ ! -e "$cache/base/done" ] || return 0
  mkdir -p "$cache"
  make_root "$cache/base" bookworm "$cache/debootstrap.log" || fail "the root could not be made"
  touch "$cache/base/done"
}

make_image () {
  rm -rf "$root" "$image"
  cp -a "$cache/base" "$root"
  mkdir -p "$root/src" "$root/out"
  git -c safe.directory='*' ls-files -z --cached --others --exclude-standard \
    | tar -c --null --files-from=- --ignore-failed-read | tar -x -C "$root/src"
  if [ -n "$build" ]; then
    DESTDIR=$root/out meson install -C "$build" --no-rebuild --strip --quiet
    sh "$root/src/deploy/install.sh" stand-in "$root/src" "$root/out"
  else
    in_root "$root" sh /src/deploy/install.sh build /src /out
  fi
  cp -a "$root/out/." "$root/"
  in_root "$root" sh /src/deploy/install.sh run
  mv "$root/image" "$image"
}

# Runs the image's program: its files are read-only but for two volumes and /tmp, and there is
# neither root nor a capability.
in_image () {
  # shellcheck disable=SC2016,SC2046 # one word a variable
  exec env -i $(sed -n '/^ENV/,/NVIDIA/p' deploy/Containerfile | sed 's/^ENV//; s/\\$//') \
    PATH="$PATH" unshare --mount sh -c '
    image=$1
    work=$2
    shift 2
    mount --bind "$image" "$image" && mount -o remount,bind,ro,nosuid "$image" \
      && mount --bind "$work/etc" "$image/etc/yolo" && mount --bind "$work/models" "$image/models" \
      && mount --bind "$work/events" "$image/var/lib/yolo" \
      && mount -t tmpfs tmpfs "$image/tmp" && mount --rbind /dev "$image/dev" \
      && mount -t proc proc "$image/proc" \
      && exec setpriv --no-new-privs --bounding-set -all,+sys_chroot,+setuid,+setgid \
        chroot --userspec=10001:10001 --groups= "$image" "$@"
  ' sh "$image" "$work" "$@"
}

now () {
  date +%s%3N
}

# Waits for a line of a file, or an answer: wait_for COMMAND...
wait_for () {
  for _ in $(seq 6000); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep .02
  done
  fail "nothing after two minutes: $*; $(cat "$work/log")"
}

is_live () {
  [ "$(curl -s "${url}api/v1/cameras/$1" | grep -o '"state":"[a-z]*"')" = '"state":"live"' ]
}

serve () {
  work=$cache/work
  rm -rf "$work"
  mkdir -p "$work/etc" "$work/models" "$work/events"
  chown 10001:10001 "$work/events"
  cp tests/data/micro.onnx "$work/models/"
  cat >"$work/etc/cameras.yaml" <<'END'
server: {listen: '127.0.0.1:0', events-folder: /var/lib/yolo}
defaults: {model: /models/micro.onnx, input-size: 64, threads: 1}
cameras:
  ball: {uri: 'test:ball'}
END
  # What cameras send most, where this machine can make it.
  if gst-launch-1.0 -q videotestsrc num-buffers=60 ! video/x-raw,format=I420 ! x264enc ! mp4mux \
      ! filesink location="$work/models/film.mp4" >/dev/null 2>&1; then
    echo '  film: {uri: /models/film.mp4}' >>"$work/etc/cameras.yaml"
  fi
  begin=$(now)
  (in_image /usr/bin/yolo-server /etc/yolo/cameras.yaml) >"$work/out" 2>"$work/log" &
  server=$!
  trap 'kill $server 2>/dev/null || true' EXIT
  wait_for grep -q http "$work/out"
  url=$(head -1 "$work/out")
  wait_for is_live ball
  took=$(($(now) - begin))
  echo "a camera is served after $took ms"
  ! grep -q film: "$work/etc/cameras.yaml" || wait_for is_live film
  wait_for curl -sf "${url}ready"
  curl -sf "${url}api/v1/cameras/ball/snapshot" | head -c 2 | od -An -tx1 | grep -q 'ff d8' \
    || fail "the picture of the camera is no JPEG"
  [ -s "$work/events/events.sqlite" ] || fail "there are no events"
  status=/proc/$server/status
  grep -q '^Uid:.10001.10001.10001.10001' "$status" || fail "it runs as $(grep Uid "$status")"
  grep -q '^CapEff:.0000000000000000' "$status" || fail "it has $(grep CapEff "$status")"
  kill "$server"
  wait "$server" || fail "it ends with $?: $(cat "$work/log")"
}

make_base
make_image
serve
bytes=$(tar -c -C "$image" . | wc -c)
echo "the image has $((bytes / 1000000)) MB"
[ "$bytes" -lt 250000000 ] || fail "the image is larger than 250 MB"
echo "1 passed, 0 failed"
