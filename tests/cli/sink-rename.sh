#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# On a file system that can't rename without replacing, and on one that has no
# hard links either, an archive still gets its name, and still replaces no file
# that came there in the meantime.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
EIO=5 EEXIST=17 EINVAL=22 EPERM=1 ENOSYS=38 ENOTSUP=95
sink() {
    FAULT_LOG=$T/log LD_PRELOAD=$B/tests/fault.so "$VMA_SINK" "$@"
}
calls() { # the calls that give a name, in their order
    grep -oE '^(renameat2|link|rename) ' log | tr -d '\n'
}
"$VMA_SINK" -o whole.vma < "$(vector example)" 2> err || fail "$(cat err)"

# Faults, and the calls that are made.
while read -r faults expected; do
    faults=${faults//,/ }
    rm -f log a.vma
    FAULT_CALLS=$faults expect_exit 0 sink -o a.vma < "$(vector example)"
    [ "$(calls)" = "${expected//,/ } " ] || fail "$faults: calls $(calls)"
    cmp a.vma whole.vma || fail "$faults: another archive"
    expect_no_file a.vma.*
    [ "$(stat -c %h a.vma)" = 1 ] || fail "$faults: two names"

    # Somebody else's file appears while the stream comes in.
    rm -f a.vma in
    mkfifo in
    FAULT_CALLS=$faults sink -o a.vma < in 2> err &
    exec 5> in
    while ! compgen -G 'a.vma.*' > /dev/null; do
        kill -0 $! 2> /dev/null || fail "it has ended: $(cat err)"
        sleep 0.05
    done
    echo other > a.vma
    cat "$(vector example)" >&5
    exec 5>&-
    wait $!
    code=$?
    [ "$code" = 1 ] || fail "$faults: exit code $code: $(cat err)"
    grep -q "cannot rename .*File exists (another run .* --force)" err ||
        fail "$faults: $(cat err)"
    [ "$(cat a.vma)" = other ] || fail "$faults: the file was replaced"
    expect_no_file a.vma.*
done <<END
renameat2=0 renameat2
renameat2=$EINVAL renameat2,link
renameat2=$ENOSYS renameat2,link
renameat2=$EINVAL,link=$EPERM renameat2,link,rename
renameat2=$EINVAL,link=$ENOTSUP renameat2,link,rename
renameat2=$ENOSYS,link=$ENOSYS renameat2,link,rename
END

# Any other error is one.
rm -f a.vma
for faults in renameat2=$EIO renameat2=$EEXIST \
    "renameat2=$EINVAL link=$EIO" \
    "renameat2=$EINVAL link=$EPERM rename=$EIO"; do
    FAULT_CALLS=$faults expect_exit 1 sink -o a.vma < "$(vector example)"
    expect_message 'cannot rename'
    expect_no_file a.vma a.vma.*
done

# With --force a file is meant to be replaced.
echo other > a.vma
rm -f log
expect_exit 0 sink --force -o a.vma < "$(vector example)"
[ "$(calls)" = 'rename ' ] || fail "calls with --force: $(calls)"
cmp a.vma whole.vma || fail "it was not replaced"
