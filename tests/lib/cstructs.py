# SPDX-License-Identifier: GPL-2.0-or-later
"""
The packed structs of a C source: so that a test can see that it has a row for
each field of each of them.
"""
import re
from collections import namedtuple

SIZES = {'uint8_t': 1, 'uint16_t': 2, 'uint32_t': 4, 'uint64_t': 8,
         'int64_t': 8}

# offset: within the struct; bytes: of one element, of which there are count
Field = namedtuple('Field', 'offset bytes count')
Struct = namedtuple('Struct', 'bytes fields')


def load(path, known=()):
    """{struct: Struct} of a file; KNOWN are structs and numbers used there."""
    with open(path, encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    structs = dict(known)
    numbers = {name: int(value) for name, value in
               re.findall(r'#define (\w+) (\d+)u?\n', re.sub(r'[ \t]+\n', '\n',
                                                             text))}
    for name, body in re.findall(
            r'typedef struct (\w+) \{(.*?)\} __attribute__\(\(packed\)\)', text,
            re.S):
        fields, at = {}, 0
        for kind, field, count in re.findall(
                r'(\w+) (\w+)(?:\[(\w+)\])?;', body):
            size = SIZES[kind] if kind in SIZES else structs[kind].bytes
            count = int(numbers.get(count, count or 1))
            fields[field] = Field(at, size, count)
            at += size * count
        structs[name] = Struct(at, fields)
    return structs
