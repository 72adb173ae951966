#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes Debian packages of the programs and of the plugin for nbdkit, of the
# tree as it is, in FOLDER/*.deb.
#
#   vma-sink/packaging/make-deb.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=${1:?usage: make-deb.sh FOLDER}
version=$(sed -n 's/^#define CLI_VERSION "\(.*\)"$/\1/p' vma-sink/cli/cli.h)
tree=$folder/vma-sink-$version

rm -rf "$folder"
mkdir -p "$tree"
# Of a clone what is in it; of an unpacked release all but what was built.
if git rev-parse --git-dir > /dev/null 2>&1; then
    git ls-files -z | tar --null -T - -c
else
    tar -c --exclude=./build .
fi | tar -x -C "$tree"

cp -r vma-sink/packaging/debian "$tree"
maintainer="${DEBFULLNAME:-make deb} <${DEBEMAIL:-nobody@localhost}>"
date=$(git log -1 --format=%cD 2> /dev/null || date -R)
cat > "$tree/debian/changelog" <<END
vma-sink ($version) unstable; urgency=medium

  * See README.md.

 -- $maintainer  $date
END
sed -i "s/^Maintainer: .*/Maintainer: $maintainer/" "$tree/debian/control"
# (No flags of a make that calls this.)
cd "$tree" && env -u MAKEFLAGS -u MAKELEVEL -u CFLAGS \
    DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS:-}" \
    dpkg-buildpackage --build=binary --no-sign
