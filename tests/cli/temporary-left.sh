#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a process that was killed outright has left is removed by the next one
# that writes to the folder, of whatever name, also after the machine's next
# start; what somebody still writes stays, without a word; and of what may be
# somebody's a note tells.
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

# No marks, or those of who knows which machine, are only named.
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

# A folder's name may end in '/'.
source=stream pids=()
start g "$VMA_SINK" --format=raw -o out/g/
kill -9 "${pids[@]}"
wait
expect_exit 0 "$VMA_SINK" --format=raw -o out/g/ < stream
expect_message "removed 'out/g."
rm -r out/g

# What is whole has no mark.
for file in whole.vma out/disks/*; do
    [ "$(python3 -c 'import os, sys
print(os.listxattr(sys.argv[1]))' "$file")" = '[]' ] || fail "$file is marked"
done

# After the next start of the machine: what it left itself is removed where no
# other one can have it, unless somebody has it locked, or has another machine.
rm -rf out
mkdir out
source=stream
pids=()
start e.vma "$VMA_SINK" -o out/e.vma
start f.vma "$VMA_SINK" -o out/f.vma
getxattr() { # FILE
    python3 -c 'import os, sys
print(os.getxattr(sys.argv[1], "user.vma-sink.temporary").decode())' "$@"
}
read -r _ device machine <<< "$(getxattr out/e.vma.*.partial)"
[ ${#machine} = 16 ] || machine=
case $(stat -f -c %T .) in
ext2/ext3|xfs|btrfs) [ -n "$machine" ] || ! [ -s /etc/machine-id ] ||
    fail "no machine in the mark" ;;
*) [ -z "$machine" ] || fail "a machine in the mark" ;;
esac
for file in out/[ef].vma.*.partial; do
    setxattr "$file" "other-boot $device${machine:+ $machine}"
done
touch out/machine.abcdef.partial out/old.abcdef.partial out/no.abcdef.partial
setxattr out/machine.abcdef.partial "other-boot $device 0123456789abcdef"
setxattr out/old.abcdef.partial "other-boot $device"
setxattr out/no.abcdef.partial " $device${machine:+ $machine}"
kill -9 "${pids[0]}"
wait "${pids[0]}"
e=$(echo out/e.vma.*.partial)
f=$(echo out/f.vma.*.partial)
expect_exit 0 "$VMA_SINK" -o out/next.vma < stream
[ -e "$f" ] || fail "a file that is being written is gone"
! grep -qF "$f" err || fail "a word about what is being written"
for name in machine old no; do
    expect_message "'out/$name.abcdef.partial' looks left over"
    [ -e "out/$name.abcdef.partial" ] || fail "$name is gone"
done
if [ -n "$machine" ]; then
    expect_message "removed '$e'"
    expect_no_file "$e"
else
    expect_message "'$e' looks left over"
fi
# Of a client of --receive it does not take the room.
if [ -n "$machine" ]; then
    mkdir store
    truncate -s 1G store/x.vma.abcdef.partial
    setxattr store/x.vma.abcdef.partial "other-boot $device $machine"
    expect_exit 0 "$VMA_SINK" --receive store --max-total 100M < stream
    ! grep -q partial err || fail "a client is told of another's file"
fi

# Many that begin and end at the same time are not left over to each other.
rm -rf out
mkdir out
for round in {1..10}; do
    pids=()
    for i in {1..12}; do
        "$VMA_SINK" -o "out/$round-$i.vma" < "$(vector example)" \
            2> "many.$i" &
        pids+=($!)
    done
    wait "${pids[@]}"
    ! grep partial many.* || fail "a word about what is being written"
done
[ "$(find out -name '*.vma' | wc -l)" = 120 ] || fail "not all are there"
[ "$(held)" = 0 ] || fail "left over: $(find out)"
