#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Options reach QEMU as documented, and standard output goes with getfd.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

printf 'cores: 2\n' > vm.conf
: > empty
fake_qmp --end=done
expect_exit 0 dump_qmp -d virtio0 -d virtio1 -c vm.conf -c empty=e.conf \
    --speed 10M --timeout 7
log_without_queries > asked
python3 - << 'END' || fail "$(cat log)"
import json
log = [json.loads(line) for line in open('asked')]
assert [m['execute'] for m in log[:3]] == [
    'qmp_capabilities', 'getfd', 'backup']
assert log[0]['arguments'] == {'enable': ['oob']}
assert log[1]['fd'] and not any(m['fd'] for m in log if m != log[1])
name = log[1]['arguments']['fdname']
assert log[2]['arguments'] == {
    'backup-file': 'fd:' + name, 'devlist': 'virtio0,virtio1',
    'speed': 10 << 20, 'timeout': 7,
    'configs': [{'name': 'vm.conf', 'data': 'Y29yZXM6IDIK'},
                {'name': 'e.conf', 'data': ''}]}
assert all(m['exec-oob'] == 'query-backup' for m in log[3:])
END
fake_qmp --end=done
expect_exit 0 dump_qmp
log_without_queries > asked
python3 - << 'END' || fail "$(cat log)"
import json
log = [json.loads(line) for line in open('asked')]
assert list(log[2]['arguments']) == ['backup-file']
END
