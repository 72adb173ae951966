#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whichever read of an archive fails, a command ends with exit code 1, says what
# the system says, and leaves nothing: it is no damage of the archive, and no end.
. "$(dirname "$0")/lib.sh"

command -v strace > /dev/null || skip "needs strace"
strace -o log true 2> err || skip "strace does not work here: $(cat err)"
# Leaks can't be looked for by who is traced.
export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0

truncate -s 3M a.raw
head -c 1M /dev/urandom | dd of=a.raw bs=64K seek=8 conv=notrunc status=none
echo 'name: x' > conf
"$VMA_DUMP" a=a.raw -c conf > stream 2> err || fail "no stream"
"$VMA_SINK" -o x.vma < stream 2> err || fail "$(cat err)"
"$VMA_SINK" --frame-size=400K -o x.vma.zst < stream 2> err || fail "$(cat err)"
# Without a seek table.
head -c 500000 x.vma > start
tail -c +500001 x.vma > end
{ zstd -qc start; zstd -qc end; } > many.zst

# The N-th read of each thread, if it has so many.
reads=read,readv,pread64,preadv
fail_read() { # N FILE COMMAND...
    strace -f -qq -o log -P "$2" -e trace=$reads \
        -e "inject=$reads:error=EIO:when=$1" "${@:3}"
}
failed=0
for file in x.vma x.vma.zst many.zst; do
    all=("verify $file" "extract $file out" "extract -d a $file out"
        "extract --salvage $file out" "reindex $file out.vma")
    # Of the last a thread reads more than these need.
    [ $file = many.zst ] || all+=("list $file" "config $file" "map $file"
        "extract -d a=- $file")
    for command in "${all[@]}"; do
        for ((n = 1; n < 50; n++)); do
            # shellcheck disable=SC2086 # several words
            fail_read $n "$file" "$VMA_RESTORE" $command > text 2> err
            code=$?
            grep -q INJECTED log || break
            [ "$code" = 1 ] || fail "$command, read $n: exit code $code, $(cat err)"
            grep -q 'Input/output error' err || fail "$command: $(cat err)"
            expect_no_file out out.*
            failed=$((failed + 1))
        done
        [ $n -gt 1 ] || fail "$command: no read has failed"
        [ "$code" = 0 ] || fail "$command: exit code $code, $(cat err)"
        rm -rf out out.*
    done
done
echo "$failed reads have failed"
