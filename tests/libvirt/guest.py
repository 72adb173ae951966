# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest of tests/demo, run by libvirt, with a guest agent in it."""

import glob
import os
import shlex
import shutil
import subprocess
import time

from harness import Skip, check
from host import DEMO, Domain, disk

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get('CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
    'vma-sink')
CONSOLE = 'virtio_console.ko'
SECONDS = 60            # generous, for busy machines without KVM
BOOT = '''
<kernel>%s</kernel><initrd>%s</initrd>
<cmdline>console=ttyS0 quiet panic=-1</cmdline>
'''
DEVICES = '''
<serial type='file'><source path='%s'/></serial>
<channel type='unix'>
  <target type='virtio' name='org.qemu.guest_agent.0'/>
</channel>
'''
# To the initrd a second one, with the module of the agent's channel.
ADD = '''
dpkg-deb --fsys-tarfile "$1" | tar -x --wildcards -O "*/$3" > "$2/agent/$3"
cd "$2"
find . | busybox cpio -o -H newc -R 0:0 2> /dev/null | gzip >> ../initrd
'''


def make_files(t):
    """Kernel, disks, and an initrd with the agent"""
    made = subprocess.run([os.path.join(DEMO, 'make-guest.sh'), t.dir],
                          env=dict(os.environ, CACHE=CACHE), check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode:
        raise Skip('no guest: ' + made.stdout.decode().strip())
    release = max(glob.glob(CACHE + '/guest/*-guest-*'), key=os.path.getatime)
    release = os.path.basename(release).split('-guest-')[0]
    tree = t.path('tree')
    os.makedirs(tree + '/agent')
    shutil.copy(os.path.join(DEMO, 'guest-init.sh'), tree + '/agent/init')
    shutil.copy(os.path.join(HERE, 'guest-agent.sh'), tree + '/init')
    for name in ('/agent/init', '/init'):
        os.chmod(tree + name, 0o755)
    package, = glob.glob(CACHE + '/guest/linux-image-%s_*.deb' % release)
    subprocess.run(['bash', '-ec', ADD, 'bash', package, tree, CONSOLE],
                   check=True)


class Guest(Domain):
    """It writes for ever"""

    def __init__(self, t, libvirtd):
        make_files(t)
        self.serial = t.path('serial.log')
        super().__init__(
            t, libvirtd, disk('vda', t.path('disk-a.raw')),
            disk('vdb', t.path('disk-b.raw')), DEVICES % self.serial,
            boot=BOOT % (t.path('kernel'), t.path('initrd')), memory=256)
        self.wait_for(lambda: self.counter() > 0, 'does not come up')

    def wait_for(self, condition, words):
        deadline = time.monotonic() + SECONDS
        while not condition():
            check(time.monotonic() < deadline, 'the guest %s: %s' %
                  (words, self.console()[-500:]))
            time.sleep(0.1)

    def console(self):
        with open(self.serial, errors='replace') as serial:
            return serial.read()

    def bash(self, command, *args):
        """Of tests/demo/guest-lib.sh"""
        done = subprocess.run(
            ['bash', '-c', '. %s; GUEST_SERIAL=%s; %s' % (
                shlex.quote(os.path.join(DEMO, 'guest-lib.sh')),
                shlex.quote(self.serial), command),
             'bash', *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False)
        check(done.returncode == 0, done.stdout.decode())
        return done.stdout.decode().strip()

    def counter(self):
        return int(self.bash('guest_counter'))

    def goes_on(self):
        """It has not noticed anything, and writes"""
        count = self.counter()
        self.wait_for(lambda: self.counter() > count, 'has stopped writing')
        check(not self.bash('guest_complaints'), 'it complains')
