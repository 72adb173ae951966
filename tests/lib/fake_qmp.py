#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A QMP monitor on a unix socket that answers like that of a QEMU with qemu-patch,
to one client, and then exits.  Nothing can be read of its disk: what is written
to the descriptor is the file given by --stream.  Nodes and jobs exist by name
only.  Its NBD server is fake_nbd.py, with the options of --nbd.  Every command is
logged, a JSON object per line: what came, and "fd": whether a descriptor came
along.
"""
import argparse
import array
import json
import os
import signal
import socket
import sys
import time

import fake_nbd

UUID = 'ab61bd3c-8ba3-4b8c-9b12-ff9a5bfd0cd6'
OTHER_UUID = '00000000-8ba3-4b8c-9b12-ff9a5bfd0cd6'
TOTAL = 1 << 20


class CommandError(Exception):
    def __init__(self, desc, kind='GenericError'):
        super().__init__(desc)
        self.desc = desc
        self.kind = kind


class Monitor:
    def __init__(self, client, options):
        self.client = client
        self.options = options
        self.log = open(options.log, 'a', buffering=1)
        self.input = b''
        self.fds = []           # received, not yet named
        self.named = {}
        self.fd = -1            # the backup's
        self.status = 'none'
        self.queries = 0
        self.nodes = ['n0']
        self.jobs = {}          # id: status
        self.exports = []
        self.server = 0         # its process
        self.refusals = options.refuse_times

    def send(self, message):
        self.client.sendall(json.dumps(message).encode() + b'\r\n')

    def receive(self):
        """The next command, and whether a descriptor came with it."""
        got_fd = False
        while b'\n' not in self.input:
            data, ancillary, _, _ = self.client.recvmsg(
                65536, socket.CMSG_SPACE(16))
            for _, kind, content in ancillary:
                if kind == socket.SCM_RIGHTS:
                    fds = array.array('i')
                    fds.frombytes(content[:len(content) & ~3])
                    self.fds += fds
                    got_fd = True
            if not data:
                sys.exit(0)
            self.input += data
        line, self.input = self.input.split(b'\n', 1)
        return json.loads(line), got_fd

    def set_status(self, status):
        self.status = status
        data = {'status': status}
        if status in ('error', 'cancelled'):
            data['errmsg'] = self.options.errmsg
        self.send({'event': 'JOB_STATUS_CHANGE', 'data': {'status': 'x'}})
        self.send({'event': 'BACKUP_STATUS_CHANGE', 'data': data,
                   'timestamp': {'seconds': 1, 'microseconds': 2}})

    def end(self, status):
        self.close()
        self.set_status(status)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def write_stream(self):
        if self.options.stream:
            with open(self.options.stream, 'rb') as file:
                os.write(self.fd, file.read())

    def cmd_qmp_capabilities(self, _):
        return {}

    def cmd_getfd(self, arguments):
        self.named[arguments['fdname']] = self.fds.pop(0)
        return {}

    def cmd_closefd(self, arguments):
        fd = self.named.pop(arguments['fdname'], -1)
        if fd < 0:
            raise CommandError('File descriptor named x not found')
        os.close(fd)
        return {}

    def cmd_backup(self, arguments):
        name = arguments['backup-file']
        assert name.startswith('fd:')
        self.fd = self.named.pop(name[3:])
        self.set_status('active')
        self.write_stream()
        if self.options.end_after:
            self.close()
        return {'uuid': UUID}

    def may_end(self):
        after = self.options.end_after
        return os.path.exists(after) if after else self.queries >= 3

    def cmd_query_backup(self, _):
        self.queries += 1
        if self.status == 'cancelling' and not self.options.stubborn:
            self.end('cancelled')
        elif self.status == 'active' and self.may_end():
            if self.options.end == 'other':
                self.end('done')
            elif self.options.end != 'never':
                self.end(self.options.end)
        other = self.options.end in ('other', 'lost') and self.queries >= 3
        status = {'status': 'active' if other else self.status,
                  'uuid': OTHER_UUID if other else UUID, 'total': TOTAL,
                  'transferred': min(self.queries, 3) * TOTAL // 3,
                  'zero-bytes': TOTAL // 2, 'speed': 0}
        if self.status in ('error', 'cancelled'):
            status['errmsg'] = self.options.errmsg
        return status

    def cmd_backup_cancel(self, _):
        self.set_status('cancelling')
        return {}

    def cmd_query_commands(self, _):
        names = [name[4:].replace('_', '-') for name in dir(self)
                 if name.startswith('cmd_')]
        missing = self.options.missing.split(',')
        return [{'name': name} for name in names if name not in missing]

    def cmd_query_iothreads(self, _):
        return []

    def cmd_query_status(self, _):
        return {'status': 'running', 'running': True}

    def cmd_query_block(self, _):
        return [{'device': '', 'qdev': '/machine/peripheral/d0/virtio-backend',
                 'inserted': {'node-name': 'n0', 'ro': False,
                              'image': {'virtual-size': TOTAL}}}]

    def cmd_qom_get(self, arguments):
        assert arguments == {'path': '/machine/peripheral/d0/virtio-backend',
                             'property': 'type'}
        return self.options.device

    def cmd_query_named_block_nodes(self, _):
        return [{'node-name': name, 'ro': False, 'image':
                 {'virtual-size': TOTAL}} for name in self.nodes]

    def cmd_nbd_server_start(self, arguments):
        if self.server:
            raise CommandError('NBD server already running')
        fd = self.named.pop(arguments['addr']['data']['str'])
        self.server = os.fork()
        if self.server == 0:
            self.client.close()
            signal.alarm(60)
            fake_nbd.serve(socket.socket(fileno=fd), fake_nbd.parse(
                self.options.nbd.split() + ['']))
            os._exit(0)
        os.close(fd)
        return {}

    def cmd_nbd_server_stop(self, _):
        if not self.server:
            raise CommandError('NBD server not running')
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)
        self.server = 0
        return {}

    def cmd_block_export_add(self, arguments):
        self.exports.append(arguments['id'])
        return {}

    def cmd_block_export_del(self, arguments):
        self.exports.remove(arguments['id'])
        return {}

    def cmd_query_block_exports(self, _):
        return [{'id': export, 'type': 'nbd'} for export in self.exports]

    def cmd_transaction(self, arguments):
        for action in arguments['actions']:
            if action['type'] == 'blockdev-backup':
                self.jobs[action['data']['job-id']] = 'running'
        return {}

    def cmd_query_jobs(self, _):
        return [{'id': job, 'status': status} for job, status in
                self.jobs.items()]

    def cmd_job_cancel(self, arguments):
        self.jobs[arguments['id']] = 'concluded'
        return {}

    def cmd_query_fdsets(self, _):
        return []

    def cmd_add_fd(self, _):
        os.close(self.fds.pop(0))
        return {'fdset-id': 3, 'fd': 4}

    def cmd_remove_fd(self, _):
        return {}

    def cmd_blockdev_add(self, arguments):
        self.nodes.append(arguments['node-name'])
        return {}

    def cmd_blockdev_del(self, arguments):
        self.nodes.remove(arguments['node-name'])
        return {}

    def cmd_blockdev_create(self, arguments):
        self.jobs[arguments['job-id']] = 'concluded'
        return {}

    def cmd_job_dismiss(self, arguments):
        del self.jobs[arguments['id']]
        return {}

    def answer(self, message):
        name = message.get('execute') or message['exec-oob']
        if name in self.options.missing.split(','):
            raise CommandError('The command %s has not been found' % name,
                               'CommandNotFound')
        if name == self.options.refuse and self.refusals:
            self.refusals -= 1
            raise CommandError(self.options.errmsg)
        return getattr(self, 'cmd_' + name.replace('-', '_'))(
            message.get('arguments', {}))

    def run(self):
        if self.options.predecessor:
            self.send({'event': 'RESUME'})
            self.send({'return': {}, 'id': 7})
            self.send({'error': {'class': 'GenericError', 'desc': 'old'}})
        version = dict(zip(('major', 'minor', 'micro'),
                           map(int, self.options.version.split('.'))))
        self.send({'QMP': {'version': {'qemu': version},
                           'capabilities':
                           ['oob'] if self.options.oob else []}})
        while True:
            message, got_fd = self.receive()
            self.log.write(json.dumps({**message, 'fd': got_fd}) + '\n')
            name = message.get('execute') or message['exec-oob']
            if name == self.options.die_at:
                if self.options.garbage is not None:
                    self.close()
                    self.client.sendall(self.options.garbage.encode() + b'\n')
                    time.sleep(60)
                return
            node = message.get('arguments', {}).get('node-name', '---')
            if self.options.hang_at in (name, name + ':' + node[18:19]):
                time.sleep(self.options.hang_seconds)
            try:
                reply = {'return': self.answer(message)}
            except CommandError as error:
                reply = {'error': {'class': error.kind, 'desc': error.desc}}
            self.send({**reply, 'id': message['id']})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--log', default='log')
    parser.add_argument('--stream', help='what the backup writes')
    parser.add_argument('--end', default='done',
                        help='done, error, cancelled; never; other: done, and '
                        'another backup has been started; lost: the same '
                        'without an event')
    parser.add_argument('--end-after', metavar='FILE', help='end the backup '
                        'when FILE is there, and the stream at once')
    parser.add_argument('--errmsg', default='some reason')
    parser.add_argument('--missing', default='', help='commands, by commas')
    parser.add_argument('--refuse', help='a command that fails')
    parser.add_argument('--refuse-times', type=int, default=-1)
    parser.add_argument('--die-at', help='close when this command comes')
    parser.add_argument('--garbage', help='do not close but send this')
    parser.add_argument('--hang-at', help='a command answered late; with :m '
                        'one about such a node of vma-dump')
    parser.add_argument('--hang-seconds', type=float, default=1)
    parser.add_argument('--stubborn', action='store_true',
                        help='do not obey backup-cancel')
    parser.add_argument('--silent', action='store_true', help='do not greet')
    parser.add_argument('--predecessor', action='store_true',
                        help="answer another client's commands, then greet")
    parser.add_argument('--version', default='0.0')
    parser.add_argument('--nbd', default='', help='options of fake_nbd.py, '
                        'and FILE')
    parser.add_argument('--device', default='virtio-blk-device',
                        help='the type of the disk')
    parser.add_argument('--no-oob', dest='oob', action='store_false')
    parser.add_argument('socket')
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(options.socket + '.new')
    listener.listen(1)
    # Who sees the name can connect.
    os.rename(options.socket + '.new', options.socket)
    if options.silent:
        time.sleep(60)
    monitor = Monitor(listener.accept()[0], options)
    try:
        monitor.run()
    finally:
        if monitor.server:
            monitor.cmd_nbd_server_stop({})


if __name__ == '__main__':
    main()
