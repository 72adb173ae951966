#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Gets QEMU, applies the patches to it and builds it.
#
#   build-qemu.sh [--series NAME] [--update] [tools|system]
#
# NAME is a series of QEMU's releases from the file releases, such as 10.0.
# tools (the default): qemu-img, qemu-io, qemu-nbd, qemu-storage-daemon.
# system: these and qemu-system-x86_64.  The build folder's path is the only
# output on stdout; everything else goes to stderr.
#
# The source is Debian's source package, taken with the mirror that this
# system's apt is configured for, but without touching that configuration.
# QEMU_SRC=FOLDER names an unpacked source instead; it is copied, not changed.
# The exit code is 77 if Debian does not have the series, or no longer.
#
# Everything is kept in ${XDG_CACHE_HOME:-~/.cache}/vma-sink/qemu.  What was
# built once is built again only if the source, the series, the options or the
# compiler have changed.  --update asks the mirror for a newer release of QEMU.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vma-sink/qemu
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
python=/usr/bin/python3

configure_options=(
    --python="$python" --disable-download --without-default-features
    --enable-tools --enable-linux-aio --enable-linux-io-uring
    --enable-coroutine-pool --enable-malloc-trim --enable-attr
    --enable-werror --disable-docs --disable-user --disable-install-blobs
    --audio-drv-list=
)
tools_options=(--disable-system --disable-tcg)
system_options=(--target-list=x86_64-softmmu --enable-tcg)
tools_targets=(qemu-img qemu-io qemu-nbd storage-daemon/qemu-storage-daemon)
system_targets=("${tools_targets[@]}" qemu-system-x86_64)

say() {
    printf 'build-qemu: %s\n' "$*" >&2
}

die() {
    say "$@"
    exit 1
}

usage() {
    say "usage: build-qemu.sh [--series NAME] [--update] [tools|system]"
    exit 2
}

patches=$here/patches
series=$(awk '!/^#/ { print $1; exit }' "$here/releases")
update=no
target=tools
while [ $# -gt 0 ]; do
    case $1 in
    --series) [ $# -gt 1 ] || usage; series=$2; shift ;;
    --update) update=yes ;;
    tools | system) target=$1 ;;
    --help)
        sed -n '4,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$here/build-qemu.sh"
        exit 0
        ;;
    *) usage ;;
    esac
    shift
done
suites=$(awk -v name="$series" '$1 == name { $1 = ""; print $0 }' \
    "$here/releases")
[ -n "$suites" ] || die "there is no series '$series' in $here/releases"

# --- What is needed on the machine -----------------------------------------

check_packages() {
    local missing=()
    need() {    # PACKAGE COMMAND...
        local package=$1
        shift
        "$@" >/dev/null 2>&1 || missing+=("$package")
    }
    need gcc command -v gcc
    need ninja-build command -v ninja
    need pkg-config command -v pkg-config
    need patch command -v patch
    need xz-utils command -v xz
    need util-linux command -v flock
    need python3 test -x "$python"
    need python3-venv "$python" -c 'import venv, ensurepip'
    need libglib2.0-dev pkg-config --exists glib-2.0
    need zlib1g-dev pkg-config --exists zlib
    need liburing-dev pkg-config --exists liburing
    need libaio-dev test -e /usr/include/libaio.h
    if [ "$target" = system ]; then
        need libfdt-dev test -e /usr/include/libfdt.h
        need device-tree-compiler command -v dtc
    fi
    [ ${#missing[@]} = 0 ] || die "missing packages: ${missing[*]}"
}

# --- Debian's archive --------------------------------------------------------

# apt with sources, lists and cache of its own: use_apt TYPE SUITE...
use_apt() {
    local type=$1 apt=$cache/apt suite uri mirror security
    shift
    # The code names, not "stable": what we want has nothing to do with what
    # this system runs.  Another archive's suites are not called like these.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' |
        awk '$1 ~ /^(bookworm|trixie|forky|duke|sid|(old)*stable|testing|unstable)$/ \
             { print $2; exit }')
    # shellcheck disable=SC2016
    security=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' |
        awk '$1 ~ /^[a-z]+-security$/ && $2 ~ /debian/ { print $2; exit }')
    [ -n "$mirror" ] || die "this system's apt has no Debian mirror;" \
        "name an unpacked QEMU with QEMU_SRC=FOLDER"
    [ -f $keyring ] || die "missing packages: debian-archive-keyring"

    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
    for suite in "$@"; do
        uri=$mirror
        case $suite in
        *-security) uri=$security ;;
        esac
        [ -z "$uri" ] || echo "$type [signed-by=$keyring] $uri $suite main"
    done > "$apt/sources.list"
    cat > "$apt/apt.conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "$apt/parts";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
Acquire::Languages "none";
END
    export APT_CONFIG=$apt/apt.conf
    apt-get -qq update >&2 || die "the package lists can't be fetched"
}

# download VERSION: false if the mirror does not have it, though it is listed
download() {
    local folder=$cache/sources/${1#*:}
    [ ! -d "$folder" ] || return 0
    say "downloading QEMU ${1#*:}"
    rm -rf "$folder.part"
    mkdir -p "$folder.part"
    if ! (cd "$folder.part" && apt-get -qq source --only-source \
        --download-only "qemu=$1" > log 2>&1); then
        cat "$folder.part/log" >&2
        grep -q ' 404 ' "$folder.part/log" || die "the source can't be downloaded"
        return 1
    fi
    rm "$folder.part/log"
    sync "$folder.part"/*
    mv "$folder.part" "$folder"
}

# Provides the newest release of the series, unless one is there; sets source
# (a folder with the files of Debian's source package) and source_id.
get_debian_source() {
    local version='' candidate record=$cache/sources/$series
    if [ "$update" = no ] && [ -f "$record" ]; then
        read -r version < "$record"
    fi
    [ -n "$version" ] && [ -d "$cache/sources/${version#*:}" ] || version=''
    if [ -z "$version" ]; then
        command -v apt-get >/dev/null ||
            die "no apt-get; name an unpacked QEMU with QEMU_SRC=FOLDER"
        lock
        say "looking for QEMU $series in Debian's archive"
        # shellcheck disable=SC2086
        use_apt deb-src $suites
        for candidate in $(apt-cache showsrc --only-source qemu |
            sed -n "s/^Version: \(1:$series\.[^ ]*\)$/\1/p" | sort -rV); do
            if download "$candidate"; then
                version=$candidate
                break
            fi
        done
        if [ -z "$version" ]; then
            say "SKIPPED: Debian has no QEMU $series (any more) in:$suites"
            exit 77
        fi
        echo "$version" > "$record.part"
        mv "$record.part" "$record"
    fi
    source_id=${version#*:}
    source=$cache/sources/$source_id
}

# --- Meson -------------------------------------------------------------------

meson_is_usable() {
    "$python" -c '
import sys, pycotap
from mesonbuild.coredata import version
sys.exit(tuple(map(int, version.split(".")[:2])) < (1, 5))' 2>/dev/null
}

# QEMU wants Meson 1.5 and pycotap.  Where the system's are older, or missing,
# those of its backports are unpacked into the cache: nothing is installed.
provide_meson() {
    local codename folder=$cache/meson
    meson_is_usable && return
    export PYTHONPATH=$folder/usr/lib/python3/dist-packages
    meson_is_usable && return

    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    say "getting Meson from $codename-backports"
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part/debs"
    if (
        use_apt deb "$codename-backports"
        cd "$folder.part/debs"
        apt-get -qq download meson python3-pycotap
    ) >&2; then
        for deb in "$folder.part"/debs/*.deb; do
            dpkg-deb -x "$deb" "$folder.part"
        done
        mv "$folder.part" "$folder"
    fi
    meson_is_usable ||
        die "missing packages: meson (1.5 or later) python3-pycotap"
}

# --- The build ---------------------------------------------------------------

locked=no
lock() {
    [ "$locked" = no ] || return 0
    mkdir -p "$cache/sources"
    exec 9>"$cache/lock"
    if ! flock -n 9; then
        say "waiting for another build-qemu.sh"
        flock 9
    fi
    locked=yes
}

finish() {  # prints the result, if it is there
    local kind
    for kind in "$target" system; do
        if [ -f "$folder/$kind.done" ]; then
            touch "$folder/$kind.done"
            echo "$folder/$kind"
            exit 0
        fi
    done
}

unpack() {
    local part=$folder.part patch
    rm -rf "$part" "$folder"
    mkdir -p "$part/src"
    say "unpacking QEMU $source_id"
    if [ -n "${QEMU_SRC:-}" ]; then
        tar -C "$QEMU_SRC" --exclude-vcs --exclude=./build -cf - . |
            tar -C "$part/src" -xf -
    else
        tar -C "$part/src" --strip-components=1 -xf "$source"/qemu_*.orig.tar.xz
        tar -C "$part" -xf "$source"/qemu_*.debian.tar.xz
        # The tarball lacks firmware that the build would unpack
        patch -d "$part/src" -p1 -s \
            < "$part/debian/patches/skip-unpack-edk2-blobs.patch" >&2
    fi
    while read -r patch; do
        case $patch in '' | \#*) continue ;; esac
        say "applying $patch"
        patch -d "$part/src" -p1 -s --fuzz=0 < "$patches/$patch" >&2 ||
            die "'$patch' does not apply to QEMU $source_id"
    done < "$patches/series"
    mv "$part" "$folder"
}

# run COMMAND...: quiet unless it fails, or there is a terminal.  The command
# inherits the lock: if we are killed, it may live on for a while.
run() {
    local log=$folder/$target.log
    printf '+ %s\n' "$*" >> "$log"
    if [ -t 2 ]; then
        "$@" 2>&1 | tee -a "$log" >&2
    elif ! "$@" >> "$log" 2>&1; then
        tail -n 40 "$log" >&2
        return 1
    fi
}

build() {
    local options=() targets=() cc=gcc
    if [ "$target" = system ]; then
        options=("${system_options[@]}")
        targets=("${system_targets[@]}")
    else
        options=("${tools_options[@]}")
        targets=("${tools_targets[@]}")
    fi
    if command -v ccache >/dev/null; then
        cc="ccache gcc"
        # so that another folder's objects are found
        export CCACHE_BASEDIR=$folder CCACHE_NOHASHDIR=1
    fi
    [ -f "$folder/$target/configured" ] || rm -rf "${folder:?}/$target"
    mkdir -p "$folder/$target"
    cd "$folder/$target"
    # an option until 10.1, always on since then
    ! grep -q "option('avx2'" ../src/meson_options.txt ||
        options+=(--enable-avx2)
    if [ ! -f configured ]; then
        say "configuring ($target)"
        run ../src/configure --cc="$cc" "${configure_options[@]}" \
            "${options[@]}" || die "configure failed, see $folder/$target.log"
        touch configured
    fi
    say "building ($target)"
    run ninja -j "${JOBS:-$(nproc)}" "${targets[@]}" ||
        die "the build failed, see $folder/$target.log"
}

if [ -n "${QEMU_SRC:-}" ]; then
    QEMU_SRC=$(cd "$QEMU_SRC" && pwd) || die "no folder '$QEMU_SRC'"
    [ -f "$QEMU_SRC/VERSION" ] || die "'$QEMU_SRC' is not a QEMU source"
    source_id=$(cat "$QEMU_SRC/VERSION")
    source_key=$(cd "$QEMU_SRC" && find . -name .git -prune -o -path ./build \
        -prune -o -type f -printf '%P %s %T@\n' | sort | sha256sum)
else
    get_debian_source
    source_key=$source_id
fi

key=$({
    echo "$source_key"
    echo "${configure_options[@]}" / "${tools_options[@]}" / \
        "${system_options[@]}"
    gcc --version 2>/dev/null | head -n 1
    cat "$patches/series" "$patches"/*.patch
} | sha256sum | cut -c 1-12)
folder=$cache/$source_id-$key

finish
check_packages
lock
finish      # another process may have built it while we waited
provide_meson
# Of an interrupted run, only what was renamed or marked at its end counts;
# ninja itself can go on where it was stopped.
[ -d "$folder" ] || unpack
build
sync -f "$folder"
touch "$folder/$target.done"

# Builds that nobody has used for two weeks
find "$cache" -mindepth 2 -maxdepth 2 -name '*.done' -mtime +14 |
    while read -r old; do
        say "removing $(dirname "$old")"
        rm -rf "$(dirname "$old")"
    done
rm -rf "$cache"/*.part
finish
