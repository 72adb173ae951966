# SPDX-License-Identifier: GPL-2.0-or-later
"""vma-dump --libvirt: the backup of a guest by libvirt's own means.

The same promises as for the other ways: one point in time, a guest that notices
nothing, a stream that never passes for more than it is, and nothing left
behind."""

import os
import re
import signal
import subprocess
import time

from harness import CLUSTER, Skip, check, equal, pattern
from guest import Guest
from host import Domain, disk
from unpatched import DUMP, parts, wrong_clusters

SIZE = 2 << 20
SINK = os.environ.get('VMA_SINK') or os.path.join(os.path.dirname(DUMP),
                                                  'vma-sink')


def one_disk(t, libvirtd, size=SIZE):
    data = pattern(size)
    return Domain(t, libvirtd, disk('vda', t.raw('a', data))), data


# Contents


def test_contents(t, libvirtd):
    """Two disks, raw and qcow2 with holes, and one whose size is odd, are in
    the stream as they are, with the guest's XML."""
    data = pattern(SIZE + CLUSTER + 512)
    data[3 * CLUSTER:9 * CLUSTER] = bytes(6 * CLUSTER)
    odd = pattern(CLUSTER - 500, 2)
    t.img('convert', '-O', 'qcow2', t.raw('b', data), t.path('c'))
    vm = Domain(t, libvirtd, disk('vda', t.raw('a', data)),
                disk('vdb', t.path('c'), 'qcow2'),
                disk('vdc', t.raw('d', odd)))
    dump = vm.dump().start()
    images = dump.read()
    equal(list(images), ['vda', 'vdb', 'vdc'], 'devices')
    check(images['vda'] == data, 'raw')
    check(images['vdb'] == data, 'qcow2')
    check(images['vdc'] == odd + bytes(-len(odd) % 512), 'odd size')
    xml = dump.reader.configs['libvirt.xml'].decode()
    check('<name>%s</name>' % vm.name in xml and t.path('c') in xml, xml)
    vm.clean()


def test_point_in_time(t, libvirtd):
    """What the guest writes after the start, zeroes and discards included, is
    not in the backup, on no disk and in no cluster."""
    data = [pattern(SIZE), pattern(SIZE + CLUSTER // 2, 2)]
    t.img('convert', '-O', 'qcow2', t.raw('b', data[1]), t.path('c'))
    vm = Domain(t, libvirtd, disk('vda', t.raw('a', data[0])),
                disk('vdb', t.path('c'), 'qcow2', "discard='unmap'"))
    dump = vm.dump().start()
    for number in range(2):
        vm.io(number, 'write -q -P 3 0 700k')
        vm.io(number, 'write -q -z 700k 400k')
        vm.io(number, 'discard -q 1M 512k')
        vm.io(number, 'write -q -P 4 %d 512' % (SIZE - 512))
        vm.writes(number, len(data[number]))
    images = dump.read()
    check(images['vda'] == data[0], 'vda')
    check(images['vdb'] == data[1], 'vdb')
    vm.clean()


def test_point_in_time_of_parts(t, libvirtd):
    """Nor what it writes in many small places, with others in between."""
    size = 8 << 20
    data = pattern(size)
    data[3 << 20:4 << 20] = bytes(1 << 20)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    vm = Domain(t, libvirtd, disk('vda', t.path('a')),
                disk('vdb', t.path('b'), 'qcow2', "discard='unmap'"))
    dump = vm.dump().start()
    for number, write in enumerate(parts(size)):
        vm.io(number % 2, write)
    images = dump.read()
    equal(wrong_clusters(images['vda'], data), [], 'vda')
    equal(wrong_clusters(images['vdb'], data), [], 'vdb')
    vm.clean()


def test_choice_and_names(t, libvirtd):
    """All writable disks of the guest by their targets, or those that are asked
    for by target or alias; no CD."""
    cd = ("<disk type='file' device='cdrom'><source file='%s'/><target "
          "dev='sda' bus='sata'/><readonly/></disk>" %
          t.raw('cd', pattern(CLUSTER)))
    empty = ("<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/>"
             "<readonly/></disk>")
    vm = Domain(t, libvirtd, disk('vda', t.raw('a', pattern(512))),
                disk('vdb', t.raw('b', pattern(1024))), cd, empty)
    sizes = {'vda': 512, 'vdb': 1024}
    images = vm.dump().start().read()
    equal({name: len(image) for name, image in images.items()}, sizes, 'all')
    images = vm.dump('-d', 'virtio-disk1').start().read()
    equal([(name, len(image)) for name, image in images.items()],
          [('virtio-disk1', 1024)], 'by alias')
    vm.dump('-d', 'z').fails("'z' not found")
    vm.dump('-d', 'sda').fails("'sda' is read-only")
    vm.dump('-d', 'sdb').fails("'sdb' has no medium")
    vm.dump('-d', 'vda', '-d', 'virtio-disk0').fails('listed twice')
    vm.clean()


def test_config_of_that_name(t, libvirtd):
    """A configuration that is called libvirt.xml is the user's."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    dump = vm.dump('-c', t.raw('libvirt.xml', b'mine')).start()
    dump.read()
    equal(dump.reader.configs, {'libvirt.xml': b'mine'}, 'configs')


# What goes wrong


def test_io_threads(t, libvirtd):
    """Disks in I/O threads are in the backup too; a QEMU before 9.0, which they
    could abort, is refused, and goes on."""
    data = pattern(SIZE)
    vm = Domain(t, libvirtd, disk('vda', t.raw('a', data)),
                threads='<iothreads>1</iothreads>')
    if vm.major_version() < 9:
        vm.dump().fails('is older than 9.0 and has I/O threads')
    else:
        check(vm.dump().start().read()['vda'] == data, 'contents')
    vm.writes(0, len(data))
    vm.clean()


def test_unknown(t, libvirtd):
    """A guest that is not there, one that does not run, a libvirt elsewhere."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    name, vm.name = vm.name, 'nobody'
    vm.dump().fails("cannot back up 'nobody'")
    vm.name = name
    vm.dump('--connect', 'qemu+ssh://localhost/system').fails(
        'of another host', 2)
    vm.dump('--connect', 'test:///default').fails('not of QEMU')
    vm.destroy()
    vm.virsh('define', t.path('domain.xml'))
    t.cleanup(lambda: vm.virsh('undefine', vm.name))
    vm.dump().fails('does not run')


def test_image_full(t, libvirtd):
    """A temporary image that takes more than it may is the end of the backup,
    not of the guest's writes, also when nobody reads the stream."""
    vm, _data = one_disk(t, libvirtd, 8 << 20)
    dump = vm.dump('--fleecing-size=1M').start()
    vm.writes(0, 8 << 20)
    deadline = time.monotonic() + 30
    while vm.has_job():
        check(time.monotonic() < deadline, 'the job goes on')
        time.sleep(0.05)
    why = dump.fails('takes more than --fleecing-size')
    check("disk 'vda'" in dump.message, dump.message)
    check(why and 'takes more' in why.message, 'ABORT: %s' % why)
    vm.clean()
    vm.works()


def test_reader_dies(t, libvirtd):
    """A reader that is gone is the end of the backup, nothing else."""
    vm, _data = one_disk(t, libvirtd)
    for later in (False, True):
        dump = vm.dump().start()
        if later:
            dump.reader.read_record()
            vm.writes(0, SIZE)
        dump.process.stdout.close()
        _, message = dump.process.communicate(timeout=30)
        equal(dump.process.returncode, 1, 'exit code')
        check(b'the reader has ended' in message, message)
        vm.clean()
    vm.works()


def test_signals(t, libvirtd):
    """SIGINT and SIGTERM end a backup, with an ABORT, and its job."""
    vm, _data = one_disk(t, libvirtd)
    for number in (signal.SIGINT, signal.SIGTERM):
        dump = vm.dump('--speed=64K').start()
        vm.writes(0, SIZE)
        dump.process.send_signal(number)
        why = dump.fails('interrupted by ' + number.name)
        equal(why and why.reason, 2, 'reason of ABORT')
        vm.clean()
    vm.works()


def test_signal_at_any_moment(t, libvirtd):
    """So it does before the backup runs, and while it is being started."""
    vm, _data = one_disk(t, libvirtd)
    for delay in (0.03, 0.06, 0.1):
        dump = vm.dump('--speed=64K')
        time.sleep(delay)
        dump.process.terminate()
        dump.wait()
        check(dump.process.returncode == 1 and
              'interrupted' in dump.message or
              dump.process.returncode == -signal.SIGTERM and
              not dump.message, '%d: %s' % (dump.process.returncode,
                                            dump.message))
        vm.clean()


def test_killed(t, libvirtd):
    """What is left of a vma-dump that was killed does the guest no harm, and is
    removed by the next one for it, whatever it was killed in."""
    vm, _data = one_disk(t, libvirtd)
    for delay in (0.03, 0.06, 0.1, None):
        dump = vm.dump()
        if delay is None:
            dump.start()
        else:
            time.sleep(delay)
        dump.process.kill()
        dump.wait()
        if delay is None:
            check(vm.has_job(), 'the job is gone')
            equal([os.listdir(os.path.join(vm.folder, folder))
                   for folder in os.listdir(vm.folder)], [[]], 'files')
        vm.writes(0, SIZE)
        vm.works()


def test_second(t, libvirtd):
    """A second backup of a guest is refused and does not disturb the first."""
    vm, data = one_disk(t, libvirtd)
    first = vm.dump().start()
    vm.dump().fails('by another vma-dump')
    vm.writes(0, SIZE)
    check(first.read()['vda'] == data, 'the first one')
    vm.clean()


def foreign_job(t, vm, folder):
    """What somebody else's tool would do"""
    with open(t.path('backup.xml'), 'w') as file:
        file.write("<domainbackup mode='pull'><server transport='unix' "
                   "socket='%s/nbd'/><disks><disk name='vda' type='file'>"
                   "<scratch file='%s/scratch'/></disk></disks>"
                   "</domainbackup>" % (folder, folder))
    vm.virsh('backup-begin', vm.name, t.path('backup.xml'))


def test_foreign_job(t, libvirtd):
    """Somebody else's backup is left alone, and named as the reason."""
    vm, data = one_disk(t, libvirtd)
    os.mkdir(t.path('other'))
    os.chmod(t.path('other'), 0o777)
    foreign_job(t, vm, t.path('other'))
    before = vm.virsh('backup-dumpxml', vm.name)
    vm.dump().fails('by somebody else')
    equal(vm.virsh('backup-dumpxml', vm.name), before, 'the job')
    equal(os.listdir(vm.folder), [], 'files')
    vm.abort()
    check(vm.dump().start().read()['vda'] == data, 'contents')
    vm.clean()


def test_aborted(t, libvirtd):
    """Who ends the job, with virsh, is told of as the reason of the end."""
    vm, _data = one_disk(t, libvirtd)
    dump = vm.dump('--speed=64K').start()
    vm.abort()
    check(dump.fails('somebody has ended the backup'), 'no ABORT')
    vm.clean()
    vm.writes(0, SIZE)
    vm.works()


def test_replaced(t, libvirtd):
    """Nor is the job of somebody else, in place of ours, taken for it."""
    vm, _data = one_disk(t, libvirtd)
    os.mkdir(t.path('other'))
    os.chmod(t.path('other'), 0o777)
    dump = vm.dump('--speed=64K').start()
    vm.abort()
    foreign_job(t, vm, t.path('other'))
    dump.fails('somebody has ended the backup')
    check('scratch' in vm.virsh('backup-dumpxml', vm.name), 'it is gone')
    vm.abort()
    vm.clean()


def test_shut_off(t, libvirtd):
    """When the guest is shut off the stream says so, and the exit code is 1."""
    vm, _data = one_disk(t, libvirtd)
    dump = vm.dump('--speed=64K').start()
    vm.virsh('destroy', vm.name)
    check(dump.fails('the guest was shut off'), 'no ABORT')
    equal(os.listdir(vm.folder), [], 'files')


def test_libvirtd_restarts(t, libvirtd):
    """A backup outlives a libvirtd that is killed and started again."""
    vm, data = one_disk(t, libvirtd)
    dump = vm.dump().start()
    libvirtd.stop()
    libvirtd.start()
    vm.writes(0, SIZE)
    check(dump.read()['vda'] == data, 'contents')
    vm.clean()
    vm.works()


def test_libvirtd_gone(t, libvirtd):
    """Without a libvirtd that could tell whether it is whole no backup
    succeeds; what it leaves the next one removes."""
    vm, _data = one_disk(t, libvirtd)      # a pipe does not hold it
    dump = vm.dump().start()
    libvirtd.stop()
    dump.fails("libvirt can't tell whether the backup is whole")
    check("its job can't be ended in libvirt" in dump.message, dump.message)
    libvirtd.start()
    check(vm.has_job(), 'the job is gone')
    vm.writes(0, SIZE)
    vm.works()


def test_libvirtd_stopped(t, libvirtd):
    """A libvirtd that does not answer keeps no signal from its effect."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    libvirtd.process.send_signal(signal.SIGSTOP)
    t.cleanup(lambda: libvirtd.process.send_signal(signal.SIGCONT))
    dump = vm.dump()
    time.sleep(1)
    dump.process.send_signal(signal.SIGTERM)
    dump.fails('interrupted by SIGTERM')
    libvirtd.process.send_signal(signal.SIGCONT)
    vm.clean()


# The options


def test_no_folder(t, libvirtd):
    """A folder that does not exist, or that QEMU can't get to, is an error, and
    nothing is left."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    vm.dump('--fleecing', t.path('none')).fails(
        'cannot create a temporary image')
    if libvirtd.system:
        os.mkdir(t.path('closed'), 0o700)
        vm.dump('--fleecing', t.path('closed')).fails(
            'has to get to the folder')
        equal(os.listdir(t.path('closed')), [], 'files')
    vm.dump('--fleecing-size=1').fails("can't be 1", 2)
    vm.clean()


def test_shareable(t, libvirtd):
    """Who backs up a disk that others may write to is told of that."""
    text = disk('vda', t.raw('a', pattern(CLUSTER)))
    vm = Domain(t, libvirtd, text.replace('</disk>', '<shareable/></disk>')
                .replace("cache='unsafe'", "cache='none'"))
    dump = vm.dump().start()
    dump.read()
    check("disk 'vda' is shareable" in dump.message, dump.message)
    vm.clean()


def test_many_disks(t, libvirtd):
    """More disks than QEMU's server would take four connections for."""
    bus = ("<controller type='scsi' model='virtio-scsi'/>")
    targets = ['sd' + chr(ord('a') + i) for i in range(26)] + ['sdaa']
    disks = [disk(target, t.raw(target, pattern(512)))
             .replace("bus='virtio'", "bus='scsi'") for target in targets]
    vm = Domain(t, libvirtd, bus, *disks)
    equal(list(vm.dump().start().read()), targets, 'disks')
    vm.clean()


def test_users(t, libvirtd):
    """Who is in the group that QEMU runs as can back up a guest; others are told
    who can."""
    if not libvirtd.system:
        raise Skip('this takes root')
    vm, data = one_disk(t, libvirtd, CLUSTER)
    os.mkdir(t.path('daemon'))
    os.chown(t.path('daemon'), 1, 1)
    user = ['setpriv', '--reuid=1', '--regid=1']
    options = '--fleecing', t.path('daemon')
    vm.dump(*options, before=[*user, '--clear-groups']).fails('only root')
    dump = vm.dump(*options, before=[*user, '--groups=nogroup']).start()
    vm.writes(0, CLUSTER)
    check(dump.read()['vda'] == data, 'contents')
    equal(os.listdir(t.path('daemon')), [], 'files')
    vm.clean()


def test_speed(t, libvirtd):
    """--speed is kept to."""
    vm, data = one_disk(t, libvirtd, 1 << 20)
    start = time.monotonic()
    check(vm.dump('--speed=1M').start().read()['vda'] == data, 'contents')
    check(time.monotonic() - start > 0.5, 'it was faster')


def test_answer(t, libvirtd):
    """--answer waits for what the reader says, when libvirt has nothing to do
    with the backup any more."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    for status, code in ((0, 0), (1, 1)):
        dump = vm.dump('--answer').start()
        dump.read_all()
        while vm.has_job():
            time.sleep(0.01)
        dump.answer(status, b'no space' if status else b'')
        equal(dump.wait(), code, 'exit code')
        equal('no space' in dump.message, bool(status), dump.message)
        vm.clean()


def test_timeout(t, libvirtd):
    """A reader who has stalled for --timeout ends the backup."""
    vm, _data = one_disk(t, libvirtd)
    dump = vm.dump('--timeout=1').start()
    dump.process.wait(20)
    equal(dump.wait(), 1, 'exit code')
    check('did not take anything within 1 s' in dump.message, dump.message)
    vm.clean()


def test_refused_options(t, libvirtd):
    """Options that would mean nothing are wrong usage."""
    vm, _data = one_disk(t, libvirtd, CLUSTER)
    for options in (['--method=nbd'], ['--qmp', 'x'], ['--fsfreeze', 'socket'],
                    ['a=b'], ['--any-content']):
        dump = vm.dump(*options)
        dump.wait()
        equal(dump.process.returncode, 2, ' '.join(options))
    vm.clean()


# A guest that writes


def archive(vm, *options):
    """Backs it up into a folder of images, whose name is returned"""
    folder = vm.test.path('out')
    dump = subprocess.Popen([DUMP, '--libvirt', vm.name, '--fleecing',
                             vm.folder, *options], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    sink = subprocess.run([SINK, '--format=raw', '-o', folder], check=False,
                          stdin=dump.stdout, stderr=subprocess.PIPE)
    message = dump.communicate()[1].decode()
    equal((dump.returncode, sink.returncode), (0, 0),
          message + sink.stderr.decode())
    return folder, message


def fill(path):
    """All the room that its file system has"""
    with open(path, 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_guest(t, libvirtd):
    """Of a guest that writes to two disks without a pause the backup has one
    point in time.  Its file systems are frozen at that, and only for a moment:
    they need no replay.  Where the temporary images have no room the backup
    fails, and the guest goes on without an error."""
    vm = Guest(t, libvirtd)
    before = vm.counter()
    folder, message = archive(vm, '--speed=64M')
    vm.goes_on()
    log = vm.bash('check_guest_copy "$@"', folder + '/disk-vda.raw',
                  folder + '/disk-vdb.raw', t.path(''))
    check(vm.counter() > before, log)
    vm.clean()
    subprocess.run(['rm', '-r', folder], check=True)

    vm.wait_for(lambda: "state='connected'" in vm.virsh('dumpxml', vm.name),
                'has no agent')
    folder, message = archive(vm, '--fsfreeze', '--speed=64M')
    check('file systems frozen for' in message, message)
    console = re.findall('agent: [a-z]+', vm.console())
    equal(console[-2:], ['agent: frozen', 'agent: thawed'], 'the agent')
    for name in ('vda', 'vdb'):
        subprocess.run(['e2fsck', '-fn', folder + '/disk-%s.raw' % name],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    vm.goes_on()
    vm.clean()

    if libvirtd.system:
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1M,mode=755',
                        'tmpfs', vm.folder], check=True)
        t.cleanup(lambda: subprocess.run(['umount', vm.folder], check=False))
        dump = vm.dump('--speed=64K').start()
        count = vm.counter()
        vm.wait_for(lambda: not vm.has_job(), 'is still backed up')
        check(dump.fails('No space left on device'), 'no ABORT')
        vm.wait_for(lambda: vm.counter() > count + 20, 'has stopped')
        vm.goes_on()
        vm.clean()
        # Nor does it stay paused for good where nobody is there to see that.
        subprocess.run(['mount', '-o', 'remount,size=64M', vm.folder],
                       check=True)
        dump = vm.dump('--speed=64K').start()
        dump.process.kill()
        dump.wait()
        fill(os.path.join(vm.folder, 'full'))
        vm.wait_for(lambda: 'paused' in vm.virsh('domstate', vm.name),
                    'is not paused')
        vm.dump('--fleecing', t.path('none')).fails(
            'cannot create a temporary image')
        vm.goes_on()
