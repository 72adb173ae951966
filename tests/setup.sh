#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the project needs on a machine, and how to get it there.
#
#   tests/setup.sh [--check] GROUP...
#
# Looks for everything that the groups need.  Where something is missing, it is
# installed with apt-get, after saying what, if this runs as root on a Debian
# system; otherwise, and with --check, the packages are named and the exit code
# is 1.  Nothing missing: no output.
set -euo pipefail

# A need and Debian's package for it: a pkg-config module, a command, a file.
needs() {
    case $1 in
    build) cat <<'END'
cmd gcc gcc
cmd pkg-config pkg-config
pc glib-2.0 libglib2.0-dev
pc json-glib-1.0 libjson-glib-dev
pc uuid uuid-dev
pc zlib zlib1g-dev
pc libxxhash libxxhash-dev
pc libnbd libnbd-dev
pc libzstd libzstd-dev
END
    ;;
    plugin) cat <<'END'
pc nbdkit nbdkit-plugin-dev
END
    ;;
    seccomp) cat <<'END'
pc libseccomp libseccomp-dev
END
    ;;
    libvirt) cat <<'END'
pc libvirt libvirt-dev
END
    ;;
    libvirtd) cat <<'END'
cmd libvirtd libvirt-daemon
cmd virsh libvirt-clients
file /usr/share/augeas/lenses/libvirtd_qemu.aug libvirt-daemon-driver-qemu
cmd qemu-system-x86_64 qemu-system-x86
END
    ;;
    check) cat <<'END'
cmd python3 python3
cmd zstd zstd
cmd xxhsum xxhash
cmd nbdkit nbdkit
cmd nbdinfo libnbd-bin
cmd nbdfuse nbdfuse
cmd qemu-nbd qemu-utils
cmd qemu-system-x86_64 qemu-system-x86
cmd debugfs e2fsprogs
file /usr/sbin/mkfs.btrfs btrfs-progs
cmd man man-db
cmd mandoc mandoc
cmd zsh zsh
cmd strace strace
file /usr/lib/python3/dist-packages/pyte python3-pyte
file /usr/lib/python3/dist-packages/jsonschema python3-jsonschema
cmd virsh libvirt-clients
cmd virt-xml-validate libvirt-clients
cmd xmllint libxml2-utils
file /usr/share/OVMF/OVMF_CODE_4M.fd ovmf
END
    ;;
    # Not of "make check": Debian's package starts a server at once.
    ssh) cat <<'END'
cmd ssh openssh-client
file /usr/sbin/sshd openssh-server
END
    ;;
    qemu) cat <<'END'
cmd gcc gcc
cmd ninja ninja-build
cmd pkg-config pkg-config
cmd git git
cmd patch patch
cmd flock util-linux
cmd dtc device-tree-compiler
cmd xz xz-utils
cmd ccache ccache
cmd flex flex
cmd bison bison
pc glib-2.0 libglib2.0-dev
pc zlib zlib1g-dev
file /usr/include/libfdt.h libfdt-dev
pc liburing liburing-dev
file /usr/include/libaio.h libaio-dev
file /usr/lib/python3/dist-packages/venv-or-ensurepip python3-venv
file /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
file /usr/share/seabios/bios-256k.bin seabios
file /usr/share/qemu/kvmvapic.bin qemu-system-data
END
    ;;
    demo) cat <<'END'
cmd python3 python3
cmd e2fsck e2fsprogs
cmd cpio cpio
cmd nbdkit nbdkit
cmd qemu-img qemu-utils
file /bin/busybox busybox-static
END
    ;;
    deb) cat <<'END'
cmd dh debhelper
cmd dpkg-buildpackage dpkg-dev
cmd debootstrap debootstrap
END
    ;;
    bench) cat <<'END'
file /usr/bin/time time
cmd python3 python3
cmd zstd zstd
cmd cpio cpio
cmd mke2fs e2fsprogs
cmd nbdkit nbdkit
cmd nbdcopy libnbd-bin
cmd qemu-img qemu-utils
file /bin/busybox busybox-static
cmd gnuplot gnuplot-nox
END
    ;;
    graph) cat <<'END'
cmd gnuplot gnuplot-nox
END
    ;;
    lint) cat <<'END'
cmd cppcheck cppcheck
cmd shellcheck shellcheck
cmd pyflakes3 pyflakes3
END
    ;;
    *)
        echo "tests/setup.sh: unknown group '$1'" >&2
        exit 2
        ;;
    esac
}

have() {
    case $1 in
    cmd) command -v "$2" >/dev/null ;;
    pc) pkg-config --exists "$2" 2>/dev/null ;;
    file)
        case $2 in
        *venv-or-ensurepip) /usr/bin/python3 -c 'import venv, ensurepip' \
            2>/dev/null ;;
        *) [ -e "$2" ] ;;
        esac
        ;;
    esac
}

check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi

missing=()
for group in "$@"; do
    while read -r kind name package; do
        if ! have "$kind" "$name" && [[ " ${missing[*]} " != *" $package "* ]]
        then
            missing+=("$package")
        fi
    done < <(needs "$group")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$check" = yes ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null
then
    {
        echo "missing packages: ${missing[*]}"
        echo "on Debian, as root: apt-get install ${missing[*]}"
    } >&2
    exit 1
fi
echo "installing packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
{
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${missing[@]}"
} >&2
