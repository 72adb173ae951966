#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbdkit with our plugin serves each disk of an archive bit for bit, whatever
# the order of its clusters, plain and compressed; as a process in the
# background, too, and where the archive's header is many frames of zstd.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives
needs qemu-img

for archive in shuffled.vma ours.vma ours.vma.zst; do
    serve socket "$PLUGIN" "$archive" device=b
    for disk in a b; do
        uri="nbd+unix:///$disk?socket=$T/socket"
        nbdcopy "$uri" out || fail "$archive: no copy of $disk"
        cmp out $disk.raw || fail "$archive: disk $disk differs"
        rm out
        qemu-img compare -f raw -F raw "$uri" $disk.raw > out 2>&1 ||
            fail "$archive: $disk: $(cat out)"
        qemu-img convert -f raw -O raw "$uri" out || fail "no image"
        cmp out $disk.raw || fail "$archive: disk $disk differs as an image"
    done
    nbdcopy "nbd+unix:///?socket=$T/socket" out
    cmp out b.raw || fail "device=b is not the default"
    kill "$(cat socket.pid)"
    wait
    rm -f socket socket.pid out
done

# A disk that ends within a block.
head -c 10001 b.raw > odd.raw
"$mkvma" odd.vma odd=odd.raw
# shellcheck disable=SC2016
with_plugin 'nbdcopy "$uri" out' odd.vma || fail "no odd disk"
cmp out odd.raw || fail "the odd disk differs"

# The seekable format as anybody's tool writes it, with frames of 4096 bytes.
# Its threads have no part in the server, which forks.
python3 - ours.vma small.vma.zst <<'END' || fail "no archive of small frames"
import struct, subprocess, sys
data = open(sys.argv[1], 'rb').read()
entries, out = b'', b''
for i in range(0, len(data), 4096):
    part = data[i:i + 4096]
    raw = len(part).to_bytes(4, 'little')
    # A frame with its size, of one block that is not compressed.
    frame = b'\x28\xb5\x2f\xfd\xa0' + raw + struct.pack(
        '<I', len(part) << 3 | 1)[:3] + part
    out += frame
    entries += struct.pack('<II', len(frame), len(part))
table = entries + struct.pack('<IBI', len(entries) // 8, 0, 0x8F92EAB1)
out += struct.pack('<II', 0x184D2A5E, len(table)) + table
open(sys.argv[2], 'wb').write(out)
END
"$VMA_RESTORE" verify small.vma.zst > /dev/null || fail "it is no archive"
nbdkit -U "$T/socket" -P pid "$PLUGIN" small.vma.zst || fail "no server"
trap 'kill "$(cat pid)" 2> /dev/null; cleanup' EXIT
nbdcopy "nbd+unix:///a?socket=$T/socket" out || fail "no copy from behind"
cmp out a.raw || fail "the server in the background differs"
kill "$(cat pid)"
for _ in {1..500}; do
    kill -0 "$(cat pid)" 2> /dev/null || exit 0
    sleep 0.02
done
fail "the server does not end"
