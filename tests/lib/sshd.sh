# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A backup host for tests: sourced after cli/lib.sh.  Starts an sshd of its own
# on a port of the loopback, with keys made for it; all of it is in $T, and no
# file of a user is read.  There it is reached by the name "backuphost":
#
#   ssh backuphost COMMAND       this one's ssh is the first in $PATH
#   allow [OPTIONS] NAME         makes a key NAME that may log in, with options as
#                                authorized_keys has them
#   SSH_KEY=NAME                 which key ssh takes; "key" is there, may do all
#   SSH_PORT=PORT                another way to the host, such as a relay
#
# The programs are in $PATH on both sides.

SSHD=$(PATH=$PATH:/usr/sbin:/sbin type -P sshd)
if [ -z "$SSHD" ] || ! type -P ssh > /dev/null; then
    skip 'there is no sshd or no ssh (openssh-server, openssh-client)'
fi

# sshd wants to find this one, which is else made when a machine starts.
if [ "$(id -u)" = 0 ] && ! [ -d /run/sshd ]; then
    mkdir -m 755 /run/sshd
fi

make_key() { # FILE
    ssh-keygen -q -t ed25519 -N '' -f "$T/$1" -C "$1" ||
        skip 'ssh-keygen makes no key'
}

allow() { # [OPTIONS] NAME
    local name=${*: -1}
    make_key "$name"
    [ $# = 1 ] || printf '%s ' "$1" >> "$T/authorized_keys"
    cat "$T/$name.pub" >> "$T/authorized_keys"
}

free_port() {
    python3 -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# False: it does not listen there.
start_sshd() { # PORT
    local i
    cat > "$T/sshd_config" <<EOF
Port $1
ListenAddress 127.0.0.1
HostKey $T/host
PidFile none
AuthorizedKeysFile $T/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
UseDNS no
SetEnv PATH=$B:$PATH ASAN_OPTIONS=$ASAN_OPTIONS UBSAN_OPTIONS=$UBSAN_OPTIONS
EOF
    "$SSHD" -D -e -f "$T/sshd_config" > "$T/sshd.log" 2>&1 < /dev/null &
    SSHD_PID=$!
    for ((i = 0; i < 400; i++)); do
        kill -0 $SSHD_PID 2> /dev/null || return 1
        ! grep -q 'listening on 127.0.0.1' "$T/sshd.log" || return 0
        sleep 0.05
    done
    return 1
}

make_key host
allow key
mkdir "$T/bin"
cat > "$T/ssh_config" <<EOF
Host backuphost
    HostName 127.0.0.1
    HostKeyAlias backuphost
    User $(id -un)
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    LogLevel ERROR
    UserKnownHostsFile $T/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
EOF
echo "backuphost $(cut -d' ' -f1-2 "$T/host.pub")" > "$T/known_hosts"
cat > "$T/bin/ssh" <<EOF
#!/bin/sh
exec $(type -P ssh) -F '$T/ssh_config' -p "\$SSH_PORT" -i '$T'/"\${SSH_KEY:-key}" "\$@"
EOF
chmod +x "$T/bin/ssh"
# Another program may have taken the port in the meantime.
for _ in {1..5}; do
    SSH_PORT=$(free_port)
    ! start_sshd "$SSH_PORT" || break
done
PATH=$T/bin:$B:$PATH
export PATH SSH_PORT SSHD_PID
ssh backuphost true 2> "$T/ssh.err" < /dev/null ||
    skip "sshd does not let us in: $(cat "$T/ssh.err"; tail -n 3 "$T/sshd.log")"
