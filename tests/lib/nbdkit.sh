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

# nbdkit is built without ASan, and not all that it runs can stand that to be
# preloaded.  A plugin that brings it along goes without the checks of the heap,
# not without the others.
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0

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
