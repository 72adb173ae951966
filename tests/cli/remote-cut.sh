#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup over ssh whose connection is cut, at many places and in many ways:
# vma-dump's exit code says whether it is stored, or that nobody knows, and the
# host has a whole archive or nothing.
#
# REMOTE_CUTS says how many times (21), REMOTE_SEED which.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/sshd.sh"

head -c 1536K /dev/urandom > disk
truncate -s 8M disk
mkdir store
python3 "$ROOT/tests/lib/remote_cut.py" "${REMOTE_CUTS:-21}" \
    "${REMOTE_SEED:-$RANDOM}"
