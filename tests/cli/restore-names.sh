#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever names an archive has, its files stay within the folder, with names
# that tell them apart.
. "$(dirname "$0")/lib.sh"

cat > make.py <<'EOF'
import sys
sys.path.insert(0, sys.argv[1])
import mkvma
disks = [b'../../up', b'..', b'a/b', b'a%2Fb', b'line\nfeed', b'bad\xff\xc3',
         b'\xc2\x9bcontrol', b'gr\xc3\xbc\xc3\x9f', b'-f', b' ',
         b'\xe2\x80\xaegnp', b'line\xe2\x80\xa8']
configs = [b'.hidden', b'..', b'.', b'/etc/passwd', b'a%b', b'x.conf']
sys.stdout.buffer.write(mkvma.archive([(name, b'x') for name in disks],
                                      [(name, name) for name in configs]))
EOF
python3 make.py "$ROOT/tests/lib" > x.vma || fail "no archive"
mkdir -p deep/er
expect_exit 0 "$VMA_RESTORE" extract x.vma deep/er/out
LC_ALL=C ls deep/er/out > names
cat > expected <<'EOF'
%2E
%2E.
%2Ehidden
%2Fetc%2Fpasswd
a%25b
disk- .raw
disk-%C2%9Bcontrol.raw
disk-%E2%80%AEgnp.raw
disk--f.raw
disk-..%2F..%2Fup.raw
disk-...raw
disk-a%252Fb.raw
disk-a%2Fb.raw
disk-bad%FF%C3.raw
disk-grüß.raw
disk-line%0Afeed.raw
disk-line%E2%80%A8.raw
x.conf
EOF
diff expected names || fail "other names"
[ "$(find . -path ./deep/er/out -prune -o -type f -print | LC_ALL=C sort)" = \
    $'./err\n./expected\n./make.py\n./names\n./x.vma' ] ||
    fail "outside: $(find .)"

# On the terminal such a name has no effect either.
expect_exit 0 "$VMA_RESTORE" list x.vma > printed
grep -qF 'line\x0afeed' printed || fail "$(cat printed)"
! LC_ALL=C grep -q $'\xff' printed || fail "raw bytes in the list"
