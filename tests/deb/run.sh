#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the Debian packages in a new minimal system of this release, and makes
# and reads an archive there.
#
#   tests/deb/run.sh FOLDER-OF-PACKAGES
set -euo pipefail

debs=$(realpath "${1:?usage: tests/deb/run.sh FOLDER}")
if [ "$(id -u)" != 0 ]; then
    echo 'SKIP  the packages in a clean system: that takes root' >&2
    exit 0
fi
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT

# The mirror of this machine.
. /etc/os-release
# shellcheck disable=SC2016 # apt's variable
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' |
    grep -v security | head -n 1)
debootstrap --variant=minbase "$VERSION_CODENAME" "$root" "$mirror" \
    > "$root.log" 2>&1 || { cat "$root.log"; exit 1; }
rm "$root.log"
cp "$debs"/*.deb "$root/var/cache/"

# In there.
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
chroot "$root" sh -eu <<'END'
apt-get install -y -qq --no-install-recommends /var/cache/*.deb > log 2>&1 || {
    cat log
    exit 1
}
cd /root
head -c 10000384 /dev/urandom > disk
vma-dump root=disk | vma-sink -o x.vma.zst
vma-restore verify x.vma.zst
vma-restore extract x.vma.zst restored
cmp disk restored/disk-root.raw
vma-restore serve x.vma.zst --run 'echo "$uri"' | grep -q ^nbd
test -s /usr/share/man/man1/vma-sink.1.gz
test -s /usr/share/man/man5/vma.5.gz
test -s /usr/share/vma-sink/schema/list.schema.json
apt-get purge -y -qq vma-sink nbdkit-plugin-vma > log 2>&1
! command -v vma-sink
END
echo 'The packages install, work, and go.'
