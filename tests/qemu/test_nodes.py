# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user does to the nodes and the jobs of a backup itself."""

from during import SIZE, SLOW, goes_on, one_disk, refused
from harness import Reader, check, equal


def test_write_to_dump_node(t):
    """A user who writes to the node of a backup makes it fail, nothing
    else."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    out = vm.hmp('qemu-io backup-dump1 "write -P 1 1049088 512"')
    check('Invalid argument' in out + vm.new_output(), out)
    vm.hmp('qemu-io backup-dump1 "write -P 1 3M 64k"')
    vm.full_speed()
    info = vm.end('error')
    equal(info['errmsg'], "device 'd0': cluster 48 was written twice",
          'errmsg')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 4, 'reason of ABORT')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_hold_dump_node(t):
    """A user who holds the node of a backup delays neither its end nor the end
    of file, but is in the way of the next one."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('blockdev-add', driver='raw', node_name='user',
               file='backup-dump1')
    goes_on(vm, reader, data)
    for request in ('write -P 1 0 64k', 'write -z 0 64k', 'read 0 64k',
                    'flush'):
        vm.hmp('qemu-io user "%s"' % request)
    refused("'backup-dump1'", vm.to_pipe)
    vm.qmp.cmd('blockdev-del', node_name='user')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_change_dump_node(t):
    """Most of what can be done to a node is refused for that of a backup, and
    the rest does no harm."""
    vm, data, before = one_disk(t)
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='null', size=SIZE)
    reader = Reader(vm.to_pipe(speed=SLOW))
    for command, arguments in (
            ('blockdev-del', {'node_name': 'backup-dump1'}),
            ('block_resize', {'node_name': 'backup-dump1', 'size': 512}),
            ('blockdev-backup', {'job_id': 'other', 'device': 'null',
                                 'target': 'backup-dump1', 'sync': 'full'}),
            ('blockdev-mirror', {'job_id': 'other', 'device': 'null',
                                 'target': 'backup-dump1', 'sync': 'full'}),
            ('blockdev-snapshot', {'node': 'backup-dump1',
                                   'overlay': 'null'})):
        refused('is busy', vm.qmp.cmd, command, **arguments)
    vm.qmp.cmd('block-dirty-bitmap-add', node='backup-dump1', name='bitmap')
    vm.qmp.cmd('block-set-write-threshold', node_name='backup-dump1',
               write_threshold=1)
    for command in ('job-complete', 'job-finalize', 'job-dismiss'):
        refused('cannot accept', vm.qmp.cmd, command, id_='backup-dump1')
    vm.qmp.cmd('job-pause', id_='backup-dump1')
    vm.io('d0', 'write -P 1 1M 1M')
    vm.qmp.cmd('job-resume', id_='backup-dump1')
    goes_on(vm, reader, data)
    vm.qmp.cmd('blockdev-del', node_name='null')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
