#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whichever read of the stream fails, or the sync of standard output, vma-sink ends
# with exit code 1, says what the system says, and leaves nothing.
. "$(dirname "$0")/lib.sh"

command -v strace > /dev/null || skip "needs strace"
strace -o log true 2> err || skip "strace does not work here: $(cat err)"
# Leaks can't be looked for by who is traced.
export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0

truncate -s 300K a.raw
head -c 100K /dev/urandom | dd of=a.raw bs=64K seek=1 conv=notrunc status=none
"$VMA_DUMP" a=a.raw > stream 2> err || fail "no stream"
fail_call() { # CALLS N FILE COMMAND...
    strace -f -qq -o log -P "$3" -e trace="$1" \
        -e "inject=$1:error=EIO:when=$2" "${@:4}"
}
for options in '-o a.vma' '-o a.vma.zst' '--format=raw -o a' \
    '--buffer=1M -o a.vma'; do
    for ((n = 1; n < 100; n++)); do
        # shellcheck disable=SC2086 # several words
        fail_call read,readv $n "$T/stream" "$VMA_SINK" $options < stream 2> err
        code=$?
        grep -q INJECTED log || break
        # What is read ahead behind the stream's end is of no use.
        [ "$code" = 0 ] && [[ $options = *buffer* ]] && break
        [ "$code" = 1 ] || fail "$options, read $n: exit code $code, $(cat err)"
        grep -q 'Input/output error' err || fail "$options: $(cat err)"
        expect_no_file a a.vma*
    done
    [ $n -gt 1 ] || fail "$options: no read has failed"
    [ "$code" = 0 ] || fail "$options: exit code $code, $(cat err)"
    rm -r a a.vma* 2> /dev/null
done

fail_call fsync,fdatasync 1 "$T/out" "$VMA_SINK" -o - < stream > out 2> err
code=$?
grep -q INJECTED log || fail "standard output was not synced"
[ "$code" = 1 ] || fail "exit code $code"
expect_message 'cannot sync standard output'
