#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What vma-dump sends vma-sink stores, and vma-restore gives back.
. "$(dirname "$0")/lib.sh"

[ -x "$VMA_RESTORE" ] || skip "there is no vma-restore"
head -c 3M /dev/urandom > a
truncate -s 70M a
head -c 66048 /dev/urandom > b
printf 'cores: 2\n' > vm.conf
"$VMA_DUMP" a=a b=b -c vm.conf | "$VMA_SINK" -o x.vma || fail "backup"
expect_exit 0 "$VMA_RESTORE" verify x.vma
expect_exit 0 "$VMA_RESTORE" extract x.vma out
cmp a out/disk-a.raw || fail "disk a"
cmp b out/disk-b.raw || fail "disk b"
cmp vm.conf out/vm.conf || fail "config"
