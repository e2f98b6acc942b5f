# shellcheck shell=bash
# For tests of the Debian packages: packages of two versions, and a machine to install them on, which is this one's
# files seen through an overlay; everything that changes is in $WORK.

# make_packages DIR VERSION [PACKAGE...]   the packages of this build.
make_packages() {
  "$SOURCE/scripts/build-packages" --build "$MULETTO_BUILD" --output "$1" --version "$2" --compression gzip "${@:3}" > "$WORK/list"
}

# renumber_packages FROM TO VERSION BEFORE   the same packages with another number; NAME's files may be changed in
# $WORK/unpacked by the function `alter_package NAME`, if there is one.
renumber_packages() {
  local package
  mkdir -p "$2"
  for package in "$1"/*.deb; do
    dpkg-deb -R "$package" "$WORK/unpacked"
    sed -i "s/${3//./\\.}/$4/g" "$WORK/unpacked/DEBIAN/control"
    ! declare -F alter_package > /dev/null || alter_package "$(basename "${package%%_*}")"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$WORK/unpacked" "$2" > /dev/null
    rm -r "$WORK/unpacked"
  done
}

# in_overlay COMMAND...   runs the command in mount and process namespaces of its own, with the machine at $WORK/root
# and $WORK in its /mnt. The machine has nothing of Muletto's, and keeps what earlier calls did to it.
in_overlay() {
  mkdir -p "$WORK"/layer/{upper,work} "$WORK/root"
  cat > "$WORK/enter" << 'SH'
set -eu
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work" "$WORK/root"
mount --bind "$WORK" "$WORK/root/mnt"
if [ ! -e "$WORK/layer/begun" ]; then
  for folder in /var/lib/muletto /var/lib/muletto-agent /var/lib/muletto-packages /etc/muletto; do
    rm -rf "$WORK/root$folder"
  done
  # Debian reads all manual pages anew after each change, if this file exists.
  rm -f "$WORK/root/var/lib/man-db/auto-update"
  touch "$WORK/layer/begun"
fi
exec "$@"
SH
  unshare --mount --propagation private --pid --fork --kill-child bash "$WORK/enter" "$@"
}

# in_machine SCRIPT   runs the script of $WORK there, as root, without systemd.
in_machine() {
  cat > "$WORK/change-root" << 'SH'
set -eu
mount -t proc proc "$WORK/root/proc"
mount --rbind /dev "$WORK/root/dev"
mount -t tmpfs tmpfs "$WORK/root/run"
mount -t tmpfs tmpfs "$WORK/root/tmp"
exec chroot "$WORK/root" bash "/mnt/$1"
SH
  in_overlay bash "$WORK/change-root" "$1"
}
