#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --fd N reads the stream from descriptor N, and leaves standard input alone;
# what can't be read from is refused before a file is created.
. "$(dirname "$0")/lib.sh"

stream=$(vector example)
expect_exit 0 "$VMA_SINK" -o a.vma < "$stream"
echo untouched > input
{ "$VMA_SINK" --fd 7 -o b.vma 7< "$stream" 2> err && cat; } < input > rest ||
    fail "$(cat err)"
cmp a.vma b.vma || fail "another archive"
cmp input rest || fail "standard input was read"
"$VMA_SINK" --fd 0 -f -o b.vma < "$stream" 2> err || fail "$(cat err)"
"$VMA_SINK" --fd 2 -f -o b.vma 2< "$stream" || fail "not from standard error's"
cmp a.vma b.vma || fail "another archive"

wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    expect_exit 2 "$VMA_SINK" -o c.vma "$@" < "$stream"
    expect_message "$message"
    expect_no_file c.vma c.vma.*
}
wrong 'descriptor 7 is not open' --fd 7
wrong 'descriptor 1000000000 is not open' --fd 1000000000
wrong 'descriptor -1 is not open' --fd=-1
wrong '--fd' --fd x
wrong '--fd' --fd
exec 7> written
wrong 'descriptor 7 is not open for reading' --fd 7
exec 7>&-

# A producer on a socket there gets its answer there.
expect_exit 0 python3 - "$VMA_SINK" "$ROOT" <<'END'
import importlib.util, socket, subprocess, sys

sink, root = sys.argv[1:]
spec = importlib.util.spec_from_file_location(
    'vectors', root + '/tests/data/make-stream-vectors.py')
v = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v)
for records, code, status in ((v.SECTOR + v.REST, 0, 0),
                              (v.SECTOR + v.SECTOR, 3, 1)):
    ours, theirs = socket.socketpair()
    child = subprocess.Popen([sink, '-f', '-o', 'd.vma', '--fd',
                              str(theirs.fileno())], stderr=subprocess.PIPE,
                             pass_fds=[theirs.fileno()],
                             stdin=subprocess.DEVNULL)
    theirs.close()
    ours.sendall(v.preamble(v.A512, features=2) + records)
    data = ours.recv(8, socket.MSG_WAITALL)
    child.communicate()
    assert child.returncode == code, child.returncode
    assert data == b'QBSa' + bytes([0, 0, 0, status]), data
END

command -v script > /dev/null || skip "script is not installed"
script -qec "'$VMA_SINK' -o c.vma --fd 7 7<&1" /dev/null < /dev/null > typed
code=$?
[ "$code" = 2 ] || fail "exit code $code"
grep -q 'refusing to read a stream from a terminal' typed ||
    fail "$(cat typed)"
expect_no_file c.vma
