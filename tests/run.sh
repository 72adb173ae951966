#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs tests and prints their totals: "N passed, N failed, N skipped".
#
#   B=BUILD tests/run.sh GROUP...       unit, cli, qemu, libvirt, faults
#
# unit: C programs that speak TAP.  cli: shell scripts, one claim each; exit
# code 77 skips.  qemu: the patched QEMU (all of QEMU_SERIES), which is built
# first where it is not in the cache, with and without local images between the
# disks and the stream, a short soak, whether the patches fit QEMU_TRIED, and
# the installed one, without patches; with each of them what README.md tells a
# user to type; speaks TAP.  libvirt: vma-dump --libvirt, with a libvirtd of its
# own and the installed QEMU; speaks TAP.  faults: some of those of "make
# check-faults"; speaks TAP.  What a test prints is shown if it fails.  The exit
# code is 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

B=${B:-$PWD/build}
QEMU_SERIES=${QEMU_SERIES:-10.0 10.2}
QEMU_TRIED=${QEMU_TRIED-11}
export B
export VMA_DUMP=$B/vma-dump VMA_SINK=$B/vma-sink VMA_RESTORE=$B/vma-restore
export LC_ALL=C.UTF-8
passed=0 failed=0 skipped=0
failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

result() { # ok|fail|skip NAME [REASON]
    case $1 in
    ok) passed=$((passed + 1)); echo "ok    $2" ;;
    skip) skipped=$((skipped + 1)); echo "SKIP  $2: ${3:-no reason given}" ;;
    fail)
        failed=$((failed + 1))
        failures+=("$2")
        echo "FAIL  $2${3:+: $3}"
        ;;
    esac
}

# Of TAP the tests that fail, each after what it said.
show_failures() {
    local line said=''
    while IFS= read -r line; do
        case $line in
        'not ok '*) printf '%s%s\n' "$said" "$line"; said='' ;;
        'ok '*) said='' ;;
        *) said+=$line$'\n' ;;
        esac
    done
}

# A program that speaks TAP: prefix and command.
run_tap() {
    local prefix=$1 line count=0 plan='' code
    shift
    "$@" > >(tee "$log") 2>&1 | show_failures
    code=${PIPESTATUS[0]}
    while IFS= read -r line; do
        case $line in
        'ok '*'# SKIP'*)
            result skip "$prefix ${line#ok }" "${line##*# SKIP}" ;;
        'ok '*) result ok "$prefix ${line#ok }" ;;
        'not ok '*) result fail "$prefix ${line#not ok }" ;;
        1..*) plan=${line#1..}; continue ;;
        *) continue ;;
        esac
        count=$((count + 1))
    done < "$log"
    # A program that died, or failed without saying which test.
    if [ "${plan%% *}" != "$count" ] ||
        { [ "$code" != 0 ] && ! grep -q '^not ok' "$log"; }; then
        grep -vE '^(ok |1\.\.)' "$log" | tail -n 60
        result fail "$prefix" "exit code $code, $count of ${plan:-?} tests"
    fi
}

run_cli() {
    local script name code
    for script in tests/cli/*.sh tests/cli/*.py; do
        name=cli/$(basename "$script")
        [[ $name != cli/lib.* && -e $script ]] || continue
        timeout 300 "$script" > "$log" 2>&1 < /dev/null
        code=$?
        case $code in
        0) result ok "$name" ;;
        77) result skip "$name" "$(tail -n 1 "$log")" ;;
        *)
            tail -n 60 "$log"
            result fail "$name" "exit code $code"
            ;;
        esac
    done
}

run_qemu() { # SERIES
    local folder
    folder=$(qemu-patch/build-qemu.sh --series "$1" system)
    case $? in
    0)
        run_tap "qemu/$1" python3 tests/qemu/run.py "$folder"
        run_tap "qemu/$1 --fleecing" python3 tests/qemu/run.py --fleecing \
            "$folder" content/ failure/ guest/ machine/ \
            disks/ bounds/ nodes/ monitors/
        run_tap "qemu/$1" python3 tests/soak/soak.py --seconds 15 "$folder"
        run_tap "docs/$1" tests/docs/first-use.sh "$folder"
        ;;
    77) result skip "qemu/$1" "Debian does not have this QEMU (any more)" ;;
    *) result fail "qemu/$1" "the patched QEMU can't be built" ;;
    esac
}

# A QEMU that the patches are not made for: what becomes of it is told, but is
# no failure.
try_qemu() { # SERIES
    local folder
    folder=$(qemu-patch/build-qemu.sh --series "$1" system 2> "$log")
    case $? in
    0)
        if python3 tests/qemu/run.py "$folder" content/ > "$log" 2>&1; then
            result ok "qemu/$1 (tried)"
        else
            grep -A 99 '^#' "$log" | tail -n 60
            result skip "qemu/$1 (tried)" "the patches do not work there (yet)"
        fi
        ;;
    77) result skip "qemu/$1 (tried)" "Debian does not have this QEMU (yet)" ;;
    *)
        tail -n 60 "$log"
        result skip "qemu/$1 (tried)" "the patches do not fit it (yet)"
        ;;
    esac
}

# What any QEMU can do, with the one that is installed, if there is one.
run_unpatched() {
    local program
    program=$(command -v qemu-system-x86_64)
    case $program in
    '') result skip qemu/unpatched "needs Debian's qemu-system-x86" ;;
    *)
        run_tap qemu/unpatched python3 tests/qemu/run.py \
            "$(dirname "$program")" nbd/ random/
        run_tap docs/unpatched tests/docs/first-use.sh "$(dirname "$program")"
        ;;
    esac
}

for group in "$@"; do
    case $group in
    unit)
        for program in "$B"/tests/test-*; do
            [ ! -x "$program" ] ||
                run_tap "unit/$(basename "$program")" "$program"
        done
        ;;
    cli) run_cli ;;
    qemu)
        for series in $QEMU_SERIES; do
            run_qemu "$series"
        done
        for series in $QEMU_TRIED; do
            try_qemu "$series"
        done
        run_unpatched
        ;;
    libvirt) run_tap libvirt python3 tests/libvirt/run.py ;;
    faults) run_tap faults python3 tests/faults/run.py -n 3 ;;
    *) echo "unknown group '$group'" >&2; exit 2 ;;
    esac
done

if [ "$failed" -gt 0 ]; then
    printf 'failed: %s\n' "${failures[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ $((passed + skipped)) -gt 0 ]
