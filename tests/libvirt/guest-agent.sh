#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Process 1 of a guest for tests, before that of the demo guest, which it starts:
# a guest agent in busybox ash that knows just what libvirt asks to freeze and
# thaw the file systems of the demo guest.  It says on the console what it does.

port=/dev/vport1p1

answer() # JSON
{
    echo "$1" >&3
}

serve()
{
    while read -r line <&3; do
        case $line in
        *guest-sync*)
            id=${line##*\"id\":}
            answer "{\"return\": ${id%%[!0-9]*}}"
            ;;
        *guest-get-time*) answer '{"return": 0}' ;;
        *guest-fsfreeze-freeze*)
            busybox fsfreeze --freeze /a && busybox fsfreeze --freeze /b &&
                echo 'agent: frozen' && answer '{"return": 2}'
            ;;
        *guest-fsfreeze-thaw*)
            busybox fsfreeze --unfreeze /b 2> /dev/null
            busybox fsfreeze --unfreeze /a 2> /dev/null
            echo 'agent: thawed'
            answer '{"return": 2}'
            ;;
        *) answer '{"error": {"class": "CommandNotFound", "desc": "no"}}' ;;
        esac
    done
}

agent()
{
    # After what it needs, which the demo guest loads.
    until insmod /agent/virtio_console.ko 2> /dev/null; do
        busybox sleep 0.2
    done
    until [ -c "$port" ]; do
        for port in /dev/vport*; do :; done
        busybox sleep 0.2
    done
    exec 3<> "$port"
    while :; do
        serve
        busybox sleep 0.2       # nobody is connected
    done
}

# What runs in the background has /dev/null.
mount -t devtmpfs dev /dev
agent &
exec /agent/init
