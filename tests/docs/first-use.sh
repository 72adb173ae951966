#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# README.md from the top: what it tells a user to type works, in the order in
# which it stands there, with what "make install" installs and nothing else.
#
#   B=BUILD tests/docs/first-use.sh FOLDER
#
# FOLDER has a qemu-system-x86_64.  Each block of README.md that is marked "sh" is
# one test (TAP), run as it stands, all of them by one bash, so that what one has
# made is there for the next.  Those of a section with "patched" in its title are
# for a QEMU with the patches.  What the session at the top, marked "console",
# shows is what its commands print, but for the numbers.  What README.md takes for
# granted is made here: a guest with its sockets, images, a host "backuphost", which
# is this one.  That all goes to /run and /srv of a mount namespace of its own.
set -uo pipefail

if [ "${FIRST_USE_INSIDE:-}" != yes ]; then
    # Who is not root is in there.
    options=(-m)
    [ "$(id -u)" = 0 ] || options=(-rm)
    if ! unshare "${options[@]}" mount -t tmpfs tmpfs /srv 2> /dev/null; then
        echo 'ok 1 - first use # SKIP nothing can be mounted (unshare -m)'
        echo '1..1'
        exit 0
    fi
    FIRST_USE_INSIDE=yes exec unshare "${options[@]}" "$0" "$@"
fi

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
B=${B:-$ROOT/build}
PROGRAM=${1:?usage: first-use.sh FOLDER}/qemu-system-x86_64
T=$(mktemp -d)
cleanup() {
    # What the user has left running in the background is ended as by a user.
    # shellcheck disable=SC2016 # for that shell
    [ -z "${USER_SHELL_PID:-}" ] ||
        printf 'kill $(jobs -p)\nwait\nexit\n' >&"${USER_SHELL[1]}"
    wait "${USER_SHELL_PID:-}" 2> /dev/null
    # shellcheck disable=SC2046 # a list of process ids
    kill $(jobs -p) 2> /dev/null
    wait
    rm -rf "$T"
}
trap cleanup EXIT
die() {
    echo "Bail out! $*"
    exit 1
}

# What README.md takes for granted.
cd "$T" || exit 1
mount -t tmpfs tmpfs /srv || die "/srv"
mount -t tmpfs tmpfs /run || die "/run"
mkdir -p /srv/backup bin user session
make -s -C "$ROOT" B="$B" DESTDIR="$T/root" prefix=/usr \
    nbdkit_plugindir=/usr/lib/nbdkit/plugins install > log 2>&1 ||
    die "$(cat log)"
export VMA_NBDKIT_PLUGIN=$T/root/usr/lib/nbdkit/plugins/nbdkit-vma-plugin.so
export PATH=$T/root/usr/bin:$T/bin:$PATH LC_ALL=C.UTF-8 HOME=$T/user
# As ssh does: its words are joined and given to a shell.
cat > bin/ssh <<'END'
#!/bin/sh
[ "$1" = backuphost ] || exit 255
shift
exec sh -c "$*"
END
chmod +x bin/ssh

# The disks have the sizes that the session shows, and some data.
head -c 3000000 /dev/urandom > disk-a
dd if=disk-a of=disk-b bs=64K seek=100 conv=notrunc status=none
truncate -s 201347072 disk-a
truncate -s 100666880 disk-b
# cli; hlt; jmp to the hlt: where a processor begins
{
    head -c 65520 /dev/zero
    printf '\372\364\353\375'
    head -c 12 /dev/zero
} > bios
guest() {
    "$PROGRAM" -nodefaults -display none -machine pc -accel tcg -m 64 -bios bios \
        -L /usr/share/seabios -L /usr/share/qemu \
        -drive file=disk-a,format=raw,if=none,id=drive-virtio0 \
        -device virtio-blk-pci,drive=drive-virtio0,id=virtio0,romfile= \
        -drive file=disk-b,format=raw,if=none,id=drive-virtio1 \
        -device virtio-blk-pci,drive=drive-virtio1,id=virtio1,romfile= \
        -qmp unix:/run/vm1.qmp,server=on,wait=off \
        -qmp unix:/run/control.qmp,server=on,wait=off \
        < /dev/null > qemu.log 2>&1 &
    "$ROOT/tests/lib/fake_agent.py" /run/vm1.qga > /dev/null 2>&1 &
    for _ in {1..500}; do
        [ ! -S /run/control.qmp ] || [ ! -S /run/vm1.qga ] || return 0
        sleep 0.05
    done
    die "no guest: $(cat qemu.log)"
}
has_patches() {
    python3 - <<'END'
import socket
import sys

monitor = socket.socket(socket.AF_UNIX)
monitor.connect('/run/control.qmp')
answers = monitor.makefile('rb')
for command in 'qmp_capabilities', 'query-commands':
    answers.readline()
    monitor.sendall(b'{"execute":"%s"}\n' % command.encode())
sys.exit(b'"query-backup"' not in answers.readline())
END
}
guest
patched=no
! has_patches || patched=yes
(
    cd user || exit 1
    echo 'memory: 64' > vm1.conf
    head -c 2000000 /dev/urandom > root.img
    truncate -s 3M root.img
    head -c 3000320 /dev/urandom > data.img
    qemu-img create -q -f qcow2 disk.qcow2 10M &&
        qemu-io -c 'write -P 7 1M 2M' disk.qcow2
) > log 2>&1 || die "no images: $(cat log)"

# The blocks, in files of their own; of each its number, kind, line and title.
awk -v "folder=$T" '
    /^```$/ && inside { inside = 0; next }
    inside { print > file; next }
    /^##/ { title = $0; sub(/^#+ /, "", title) }
    /^```/ {
        inside = 1
        file = sprintf("%s/block-%02d", folder, ++n)
        printf "" > file
        print n, substr($0, 4), NR, title
    }' "$ROOT/README.md" > blocks
! grep -vE '^[0-9]+ (sh|console|text) ' blocks ||
    die "a block is neither sh nor console nor text"
[ "$(grep -cE '^[0-9]+ sh ' blocks)" -ge 6 ] || die "which blocks? $(cat blocks)"

count=0 failed=0
result() { # CODE NAME
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
    else
        failed=1
        echo "not ok $count - $2"
        sed 's/^/# /' log
    fi
}

# Numbers and units, and the order of two programs' last words, may differ.
shape() {
    sed -E 's/[0-9]+(\.[0-9]+)?/N/g; s/N (bytes|[KMGT]iB)/N UNIT/g; s/ +/ /g' \
        "$1" | sort
}
session() { # BLOCK
    sed -n 's/^\$ //p' "$1" > typed
    grep -v '^\$ ' "$1" > shown
    # shellcheck disable=SC2094 # another file in there
    (cd session && bash -eo pipefail ../typed) > log 2>&1 || return 1
    diff <(shape shown) <(shape log) > difference && return
    cat difference >> log
    return 1
}

# One shell for all blocks, as a user has.  It ends with the first failure.
start_shell() {
    coproc USER_SHELL { cd user && exec bash -e 2>&1; }
}
ask() { # BLOCK
    local line
    {
        cat "$1"
        printf '\necho; echo "<<<done>>>"\n'
    } >&"${USER_SHELL[1]}"
    : > log
    while IFS= read -r line <&"${USER_SHELL[0]}"; do
        [ "$line" != '<<<done>>>' ] || return 0
        printf '%s\n' "$line" >> log
    done
    wait "${USER_SHELL_PID:-}" 2> /dev/null
    start_shell
    return 1
}

start_shell
while read -r n kind line title; do
    block=$(printf 'block-%02d' "$n")
    name="README.md line $line: $title"
    if [ "$kind" = console ]; then
        session "$block"
        result $? "$name"
    elif [ "$kind" = sh ] && [[ $title == *patched* && $patched = no ]]; then
        result 0 "$name # SKIP this QEMU has no patches"
    elif [ "$kind" = sh ]; then
        ask "$block"
        result $? "$name"
    fi
done < blocks

# What came of it is right.
holds() { # CLAIM COMMAND...
    "${@:2}" > log 2>&1
    result $? "$1"
}
cd user || exit 1
holds 'a disk in the folder' cmp ../disk-a restored/disk-drive-virtio0.raw
holds 'the other one' cmp ../disk-b restored/disk-drive-virtio1.raw
holds 'a disk in a file' cmp ../disk-a vm1.img
holds 'a disk in a qcow2 image' qemu-img compare ../disk-a vm1.qcow2
holds 'a disk from the other host' cmp ../disk-a vm1-remote.img
holds 'a disk below an overlay' qemu-img compare ../disk-a overlay.qcow2
holds 'a configuration' cmp vm1.conf restored.conf
for archive in *.vma* /srv/backup/*; do
    holds "$archive" vma-restore verify "$archive"
done
echo "1..$count"
[ $failed = 0 ]
