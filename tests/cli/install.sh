#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# "make install" puts everything below DESTDIR and prefix, and "make uninstall"
# leaves nothing of it.
. "$(dirname "$0")/lib.sh"

build() { # TARGET
    make -s -C "$ROOT" B="$B" DESTDIR="$T/root" prefix=/usr \
        nbdkit_plugindir=/usr/lib/nbdkit/plugins "$1" > log 2>&1 ||
        fail "$(cat log)"
}
build install
expect_no_file root/usr/bin/vma
build install-vma
cd root/usr || fail "no root"
for file in bin/{vma-dump,vma-sink,vma-restore} \
        share/man/man1/{vma-dump,vma-sink,vma-restore}.1 \
        share/man/man5/{vma,vma-stream}.5 share/zsh/site-functions/_vma \
        share/vma-sink/schema/{progress,sink-result,list,map}.schema.json \
        share/bash-completion/completions/{vma-dump,vma-sink,vma-restore}; do
    [ -s "$file" ] || fail "not installed: $file"
done
bin/vma list "$ROOT/README.md" 2> /dev/null
[ $? = 3 ] || fail "vma does not run"
bin/vma-sink --version > /dev/null || fail "vma-sink does not run"
[ ! -e "$B/nbdkit-vma-plugin.so" ] ||
    [ -s lib/nbdkit/plugins/nbdkit-vma-plugin.so ] || fail "no plugin"
cd "$T" || fail "no $T"
build uninstall
[ -e root/usr/bin/vma ] || fail "Proxmox's command is gone"
build uninstall-vma
find root -type f > left
[ ! -s left ] || fail "left over: $(cat left)"
