#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who takes over vma-sink or vma-restore with the first byte that is read can't
# run a program, connect to anywhere, look at other processes, open what the
# command line does not name, or give files other owners and rights; --no-confine
# lets it, and is named where it helps.
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
refused='Operation not permitted'
unknown='Function not implemented'
# Where there is no Landlock files are not kept apart.
have landlock || denied='done'

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

FILE=stream
all_tries "$VMA_SINK" -o folder/b.vma
try 'done' create:folder/mine "$VMA_SINK" -o folder/b.vma
for own in setid setidat folder fchmod fchown capability; do
    rm -rf folder/mine
    try "$refused" "$own:folder/mine" "$VMA_SINK" -o folder/b.vma
done
try "$denied" create:mine "$VMA_SINK" -o folder/b.vma
try "$denied" open:spool/file "$VMA_SINK" -o folder/b.vma
try 'done' open:spool/file "$VMA_SINK" --spool spool -o folder/b.vma
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
    FAULT_AT=1 FAULT_ERRNO=1 LD_PRELOAD=$B/tests/fault.so "$@"
}
expect_exit 1 fault "$VMA_SINK" -o b.vma < stream
expect_message '--no-confine'
expect_exit 1 fault "$VMA_SINK" --no-confine -o b.vma < stream
! grep -q confine err || fail "--no-confine is named though it was given"
