#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With --fleecing QEMU's own backup gets a temporary image for each disk, in a
# file without a name, and however it ends the image is removed from QEMU.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

mkdir images
expect_images() { # LIMIT
    python3 - "$1" << 'END' || fail "$(cat log)"
import json, sys
log = [json.loads(line) for line in open('log')]
def of(name):
    return [m.get('arguments') for m in log
            if (m.get('execute') or m.get('exec-oob')) == name]
added = of('blockdev-add')
limit = int(sys.argv[1])
assert [a['driver'] for a in added] == (
    ['file', 'raw', 'qcow2'] if limit else ['file', 'qcow2']), added
assert added[0]['filename'] == '/dev/fdset/3'
assert not limit or added[1]['size'] == limit
for above, below in zip(added[1:], added):
    assert above['file'] == below['node-name']
(create,) = of('blockdev-create')
assert create['options'] == {'driver': 'qcow2', 'size': 1 << 20,
                             'file': added[-2]['node-name']}
(backup,) = of('backup')
assert backup['fleecing'] == [{'device': 'd0',
                               'node': added[-1]['node-name']}], backup
gone = [a['node-name'] for a in of('blockdev-del')]
assert gone == [a['node-name'] for a in reversed(added)], gone
passed = [m.get('execute') for m in log if m['fd']]
assert passed == ['add-fd', 'getfd'], passed
END
    [ -z "$(ls -A images)" ] || fail "a file with a name"
}

for method in '' --method=auto --method=pipe; do
    fake_qmp --stream "$(vector example)"
    expect_exit 0 dump_qmp --fleecing images ${method:+"$method"}
    cmp "$(vector example)" out || fail "another stream"
    expect_images 0
done
fake_qmp
expect_exit 0 dump_qmp --fleecing images --fleecing-size 3M -d d0
expect_images $((3 << 20))

fake_qmp --refuse backup --errmsg 'some reason'
expect_exit 1 dump_qmp --fleecing images
expect_message 'cannot start the backup: some reason'
expect_images 0
fake_qmp --end error
expect_exit 1 dump_qmp --fleecing images
expect_images 0
fake_qmp --refuse backup --errmsg "Parameter 'fleecing' is unexpected"
expect_exit 1 dump_qmp --fleecing images
expect_message '--method=nbd'
expect_images 0

# What can't be removed is said, and no failure of a backup that is complete.
fake_qmp --refuse blockdev-del --errmsg 'is in use'
expect_exit 0 dump_qmp --fleecing images
expect_message "warning: the backup has not failed, but what it needed can't be \
removed"
fake_qmp --refuse blockdev-del --errmsg 'is in use' --end error
expect_exit 1 dump_qmp --fleecing images
expect_message "and what it needed can't be removed from QEMU, which the next"

fake_qmp
expect_exit 1 dump_qmp --fleecing missing
expect_message "cannot create a temporary image in 'missing': No such file"
! grep -q '"backup"' log || fail "it was started"
