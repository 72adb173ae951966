#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a process that was killed outright has left is removed by the next one
# that writes to the folder, of whatever name; what somebody still writes stays,
# without a word; and of what may be somebody's a note tells.
. "$(dirname "$0")/lib.sh"

head -c 4M /dev/urandom > image
echo 'name: x' > vm.conf
"$VMA_DUMP" d=image -c vm.conf > stream 2> err || fail "no stream"
"$VMA_SINK" -o whole.vma < stream 2> err || fail "no archive"
setxattr() { # FILE VALUE
    python3 -c 'import os, sys
os.setxattr(sys.argv[1], "user.vma-sink.temporary", sys.argv[2].encode())' "$@"
}
touch has-xattr
setxattr has-xattr x 2> /dev/null || skip "no extended attributes in $T"
rm has-xattr

pids=()
# Waits for the stream's rest, with a temporary file or folder.
start() { # NAME COMMAND...
    local name=$1
    shift
    mkfifo "$name.pipe"
    "$@" < "$name.pipe" 2> "$name.err" &
    pids+=($!)
    exec {fd}<> "$name.pipe"
    head -c 1M "$source" >&"$fd"
    for ((i = 0; i < 1000; i++)); do
        [ -n "$(find out -name "$name*.partial")" ] && return
        sleep 0.01
    done
    fail "$name has no temporary file"
}
mkdir out out/disks
source=stream
start a.vma "$VMA_SINK" -o out/a.vma
start b.vma.zst "$VMA_SINK" -o out/b.vma.zst
start c "$VMA_SINK" --format=raw -o out/c
source=whole.vma
start r.vma "$VMA_RESTORE" reindex - out/r.vma
start disk-d "$VMA_RESTORE" extract - out/disks
held() {
    find out -name '*.partial' | wc -l
}
[ "$(held)" -ge 5 ] || fail "not all are there: $(find out)"

# All of them live.
before=$(find out | sort)
expect_exit 0 "$VMA_SINK" -o out/next.vma < stream
! grep -q partial err || fail "a word about what is being written"
expect_exit 0 "$VMA_RESTORE" extract -d d=out/disks/next.raw whole.vma
! grep -q partial err || fail "a word about what is being written"
rm out/next.vma out/disks/next.raw
[ "$(find out | sort)" = "$before" ] || fail "another one's file is gone"

kill -9 "${pids[@]}"
wait
[ "$(find out | sort)" = "$before" ] || fail "gone before its time"
expect_exit 0 "$VMA_SINK" -o out/next.vma < stream
[ "$(grep -c "removed 'out/.*partial', which a process that was killed has" \
    err)" = 4 ] || fail "not told of four"
expect_exit 0 "$VMA_RESTORE" extract whole.vma out/disks
expect_message "removed 'out/disks/"
[ "$(held)" = 0 ] || fail "left over: $(find out)"
[ "$(find out/disks -type f | wc -l)" = "$("$VMA_RESTORE" list --json whole.vma |
    python3 -c 'import json, sys
x = json.load(sys.stdin)
print(len(x["configs"]) + len(x["devices"]))')" ] || fail "$(find out)"

# No marks, or those of another machine or an earlier start, are only named.
rm out/next.vma
touch out/x.vma.backup.partial out/other.Abc123.partial
setxattr out/other.Abc123.partial 01234567-89ab-cdef-0123-456789abcdef
mkdir out/folder.abcdef.partial
# And these are nothing at all.
touch out/x.partial out/x.abc123.partia1 out/x.abc-12.partial \
    out/.abc123.partial out/xabc123.partial
ln -s nowhere out/link.abc123.partial
mkfifo out/pipe.abc123.partial
before=$(find out | sort)
expect_exit 0 timeout 20 "$VMA_SINK" -o out/next.vma < stream
for name in x.vma.backup other.Abc123 folder.abcdef; do
    expect_message "'out/$name.partial' looks left over"
done
[ "$(grep -c partial err)" = 3 ] || fail "more are told of: $(cat err)"
rm out/next.vma
[ "$(find out | sort)" = "$before" ] || fail "something is gone"

# What is whole has no mark.
for file in whole.vma out/disks/*; do
    [ "$(python3 -c 'import os, sys
print(os.listxattr(sys.argv[1]))' "$file")" = '[]' ] || fail "$file is marked"
done
