#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest's start from a compressed archive, served by the plugin for nbdkit,
# against the same from the raw disks, each below an overlay: until the guest of
# "make demo", emulated, has written ten records.  Parameters: see lib.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
# shellcheck source=tests/demo/guest-lib.sh
. tests/demo/guest-lib.sh

plugin=$B/nbdkit-vma-plugin.so
if ! [ -e "$plugin" ] || ! command -v nbdkit qemu-img busybox > "/dev/null"
then
    echo "SKIPPED: there is no nbdkit, qemu-img or busybox, or no plugin (that" \
        "needs nbdkit-plugin-dev)"
    exit 0
fi

series=${QEMU_SERIES:-10.0}
need_space 1024
folder=$(qemu-patch/build-qemu.sh --series "${series%% *}" system)
tests/demo/make-guest.sh "$WORK" > "$WORK/errors"
"$B/vma-dump" a="$WORK/disk-a.raw" b="$WORK/disk-b.raw" 2> "$WORK/errors" |
    "$B/vma-sink" -o "$WORK/disks.vma.zst" 2> "$WORK/errors"

# start BACKING: seconds until the guest is at work; %s is the disk's name
start() {
    local from disk

    for disk in a b; do
        # shellcheck disable=SC2059 # it is a format
        qemu-img create -q -f qcow2 -F raw -b "$(printf "$1" "$disk")" \
            "$WORK/disk-$disk.qcow2"
    done
    GUEST_FORMAT=qcow2 guest_args "$folder/qemu-system-x86_64"
    from=$EPOCHREALTIME
    boot_guest "$WORK"
    wait_guest_counter 10 300
    awk -v from="$from" -v to="$EPOCHREALTIME" \
        'BEGIN { printf "%.2f", to - from }'
    stop_guest
}

start_archive() {
    local server seconds

    nbdkit -f --exit-with-parent -U "$WORK/nbd" "$plugin" \
        "$WORK/disks.vma.zst" &
    server=$!
    until [ -S "$WORK/nbd" ]; do
        kill -0 "$server"
        sleep 0.05
    done
    seconds=$(start "nbd+unix:///%s?socket=$WORK/nbd")
    kill "$server"
    wait "$server"
    rm -f "$WORK/nbd"
    echo "$seconds"
}

for ((i = 0; i < ROUNDS; i++)); do
    echo "$(start "$WORK/disk-%s.raw") $(start_archive)"
done | awk '{ print $0, $2 / $1 }' > "$WORK/rounds"
printf 'start of a guest: raw disks %.2f s, archive %.2f s; ratio %.2f (%s)\n' \
    "$(column 1 | median)" "$(column 2 | median)" "$(column 3 | median)" \
    "$(spread 3)"
