#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-dump --libvirt refuses options that would mean nothing and a libvirt of
# another host, and says so where there is no libvirt.
. "$(dirname "$0")/lib.sh"

refuses() { # CODE TEXT ARGUMENT...
    local code=0
    "$VMA_DUMP" "${@:3}" > stream 2> err < /dev/null || code=$?
    [ "$code" = "$1" ] || fail "exit code $code: ${*:3}: $(cat err)"
    grep -qF -- "$2" err || fail "${*:3}: $(cat err)"
    [ ! -s stream ] || fail "${*:3}: something was sent"
}

export LIBVIRT_AUTOSTART=0
guest=(--libvirt vm1 --fleecing .)
refuses 2 'needs a folder' --libvirt vm1
refuses 2 'combined' "${guest[@]}" --qmp socket
refuses 2 'combined' "${guest[@]}" root=image
refuses 2 'combined' "${guest[@]}" --any-content
refuses 2 '--method makes no sense' "${guest[@]}" --method=nbd
refuses 2 '--bitmap takes --qmp' "${guest[@]}" --bitmap=b0
refuses 2 'has no socket' "${guest[@]}" --fsfreeze socket
refuses 2 'needs a socket' --qmp socket --fsfreeze
refuses 2 '--connect needs --libvirt' --connect qemu:///system --qmp socket
refuses 2 'need --qmp or --libvirt' --fsfreeze=socket root=image

"$VMA_DUMP" "${guest[@]}" --connect test:///default > stream 2> err || true
if grep -q 'built without' err; then
    refuses 2 'needs libvirt-dev' "${guest[@]}"
elif ! grep -q 'cannot load' err; then
    refuses 2 'of another host' "${guest[@]}" --connect qemu+ssh://host/system
    refuses 2 'of another host' "${guest[@]}" --connect qemu://host/system
    refuses 1 'not of QEMU' "${guest[@]}" --connect test:///default \
        --libvirt test
    refuses 1 'cannot connect to libvirt' "${guest[@]}" \
        --connect "qemu:///session?socket=$PWD/none"
    # libasan does not go with a preloaded library.
    ldd "$VMA_DUMP" | grep -q libasan || FAULT_CALLS=pthread_create=11 \
        LD_PRELOAD=$B/tests/fault.so refuses 1 'cannot start a thread' \
        "${guest[@]}" --connect test:///default
fi
