#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who takes over vma-sink or vma-restore with the first byte that is read can't
# run a program, connect to anywhere, look at other processes, open what the
# command line does not name, nor, in vma-sink, what is in the folder that it
# names, or give files other owners and rights; --no-confine lets it, and is
# named where it helps.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/confine.sh"

printf 'name: x\n' > a.conf
truncate -s 1M a.raw
head -c 100K /dev/urandom | dd of=a.raw bs=64K conv=notrunc status=none
"$VMA_DUMP" -c a.conf a=a.raw > stream 2> err || fail "$(cat err)"
expect_exit 0 "$VMA_SINK" -o a.vma < stream
expect_exit 0 "$VMA_SINK" -o a.vma.zst < stream
mkdir other folder spool
echo secret > other/file
echo also > spool/file

# What is tried in a command, and what comes of it: words, or "killed".
try() { # WORDS TRY COMMAND...
    local words=$1 code
    shift
    intrude "$@" < "$FILE" > out 2> err
    code=$?
    rm -rf ./*.partial folder/*.partial
    case $words in
    killed) [ "$code" = 159 ] ;;
    *) [ "$code" = 50 ] && grep -qx "intruder: ${1%%:*}: $words" err ;;
    esac || fail "$1 by ${*:2}: exit code $code, $(cat err)"
}

denied='Permission denied'
elsewhere='Invalid cross-device link'
refused='Operation not permitted'
unknown='Function not implemented'
# Where there is no Landlock files are not kept apart.
have landlock || denied='done' elsewhere='done'

[ "$denied" = 'done' ] ||
    "$VMA_SINK" --version | grep -q '^confinement: .*landlock yes (ABI [1-9]' ||
    fail "--version does not say which Landlock"

all_tries() { # COMMAND...
    try killed execve:/bin/true "$@"
    try killed ptrace "$@"
    try killed mount:/mnt "$@"
    [ "$(uname -m)" != x86_64 ] || try killed x32 "$@"
    try killed unshare "$@"
    try killed keyctl "$@"
    try "$refused" fork "$@"
    try "$refused" tcp "$@"
    try "$refused" unix "$@"
    for signal in kill setown setsig async limit; do
        try "$refused" "$signal" "$@"
    done
    try "$refused" typing "$@"
    try "$refused" code "$@"
    try 'done' thread "$@"
    try "$denied" open:other/file "$@"
    try "$denied" open:/proc/self/environ "$@"
    try "$denied" create:other/new "$@"
    rm -f other/new
    for foreign in chmod chown setxattr utime truncate empty neither; do
        try "$refused" "$foreign:other/file" "$@"
    done
    try "$unknown" openat2:other/file "$@"
}

FILE=$PWD/stream
all_tries "$VMA_SINK" -o folder/b.vma
# What runs as who made it.
no_set_id() { # COMMAND...
    for own in setid setidat folder fchmod fchown capability; do
        rm -rf folder/mine
        try "$refused" "$own:folder/mine" "$@"
    done
}
no_set_id "$VMA_SINK" -o folder/b.vma

# Puts back what an intruder has done to folder/.
restore_folder() {
    rm -rf folder
    mkdir -p folder/below folder/old
    echo mine > folder/file
    echo too > folder/below/file
    echo old > folder/old/disk-a.raw
}
try_in_folder() { # WORDS TRY COMMAND...
    restore_folder
    try "$1" "${2%%:*}:$PWD/folder/${2#*:}" "${@:3}"
}

# Of the folder: nothing in it, or below, is opened or moved to another one.
closed() { # COMMAND...
    for what in open:file open:below/file write:file write:below/file \
        create:mine create:below/mine mkdir:mine; do
        try_in_folder "$denied" "$what" "$@"
    done
    try_in_folder "$elsewhere" move:file "$@"
    try_in_folder "$elsewhere" link:file "$@"
}
closed "$VMA_SINK" -o folder/b.vma
try_in_folder "$denied" open:. "$VMA_SINK" -o folder/b.vma
closed "$VMA_SINK" --force --buffer=1M --spool spool -o folder/file
closed "$VMA_SINK" --proxmox 100 -o folder
closed "$VMA_SINK" --receive folder
SSH_ORIGINAL_COMMAND='vma-sink b.vma.zst' \
    closed "$VMA_SINK" --receive folder --keep-names '*'
# Others' files are looked at for how large they become, and not changed.
try_in_folder 'done' open:file "$VMA_SINK" --receive folder --max-total 1G
for what in write:file create:mine mkdir:mine; do
    try_in_folder "$denied" "$what" "$VMA_SINK" --receive folder --max-total 1G
done

# A folder of images: of what is beside it, no file is even removed.
for what in open:file open:below/file write:file create:mine create:below/mine \
    unlink:file unlink:below/file rename:file; do
    try_in_folder "$denied" "$what" "$VMA_SINK" --format=raw -o folder/raw/
done
for what in open:file open:below/file open:old/disk-a.raw write:file \
    write:old/disk-a.raw create:mine create:old/mine; do
    try_in_folder "$denied" "$what" "$VMA_SINK" --format=raw -f -o folder/old/
done
try_in_folder "$elsewhere" move:file "$VMA_SINK" --format=raw -f -o folder/old
restore_folder
try "$denied" create:mine "$VMA_SINK" -o folder/b.vma
try "$denied" open:spool/file "$VMA_SINK" -o folder/b.vma
for what in open:spool/file write:spool/file create:spool/new \
    unlink:spool/file; do
    try "$denied" "$what" "$VMA_SINK" --spool spool -o folder/b.vma
    rm -f spool/new
    echo also > spool/file
done
try "$denied" open:stream "$VMA_SINK" -o -
try "$denied" create:mine "$VMA_SINK" --format=raw -o folder/raw/
rm -rf folder/raw* mine
all_tries "$VMA_SINK" --buffer=1M -o folder/b.vma.zst

for FILE in a.vma a.vma.zst; do
    all_tries "$VMA_RESTORE" list "$FILE"
    try killed execve:/bin/true "$VMA_RESTORE" config "$FILE"
    all_tries "$VMA_RESTORE" verify "$FILE"
    try "$denied" create:mine "$VMA_RESTORE" verify "$FILE"
    all_tries "$VMA_RESTORE" extract "$FILE" folder
    try "$denied" create:mine "$VMA_RESTORE" extract "$FILE" folder
    try 'done' create:folder/mine "$VMA_RESTORE" extract "$FILE" folder
    no_set_id "$VMA_RESTORE" extract "$FILE" folder
    all_tries "$VMA_RESTORE" extract -d a=folder/a.raw "$FILE"
    all_tries "$VMA_RESTORE" extract -d a=- "$FILE"
    all_tries "$VMA_RESTORE" reindex "$FILE" folder/b.vma
    rm -f mine
    # The child that looks at the header is not vma-restore itself.
    intrude execve:/bin/true "$VMA_RESTORE" serve --run true "$FILE" 2> err
    [ $? = 1 ] || fail "serve: $(cat err)"
    grep -q 'has died' err || fail "serve: $(cat err)"
    intrude tcp "$VMA_RESTORE" serve --run true "$FILE" 2> err
    grep -qx "intruder: tcp: $refused" err || fail "serve: $(cat err)"
done

FILE=a.vma
try 'done' tcp "$VMA_RESTORE" verify --no-confine "$FILE"
try 'done' open:other/file "$VMA_RESTORE" verify --no-confine "$FILE"
try 'done' fork "$VMA_RESTORE" extract --no-confine "$FILE" folder

# EPERM (1) is how it would show that something is missing.
fault() {
    FAULT_CALLS=fsync=1 LD_PRELOAD=$B/tests/fault.so "$@"
}
expect_exit 1 fault "$VMA_SINK" -o b.vma < stream
expect_message '--no-confine'
expect_exit 1 fault "$VMA_SINK" --no-confine -o b.vma < stream
! grep -q confine err || fail "--no-confine is named though it was given"
