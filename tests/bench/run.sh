#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make bench": speed and memory of the programs and of the patched QEMU, each
# beside a common tool that does the nearest thing.  Parameters: see lib.sh; MIB,
# if it is set, is for all of them.
set -euo pipefail
B=${B:-$PWD/build}
here=$(dirname "$0")
"$here/../setup.sh" --check bench

echo "$(nproc) cores, ${ROUNDS:-5} rounds"
for part in sink restore sparse dump compress live nbd boot; do
    printf '\n'
    "$here/$part.sh"
done
printf '\n'
OUT=${OUT:-$B} "$here/speed.sh"
