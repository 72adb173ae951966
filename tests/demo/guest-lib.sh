# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Functions for bash scripts that boot the demo guest, watch it and check copies
# of its disks; to be sourced.  The guest itself comes from make-guest.sh, and
# what it writes is told in guest-init.sh.  Knows nothing of backups.
#
#     make-guest.sh DIR
#     guest_args QEMU [OPTION...]              sets its command line, and
#     boot_guest DIR                           starts it in the background
#     wait_guest_counter COUNT SECONDS         until COUNT records are written
#     guest_counter                            records written, as last reported
#     guest_qmp DIR COMMAND [JSON-ARGUMENTS]   on a QMP socket of its own
#     stop_guest                               at once, as by a power failure
#     check_guest_copy IMAGE-A IMAGE-B DIR     repairs, reads and checks a copy
#
# A function that fails says why on stderr and returns 1.

GUEST_PID=
GUEST_SERIAL=
GUEST_ARGS=()

guest_error()
{
    echo "guest: $*" >&2
    return 1
}

# guest_need PROGRAM PACKAGE ...: name the Debian packages of missing programs.
guest_need()
{
    local missing=0

    while [[ $# -gt 0 ]]; do
        if ! command -v "$1" > /dev/null; then
            guest_error "cannot find '$1': install the Debian package $2" ||
                missing=1
        fi
        shift 2
    done
    return "$missing"
}

# guest_args QEMU [OPTION...]: set GUEST_ARGS to the command line that boots the
# guest, to be run in its folder.  vm.qmp is for the user of the guest, and
# control.qmp for guest_qmp.  Its disks are disk-a.FORMAT and disk-b.FORMAT, with
# GUEST_FORMAT, or raw.
guest_args()
{
    local qemu=$1 disk number=0 dir format=${GUEST_FORMAT:-raw}
    shift

    GUEST_ARGS=("$qemu" -machine pc -accel tcg -smp 2 -m 256M)
    GUEST_ARGS+=(-nodefaults)
    GUEST_ARGS+=(-display none -no-reboot)
    GUEST_ARGS+=(-kernel kernel -initrd initrd)
    # A busy host may not let QEMU tick in time for the kernel's test of its timer
    GUEST_ARGS+=(-append "console=ttyS0 quiet panic=-1 no_timer_check")
    GUEST_ARGS+=(-serial file:serial.log)
    for disk in a b; do
        # What is watched is the guest and its QEMU, not how fast this host
        # syncs its own file system: hence no-flush.
        GUEST_ARGS+=(-blockdev "driver=$format,$(
            )node-name=drive-virtio$number,$(
            )cache.no-flush=on,$(
            )file.driver=file,file.filename=disk-$disk.$format")
        # Each disk has two queues, and each queue a thread in QEMU.
        GUEST_ARGS+=(-object "iothread,id=io$number-0")
        GUEST_ARGS+=(-object "iothread,id=io$number-1")
        GUEST_ARGS+=(-device "{'driver': 'virtio-blk-pci', $(
            )'id': 'virtio$number', 'drive': 'drive-virtio$number', $(
            )'iothread-vq-mapping': [{'iothread': 'io$number-0'}, $(
            )                        {'iothread': 'io$number-1'}]}")
        number=$((number + 1))
    done
    GUEST_ARGS+=(-qmp "unix:vm.qmp,server=on,wait=off")
    GUEST_ARGS+=(-qmp "unix:control.qmp,server=on,wait=off")
    # A QEMU that runs from its build folder finds no firmware: use Debian's.
    for dir in /usr/share/seabios /usr/share/qemu; do
        if [[ -d $dir ]]; then
            GUEST_ARGS+=(-L "$dir")
        fi
    done
    GUEST_ARGS+=("$@")
}

# boot_guest DIR: run GUEST_ARGS in DIR, in the background.  The guest dies with
# the calling shell, however that ends.  QEMU's own words are in DIR/qemu.log.
boot_guest()
{
    local dir=$1

    GUEST_SERIAL=$dir/serial.log
    : > "$GUEST_SERIAL"
    (
        cd "$dir" || exit
        exec setpriv --pdeathsig KILL "${GUEST_ARGS[@]}" \
            < /dev/null > qemu.log 2>&1
    ) &
    GUEST_PID=$!
}

guest_alive()
{
    [[ -n $GUEST_PID ]] && kill -0 "$GUEST_PID" 2> /dev/null
}

stop_guest()
{
    if guest_alive; then
        kill -KILL "$GUEST_PID"
    fi
    if [[ -n $GUEST_PID ]]; then
        wait "$GUEST_PID" 2> /dev/null || true
        GUEST_PID=
    fi
}

# The guest's reports so far: "RECORDS SLOWEST-ms" a line.  The last line of the
# console may be half written.
guest_reports()
{
    tr -d '\r' < "$GUEST_SERIAL" | awk '
        /^guest: [0-9]+ records .* [0-9]+ ms$/ { print $2, $(NF - 1) }'
}

guest_counter()
{
    guest_reports | awk '{ n = $1 } END { print n + 0 }'
}

# guest_slowest COUNT: the slowest write, in ms, of the reports after the one
# with COUNT records.
guest_slowest()
{
    guest_reports | awk -v count="$1" '
        $1 > count && $2 > slowest { slowest = $2 }
        END { print slowest + 0 }'
}

# Whatever the guest or its kernel complained of.
guest_complaints()
{
    tr -d '\r' < "$GUEST_SERIAL" | grep -e 'guest: FAILED' -e 'I/O error' \
        -e 'EXT4-fs error' -e 'EXT4-fs warning' -e 'JBD2:' -e '[Pp]anic' \
        -e 'Oops' -e 'BUG:' -e 'blocked for more than' || true
}

# wait_guest_counter COUNT SECONDS
wait_guest_counter()
{
    local count=$1 deadline=$((SECONDS + $2))

    while [[ $(guest_counter) -lt $count ]]; do
        if ! guest_alive; then
            tail -n 5 "$GUEST_SERIAL" "${GUEST_SERIAL%/*}/qemu.log" >&2
            guest_error "the guest died before it had written $count records" ||
                return
        fi
        if [[ $SECONDS -ge $deadline ]]; then
            tail -n 5 "$GUEST_SERIAL" >&2
            guest_error "the guest has not written $count records in $2 s" ||
                return
        fi
        sleep 0.1
    done
}

# guest_qmp DIR COMMAND [JSON-ARGUMENTS]: print what the command returns.
guest_qmp()
{
    (
        # A socket's path must be short: use a relative one.
        cd "$1" || exit
        python3 - "$2" "${3:-{\}}" <<'PYTHON'
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as sock:
    sock.connect("control.qmp")
    qmp = sock.makefile("rw")

    def execute(command, arguments):
        json.dump({"execute": command, "arguments": arguments}, qmp)
        qmp.flush()
        for line in qmp:
            reply = json.loads(line)
            if "error" in reply:
                sys.exit("guest: QMP " + command + ": "
                         + reply["error"]["desc"])
            if "return" in reply:
                return reply["return"]
        sys.exit("guest: QMP " + command + ": QEMU has closed the connection")

    qmp.readline()
    execute("qmp_capabilities", {})
    print(json.dumps(execute(sys.argv[1], json.loads(sys.argv[2]))))
PYTHON
    )
}

# repair_guest_disk IMAGE: what the guest's own boot would do after a power
# failure; prints what e2fsck says.  Its exit code 1 means that it has corrected
# something: the replay of the journal is such a correction, and so are the two
# totals in the superblock, which ext4 brings up to date only on unmount.
# Anything else would be damage, and after it nothing may be left.
repair_guest_disk()
{
    local rc=0

    e2fsck -fy "$1" > "$1.fsck" 2>&1 || rc=$?
    cat "$1.fsck"
    [[ $rc -le 1 ]] ||
        guest_error "cannot repair '$1': e2fsck -fy ended with code $rc" ||
        return
    awk '
        /\? yes$/ && before !~ /^Free (blocks|inodes) count wrong \(/ {
            exit 1
        }
        {
            before = $0
        }' "$1.fsck" ||
        guest_error "'$1' needed more than the replay of its journal" ||
        return
    e2fsck -fn "$1" > "$1.fsck" 2>&1 || {
        cat "$1.fsck" >&2
        guest_error "'$1' is not clean after the replay of its journal" ||
            return
    }
    rm "$1.fsck"
}

# read_guest_disk IMAGE DIR: copy all its files into the new folder DIR, whose
# path has no spaces.  debugfs needs neither root nor a loop device; it always
# ends with 0, and complains when it may not set owners, so the checksums have
# the last word.
read_guest_disk()
{
    mkdir "$2" &&
        debugfs -R "rdump / \"$2\"" "$1" > "$2.log" 2>&1 &&
        rm "$2.log"
}

# check_guest_disk DIR: check the files of one disk that read_guest_disk copied.
# Sets CHECKED_SEED, CHECKED_SLOTS and CHECKED_LAST, the number of the last
# record.
check_guest_disk()
{
    local dir=$1 slot

    (cd "$dir" && sha256sum --strict --quiet -c SHA256SUMS) >&2 ||
        guest_error "'$dir': a file from before the guest's boot is damaged" ||
        return
    # shellcheck disable=SC2034     # for the caller, as all of CHECKED_*
    CHECKED_SEED=$(wc -l < "$dir/SHA256SUMS")

    # The line that was being appended may be torn: cut short, or with zeroes
    # where data were to come.  The mark tells a torn last line from a whole
    # one.
    : > "$dir.sums"
    : > "$dir.deleted"
    CHECKED_LAST=$({ cat "$dir/live"/log.* && echo END; } | tr '\0' '?' | awk \
        -v sums="$dir.sums" -v deleted="$dir.deleted" '
        function bad(what) {
            print "guest: log line " NR ": " what > "/dev/stderr"
            failed = 1
            exit 1
        }
        $0 == "END" {
            ended = 1
            next
        }
        torn {
            bad("follows a torn line")
        }
        NF != 4 || ($1 $2 $4) ~ /[^0-9]/ || $3 !~ /^(-|[0-9a-f]+)$/ ||
        ($3 != "-" && length($3) != 64) {
            torn = 1
            if (/END$/) {
                ended = 1
            }
            next
        }
        last && $1 != last + 1 {
            bad("record " $1 " follows record " last)
        }
        last && $2 != expected {
            bad("slot " $2 " instead of " expected)
        }
        {
            last = $1
            expected = $4
            sum[$2] = $3
            delete sum[$4]
        }
        END {
            if (failed || !ended || !last) {
                exit 1
            }
            print last
            for (slot in sum) {
                if (sum[slot] == "-") {
                    print "live/slot." slot > deleted
                } else {
                    print sum[slot] "  live/slot." slot > sums
                }
            }
        }') ||
        guest_error "'$dir': the log of the records is damaged" ||
        return
    # shellcheck disable=SC2034
    CHECKED_SLOTS=$(wc -l < "$dir.sums")

    while read -r slot; do
        [[ ! -e $dir/$slot ]] ||
            guest_error "'$dir/$slot' should have been deleted" ||
            return
    done < "$dir.deleted"
    (cd "$dir" && sha256sum --strict --quiet -c -) < "$dir.sums" >&2 ||
        guest_error "'$dir': a file that the guest had finished is damaged" ||
        return
    rm "$dir.sums" "$dir.deleted"
}

# check_guest_end IMAGE NAME: the mark in the disk's last sector, beyond the
# file system.
check_guest_end()
{
    [[ $(tail -c 512 "$1" | head -n 1 | tr -d ' \0') == "endofdisk$2" ]] ||
        guest_error "'$1' does not end as disk $2 does"
}

# check_guest_order A B: the last records of the two disks at one point in time.
check_guest_order()
{
    [[ $1 -ge $2 && $1 -le $(($2 + 1)) ]] ||
        guest_error "not one point in time: disk a ends with record $1," \
            "disk b with record $2"
}

# check_guest_copy IMAGE-A IMAGE-B DIR: all of the above; DIR is for the files.
check_guest_copy()
{
    local last_a

    check_guest_end "$1" a && check_guest_end "$2" b &&
        repair_guest_disk "$1" && repair_guest_disk "$2" &&
        read_guest_disk "$1" "$3/a" && read_guest_disk "$2" "$3/b" &&
        check_guest_disk "$3/a" && last_a=$CHECKED_LAST &&
        check_guest_disk "$3/b" &&
        check_guest_order "$last_a" "$CHECKED_LAST"
}
