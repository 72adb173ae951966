# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests need to drive a patched QEMU: a QMP client that can pass
descriptors, the two programs, disk images, and readers of the stream.

Nothing here judges; the tests do that.
"""

import array
import base64
import json
import os
import random
import re
import select
import socket
import subprocess
import threading
import time

import stream

CLUSTER = stream.CLUSTER


class Failure(Exception):
    """A test's claim does not hold."""


class Skip(Exception):
    """A test cannot be run here."""


class QmpError(Exception):
    """An error reply; str() is its message."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, expected, what):
    if got != expected:
        raise Failure('%s: got %.200r, expected %.200r' %
                      (what, got, expected))


def pattern(size, seed=1):
    """Bytes without a zero cluster, different for every seed"""
    return bytearray(random.Random(seed).randbytes(size))


class Qmp:
    """A QMP connection.  Replies are matched by id, so a command may be sent
    while another one has not been answered."""

    def __init__(self, sock):
        self._sock = sock
        self._buf = b''
        self._next_id = 0
        self._replies = {}
        self.events = []
        greeting = self._read(time.monotonic() + 30)
        check('QMP' in greeting, 'no QMP greeting')
        capabilities = greeting['QMP']['capabilities']
        self.has_oob = 'oob' in capabilities
        self.cmd('qmp_capabilities', enable=['oob'] if self.has_oob else [])

    def _read(self, deadline):
        while b'\n' not in self._buf:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._sock], [], [], left)[0]:
                raise Failure('no answer on the monitor')
            data = self._sock.recv(65536)
            if not data:
                raise Failure('the monitor was closed')
            self._buf += data
        line, self._buf = self._buf.split(b'\n', 1)
        return json.loads(line)

    def send(self, command, oob=False, fds=(), **arguments):
        self._next_id += 1
        message = {'exec-oob' if oob else 'execute': command,
                   'id': self._next_id,
                   'arguments': {key.rstrip('_').replace('_', '-'): value
                                 for key, value in arguments.items()}}
        data = json.dumps(message).encode() + b'\n'
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                          array.array('i', fds))]
        self._sock.sendmsg([data], ancillary)
        return self._next_id

    def wait(self, ident, timeout=20):
        deadline = time.monotonic() + timeout
        while ident not in self._replies:
            message = self._read(deadline)
            if 'event' in message:
                self.events.append(message)
            else:
                self._replies[message.get('id')] = message
        reply = self._replies.pop(ident)
        if 'error' in reply:
            raise QmpError(reply['error']['desc'])
        return reply['return']

    def cmd(self, command, **arguments):
        return self.wait(self.send(command, **arguments))

    def getfd(self, fd, name='stream'):
        self.wait(self.send('getfd', fds=[fd], fdname=name))

    def close(self):
        self._sock.close()


class Process:
    """A QEMU program with a QMP monitor on an inherited socket."""

    def __init__(self, test, program, args, pass_fds=()):
        self._test = test
        self._images = []       # [node name, size]
        ours, theirs = socket.socketpair()
        argv = [program] + [arg.replace('@QMP@', str(theirs.fileno()))
                            for arg in args]
        self._log = open(os.path.join(test.dir, 'log'), 'ab')
        self._out = open(os.path.join(test.dir, 'out'), 'ab')
        self._new_out = open(self._out.name, 'rb')
        self.process = subprocess.Popen(
            argv, pass_fds=[theirs.fileno(), *pass_fds],
            stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._log)
        test.cleanup(self.kill)
        theirs.close()
        self.qmp = Qmp(ours)

    qmp = None

    def kill(self):
        if self.qmp:
            self.qmp.close()
        self.process.kill()
        self.process.wait()
        self._log.close()
        self._out.close()
        self._new_out.close()

    def new_output(self):
        """What was printed since the last call"""
        return self._new_out.read().decode()

    def leftovers(self):
        """Everything that a backup must not leave behind"""
        nodes = sorted(n['node-name']
                       for n in self.qmp.cmd('query-named-block-nodes')
                       if [n['node-name'], n['image']['virtual-size']]
                       not in self._images)
        jobs = [job['id'] for job in self.qmp.cmd('query-jobs')]
        fds = []
        path = '/proc/%d/fd' % self.process.pid
        for fd in os.listdir(path):
            try:
                fds.append(os.readlink('%s/%s' % (path, fd)))
            except FileNotFoundError:
                pass
        pipes = sorted(f for f in fds if f.startswith(('pipe:', 'socket:')))
        return nodes, jobs, pipes

    # The backup commands

    def _sizes(self, devlist):
        """The disks that will be backed up, as far as that is known here"""
        sizes = {}
        for info in self.qmp.cmd('query-block') if not devlist else ():
            if not info.get('inserted', {'ro': True})['ro']:
                sizes[info.get('qdev') or info['device']] = \
                    info['inserted']['image']['virtual-size']
        if devlist:
            nodes = {n['node-name']: n['image']['virtual-size']
                     for n in self.qmp.cmd('query-named-block-nodes')}
            for name in re.split('[,;:]', devlist):
                size = nodes.get(name) or nodes.get(name + '-node')
                if size:
                    sizes[name] = size
        return sizes

    def fleecing(self, devlist=None):
        """The argument that has images for the disks, which are made or used
        again"""
        result = []
        for name, size in self._sizes(devlist).items():
            used = [item['node'] for item in result]
            nodes = [node for node, node_size in self._images
                     if node_size == size and node not in used]
            if not nodes:
                nodes = ['fleecing%d' % len(self._images)]
                path = self._test.raw(nodes[0] + '.%d' % id(self), b'')
                os.truncate(path, size)
                self.qmp.cmd('blockdev-add', driver='file', filename=path,
                             node_name=nodes[0], discard='unmap')
                self._images.append([nodes[0], size])
            result.append({'device': name, 'node': nodes[0]})
        return result

    def delete_images(self):
        """Those of fleecing()"""
        for node, _size in self._images:
            self.qmp.cmd('blockdev-del', node_name=node)
        self._images = []

    def backup(self, **arguments):
        """Start one, to the descriptor that is named 'stream'"""
        arguments.setdefault('backup_file', 'fd:stream')
        if self._test.fleecing and 'fleecing' not in arguments:
            arguments['fleecing'] = self.fleecing(arguments.get('devlist'))
        return self.qmp.cmd('backup', **arguments)['uuid']

    def to_pipe(self, **arguments):
        """Start one to a new pipe, return our end as a file object"""
        source, target = os.pipe()
        self.qmp.getfd(target)
        os.close(target)
        source = os.fdopen(source, 'rb', 0)
        try:
            self.backup(**arguments)
        except BaseException:
            source.close()
            raise
        return source

    def whole_backup(self, **arguments):
        """Do one from begin to end, return the Stream"""
        with self.to_pipe(**arguments) as source:
            result = stream.Stream(source).read_all()
        self.end('done')
        return result

    def status(self):
        return self.qmp.cmd('query-backup')

    def end(self, expected, timeout=15):
        """Wait for the end of the backup, return its status"""
        deadline = time.monotonic() + timeout
        while True:
            info = self.status()
            if info['status'] in ('done', 'cancelled', 'error'):
                break
            check(time.monotonic() < deadline,
                  'the backup does not end: %r' % info)
            time.sleep(0.01)
        equal(info['status'], expected, 'status (%s)' % info.get('errmsg'))
        return info

    def full_speed(self):
        """Not by its jobs: when one of them ends, the others share the backup's
        limit anew"""
        try:
            self.qmp.cmd('backup-set-speed', speed=0)
        except QmpError as err:
            if str(err) != 'No backup is running':
                raise


class Machine(Process):
    """qemu-system-x86_64 without a guest: the tests are the guest, by writing
    through the block backend of its devices."""

    def __init__(self, test, *args, pass_fds=()):
        program = test.program('qemu-system-x86_64')
        super().__init__(test, program, [
            '-nodefaults', '-display', 'none', '-accel', 'qtest',
            '-machine', 'q35', '-m', '64',
            '-bios', test.raw('bios', bytes(65536)),     # never run
            '-chardev', 'socket,id=qmp,fd=@QMP@',
            '-mon', 'chardev=qmp,mode=control', *args], pass_fds)

    def hmp(self, line):
        return self.qmp.cmd('human-monitor-command', command_line=line)

    def io_send(self, device, command):
        return self.qmp.send(
            'human-monitor-command',
            command_line='qemu-io -d %s "%s"' % (qom_path(device), command))

    def io_wait(self, ident, timeout=20):
        """qemu-io talks to QEMU's stdout, not to the monitor"""
        out = self.qmp.wait(ident, timeout) + self.new_output()
        words = ('error', 'failed', 'not found', 'invalid')
        check(not any(word in out.lower() for word in words),
              'guest request failed: ' + out.strip())
        return out

    def io(self, device, command, timeout=20):
        """A request of the guest; fails if the guest would see an error"""
        return self.io_wait(self.io_send(device, command), timeout)


def qom_path(device):
    """device: the id of a virtio disk, or a QOM path"""
    if device.startswith('/'):
        return device
    return '/machine/peripheral/%s/virtio-backend' % device


def disk(name, path, fmt='raw', extra='', iothread=None):
    """Arguments for a virtio disk: device NAME, node NAME-node"""
    args = ['-blockdev',
            'driver=%s,node-name=%s-node,discard=unmap,file.driver=file,'
            'file.discard=unmap,file.filename=%s%s' % (fmt, name, path, extra)]
    args += ['-device', 'virtio-blk-pci,id=%s,drive=%s-node%s' %
             (name, name, ',iothread=' + iothread if iothread else '')]
    return args


class Daemon(Process):
    """qemu-storage-daemon"""

    def __init__(self, test, *args, pass_fds=()):
        program = test.program('storage-daemon/qemu-storage-daemon')
        super().__init__(test, program, [
            '--chardev', 'socket,id=qmp,fd=@QMP@',
            '--monitor', 'chardev=qmp', *args], pass_fds)


class Reader(threading.Thread):
    """Reads a stream in the background"""

    def __init__(self, source):
        super().__init__(daemon=True)
        self._source = source
        self.stream = stream.Stream(source)
        self.error = None
        self.start()

    def run(self):
        try:
            self.stream.read_all()
        except Exception as err:    # pylint: disable=broad-except
            self.error = err
        finally:
            self._source.close()

    def result(self, timeout=30):
        """Returns the Stream, or raises what the reading raised"""
        self.join(timeout)
        check(not self.is_alive(), 'the stream does not end')
        if self.error:
            raise self.error
        return self.stream


class Nbd:
    """A client that can write, nothing more"""

    def __init__(self, path, export):
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(path)
        equal(self._recv(16), b'NBDMAGICIHAVEOPT', 'NBD greeting')
        self._recv(2)
        name = export.encode()
        # no zeroes, fixed newstyle; NBD_OPT_EXPORT_NAME
        self._sock.sendall((3).to_bytes(4, 'big') + b'IHAVEOPT' +
                           (1).to_bytes(4, 'big') +
                           len(name).to_bytes(4, 'big') + name)
        self._recv(10)

    def _recv(self, size):
        data = b''
        while len(data) < size:
            piece = self._sock.recv(size - len(data))
            if not piece:
                raise EOFError('the NBD server has closed the connection')
            data += piece
        return data

    def write(self, offset, data):
        self._sock.sendall(b'\x25\x60\x95\x13\0\0\0\x01' + b'\0' * 8 +
                           offset.to_bytes(8, 'big') +
                           len(data).to_bytes(4, 'big') + data)
        reply = self._recv(16)
        check(reply[:8] == b'\x67\x44\x66\x98\0\0\0\0', 'NBD write failed')


class Test:
    """What one test gets: a folder, the build, and clean-up"""

    def __init__(self, build, folder, fleecing=False):
        self.build = build
        self.dir = folder
        self.fleecing = fleecing        # in backups that don't say otherwise
        self._cleanups = []

    def cleanup(self, function):
        self._cleanups.append(function)

    def finish(self):
        while self._cleanups:
            try:
                self._cleanups.pop()()
            except OSError:
                pass

    def program(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise Skip('%s is not built' % name)
        return path

    def path(self, name):
        return os.path.join(self.dir, name)

    def raw(self, name, data):
        path = self.path(name)
        with open(path, 'wb') as file:
            file.write(data)
        return path

    def img(self, *args):
        subprocess.run([self.program('qemu-img'), *args], check=True,
                       stdout=subprocess.DEVNULL)

    def qemu_io(self, fmt, path, *commands):
        argv = [self.program('qemu-io'), '-f', fmt, path]
        for command in commands:
            argv += ['-c', command]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    def machine(self, *args, **kwargs):
        return Machine(self, *args, **kwargs)

    def daemon(self, *args, **kwargs):
        return Daemon(self, *args, **kwargs)


def b64(data):
    return base64.b64encode(data).decode()


def read_for(source, size):
    """Exactly size bytes"""
    data = b''
    while len(data) < size:
        piece = source.read(size - len(data))
        check(piece, 'end of file after %d bytes' % len(data))
        data += piece
    return data
