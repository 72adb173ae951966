#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
An NBD server on a unix socket that misbehaves as it is told, to one client, and
then exits.  The disk is the file FILE.  Every request is logged, a line each:
read, status or trim, offset, length; those of a second connection to LOG.2 and
so on.
"""
import argparse
import os
import select
import socket
import struct
import sys
import time

OPTION, REPLY = 0x49484156454f5054, 0x3e889045565a9
ACK, INFO, META, UNSUPPORTED = 1, 3, 4, 0x80000001
ABORT, GO, STRUCTURED, SET_META = 2, 7, 8, 10
READ, DISCONNECT, TRIM, STATUS = 0, 2, 4, 7
DONE = 1
EIO = 5


class Server:
    def __init__(self, client, options):
        self.client = client
        self.options = options
        self.data = open(options.file, 'rb').read()
        self.size = options.size or len(self.data)
        self.log = open(options.log, 'a', buffering=1)
        self.structured = False
        self.reads = 0
        self.trims = []

    def take(self, size):
        try:
            data = self.client.recv(size, socket.MSG_WAITALL)
        except ConnectionResetError:
            data = b''
        if len(data) < size:
            sys.exit(0)
        return data

    def reply(self, option, kind, data=b''):
        self.client.sendall(struct.pack('>QIII', REPLY, option, kind,
                                        len(data)) + data)

    def go(self):
        flags = 1 << 5 | 1 if self.options.trim else 3
        if self.options.clients > 1:
            flags |= 1 << 8
        self.reply(GO, INFO, struct.pack('>HQH', 0, self.size, flags))
        if self.options.most:
            self.reply(GO, INFO, struct.pack('>HIII', 3, 1, 512,
                                             self.options.most))
        self.reply(GO, ACK)

    def negotiate(self):
        self.client.sendall(b'NBDMAGIC' + struct.pack('>QH', OPTION, 3))
        self.take(4)
        while True:
            _, option, length = struct.unpack('>QII', self.take(16))
            self.take(length)
            if option == GO:
                self.go()
                return
            if option == STRUCTURED and not self.options.simple:
                self.structured = True
                self.reply(option, ACK)
            elif option == SET_META and self.structured:
                self.reply(option, META,
                           struct.pack('>I', 7) + b'base:allocation')
                self.reply(option, ACK)
            else:
                self.reply(option, UNSUPPORTED)
                if option == ABORT:
                    sys.exit(0)

    def chunk(self, handle, kind, payload):
        self.client.sendall(struct.pack('>IHHQI', 0x668e33ef, DONE, kind,
                                        handle, len(payload)) + payload)

    def fail(self, handle):
        self.chunk(handle, 32769, struct.pack('>IH', EIO, 0))

    def misbehave(self, handle, offset, data):
        """Whether it did."""
        if self.reads < self.options.after:
            return False
        what = self.options.what
        if what == 'hang':
            time.sleep(60)
        elif what == 'close':
            sys.exit(0)
        elif what == 'half':
            self.client.sendall(struct.pack(
                '>IHHQIQ', 0x668e33ef, DONE, 1, handle, len(data) + 8, offset)
                                + data[:len(data) // 2])
            sys.exit(0)
        elif what == 'garbage':
            self.client.sendall(b'garbage!' * 1000)
        elif what == 'error':
            self.fail(handle)
        return what is not None

    def read(self, handle, offset, length):
        data = self.data[offset:offset + length].ljust(length, b'\0')
        if self.misbehave(handle, offset, data):
            return
        self.reads += 1
        if self.structured:
            self.chunk(handle, 1, struct.pack('>Q', offset) + data)
        else:
            self.client.sendall(struct.pack('>IIQ', 0x67446698, 0, handle) +
                                data)

    def status(self, handle):
        if self.options.extents == 'error':
            self.fail(handle)
            return
        payload = struct.pack('>I', 7)
        for extent in self.options.extents.split(','):
            payload += struct.pack('>II', *map(int, extent.split(':')))
        self.chunk(handle, 5, payload)

    def answer_trims(self):
        """When the client sends nothing more; the log has how many there are"""
        if self.trims and not select.select([self.client], [], [], 0.1)[0]:
            self.log.write('answers %d\n' % len(self.trims))
            for handle in self.trims:
                self.chunk(handle, 0, b'')
            self.trims = []

    def run(self, waiting, ready):
        self.negotiate()
        os.close(ready)
        while True:
            os.read(waiting, 1)
            self.answer_trims()
            _, _, kind, handle, offset, length = struct.unpack(
                '>IHHQQI', self.take(28))
            if kind == DISCONNECT:
                return
            self.log.write('%s %d %d\n' % (
                {READ: 'read', STATUS: 'status', TRIM: 'trim'}[kind], offset,
                length))
            if kind == READ:
                self.read(handle, offset, length)
            elif kind == TRIM:
                self.trims.append(handle)
            else:
                self.status(handle)


def parse(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument('--log', default='nbd.log')
    parser.add_argument('--size', type=int, help='instead of that of FILE')
    parser.add_argument('--simple', action='store_true',
                        help='no structured replies, hence no extents')
    parser.add_argument('--extents', default='%d:0' % (1 << 31),
                        help='LENGTH:FLAGS,... or error: every answer')
    parser.add_argument('--most', type=int, help='longest request')
    parser.add_argument('--what', help='hang, close, half, garbage or error '
                        'instead of an answer to a read')
    parser.add_argument('--after', type=int, default=0, help='so many reads')
    parser.add_argument('--clients', type=int, default=1, help='take so many '
                        'at once; only the last one finds misbehaviour')
    parser.add_argument('--other-size', type=int, help='for the last one')
    parser.add_argument('--silent', action='store_true', help='do not greet')
    parser.add_argument('--trim', action='store_true', help='can discard; it '
                        'answers only when nothing more comes')
    parser.add_argument('file')
    parser.add_argument('socket')
    return parser.parse_args(arguments)


def main():
    options = parse()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(options.socket + '.new')
    listener.listen(16)
    # Who sees the name can connect.
    os.rename(options.socket + '.new', options.socket)
    serve(listener, options)


def serve(listener, options):
    """All but the last client get processes of their own, and no answer to a
    read before the last one is ready."""
    log, what, silent = options.log, options.what, options.silent
    waiting, ready = os.pipe()
    for number in range(1, options.clients + 1):
        last = number == options.clients
        client = listener.accept()[0]
        if not last and os.fork():
            client.close()
            continue
        options.log = log if number == 1 else '%s.%d' % (log, number)
        options.what = what if last else None
        options.size = last and options.other_size or options.size
        if silent and last:
            os.close(ready)
            time.sleep(60)
        Server(client, options).run(waiting, ready)
        return


if __name__ == '__main__':
    main()
