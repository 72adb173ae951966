#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the demo guest: a Debian cloud kernel, an initramfs of busybox, the few
# modules that the kernel needs and guest-init.sh, and two raw disks with real
# ext4 file systems.  Puts kernel, initrd, disk-a.raw and disk-b.raw into
# OUTDIR.  What it makes is kept in a cache outside the source tree, keyed by
# the kernel's version and by these scripts; nothing is installed and no root is
# needed.  Knows nothing of QEMU's command line: see guest-lib.sh.

set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

readonly KERNEL_META=linux-image-cloud-amd64
readonly MODULES=(virtio_pci virtio_blk ext4)
readonly APPLETS=(sh mount mkdir rm insmod findfs sync dd sha256sum printf
                  echo poweroff)
readonly MIB=$((1024 * 1024))
# Neither is a multiple of 64 KiB: the last cluster of each disk is a short one.
readonly DISK_A_BYTES=$((192 * MIB + 20 * 1024))
readonly DISK_B_BYTES=$((96 * MIB + 7 * 512))

die()
{
    echo "make-guest: $*" >&2
    exit 1
}

need()
{
    command -v "$1" > /dev/null ||
        die "cannot find '$1': install the Debian package $2"
}

# The newest guest in the cache that these very scripts have made, if any.
find_cached()
{
    find "$cache" -mindepth 1 -maxdepth 1 -type d -name "*-guest-$key" |
        sort -V | tail -n 1
}

# Fetch the kernel's package into the cache and unpack it into $work/kernel.
unpack_kernel()
{
    local package deb

    package=$(apt-cache depends --important "$KERNEL_META" 2> /dev/null |
        awk '$1 == "Depends:" { print $2; exit }')
    [[ -n $package ]] ||
        die "apt knows no package $KERNEL_META: run 'apt-get update' first"
    deb=$(find "$cache" -maxdepth 1 -name "${package}_*.deb" |
        sort -V | tail -n 1)
    if [[ -z $deb ]]; then
        echo "fetching the package $package into $cache"
        mkdir "$work/fetch"
        # apt-get run by root would otherwise warn that its unprivileged user
        # cannot write here.
        (cd "$work/fetch" &&
            apt-get -qq -o APT::Sandbox::User="$(id -un)" \
                download "$package") ||
            die "cannot fetch the package $package"
        mv "$work/fetch/"*.deb "$cache/"
        deb=$(find "$cache" -maxdepth 1 -name "${package}_*.deb" |
            sort -V | tail -n 1)
    fi
    dpkg-deb --extract "$deb" "$work/kernel"
}

# Emit module $1, after all that it depends on, each once.  A module that
# modules.dep does not list is built into the kernel, or the load fails aloud.
declare -A deps_of=() emitted=()
emit_module()
{
    local path=$1 dep

    [[ -z ${emitted[$path]-} ]] || return 0
    emitted[$path]=1
    for dep in ${deps_of[$path]}; do
        emit_module "$dep"
    done
    echo "$path"
}

make_initrd()
{
    local root=$work/initrd modules=$work/kernel/lib/modules/$release
    local path deps name applet busybox_path

    mkdir -p "$root"/{bin,dev,proc,sys,modules,seed}
    busybox_path=$(command -v busybox)
    ! ldd "$busybox_path" > /dev/null 2>&1 ||
        die "'$busybox_path' is not static: install the Debian package" \
            "busybox-static"
    cp "$busybox_path" "$root/bin/busybox"
    for applet in "${APPLETS[@]}"; do
        ln -s busybox "$root/bin/$applet"
    done
    install -m 755 "$here/guest-init.sh" "$root/init"

    busybox depmod -b "$work/kernel" "$release"
    while IFS=: read -r path deps; do
        deps_of[$path]=$deps
    done < "$modules/modules.dep"
    for name in "${MODULES[@]}"; do
        for path in "${!deps_of[@]}"; do
            if [[ ${path##*/} == "$name".ko ]]; then
                emit_module "$path"
                continue 2
            fi
        done
        grep -q "/$name\.ko$" "$modules/modules.builtin" ||
            die "kernel $release has no module $name"
    done > "$work/order"
    : > "$root/modules/order"
    while read -r path; do
        cp "$modules/$path" "$root/modules/"
        echo "${path##*/}" >> "$root/modules/order"
    done < "$work/order"

    # Text for the guest to write again and again.
    cat "$here/guest-init.sh" "$here/make-guest.sh" "$modules/modules.dep" \
        > "$root/seed/text"

    (cd "$root" && find . | sort |
        busybox cpio -o -H newc -R 0:0 2> /dev/null |
        gzip -n -9) > "$work/guest/initrd"
}

# copy_some DEST BYTES PATH...: copy the first files under PATH, in order of
# name, that make up about BYTES.  Not every machine has every PATH.
copy_some()
{
    local dest=$1 bytes=$2
    shift 2

    { find "$@" -type f -readable -size +0 -printf '%s %p\n' 2> /dev/null ||
        true; } | sort -k 2 | awk -v left="$bytes" '
            NF == 2 && $1 <= left { left -= $1; print $2 }' > "$work/list"
    cpio --quiet -pdm "$dest" < "$work/list"
}

# make_disk NAME BYTES TREE: an ext4 file system with a journal that holds TREE,
# and a mark in the disk's last sector, which no file system block covers.
make_disk()
{
    local name=$1 bytes=$2 tree=$3 image=$work/guest/disk-$1.raw

    (cd "$tree" && find . -type f -print0 | sort -z |
        xargs -0 sha256sum > "$work/sums" && cp "$work/sums" SHA256SUMS)
    truncate -s "$bytes" "$image"
    mke2fs -q -t ext4 -b 4096 -J size=4 -L "demo-$name" -d "$tree" \
        -E lazy_itable_init=0,lazy_journal_init=0,nodiscard \
        "$image" $(((bytes - 512) / 4096))
    # mke2fs leaves large folders without an index, which each later e2fsck
    # would want to improve.
    e2fsck -fyD "$image" > /dev/null 2>&1 || [[ $? -eq 1 ]] ||
        die "mke2fs made a damaged file system for disk $name"
    printf '%-511s\n' "end of disk $name" |
        dd of="$image" bs=512 seek=$((bytes / 512 - 1)) conv=notrunc \
            status=none
}

[[ $# -eq 1 && $1 != -* ]] || {
    echo "usage: make-guest.sh OUTDIR" >&2
    exit 2
}
outdir=$1
cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vma-sink}/guest
key=$(cat "$here/make-guest.sh" "$here/guest-init.sh" | sha256sum | cut -c 1-16)

mkdir -p "$cache" "$outdir"
guest=$(find_cached)
if [[ -z $guest ]]; then
    need busybox busybox-static
    need apt-get apt
    need dpkg-deb dpkg
    need mke2fs e2fsprogs
    need cpio cpio

    work=$(mktemp -d "$cache/new.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "$work"/{guest,kernel,tree-a,tree-b}
    unpack_kernel
    release=$(basename "$work"/kernel/lib/modules/*)
    echo "making the guest with kernel $release"
    cp "$work/kernel/boot/vmlinuz-$release" "$work/guest/kernel"
    make_initrd

    copy_some "$work/tree-a" $((24 * MIB)) /etc/services /usr/share/perl \
        /usr/share/perl5 /usr/share/zoneinfo /usr/share/doc /usr/include
    make_disk a "$DISK_A_BYTES" "$work/tree-a"
    (cd "$work/kernel" && copy_some "$work/tree-b" $((12 * MIB)) lib boot)
    make_disk b "$DISK_B_BYTES" "$work/tree-b"

    guest=$cache/$release-guest-$key
    # Someone else may have made the same one meanwhile: theirs will do.
    mv -T "$work/guest" "$guest" 2> /dev/null || [[ -d $guest ]]
fi
cp --reflink=auto --sparse=always "$guest"/* "$outdir/"
