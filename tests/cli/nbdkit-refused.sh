#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbdkit does not start with an archive that is damaged, cut or can only be read
# front to back, nor with a wrong parameter, and says why as vma-restore does;
# "vma-restore serve" has its exit codes where the header tells.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives

refused() { # WORDS ARGUMENT...
    local words=$1
    shift
    expect_exit 1 with_plugin 'echo started' "$@"
    expect_message "$words"
}

# As vma-restore reads a disk in order, which takes the same index.
refused_as_restore() { # ARCHIVE
    local message
    "$VMA_RESTORE" extract -d a=- "$1" > /dev/null 2> err &&
        fail "$1 can be read"
    message=$(sed -E "s/^vma-restore: (nothing was restored: )?'$1': //" err)
    [ -n "$message" ] || fail "no message"
    refused "$message" "$1"
}

cp ours.vma flipped.vma
printf '\377' | dd of=flipped.vma bs=1 seek=13000 conv=notrunc status=none
refused_as_restore flipped.vma
head -c 1000000 ours.vma > cut.vma
refused_as_restore cut.vma
head -c -512 ours.vma > end.vma
refused_as_restore end.vma
# shellcheck disable=SC2002 # of a file zstd would know the size
cat ours.vma | zstd -q > stream.vma.zst
refused_as_restore stream.vma.zst
expect_message "'vma-restore reindex' makes such a file"
gzip -c ours.vma > gzip.vma.gz
refused_as_restore gzip.vma.gz
cp a.raw image.vma
refused_as_restore image.vma
refused "the archive has no disk 'c'" ours.vma device=c
refused "unknown parameter 'size'" ours.vma size=1
refused "no archive given"
refused "could not parse size string" ours.vma cache-size=much

# The short way.
serve=("$VMA_RESTORE" serve --run 'echo started')
expect_exit 2 "${serve[@]}" -d c ours.vma
expect_message "the archive has no disk 'c'"
expect_exit 1 "${serve[@]}" none.vma
expect_exit 3 "${serve[@]}" image.vma
expect_exit 1 "${serve[@]}" cut.vma
expect_exit 2 "${serve[@]}" -
expect_message "standard input can't be served, only a file"
mkfifo fifo
expect_exit 1 timeout 60 nbdkit -f -r -U - "$PLUGIN" fifo --run true
expect_message "fifo' can't be served, only a file"
expect_exit 2 "${serve[@]}" fifo
expect_message "'fifo' can't be served, only a file"
expect_exit 2 "${serve[@]}" <(cat ours.vma)
expect_exit 2 "${serve[@]}" --cache-size=much ours.vma
expect_message "'much' is not a size"
expect_exit 2 "${serve[@]}" --unix=socket ours.vma
expect_exit 2 "$VMA_RESTORE" serve ours.vma
expect_message 'expected one of --unix and --run'
