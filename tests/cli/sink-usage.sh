#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong usage of vma-sink has exit code 2, and overwrites nothing.
. "$(dirname "$0")/lib.sh"

stream=$(vector example)
expect_exit 2 "$VMA_SINK" < "$stream"
expect_message 'no output given'
expect_exit 2 "$VMA_SINK" -o a.vma more < "$stream"
expect_exit 2 "$VMA_SINK" --no-such-option < "$stream"
expect_exit 1 "$VMA_SINK" -o no/such/folder/a.vma < "$stream"
expect_message 'No such file'

echo precious > a.vma
expect_exit 2 "$VMA_SINK" -o a.vma < "$stream"
expect_message 'file exists (--force replaces it)'
[ "$(cat a.vma)" = precious ] || fail "overwritten"
expect_exit 0 "$VMA_SINK" --force -o a.vma < "$stream"
[ "$(stat -c %s a.vma)" -gt 12800 ] || fail "not replaced"

# A failure leaves the file that was to be replaced.
echo precious > a.vma
expect_exit 4 "$VMA_SINK" --force -o a.vma < "$(vector no-end)"
[ "$(cat a.vma)" = precious ] || fail "lost"
expect_no_file a.vma.*

mkdir folder
ln -s a.vma link
expect_exit 2 "$VMA_SINK" --force -o folder < "$stream"
expect_exit 2 "$VMA_SINK" --force -o link < "$stream"

# Configurations: names are unique, also against those of the stream.
echo more > more.conf
expect_exit 2 "$VMA_SINK" -o b.vma -c more.conf=vm.conf < "$stream"
expect_message "the name is taken"
expect_exit 1 "$VMA_SINK" -o b.vma -c missing.conf < "$stream"
head -c 65536 /dev/zero > large.conf
# By mistake: no more of it is read, or has room in memory.
truncate -s 1T disk.conf
for file in large.conf disk.conf; do
    expect_exit 1 "$VMA_SINK" -o b.vma -c "$file" < "$stream"
    expect_message "more than 65535"
done
expect_exit 1 "$VMA_SINK" -o b.vma -c folder < "$stream"
expect_message "cannot read config 'folder': Is a directory"
expect_no_file b.vma b.vma.*

expect_exit 0 "$VMA_SINK" --help > help
grep -q 'Exit codes' help || fail "no exit codes in --help"
expect_exit 0 "$VMA_SINK" --version > version
grep -q '^vma-sink [0-9]' version || fail "no version"
