#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many clients that read at once, in order and at random, over several
# connections with many requests each, get the right bytes, also where there is
# memory for one reader alone; and the memory stays within cache-size.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"

# Incompressible, and many times the memory that is allowed.
head -c 100M /dev/urandom > a.raw
head -c 20M /dev/urandom > b.raw
"$VMA_DUMP" a=a.raw b=b.raw 2> /dev/null > stream
"$VMA_SINK" -o x.vma < stream 2> /dev/null || fail "no archive"
"$VMA_SINK" -o x.vma.zst < stream 2> /dev/null || fail "no archive"
rm stream

cat > client.py <<'END'
import random, socket, struct, sys
# A client of one connection with many requests on the way.
path, disk, seed = sys.argv[1:]
rand = random.Random(int(seed))
data = open(disk + '.raw', 'rb').read()
s = socket.socket(socket.AF_UNIX)
s.connect(path)
f = s.makefile('rb')
assert f.read(16) == b'NBDMAGICIHAVEOPT' and f.read(2)
name = disk.encode()
s.sendall(struct.pack('>I', 3) + b'IHAVEOPT' + struct.pack(
    '>II', 1, len(name)) + name)
assert struct.unpack('>Q', f.read(8))[0] == len(data) and f.read(2)
on_way = {}
for n in range(400):
    size = rand.choice((512, 4096, 70000))
    at = rand.randrange(len(data) - size)
    s.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 0, n, at, size))
    on_way[n] = at, size
    while len(on_way) >= 16 or (n == 399 and on_way):
        magic, error, number = struct.unpack('>IIQ', f.read(16))
        at, size = on_way.pop(number)
        assert (magic, error) == (0x67446698, 0), error
        assert f.read(size) == data[at:at + size], (disk, at, size)
END

for archive in x.vma x.vma.zst; do
    for cache in 1M 24M; do
        serve socket "$PLUGIN" $archive cache-size=$cache
        clients=()
        for i in 1 2 3; do
            python3 client.py socket a $i & clients+=($!)
            python3 client.py socket b $i & clients+=($!)
        done
        nbdcopy "nbd+unix:///a?socket=$T/socket" a.out & clients+=($!)
        nbdcopy "nbd+unix:///b?socket=$T/socket" b.out & clients+=($!)
        for client in "${clients[@]}"; do
            wait "$client" || fail "a client of $archive with $cache"
        done
        cmp a.raw a.out || fail "$archive, $cache: disk a"
        cmp b.raw b.out || fail "$archive, $cache: disk b"
        # Without the cache a process of nbdkit has some 30 MiB; the disks
        # would be another 120.
        peak=$(awk '/VmHWM/ { print $2 }' "/proc/$(cat socket.pid)/status")
        echo "$archive, $cache: $peak KiB"
        [ "$peak" -le $((90 << 10)) ] ||
            fail "$archive, $cache: $peak KiB"
        kill "$(cat socket.pid)"
        wait
        rm -f socket socket.pid a.out b.out
    done
done
