#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk whose commands QEMU passes through is refused before anything is done to
# it, for a filter on it would make the guest's requests fail.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

mkdir images
refused() { # TYPE OPTION...
    fake_qmp --version=10.0 --device "$1"
    expect_exit 1 dump_qmp "${@:2}"
    expect_message "device 'd0' can't be backed up: its commands are passed"
    expect_message "($1)"
    ! commands | grep -e transaction -e getfd -e add -e backup ||
        fail "$*: QEMU was asked for more"
}
for type in scsi-block scsi-generic; do
    refused "$type" --method=nbd --fleecing images
    refused "$type" --method=pipe --fleecing images
    refused "$type" --method=pipe
done
