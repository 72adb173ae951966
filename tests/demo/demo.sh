#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guided tour behind "make demo": boots a small Linux guest that never stops
# writing, backs it up live, restores the backup and proves that it is whole and
# one point in time.  Takes the programs from the environment: QEMU, VMA_DUMP,
# VMA_SINK and VMA_RESTORE; CACHE is the folder for what can be made once, and
# KEEP a new folder to work in, which then stays.  Needs no root and no KVM.
# shellcheck source-path=SCRIPTDIR

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=guest-lib.sh
. "$here/guest-lib.sh"

# Generous, for busy machines without KVM: the guest boots in a few seconds and
# its slowest write takes some ten milliseconds.
readonly BOOT_SECONDS=180
readonly WAIT_SECONDS=60
readonly STALL_LIMIT_MS=10000
readonly DISKS=(a:virtio0 b:virtio1)

bold='' dim='' green='' red='' reset=''
if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' reset=$'\e[0m'
fi
work=
step=0

# heading TITLE WHY
heading()
{
    step=$((step + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$reset"
    say "$2"
    echo
}

say()
{
    fmt -w 78 <<< "$*"
}

good()
{
    printf '%sok%s: %s\n' "$green" "$reset" "$*"
}

die()
{
    local where="demo failed in step $step"

    [[ $step -gt 0 ]] || where="demo cannot start"
    printf '\n%s%s%s: %s\n' "$red" "$where" "$reset" "$*" >&2
    exit 1
}

show()
{
    printf '%s$%s %s\n' "$dim" "$reset" "$*"
}

# run COMMAND-LINE: show it as a user would type it, and run exactly that.
run()
{
    show "$1"
    (set -o pipefail; eval "$1")
}

seconds_since()
{
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'
}

mib()
{
    awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'
}

size_of()
{
    stat -c %s "$1"
}

# One option a line, with the words quoted that a shell would take apart.
show_guest_args()
{
    local word line=
    local lines=()

    for word in "${GUEST_ARGS[@]}"; do
        if [[ $word == *[!a-zA-Z0-9_./:,=+-]* ]]; then
            word="'$word'"
        fi
        if [[ $word == -* && -n $line ]]; then
            lines+=("$line")
            line="      $word"
        else
            line+=${line:+ }$word
        fi
    done
    lines+=("$line")
    show "$(printf '%s \\\n' "${lines[@]}" | sed '$s/ \\$//')"
}

# find_restored DEVICE: the image that was extracted for it.
find_restored()
{
    local found=(restored/*"$1"*)

    [[ ${#found[@]} -eq 1 && -f ${found[0]} ]] ||
        die "expected one image of '$1' in restored/, which holds:" \
            "$(ls restored)"
    echo "${found[0]}"
}

# Until the server is there; SERVER is its process.
start_server()
{
    local deadline=$((SECONDS + WAIT_SECONDS))

    show "vma-restore serve vm.vma --unix vm.nbd &"
    setpriv --pdeathsig KILL vma-restore serve vm.vma --unix vm.nbd \
        > nbd.log 2>&1 &
    SERVER=$!
    until [[ -S vm.nbd ]]; do
        if ! kill -0 "$SERVER" 2> /dev/null || [[ $SECONDS -ge $deadline ]]
        then
            die "the archive is not served: $(cat nbd.log)"
        fi
        sleep 0.05
    done
}

# Until all of the archive that the overlays need is in them.
stream_disks()
{
    local number deadline=$((SECONDS + WAIT_SECONDS))

    for number in 0 1; do
        show "block-stream of drive-virtio$number, over QMP"
        guest_qmp . block-stream "{\"job-id\": \"stream$number\",
            \"device\": \"drive-virtio$number\"}" > /dev/null ||
            die "the disks can't be copied"
    done
    until [[ $(guest_qmp . query-block-jobs) == "[]" ]]; do
        [[ $SECONDS -lt $deadline ]] || die "the disks are not copied"
        sleep 0.1
    done
}

# What the guest has on its disks after that, and all that it had before.
check_overlays()
{
    local name copied

    for name in a b; do
        show "qemu-img info disk-$name.qcow2"
        copied=$(qemu-img info --output=json "disk-$name.qcow2") ||
            die "'disk-$name.qcow2' is no image"
        [[ $copied != *backing-filename* ]] ||
            die "'disk-$name.qcow2' still needs the archive"
        qemu-img convert -O raw "disk-$name.qcow2" "overlay-$name.raw" ||
            die "'disk-$name.qcow2' can't be read"
        repair_guest_disk "overlay-$name.raw" > /dev/null ||
            die "the file system of disk $name is damaged"
        read_guest_disk "overlay-$name.raw" "files/overlay-$name" ||
            die "cannot read the files of disk $name"
        check_guest_disk "files/overlay-$name" ||
            die "files of disk $name are damaged"
        good "disk $name is whole without the archive: $CHECKED_SEED old" \
            "files and $CHECKED_SLOTS by the guest match their checksums"
    done
}

start_from_archive()
{
    local number names=(a b) from complaints

    start_server
    for number in 0 1; do
        run "qemu-img create -q -f qcow2 -F raw -b $(
            )'nbd+unix:///virtio$number?socket=vm.nbd' $(
            )disk-${names[number]}.qcow2" || die "no overlay"
    done
    GUEST_FORMAT=qcow2
    guest_args qemu-system-x86_64
    show "qemu-system-x86_64 ... -blockdev driver=qcow2,... (as above)"
    from=$EPOCHREALTIME
    boot_guest "$work"
    wait_guest_counter 10 "$BOOT_SECONDS" || die "the guest does not come up"
    instant_seconds=$(seconds_since "$from")
    good "the guest runs and writes, $instant_seconds s after its start"
    stream_disks
    show "kill $SERVER"
    kill "$SERVER"
    wait "$SERVER" || die "the server failed: $(cat nbd.log)"
    number=$(guest_counter)
    wait_guest_counter $((number + 20)) "$WAIT_SECONDS" ||
        die "the guest does not go on"
    complaints=$(guest_complaints)
    [[ -z $complaints ]] || die "the guest complains: $complaints"
    good "the server is gone, and the guest at record $(guest_counter)"
    stop_guest
    check_overlays
}

clean_up()
{
    local rc=$?

    trap - EXIT
    trap '' HUP INT TERM
    stop_guest
    if [[ -n $work ]]; then
        cd /
        if [[ -n ${KEEP-} ]]; then
            [[ $rc -eq 0 ]] || echo "what there is, is in $work" >&2
        else
            rm -rf "$work"
            [[ $rc -eq 0 ]] ||
                echo "set KEEP=DIR to look at what a failed demo leaves" >&2
        fi
    fi
    exit "$rc"
}

# Step 0, unnumbered: what is needed.

for name in QEMU VMA_DUMP VMA_SINK VMA_RESTORE; do
    path=${!name-}
    [[ -n $path ]] ||
        die "\$$name is not set: run this by 'make demo'"
    path=$(command -v "$path") ||
        die "\$$name: no such program: '${!name}'"
    printf -v "$name" %s "$(realpath "$path")"
done
guest_need setpriv util-linux e2fsck e2fsprogs debugfs e2fsprogs \
    fmt coreutils awk mawk ||
    die "programs are missing"

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [[ -n ${KEEP-} ]]; then
    mkdir -p "$KEEP"
    [[ -z $(ls -A "$KEEP") ]] || die "KEEP: the folder '$KEEP' is not empty"
    work=$(cd "$KEEP" && pwd)
else
    work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/vma-demo.XXXXXX")")
fi
if [[ -n ${CACHE-} ]]; then
    CACHE=$(realpath -m "$CACHE")
    export CACHE
fi
mkdir "$work/bin" "$work/files"
# shellcheck disable=SC2153     # QEMU and its like, from the environment
ln -s "$QEMU" "$work/bin/qemu-system-x86_64"
ln -s "$VMA_DUMP" "$work/bin/vma-dump"
ln -s "$VMA_SINK" "$work/bin/vma-sink"
ln -s "$VMA_RESTORE" "$work/bin/vma-restore"
PATH=$work/bin:$PATH
cd "$work"
begin=$EPOCHREALTIME

echo "${bold}Live backup of a running virtual machine${reset}"
say "All of this happens in $work."

heading "Boot a guest with two disks" \
    "A small Linux, two virtio disks with ext4 file systems, no KVM needed. \
vm.qmp is the socket through which QEMU takes commands."

"$here/make-guest.sh" "$work" || die "the guest could not be made"
guest_args qemu-system-x86_64
show_guest_args
started=$EPOCHREALTIME
boot_guest "$work"
wait_guest_counter 1 "$BOOT_SECONDS" || die "the guest does not come up"
good "the guest is up after $(seconds_since "$started") s"

# The guest's description, to travel in the archive along with the disks.
printf '%s\n' "# qemu-system-x86_64 options of the demo guest" \
    "${GUEST_ARGS[@]:1}" > vm.conf

heading "Let it write" \
    "Record after record: a file and then its checksum to disk a, each \
synced; then the same to disk b. It overwrites and deletes old files too."

wait_guest_counter 100 "$WAIT_SECONDS" || die "the guest does not write"
run 'tail -n 3 serial.log'
slowest_before=$(guest_slowest 0)

heading "Back it up while it runs" \
    "One point in time over both disks, as one stream, into one archive. The \
guest is neither stopped nor asked. (The limit of speed gives it the time to \
overwrite what has not been backed up yet.)"

before=$(guest_counter)
started=$EPOCHREALTIME
run 'vma-dump --qmp vm.qmp --speed 64M -c vm.conf | vma-sink -o vm.vma' ||
    die "the backup failed"
backup_seconds=$(seconds_since "$started")
# The report that comes next covers the end of the backup.
wait_guest_counter $(($(guest_counter) + 1)) "$WAIT_SECONDS" ||
    die "the guest stopped writing"
after=$(guest_counter)
slowest_during=$(guest_slowest "$before")
good "$backup_seconds s; the guest was at record $before before and at" \
    "$after after"
good "its slowest write: $slowest_before ms before, $slowest_during ms during" \
    "the backup"
[[ $slowest_during -le $STALL_LIMIT_MS ]] ||
    die "the guest stalled for $slowest_during ms"

heading "Look into the archive and verify it" \
    "verify reads every byte and checks every checksum."

run 'vma-restore list vm.vma' || die "the archive cannot be listed"
echo
run 'vma-restore verify vm.vma' || die "the archive is not valid"
archive_bytes=$(size_of vm.vma)
disk_bytes=$(($(size_of disk-a.raw) + $(size_of disk-b.raw)))
good "$(mib "$archive_bytes") for $(mib "$disk_bytes") of disks:" \
    "zeroes take no room"

heading "Get the disks back" \
    "As plain raw images, with the configuration that went into the archive."

run 'vma-restore extract vm.vma restored' ||
    die "the archive cannot be extracted"
run 'cmp vm.conf restored/vm.conf' || die "the configuration has changed"
good "the configuration is the one that went in"
for disk in "${DISKS[@]}"; do
    image=$(find_restored "${disk#*:}")
    [[ $(size_of "$image") -eq $(size_of "disk-${disk%:*}.raw") ]] ||
        die "'$image' has the wrong size"
    check_guest_end "$image" "${disk%:*}" || die "'$image' has a wrong end"
done
good "both images have their exact size, to the last sector"

heading "Check what is in them" \
    "To the file systems the backup looks like a power failure at that \
instant: they replay their journals, as at any boot after one, and e2fsck \
ends with code 1, \"errors corrected\". (ext4 updates the totals of free \
blocks and inodes on unmount only: those may be corrected too.) Then nothing \
may be left."

for disk in "${DISKS[@]}"; do
    image=$(find_restored "${disk#*:}")
    show "e2fsck -fy $image"
    repair_guest_disk "$image" | sed '/^$/d' ||
        die "the file system in '$image' is damaged"
    show "e2fsck -fn $image"
    good "clean"
    echo
done
files=0
for disk in "${DISKS[@]}"; do
    image=$(find_restored "${disk#*:}")
    name=${disk%:*}
    show "debugfs -R 'rdump / files/$name' $image"
    read_guest_disk "$image" "files/$name" ||
        die "cannot read the files in '$image'"
    check_guest_disk "files/$name" ||
        die "files in the backup of disk $name are damaged"
    good "disk $name: $CHECKED_SEED old files and $CHECKED_SLOTS by the guest" \
        "match their checksums"
    files=$((files + CHECKED_SEED + CHECKED_SLOTS))
    printf -v "last_$name" %s "$CHECKED_LAST"
done
echo
say "The guest finishes a record on disk a before it begins it on disk b: at \
any one instant, b is level with a or one behind."
# shellcheck disable=SC2154     # last_a and last_b, set by name above
check_guest_order "$last_a" "$last_b" || die "the disks are of different times"
good "disk a ends with record $last_a, disk b with record $last_b: one instant"
[[ $last_a -ge $before && $last_a -le $after ]] ||
    die "but the guest was between records $before and $after"
good "and it lies within the backup: the guest went from $before to $after"

heading "Is the guest still well?" \
    "It never knew, and has gone on writing all the while."

now=$(guest_counter)
[[ $now -gt $after ]] || wait_guest_counter $((after + 1)) "$WAIT_SECONDS" ||
    die "the guest has stopped writing"
now=$(guest_counter)
guest_alive || die "QEMU has ended"
complaints=$(guest_complaints)
[[ -z $complaints ]] || die "the guest complains: $complaints"
run 'tail -n 1 serial.log'
good "alive, at record $now, and no I/O error on its console"
stop_guest

heading "Start it once more, from the archive" \
    "Nothing is restored: the archive's disks are served, and the guest boots \
from overlays over them, in which its writes go. QEMU copies the rest into \
them while the guest runs; then the server may go."

plugin=$(dirname "$(realpath "$VMA_RESTORE")")/nbdkit-vma-plugin.so
instant_seconds=
if [[ ! -e $plugin ]] || ! guest_need nbdkit nbdkit qemu-img qemu-utils; then
    echo "SKIPPED: there is no nbdkit, no qemu-img, or no plugin (that needs" \
        "nbdkit-plugin-dev)"
else
    start_from_archive
fi

heading "Summary" "Everything above was checked, not only shown."
printf '%-24s%s\n' \
    "two disks" "$(mib "$disk_bytes")" \
    "the archive" "$(mib "$archive_bytes")" \
    "time for the backup" "$backup_seconds s" \
    "time for all of it" "$(seconds_since "$begin") s" \
    "guest's slowest write" \
    "$slowest_before ms before, $slowest_during ms during the backup" \
    "files compared" "$files" \
    "the backup's instant" "record $last_a on disk a, $last_b on disk b" \
    "guest up from archive" "${instant_seconds:-not tried}${instant_seconds:+ s}"
echo
printf '%sdemo passed%s\n' "$green$bold" "$reset"
if [[ -n ${KEEP-} ]]; then
    say "The guest, the archive and the restored disks are in $work."
else
    say "Nothing is left behind but the guest's cache. KEEP=DIR would keep" \
        "the archive and the restored disks in DIR."
fi
