#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Process 1 of the demo guest, run by busybox ash from the initramfs: mounts the
# two disks and writes to them for ever, in an order that lets a reader of a
# crash-consistent copy prove that the copy is one point in time.  It reports on
# the serial console and knows nothing of backups.
#
# Each disk holds a ring of files, /live/slot.N, and a log, /live/log.FIRST, of
# one line per record:
#
#     RECORD SLOT SHA256 NEXT
#
# "Record RECORD is done: SLOT is whole and has this checksum ("-": SLOT was
# deleted), and the next record will change NEXT."  The slot is durable before
# its line is written, and the line is durable before NEXT is touched.  So in
# any point in time every slot matches its last line, but for the NEXT of the
# last line, which may be in any state.  Record n is durable on disk a before it
# is begun on disk b: b is never ahead of a, and never more than one behind.

# busybox ash has these two, whatever POSIX says.
# shellcheck disable=SC3028     # RANDOM, EPOCHREALTIME

LOG_LINES=1024                  # per log file, of which the last two are kept
REPORT_EVERY_us=250000

fail()
{
    echo "guest: FAILED: $*"
    sync
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" || fail "cannot load module $module"
done < /modules/order

for disk in a b; do
    device=$(findfs "LABEL=demo-$disk") || fail "no disk labelled demo-$disk"
    mkdir "/$disk"
    mount -t ext4 "$device" "/$disk" || fail "cannot mount disk $disk"
    rm -rf "/$disk/live"
    mkdir "/$disk/live"
done
sync

# The microseconds from $1 to $2, both as EPOCHREALTIME gives them.
elapsed_us()
{
    REPLY=$((${2%.*} * 1000000 + 1${2#*.} - ${1%.*} * 1000000 - 1${1#*.}))
}

# Run a command that ends with an fsync, and remember the longest such time.
timed()
{
    start=$EPOCHREALTIME
    "$@" || fail "record $n on disk $disk: $*"
    elapsed_us "$start" "$EPOCHREALTIME"
    [ "$REPLY" -le "$slowest_us" ] || slowest_us=$REPLY
}

append_log()
{
    echo "$n $slot $sum $next" |
        dd of="$log" oflag=append conv=notrunc,fsync status=none
}

# Give slot.$slot the content of record $n: by turns random bytes in a new file,
# random bytes over the old file's clusters, text, zeroes, a hole and a tail.
change_slot()
{
    file=/$disk/live/slot.$slot
    blocks=$((1 + RANDOM % max_blocks))
    case $((n % 8)) in
    0)
        rm -f "$file"
        sum=-
        return
        ;;
    1 | 3)
        timed dd if=/dev/urandom of="$file" bs=4k count=$blocks \
            conv=fsync status=none
        ;;
    2 | 6)
        timed dd if=/dev/urandom of="$file" bs=4k count=$blocks \
            conv=notrunc,fsync status=none
        ;;
    4)
        timed dd if=/dev/zero of="$file" bs=4k count=$blocks \
            conv=fsync status=none
        ;;
    5)
        timed dd if=/dev/urandom of="$file" bs=1000 seek=$((blocks * 4)) \
            count=5 conv=fsync status=none
        ;;
    7)
        timed dd if=/seed/text of="$file" bs=1001 count=$((blocks * 4)) \
            conv=fsync status=none
        ;;
    esac
    sum=$(sha256sum "$file") || fail "cannot read back $file"
    sum=${sum%% *}
}

# Record $n on disk $1 into slot $2; $3 is the number of slots and $4 the most
# blocks of 4 KiB that one takes.  Leaves the slot of the next record in $next.
record()
{
    disk=$1
    slot=$2
    next=$((RANDOM % $3))
    max_blocks=$4
    change_slot
    log=/$disk/live/log.$log_first
    timed append_log
}

# The first random bytes of a fresh kernel are slow to come: do not blame a
# write for that.
dd if=/dev/urandom of=/dev/null count=1 status=none

n=0
next_a=0
next_b=0
slowest_us=0
oldest=
older=
log_first=
reported=$EPOCHREALTIME
echo "guest ready"
while :; do
    n=$((n + 1))
    if [ $((n % LOG_LINES)) -eq 1 ]; then
        oldest=$older
        older=$log_first
        log_first=$(printf %08d $n)
        [ -z "$oldest" ] ||
            rm "/a/live/log.$oldest" "/b/live/log.$oldest"
    fi
    record a $next_a 128 64
    next_a=$next
    record b $next_b 64 32
    next_b=$next
    elapsed_us "$reported" "$EPOCHREALTIME"
    if [ "$REPLY" -ge $REPORT_EVERY_us ]; then
        slowest_ms=$(((slowest_us + 999) / 1000))
        echo "guest: $n records on each disk, slowest write $slowest_ms ms"
        slowest_us=0
        reported=$EPOCHREALTIME
    fi
done
