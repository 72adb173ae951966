# SPDX-License-Identifier: GPL-2.0-or-later
"""A real sshd, with keys of its own.  No port: ssh talks to it through a pipe."""

import os
import shutil
import subprocess

from procs import descendants, name_of


class Remote:
    """ssh(COMMAND) is what runs COMMAND on the other side"""

    missing = None      # why there is none

    def __init__(self, folder):
        self._folder = folder
        self._sshd = shutil.which('sshd', path=os.environ.get('PATH', '') +
                                  ':/usr/sbin:/sbin')
        if not self._sshd or not shutil.which('ssh'):
            self.missing = 'no ssh or sshd'
            return
        for name in ('host', 'key'):
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '',
                            '-f', self._path(name)], check=True)
        if os.getuid() == 0:
            os.makedirs('/run/sshd', mode=0o755, exist_ok=True)
        with open(self._path('sshd_config'), 'w') as config:
            config.write('HostKey %s\nAuthorizedKeysFile %s\nUsePAM no\n'
                         'StrictModes no\nPasswordAuthentication no\n'
                         'KbdInteractiveAuthentication no\n'
                         'PermitRootLogin prohibit-password\n' %
                         (self._path('host'), self._path('key.pub')))
        if subprocess.run(self.ssh('true'), stdin=subprocess.DEVNULL,
                          capture_output=True).returncode != 0:
            self.missing = 'no login by sshd'

    def _path(self, name):
        return os.path.join(self._folder, name)

    def ssh(self, command):
        return ['ssh', '-F', 'none', '-i', self._path('key'),
                '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes',
                '-o', 'StrictHostKeyChecking=no', '-o', 'LogLevel=ERROR',
                '-o', 'UserKnownHostsFile=/dev/null',
                '-o', 'GlobalKnownHostsFile=/dev/null',
                '-o', 'ProxyCommand=%s -i -f %s' % (
                    self._sshd, self._path('sshd_config')),
                'localhost', command]


def sshds(ssh):
    """Those that serve the process SSH: listener and session"""
    return [pid for pid in descendants(ssh) if name_of(pid).startswith('sshd')]


def sinks(ssh):
    return [pid for pid in descendants(ssh) if name_of(pid) == 'vma-sink']
