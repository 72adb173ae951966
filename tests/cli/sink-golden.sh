#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same stream gives the same archive, today and in later versions.
. "$(dirname "$0")/lib.sh"

# (A change here is a change of the format that vma-sink writes.)
cat > sums <<'END'
a859b89268a9995986ded9a615e3c3ddf8a79f057ae9e789eae408edb0b784e7  any-order.vma
54a316929ecc1d24c2fd268cca5f2286a10f919a0a0c3cc974c24398cf1d7aa8  example.vma
5d2ddd11fccbaf1e65e8108f32a5ce6fbd8d0d0b96de41a7a1939b609dbc2473  run-with-short-end.vma
3b77b15f97b6240b5aaa7b47ed8fc7946d1c01175600ca55c4ba3cec01f49885  size-0.vma
fb9e31c13afcd01bde632aa936ef924d715b569bbfc52d67cb470ddc650c9dd5  small.vma
END
for name in example small any-order run-with-short-end size-0; do
    "$VMA_SINK" -o "$name.vma" < "$(vector "$name")" 2> err || fail "$(cat err)"
done
sha256sum -- *.vma > got
sha256sum --quiet -c sums || { cat got; fail "another archive"; }
[ "$(wc -l < sums)" = "$(wc -l < got)" ] || { cat got; fail "no sum"; }
