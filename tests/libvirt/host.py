# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd for tests, guests in it, and vma-dump --libvirt."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time

import unpatched
from harness import check, equal

ROOT = unpatched.ROOT
DEMO = os.path.join(ROOT, 'tests/demo')
SECONDS = 60
CONF = '''
auth_unix_rw = "none"
auth_unix_ro = "none"
'''
# What a container lacks is not asked for.
QEMU_CONF = '''
user = "%s"
group = "nogroup"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
'''
DOMAIN = '''
<domain type='qemu'>
  <name>%(name)s</name>
  <memory unit='MiB'>%(memory)d</memory>
  <vcpu>1</vcpu>%(threads)s
  <os><type arch='x86_64' machine='pc'>hvm</type>%(boot)s</os>
  <devices>
    <emulator>%(emulator)s</emulator>
    %(devices)s
    <memballoon model='none'/>
  </devices>
</domain>
'''
DISK = '''
<disk type='file' device='disk'>
  <driver name='qemu' type='%s' cache='unsafe' %s/>
  <source file='%s'/>
  <target dev='%s' bus='virtio'/>
</disk>
'''


def dump_has_no_libvirt():
    text = subprocess.run([unpatched.DUMP, '--libvirt', 'x', '--fleecing', '/',
                           '--connect', 'test:///default'],
                          stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                          check=False).stderr
    return b'built without' in text


def disk(target, path, fmt='raw', driver=''):
    return DISK % (fmt, driver, path, target)


class Libvirtd:
    """The daemon, and virsh"""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='lv-')
        self.system = os.geteuid() == 0
        self.uri = 'qemu:///' + ('system' if self.system else 'session')
        os.environ['LIBVIRT_AUTOSTART'] = '0'
        os.environ['LIBVIRT_DEFAULT_URI'] = self.uri
        self.process = None
        self.log = open(os.path.join(self.folder, 'log'), 'ab')
        if self.system:
            self.user = 'nobody'
            with open('/etc/libvirt/qemu.conf', 'w') as conf:
                conf.write(QEMU_CONF % self.user)
        else:
            self.user = pwd.getpwuid(os.geteuid()).pw_name
            os.environ['HOME'] = self.folder
            for number, name in enumerate(('RUNTIME_DIR', 'CACHE_HOME',
                                           'DATA_HOME', 'CONFIG_HOME')):
                path = os.path.join(self.folder, str(number))   # short
                os.makedirs(path + '/libvirt', 0o700, exist_ok=True)
                os.environ['XDG_' + name] = path
            with open(path + '/libvirt/qemu.conf', 'w') as conf:
                conf.write('stdio_handler = "file"\n')
        with open(os.path.join(self.folder, 'conf'), 'w') as conf:
            conf.write(CONF)
        self.start()

    def start(self):
        argv = [shutil.which('libvirtd'), '-f',
                os.path.join(self.folder, 'conf')]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + SECONDS
        while not self.answers():
            check(self.process.poll() is None and
                  time.monotonic() < deadline, 'libvirtd: ' + self.words())
            time.sleep(0.05)

    def answers(self):
        return subprocess.run(['virsh', 'list'], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def words(self):
        with open(self.log.name, errors='replace') as log:
            return log.read()[-2000:]

    def stop(self):
        self.process.kill()
        self.process.wait()

    def virsh(self, *args):
        done = subprocess.run(['virsh', '-q', *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False,
                              timeout=SECONDS)
        check(done.returncode == 0, 'virsh %s: %s' %
              (' '.join(args), done.stderr.decode()))
        return done.stdout.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.answers():
            self.stop()
            self.start()
        for name in self.virsh('list', '--name').split():
            self.virsh('destroy', name)
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Domain:
    """A guest; unless told otherwise its processor is halted, and the tests
    write in its place"""

    def __init__(self, test, libvirtd, *devices, boot=None, memory=32,
                 threads=''):
        self.test = test
        self.libvirtd = libvirtd
        self.name = 'vm' + test.dir[-8:]    # it is part of a socket's path
        os.chmod(test.dir, 0o755)       # QEMU is another user's
        self.folder = test.path('images')
        os.mkdir(self.folder, 0o755)
        if not boot:
            # cli; hlt; jmp to the hlt: where a processor begins
            bios = bytes(0xfff0) + b'\xfa\xf4\xeb\xfd' + bytes(12)
            boot = ("<loader type='rom' readonly='yes'>%s</loader>" %
                    test.raw('bios', bios))
        with open(test.path('domain.xml'), 'w') as file:
            file.write(DOMAIN % {
                'name': self.name, 'memory': memory, 'boot': boot,
                'threads': threads,
                'emulator': test.program('qemu-system-x86_64'),
                'devices': ''.join(devices)})
        self.virsh('create', test.path('domain.xml'))
        test.cleanup(self.destroy)
        self.nodes = self.query('query-named-block-nodes', 'node-name')

    def virsh(self, *args):
        return self.libvirtd.virsh(*args)

    def destroy(self):
        if not self.libvirtd.answers():
            self.libvirtd.stop()
            self.libvirtd.start()
        if self.name in self.virsh('list', '--name').split():
            self.virsh('destroy', self.name)

    def qmp(self, text, *options):
        return self.virsh('qemu-monitor-command', self.name, *options, text)

    def query(self, command, member):
        answer = json.loads(self.qmp('{"execute": "%s"}' % command))
        return sorted(item[member] for item in answer['return'])

    def major_version(self):
        answer = json.loads(self.qmp('{"execute": "query-version"}'))
        return answer['return']['qemu']['major']

    def io(self, number, command):
        """A write of the guest to its disk"""
        answer = self.qmp('qemu-io -d /machine/peripheral/virtio-disk%d/'
                          'virtio-backend "%s"' % (number, command), '--hmp')
        check('rror' not in answer and 'fail' not in answer, answer)

    def writes(self, number, size, seed=7):
        """The whole disk anew, without an error"""
        self.io(number, 'write -q -P 0x%x 0 %d' % (seed, size))
        self.io(number, 'read -q -P 0x%x 0 %d' % (seed, size))

    def has_job(self):
        return subprocess.run(['virsh', 'backup-dumpxml', self.name],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False).returncode == 0

    def abort(self):
        """Ends the job, as any user can"""
        self.virsh('domjobabort', self.name)
        deadline = time.monotonic() + SECONDS
        while self.has_job():
            check(time.monotonic() < deadline, 'the job does not end')
            time.sleep(0.02)

    def clean(self):
        """Nothing is left of a backup, in libvirt, in QEMU, in the folder"""
        check(not self.has_job(), 'there is a job')
        equal(self.virsh('domjobinfo', self.name).split()[:3],
              ['Job', 'type:', 'None'], 'job')
        # libvirt has more nodes taken down when the job has ended
        deadline = time.monotonic() + SECONDS
        while (self.query('query-named-block-nodes', 'node-name') !=
               self.nodes and time.monotonic() < deadline):
            time.sleep(0.02)
        equal(self.query('query-named-block-nodes', 'node-name'), self.nodes,
              'nodes')
        equal(self.query('query-jobs', 'id'), [], 'jobs')
        equal(self.query('query-block-exports', 'id'), [], 'exports')
        equal(os.listdir(self.folder), [], 'files')
        equal(self.sockets(), [], 'sockets')
        check('running' in self.virsh('domstate', self.name), 'it is paused')

    def sockets(self):
        if not self.libvirtd.system:
            return []
        return [file for _, _, files in os.walk('/var/lib/libvirt/qemu')
                for file in files if file.startswith('vma-dump')]

    def dump(self, *options, **kwargs):
        return Dump(self, *options, **kwargs)

    def works(self, seed=7):
        """The next backup has what the guest wrote, and leaves nothing"""
        images = self.dump().start().read()
        check(images['vda'] == bytes([seed]) * len(images['vda']),
              'the next backup')
        self.clean()


class Dump(unpatched.Dump):
    """A vma-dump that runs; nobody reads its stream before read()"""

    def __init__(self, domain, *options, before=()):    # pylint: disable=W0231
        self.host = domain
        argv = [*before, unpatched.DUMP, '--libvirt', domain.name]
        if '--fleecing' not in options:
            argv += ['--fleecing', domain.folder]
        self.launch(argv + list(options))
        self.images = {}
        self.reader = unpatched.qbs.Reader(self.process.stdout, self.on_data)
