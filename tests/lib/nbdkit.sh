# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of the plugin for nbdkit, sourced after lib.sh: skips without
# what they need, has the plugin as $PLUGIN, and makes two disks, a.raw and
# b.raw, the latter of an odd size, and archives of them: "shuffled.vma", their
# clusters in any order and without digests, "ours.vma" and "ours.vma.zst".
. "$ROOT/tests/lib/nbd.sh"

# $uri and the like stand in single quotes: they are nbdkit's.
# shellcheck disable=SC2034
PLUGIN=$B/nbdkit-vma-plugin.so
needs nbdkit nbdinfo nbdcopy
[ -e "$PLUGIN" ] || skip "no plugin: it was built without nbdkit-plugin-dev"

# It would have to be preloaded into nbdkit and all that it runs, which hang.
! ldd "$PLUGIN" | grep -q libasan || skip "nbdkit takes no plugin with ASan"

mkvma=$ROOT/tests/lib/mkvma.py
make_archives() {
    "$mkvma" --image a.raw 10000384 1
    "$mkvma" --image b.raw 3000320 2
    "$mkvma" -s 1 shuffled.vma a=a.raw b=b.raw
    "$VMA_DUMP" a=a.raw b=b.raw 2> /dev/null > stream
    "$VMA_SINK" -o ours.vma < stream 2> /dev/null || fail "no archive"
    "$VMA_SINK" -o ours.vma.zst < stream 2> /dev/null || fail "no archive"
}

# Runs COMMAND beside nbdkit with the plugin.
with_plugin() { # COMMAND ARGUMENT...
    with_nbdkit "$1" "$PLUGIN" "${@:2}"
}
