#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that could not be restored is refused before it is stored, and one
# with the longest names that a stream can have is restored.
. "$(dirname "$0")/lib.sh"

head -c 60928 /dev/urandom > disk.raw
"$VMA_DUMP" vmstate=disk.raw > stream 2> err || fail "no stream"
expect_exit 1 "$VMA_SINK" -o a.vma < stream
expect_message "the guest's memory"
expect_no_file a.vma a.vma.*

for letter in n / %; do
    name=$(printf '%254s' '' | tr ' ' "$letter")
    "$VMA_DUMP" "a$name=disk.raw" "b$name=disk.raw" > stream 2> err ||
        fail "no stream"
    expect_exit 0 "$VMA_SINK" --force -o a.vma < stream
    expect_exit 0 "$VMA_RESTORE" extract a.vma out
    [ "$(find out -name 'disk-*.raw' | wc -l)" = 2 ] || fail "$(ls out)"
    for file in out/*; do
        cmp "$file" disk.raw || fail "wrong content"
    done
    rm -r out
done

# A disk and a configuration that would be one file of a folder.
echo 'name: x' > conf
"$VMA_DUMP" a=disk.raw -c conf=disk-a.raw > stream 2> err || fail "no stream"
expect_exit 1 "$VMA_SINK" --format=raw -o folder < stream
expect_message "would both be the file 'disk-a.raw'"
expect_no_file folder folder.*
