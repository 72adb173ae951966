#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong usage has exit code 2, compressed archives are told what to do with, and
# a failure to read or write has exit code 1.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
truncate -s 100000 a.raw
"$mkvma" x.vma a=a.raw

expect_exit 2 "$VMA_RESTORE"
expect_message 'no command given'
expect_exit 2 "$VMA_RESTORE" bogus x.vma
expect_message "unknown command 'bogus'"
for command in list config verify extract; do
    expect_exit 2 "$VMA_RESTORE" $command
    expect_message "(try 'vma-restore $command --help')"
    expect_exit 2 "$VMA_RESTORE" $command x.vma new too many
    expect_exit 2 "$VMA_RESTORE" $command --bogus x.vma
    expect_exit 0 "$VMA_RESTORE" $command --help > help
    grep -q "vma-restore $command .*ARCHIVE" help || fail "$(cat help)"
    expect_exit 0 "$VMA_RESTORE" $command --version > version
    grep -q '^vma-restore [0-9.]*$' version || fail "$(cat version)"
done
expect_exit 0 "$VMA_RESTORE" --help > help
expect_exit 2 "$VMA_RESTORE" extract x.vma a.raw
expect_message "'a.raw' is not a folder"
expect_exit 1 "$VMA_RESTORE" extract x.vma no/such
expect_exit 1 "$VMA_RESTORE" verify missing.vma
expect_message "'missing.vma': cannot open: No such file"
expect_exit 1 "$VMA_RESTORE" verify .
expect_message 'Is a directory'
expect_exit 1 "$VMA_RESTORE" list x.vma > /dev/full
expect_exit 1 "$VMA_RESTORE" verify x.vma > /dev/full
expect_message 'No space left'
expect_exit 3 "$VMA_RESTORE" list a.raw
expect_message 'not a VMA archive'

printf '\x28\xb5\x2f\xfd rest' > zstd
expect_exit 3 "$VMA_RESTORE" list zstd
expect_message 'cannot decompress: '
printf '\x1f\x8b rest' > gzip
printf '\x89LZO\x00 rest' > lzop
for name in gzip lzop; do
    expect_exit 2 "$VMA_RESTORE" verify $name
    expect_message "$name -dc FILE | vma-restore ... -"
    expect_exit 2 "$VMA_RESTORE" verify - < $name
    # shellcheck disable=SC2002 # this is about a pipe
    cat $name | expect_exit 2 "$VMA_RESTORE" extract - new
done
expect_no_file new no

if ! script -qec true /dev/null > /dev/null 2>&1; then
    echo "without a terminal: no program 'script'"
    exit 0
fi
script -qec "'$VMA_RESTORE' list -" /dev/null > out
[ $? = 2 ] || fail "reads from a terminal: $(cat out)"
grep -q 'from a terminal' out || fail "$(cat out)"
