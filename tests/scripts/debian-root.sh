# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Roots of Debian in folders, for tests. To be sourced; needs root, debootstrap and
# debian-archive-keyring.

# Where packages come from: $DEBIAN_MIRROR, or where this machine's apt takes them.
debian_mirror () {
  # shellcheck disable=SC2016 # apt's variables
  echo "${DEBIAN_MIRROR:-$(apt-get indextargets \
    --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
    | sed -n '/security/d; s/^Debian main //p' | head -1)}"
}

# make_root FOLDER SUITE LOG: the least that apt runs in, and what this machine has to say on
# reaching the mirror. What debootstrap says goes into LOG.
make_root () {
  mirror=$(debian_mirror)
  if [ -z "$mirror" ]; then
    echo "apt here knows no mirror of Debian; name one in DEBIAN_MIRROR" >&2
    return 1
  fi
  rm -rf "$1"
  mkdir -p "$1" || return
  # The script "sid" is that of every suite since etch; older releases of debootstrap do not
  # know the name of a newer suite.
  debootstrap --variant=minbase --include=ca-certificates "$2" "$1" "$mirror" sid >"$3" 2>&1 || {
    tail -5 "$3" >&2
    return 1
  }
  cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
  # Nobody minds if a root that is made anew is lost: packages need not be on the disk
  # before the next one is unpacked.
  echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
  apt-config dump | grep -Ei '^Acquire::(http|https)::.*(proxy|verify|cainfo)|^Acquire::Check-' \
    >"$1/etc/apt/apt.conf.d/99host" || true
}

# in_root FOLDER COMMAND...: with /dev and /proc. The mounts live in a namespace of their own and
# go with it, whatever ends it.
in_root () {
  folder=$1
  shift
  # shellcheck disable=SC2016 # expands in the inner shell
  unshare --mount sh -c '
    root=$1
    shift
    mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" && exec chroot "$root" "$@"
  ' sh "$folder" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
    CI="${CI:-}" OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-}" "$@"
}
