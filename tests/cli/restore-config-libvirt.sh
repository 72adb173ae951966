#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What config --as=libvirt prints is a domain by libvirt's schema, and libvirt
# takes it.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/guest.sh"

command -v virt-xml-validate > /dev/null || skip "no virt-xml-validate"
[ -e /usr/share/libvirt/schemas/domain.rng ] || skip "no libvirt schemas"
command -v virsh > /dev/null || skip "no virsh"
export HOME=$T XDG_RUNTIME_DIR=$T XDG_CACHE_HOME=$T XDG_CONFIG_HOME=$T

is_taken() { # NAME
    make_guest "$1"
    for bridge in '' br0; do
        "$VMA_RESTORE" config --as=libvirt --disks "$1/restored" \
            ${bridge:+--bridge "$bridge"} "$1/a.vma" > vm.xml ||
            fail "$1: not translated"
        virt-xml-validate vm.xml domain > out 2>&1 ||
            fail "$1: $(cat out vm.xml)"
        virsh -q -c test:///default define vm.xml > out 2>&1 ||
            fail "$1: $(cat out)"
    done
    # Its daemon is somewhere else.
    ! grep "source file='[^/]" vm.xml || fail "$1: a relative path"
}
each_guest is_taken
[ "$(grep -c "source bridge='br0'" vm.xml)" = 0 ] || fail "a card from nowhere"
