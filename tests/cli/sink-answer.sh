#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A producer on a socket that asks for an answer gets one: committed once the
# archive is there, failed with the reason; on a pipe it comes on standard output,
# if that is a pipe too, and else the stream is refused, as it is with -o -.
. "$(dirname "$0")/lib.sh"

expect_exit 0 python3 - "$VMA_SINK" "$ROOT" <<'END'
import importlib.util, os, socket, struct, subprocess, sys, zlib

sink, root = sys.argv[1:]
spec = importlib.util.spec_from_file_location(
    'vectors', root + '/tests/data/make-stream-vectors.py')
v = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v)


def ask(records, more=()):
    """Sends a stream that asks for an answer; returns it and the exit code."""
    ours, theirs = socket.socketpair()
    child = subprocess.Popen([sink, '-o', 'a.vma', *more], stdin=theirs,
                             stderr=subprocess.PIPE)
    theirs.close()
    ours.sendall(v.preamble(v.A512, features=2) + records)
    data = ours.recv(16, socket.MSG_WAITALL)
    data += ours.recv(struct.unpack_from('>I', data, 8)[0] + 4,
                      socket.MSG_WAITALL)
    message = child.stderr.read().decode()
    code = child.wait()
    magic, status, length, reserved = struct.unpack_from('>4sIII', data)
    assert magic == b'QBSa' and reserved == 0, data
    assert len(data) == 16 + length + 4, data
    assert struct.unpack('>I', data[-4:])[0] == zlib.crc32(v.UUID + data[:-4])
    return status, data[16:-4].decode(), code, message


assert ask(v.SECTOR + v.REST)[:3] == (0, '', 0)
os.stat('a.vma')
# Also where the stream is read ahead: of the socket no more is waited for.
assert ask(v.SECTOR + v.REST, ['--force', '--buffer=1M'])[:3] == (0, '', 0)
status, text, code, _ = ask(v.abort(2, b'cancelled'),
                            ['--force', '--buffer=1M'])
assert (status, code) == (1, 4) and 'gave up' in text, (status, text)
status, text, code, message = ask(v.SECTOR + v.SECTOR, ['--force'])
assert (status, code) == (1, 3) and 'second time' in text, (status, text)
assert text in message
status, text, code, _ = ask(v.abort(2, b'cancelled'), ['--force'])
assert (status, code) == (1, 4) and 'gave up' in text, (status, text)

# A producer that has gone does not unmake the archive.
os.unlink('a.vma')
ours, theirs = socket.socketpair()
child = subprocess.Popen([sink, '-o', 'a.vma'], stdin=theirs,
                         stderr=subprocess.PIPE)
theirs.close()
ours.sendall(v.preamble(v.A512, features=2) + v.SECTOR + v.REST)
ours.close()
assert b'a.vma: 1 disk' in child.stderr.read()
assert child.wait() == 0
os.stat('a.vma')

# A pipe can't carry an answer: it goes where sshd would pass it on.
os.unlink('a.vma')
stream = v.preamble(v.A512, features=2) + v.SECTOR + v.REST


def ask_pipe(data, *more, stdout=subprocess.PIPE):
    child = subprocess.run([sink, *more], stdout=stdout,
                           stderr=subprocess.PIPE, input=data)
    return child.returncode, child.stdout, child.stderr


code, out, message = ask_pipe(stream, '-o', 'a.vma', '--json')
assert code == 0 and len(out) == 20 and out[:8] == b'QBSa\0\0\0\0', out
assert b'"result":"done"' in message, message
code, out, message = ask_pipe(stream[:-1], '-o', 'a.vma', '--force')
assert code == 4 and out[:8] == b'QBSa\0\0\0\1', out
assert b'in a payload' in out
os.stat('a.vma')

# And where it is not one, or has the archive, there is no way.
os.unlink('a.vma')
with open('out', 'wb') as out:
    code, _, message = ask_pipe(stream, '-o', 'a.vma', stdout=out)
    assert code == 3 and b'asks for an answer' in message, message
code, out, message = ask_pipe(stream, '-o', '-')
assert code == 3 and b'asks for an answer' in message, message

# What becomes of an archive on standard output is not known: none is committed.
ours, theirs = socket.socketpair()
child = subprocess.Popen([sink, '-o', '-'], stdin=theirs,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
theirs.close()
ours.sendall(stream)
data = ours.recv(4096)
assert data[:8] == b'QBSa\0\0\0\1' and b'with -o -' in data, data
assert child.stdout.read() == b''
assert b'with -o -' in child.stderr.read() and child.wait() == 3
assert not os.path.exists('a.vma') and not os.path.getsize('out') and not out
END
