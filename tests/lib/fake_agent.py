#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A QEMU guest agent on a unix socket, to one client after the other, without any
file systems.  Every command is logged as a JSON object per line, into the same
file as those of fake_qmp.py if that is wanted: their order shows.
"""
import argparse
import json
import os
import signal
import socket
import time


class CommandError(Exception):
    pass


class Agent:
    def __init__(self, options):
        self.options = options
        self.log = open(options.log, 'a', buffering=1)
        self.frozen = options.frozen
        self.count = {}

    def cmd_guest_sync_delimited(self, arguments):
        return arguments['id']

    def cmd_guest_fsfreeze_status(self, _):
        return 'frozen' if self.frozen else 'thawed'

    def cmd_guest_fsfreeze_freeze(self, _):
        if self.frozen:
            raise CommandError('the command is not allowed now')
        self.frozen = True
        return 3

    def cmd_guest_fsfreeze_thaw(self, _):
        thawed = 3 if self.frozen else 0
        self.frozen = False
        return thawed

    def answer(self, line):
        message = json.loads(line)
        name = message['execute']
        self.log.write(json.dumps(message) + '\n')
        self.count[name] = self.count.get(name, 0) + 1
        first = self.count[name] <= self.options.times
        if first and name == self.options.silent_at:
            time.sleep(60)
        if first and name == self.options.hang_at:
            time.sleep(self.options.hang_seconds)
        if first and name == self.options.die_at:
            raise ConnectionError
        if first and name == self.options.refuse:
            raise CommandError(self.options.errmsg)
        result = getattr(self, 'cmd_' + name.replace('-', '_'))(
            message.get('arguments', {}))
        mark = b'\xff' if name == 'guest-sync-delimited' else b''
        return mark + json.dumps({'return': result}).encode() + b'\n'

    def serve(self, client):
        client.sendall(os.fsencode(self.options.stale))
        received = b''
        while True:
            data = client.recv(65536)
            if not data:
                return
            received += data
            while b'\n' in received:
                line, received = received.split(b'\n', 1)
                # What is before the mark is the rest of something else.
                line = line.split(b'\xff')[-1]
                try:
                    reply = self.answer(line)
                except CommandError as error:
                    reply = json.dumps({'error': {
                        'class': 'GenericError',
                        'desc': str(error)}}).encode() + b'\n'
                client.sendall(reply)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--log', default='log')
    parser.add_argument('--stale', default='', help='sent first')
    parser.add_argument('--frozen', action='store_true')
    parser.add_argument('--refuse', help='a command that fails')
    parser.add_argument('--errmsg', default='some reason')
    parser.add_argument('--hang-at', help='a command answered late')
    parser.add_argument('--hang-seconds', type=float, default=1)
    parser.add_argument('--silent-at', help='a command not answered')
    parser.add_argument('--die-at', help='close when this command comes')
    parser.add_argument('--times', type=int, default=1 << 30,
                        help='do that to the first so many of them only')
    parser.add_argument('socket')
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(options.socket + '.new')
    listener.listen(1)
    # Who sees the name can connect.
    os.rename(options.socket + '.new', options.socket)
    agent = Agent(options)
    while True:
        client = listener.accept()[0]
        try:
            agent.serve(client)
        except ConnectionError:
            pass
        client.close()


if __name__ == '__main__':
    main()
