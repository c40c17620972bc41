#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh build SOURCE OUT   builds the project and installs it below OUT
# install.sh stand-in SOURCE OUT        the last step of that alone, where it is built elsewhere
# install.sh run                installs what yolo-server needs at run time, which is in /usr/bin
#                               already, and leaves the image in /image
#
# The steps of deploy/Containerfile, for Debian 12 and Ubuntu 24.04, as root, in a system that
# nobody uses for anything else. With GPU=1 in the environment, `run` takes the decoders of GPUs
# too, and the system is the image: NVIDIA's libraries are loaded by name.

set -eu
export DEBIAN_FRONTEND=noninteractive

# GStreamer's plugins that cameras, files and pictures need.
plugins='app avi coreelements isomp4 jpeg libav matroska multipart nvcodec playback rtp rtpmanager
  rtsp soup tcp typefindfunctions udp video4linux2 videoconvert videoconvertscale videoparsersbad
  videorate videoscale videotestsrc yolo'

build () {
  cd "$1"
  # shellcheck source=tests/scripts/packages.sh
  . tests/scripts/packages.sh
  # shellcheck disable=SC2086 # one word a package
  install_packages $build_packages libcrypt-dev
  meson setup /tmp/build --prefix=/usr -Dtests=false -Dkafka=enabled -Dmqtt=enabled \
    -Dserver=enabled
  DESTDIR=$2 meson install -C /tmp/build --strip
  stand_in "$2"
}

# deploy/avfilter.c, for the version of FFmpeg that Debian 12 has.
stand_in () {
  mkdir -p "$1/usr/lib/yolo"
  echo 'LIBAVFILTER_8 { global: *; };' >/tmp/avfilter.map
  gcc -shared -fPIC -O2 -s -Wl,-soname,libavfilter.so.8 -Wl,--version-script=/tmp/avfilter.map \
    -o "$1/usr/lib/yolo/libavfilter.so.8" deploy/avfilter.c
}

# The newest package of a library, whose name has its version in it.
library () {
  apt-cache search --names-only "^$1[0-9.]*(t64)?$" | cut -d' ' -f1 | sort -V | tail -1
}

install_run () {
  apt-get update -qq
  # shellcheck disable=SC2046 # one word a package
  apt-get install -y -qq --no-install-recommends ca-certificates glib-networking \
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav fonts-dejavu-core \
    libpangocairo-1.0-0 libjson-glib-1.0-0 libsoup-3.0-0 libyaml-0-2 libprotobuf-c1 libmosquitto1 \
    librdkafka1 $(library libhiredis) $(library libsqlite3-) \
    $([ "${GPU:-0}" = 0 ] || echo gstreamer1.0-plugins-bad)
}

# Removes the plugins that are not among those above: libgstNAME.so.
remove_plugins () {
  for file in "$1"/*.so; do
    name=${file##*/libgst}
    case " $(echo "$plugins" | tr -s ' \n' ' ') " in
      *" ${name%.so} "*) ;;
      *) rm "$file" ;;
    esac
  done
}

# Copies files and folders to where they are, below the image, with what links to them.
take () {
  for path in "$@"; do
    mkdir -p "$image${path%/*}"
    [ -e "$image$path" ] || cp -a "$path" "$image$path"
    if [ -L "$path" ]; then
      case $(readlink "$path") in
        /*) take "$(readlink "$path")" ;;
        *) take "${path%/*}/$(readlink "$path")" ;;
      esac
    fi
  done
}

# A system of what yolo-server opens and nothing else: no shell, no package manager, no Python.
collect () {
  image=$1
  libraries=$(dirname "$(find /usr/lib -name libgstreamer-1.0.so.0 | head -1)")
  mkdir -p "$image/usr/lib64" "$image/usr/bin" "$image/tmp" "$image/proc" "$image/dev" \
    "$image/sys" "$image/etc/yolo" "$image/models" "$image/var/lib/yolo" "$image/var/cache/yolo"
  for folder in bin lib lib64; do
    ln -s "usr/$folder" "$image/$folder"
  done
  remove_plugins "$libraries/gstreamer-1.0"
  take /usr/bin/yolo-server "$libraries/gstreamer-1.0" "$libraries/gio" /usr/lib/locale/C.utf8 \
    /etc/ssl/certs/ca-certificates.crt /etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf \
    /etc/fonts /usr/share/fontconfig /usr/share/fonts/truetype/dejavu \
    /etc/ld.so.conf /etc/ld.so.conf.d
  # Proxies as desktops set them need schemas that nobody has here, and end the program.
  rm -f "$image$libraries"/gio/modules/libgio*proxy.so "$image$libraries/gio/modules/giomodule.cache"
  [ ! -e /usr/lib/yolo/libavfilter.so.8 ] \
    || mv /usr/lib/yolo/libavfilter.so.8 "$(readlink -f "$libraries/libavfilter.so.8")"
  # "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f...)"; the loader has no arrow.
  find "$image/usr/bin" "$image$libraries" -type f -exec ldd {} + 2>/dev/null \
    | sed -n 's/^\(.* => \|[[:space:]]*\)\(\/[^ ]*\) (0x.*/\2/p' | sed 's,^/lib,/usr/lib,' \
    | sort -u | while read -r path; do take "$path"; done
  ldconfig -r "$image"
  rm -f "$image/var/cache/ldconfig/aux-cache"
  printf '%s\n' root:x:0:0::/:/nonexistent yolo:x:10001:10001::/var/lib/yolo:/nonexistent \
    >"$image/etc/passwd"
  printf '%s\n' root:x:0: yolo:x:10001: >"$image/etc/group"
  echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
  chown -R 10001:10001 "$image/var/lib/yolo" "$image/var/cache/yolo"
  chmod 1777 "$image/tmp"
  make_registry "$image"
}

# The list of elements, which a read-only system cannot write.
make_registry () {
  mkdir -p "$1/usr/lib/yolo"
  HOME=/tmp GST_REGISTRY=/usr/lib/yolo/registry.bin GST_REGISTRY_FORK=no \
    chroot "$1" /usr/bin/yolo-server --settings >/dev/null
}

run () {
  install_run
  if [ "${GPU:-0}" = 0 ]; then
    collect /image
  else
    rm -rf /var/lib/apt/lists /var/cache/apt
    mkdir -p /etc/yolo /models /var/lib/yolo /var/cache/yolo
    chown 10001:10001 /var/lib/yolo /var/cache/yolo
    make_registry /
  fi
}

case "${1:-} $#" in
  'build 3') build "$2" "$3" ;;
  'stand-in 3') cd "$2" && stand_in "$3" ;;
  'run 1') run ;;
  *)
    echo "usage: install.sh build SOURCE OUT | stand-in SOURCE OUT | run" >&2
    exit 2
    ;;
esac
