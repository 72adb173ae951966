# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests need to let vma-dump back up a QEMU that has no patches, or
whose patches are not used: a machine with monitors on unix sockets, vma-dump
with a reader that can wait, and its stream.

The program is that in the folder of $VMA_DUMP, or in the Makefile's B.
"""

import os
import random
import socket
import struct
import subprocess
import sys
import zlib

import harness
from harness import check, equal

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
sys.path.insert(0, os.path.join(ROOT, 'tests/lib'))
import qbs      # noqa: E402  pylint: disable=wrong-import-position

DUMP = os.environ.get('VMA_DUMP') or os.path.join(
    ROOT, os.environ.get('B') or 'build', 'vma-dump')
SIZE = 2 << 20


def parts(size):
    """Writes of qemu-io in many small places, of data and of zeroes, with others
    in between"""
    rng = random.Random(1)
    for _ in range(60):
        yield 'write -q %s %dk %dk' % (rng.choice(('-P 3', '-z', '-z -u')),
                                       rng.randrange(size // 4096 - 25) * 4,
                                       rng.choice((4, 64, 100)))


def wrong_clusters(image, data):
    return [n for n in range(0, len(data), harness.CLUSTER)
            if image[n:n + harness.CLUSTER] != data[n:n + harness.CLUSTER]]


def has_safe_io_threads(program):
    """Before 9.0 QEMU can abort with them, and vma-dump refuses"""
    text = subprocess.run([program, '--version'], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return int(text.split('version ')[1].split('.')[0]) >= 9


def without_io_threads(args):
    left = [arg.split(',iothread=')[0] for arg in args]
    while 'iothread,id=io0' in left:
        at = left.index('iothread,id=io0')
        del left[at - 1:at + 1]
    return left


class Host(harness.Process):
    """qemu-system-x86_64 without a guest, with the monitors 'qmp0' and 'qmp1'.
    Where it has no accelerator for tests its processor is halted."""

    def __init__(self, test, *args):
        program = test.program('qemu-system-x86_64')
        if not has_safe_io_threads(program):
            args = without_io_threads(args)
        accelerators = subprocess.run([program, '-accel', 'help'], check=True,
                                      stdout=subprocess.PIPE).stdout.split()
        accel = (['-accel', 'qtest'] if b'qtest' in accelerators
                 else ['-accel', 'tcg'])
        # cli; hlt; jmp to the hlt: where a processor begins
        bios = bytes(0xfff0) + b'\xfa\xf4\xeb\xfd' + bytes(12)
        self.sockets = [test.path('qmp0'), test.path('qmp1')]
        for path in self.sockets:
            args += '-qmp', 'unix:%s,server=on,wait=off' % path
        super().__init__(test, program, [
            '-nodefaults', '-display', 'none', *accel, '-machine', 'q35',
            '-m', '64', '-bios', test.raw('bios', bios),
            '-chardev', 'socket,id=qmp,fd=@QMP@',
            '-mon', 'chardev=qmp,mode=control', *args])
        self.test = test
        self.folder = test.path('images')
        os.mkdir(self.folder)
        version = self.qmp.cmd('query-version')['qemu']
        self.version = version['major'], version['minor']
        self.nodes = self.leftovers()[0]

    hmp = harness.Machine.hmp
    io_send = harness.Machine.io_send
    io_wait = harness.Machine.io_wait
    io = harness.Machine.io

    def dump(self, *options, **kwargs):
        return Dump(self, *options, **kwargs)

    def clean(self):
        """Nothing is left of a backup"""
        equal(self.leftovers()[0], self.nodes, 'nodes')
        equal(self.qmp.cmd('query-jobs'), [], 'jobs')
        equal(self.qmp.cmd('query-block-exports'), [], 'exports')
        equal(os.listdir(self.folder), [], 'files')
        left = [f for f in self.files() if self.folder in f]
        equal(left, [], "QEMU's files")
        try:
            self.qmp.cmd('nbd-server-stop')
        except harness.QmpError:
            return
        raise harness.Failure('the NBD server runs')

    def files(self):
        path = '/proc/%d/fd' % self.process.pid
        for fd in os.listdir(path):
            try:
                yield os.readlink('%s/%s' % (path, fd))
            except FileNotFoundError:
                pass


class Dump:
    """A vma-dump that runs; nobody reads its stream before read()"""

    def __init__(self, host, *options, monitor=0, method='nbd'):
        self.host = host
        argv = [DUMP, '--qmp', host.sockets[monitor], '--fleecing',
                host.folder, *options]
        if method:
            argv += ['--method', method]
        self.launch(argv)

    def launch(self, argv):
        self.socket, theirs = None, subprocess.PIPE
        if '--answer' in argv:
            self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen(argv, stdout=theirs,
                                        stderr=subprocess.PIPE, bufsize=0)
        self.host.test.cleanup(self.process.kill)
        if self.socket:
            theirs.close()
            self.process.stdout = self.socket.makefile('rb', 0)
        self.images = {}
        self.reader = qbs.Reader(self.process.stdout, self.on_data)

    def on_data(self, device, offset, data):
        self.images[device.name][offset:offset + len(data)] = data

    def start(self):
        """Returns when the point in time is set"""
        self.reader.read_preamble()
        for device in self.reader.devices.values():
            self.images[device.name] = bytearray(device.size)
        return self

    def read_disk(self):
        """Up to and including the end of a disk"""
        while self.reader.read_record() != qbs.DEVICE_END:
            pass

    def read_all(self):
        """Up to and including END"""
        while self.reader.read_record() != qbs.END:
            pass

    def answer(self, status, message=b''):
        """What the reader has to say in the end"""
        data = struct.pack('>4sIII', b'QBSa', status, len(message), 0) + message
        crc = zlib.crc32(self.reader.uuid + data)
        self.socket.sendall(data + struct.pack('>I', crc))

    def read(self):
        """All the rest, and the exit code 0; returns the images by name"""
        self.read_all()
        check(not self.process.stdout.read(1), 'bytes after END')
        equal(self.wait(), 0, 'exit code')
        return self.images

    def wait(self):
        self.process.stdout.close()
        _, self.message = self.process.communicate(timeout=30)
        self.message = self.message.decode()
        return self.process.returncode

    def fails(self, text, code=1):
        """The stream, if there is one, does not pass for a backup"""
        why = None
        try:
            if not self.images:
                self.start()
            self.read_all()
            raise harness.Failure('the stream is complete')
        except qbs.Aborted as err:
            why = err
        except qbs.Incomplete:
            pass
        equal((self.wait(), text in self.message), (code, True),
              'exit code (%s)' % self.message)
        return why
