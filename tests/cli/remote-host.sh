#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup host that is set up by the commands of vma-sink/backup-host.md, word by
# word, takes backups, gives them back, and lets the keys do nothing else.
#
# In a mount and a network namespace of its own, with copies of /etc, and other
# folders in place of /home, /srv and /root.
if [ "${HOST_INSIDE:-}" != yes ]; then
    if [ "$(id -u)" != 0 ] || ! unshare -mn true 2> /dev/null; then
        echo 'this needs root and namespaces (unshare -mn)'
        exit 77
    fi
    HOST_INSIDE=yes exec unshare -mn "$0"
fi
. "$(dirname "$0")/lib.sh"

SSHD=$(PATH=$PATH:/usr/sbin:/sbin type -P sshd)
if [ -z "$SSHD" ] || ! type -P ssh > /dev/null; then
    skip 'there is no sshd or no ssh (openssh-server, openssh-client)'
fi
# What is ours may be below /root.
mkdir programs etc
cp "$VMA_DUMP" "$VMA_SINK" "$VMA_RESTORE" programs
chmod 755 "$T"
cp -a /etc/. etc
mount --bind etc /etc || skip 'nothing can be mounted'
for folder in /home /srv /root /run; do
    mkdir -p "over$folder" "$folder"
    mount --bind "over$folder" $folder || skip 'nothing can be mounted'
done
mkdir -m 755 /run/sshd
export HOME=/root
python3 - <<'END' || skip 'there is no loopback'
import fcntl, socket, struct
s = socket.socket()
# The flags of "lo": up and running.
fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 0x41))
END
echo '127.0.0.1 localhost backuphost' > /etc/hosts
rm -f /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/* /etc/ssh/ssh_config.d/*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
cat > /etc/ssh/sshd_config <<END
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
SetEnv PATH=$T/programs:/usr/bin:/bin ASAN_OPTIONS=$ASAN_OPTIONS
END
# ssh finds its user's files by /etc/passwd and not by $HOME.
sed -i 's|^\(root:.*\):[^:]*:\([^:]*\)$|\1:/root:\2|' /etc/passwd
export PATH=$T/programs:$PATH:/usr/sbin

# The commands of the page for one side, or the N-th block of them.
commands() { # SIDE [N]
    awk -v side="    # $1" -v want="${2:-0}" '
        $0 == side { inside = 1; n++; next }
        !/^    / { inside = 0 }
        inside && (!want || n == want) { sub("^    ", ""); print }
    ' "$ROOT/vma-sink/backup-host.md"
}
run() { # SIDE N
    commands "$1" "$2" > script
    [ -s script ] || fail "the page has no block $2 of '$1'"
    sed -i "s|--qmp /run/vm1.qmp|-c vm1.conf drive-virtio0=disk|" script
    bash -e script > out 2> err || fail "$1 $2: exit code $?: $(cat out err)"
}

head -c 2M /dev/urandom > disk
truncate -s 5M disk
echo memory: 1 > vm1.conf
run host 1
fingerprint=$(awk '{ print $2 }' out)
"$SSHD" -D -e > sshd.log 2>&1 < /dev/null &
for _ in {1..400}; do
    ! grep -q 'listening on' sshd.log || break
    sleep 0.05
done
run machine 1
grep -qF "$fingerprint" out || fail "another fingerprint: $(cat out)"
run machine 2
cp /root/.ssh/vm1-*.pub .
run host 2

# Backing up and restoring.
run machine 3
grep -q 'committed: ' err || fail "$(cat err)"
name=$(ls -A /srv/backup/vm1)
[[ $name =~ ^vm1-[0-9-]*\.vma\.zst$ ]] || fail "the host has: $name"
[ "$(stat -c %U "/srv/backup/vm1/$name")" = vmabackup ] || fail 'not its file'
mv "/srv/backup/vm1/$name" /srv/backup/vm1/vm1-a.vma.zst
rm vm1.conf
{ echo 'shopt -s expand_aliases'; commands restore 1; } > script
bash -e script > out 2> err || fail "restore: exit code $?: $(cat out err)"
grep -q 'drive-virtio0' out || fail "not listed: $(cat out)"
[ "$(cat vm1.conf)" = 'memory: 1' ] || fail 'another configuration'
cmp disk vm1.img || fail 'another disk'
cmp start.img <(head -c 1M disk) || fail 'another range'

# The keys can do nothing else: no shell, no terminal, no files, no forwarding.
# (A temporary file may come and go, which a folder's time tells.)
srv() { find /srv -type d -print -o -printf '%p %s %T@\n'; }
before=$(srv)
backup=(ssh -T backuphost)
restore=(ssh -T -i /root/.ssh/vm1-restore -o IdentityFile=none backuphost)
for command in '' 'id' 'cat /etc/passwd' 'sh -c id' 'vma-sink -f -o vm1-a.vma.zst' \
    'vma-sink --receive /tmp -o vm1-b.vma' $'vma-sink vm1-b.vma\nid' \
    'vma-restore list vm1-a.vma.zst' 'rm vm1-a.vma.zst'; do
    "${backup[@]}" "$command" < /dev/null > out 2> err && fail "taken: $command"
    [ ! -s out ] || fail "$command: $(cat out)"
    grep -q '^vma-sink: ' err || fail "$command: $(cat err)"
done
for command in '' 'id' 'cat vm1-a.vma.zst' 'vma-sink vm1-b.vma' \
    'vma-restore reindex vm1-a.vma.zst vm1-b.vma' $'vma-restore list x\nid'; do
    "${restore[@]}" "$command" < /dev/null > out 2> err && fail "taken: $command"
    [ ! -s out ] || fail "$command: $(cat out)"
    grep -q '^vma-restore: ' err || fail "$command: $(cat err)"
done
# (What fits into all that is in between has been sent before anybody looks.)
head -c 12M /dev/urandom > large
expect_exit 1 vma-dump x=large --to 'ssh backuphost vma-sink vm1-a.vma.zst'
expect_message 'not committed: '
expect_message 'file exists'
# These get a vma-sink that waits for a stream.
echo x > file
for way in -O -s; do
    ! timeout 3 scp $way -q file backuphost:vm1-x.vma 2> err < /dev/null ||
        fail "scp $way works"
done
! timeout 3 ssh -N -o ExitOnForwardFailure=yes -R 5001:localhost:22 backuphost \
    2> err < /dev/null || fail 'forwarding works'
[ "$(srv)" = "$before" ] ||
    fail "something was changed: $(find /srv)"
# A name that it does not keep.
expect_exit 0 vma-dump x=disk --to 'ssh backuphost vma-sink other.vma'
[ "$(find /srv -name '????-??-??-*.vma' | wc -l)" = 1 ] || fail "$(find /srv)"
