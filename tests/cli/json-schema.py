#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""All JSON that the programs print is valid by the schemas in vma-sink/schema, has
no key that is not in there, and what is wrong in it is refused.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print('no validator (python3-jsonschema)')
    sys.exit(77)

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, ROOT + '/tests/lib')
import mkvma    # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.path.abspath(os.environ.get('B', ROOT + '/build'))
DUMP, SINK, RESTORE = (
    os.path.abspath(os.environ.get('VMA_' + name.upper(),
                                   f'{BUILD}/vma-{name}'))
    for name in ('dump', 'sink', 'restore'))


def closed(schema):
    """The same, with no other keys than those that it describes."""
    schema = copy.deepcopy(schema)
    todo = [schema]
    while todo:
        part = todo.pop()
        if part.get('type') == 'object':
            part['additionalProperties'] = False
            todo += [p for p in part['properties'].values()
                     if isinstance(p, dict)]
        if 'items' in part:
            todo.append(part['items'])
    return schema


def load(name):
    path = f'{ROOT}/vma-sink/schema/{name}.schema.json'
    with open(path, encoding='utf-8') as f:
        schema = json.load(f)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(closed(schema))


SCHEMAS = {name: load(name)
           for name in ('progress', 'sink-result', 'list', 'map')}
checked = dict.fromkeys(SCHEMAS, 0)


def valid(name, document):
    SCHEMAS[name].validate(document)
    checked[name] += 1
    return document


def refused(name, document, **changes):
    """... once these keys have these values; None: are not there."""
    document = {**copy.deepcopy(document), **changes}
    document = {key.replace('_', '-'): value for key, value in document.items()
                if value != 'gone'}
    assert not SCHEMAS[name].is_valid(document), (name, document)


def run(*command, stdin=b'', code=0):
    child = subprocess.run(command, input=stdin, capture_output=True)
    assert child.returncode == code, (command, child)
    return child


def progress(*command, **options):
    child = run(*command, '--progress=json', **options)
    lines = [json.loads(line) for line in child.stderr.splitlines()
             if line.startswith(b'{')]
    assert len(lines) >= 2, child
    return child.stdout, [valid('progress', line) for line in lines]


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open('disk', 'wb') as disk:
        disk.truncate(3 << 20)
        disk.seek(1 << 20)
        disk.write(os.urandom(1 << 20))
    stream, lines = progress(DUMP, 'd=disk')
    _, failed = progress(DUMP, 'd=missing', code=1)
    progress(SINK, '--buffer=1M', '-o', 'x.vma', stdin=stream)
    progress(SINK, '-o', 'y.vma', stdin=stream[:-9], code=4)
    progress(RESTORE, 'verify', 'x.vma')
    progress(RESTORE, 'extract', 'x.vma', 'out')
    progress(RESTORE, 'reindex', '--sort', 'x.vma', 'x.vma.zst')
    for wrong in ({'bytes': -1}, {'bytes': '1'}, {'bytes': 1.5},
                  {'phase': 'finished'}, {'program': 'vma'},
                  {'seconds': 'gone'}, {'error': 'why'}, {'more': 1},
                  {'exit_code': 0}):
        refused('progress', lines[0], **wrong)
    for wrong in ({'exit-code': 1}, {'error': 'why'}, {'exit-code': 'gone'}):
        refused('progress', lines[-1], **wrong)
    for wrong in ({'exit-code': 0}, {'error': 'gone'}, {'exit-code': 6}):
        refused('progress', failed[-1], **wrong)

    def sink(*options, **more):
        return valid('sink-result',
                     json.loads(run(SINK, '--json', *options, **more).stdout))

    done = sink('-o', 'a.vma', stdin=stream)
    sink('--format=raw', '-o', 'a', stdin=stream)
    failed = sink('-o', 'b.vma', stdin=stream[:-9], code=4)
    sink('-o', 'a.vma', stdin=stream, code=2)
    sink(code=2)
    sink('-o', 'b.vma', code=4)
    sink('-o', b'\xff/x', stdin=stream, code=1)
    for wrong in ({'result': 'failed'}, {'rate': 'gone'}, {'exit-code': 1},
                  {'disks': [{}]}, {'disks': [{'name': '', 'bytes': 1}]},
                  {'disks': 'gone'}, {'uuid': 'x'}, {'more': 1}):
        refused('sink-result', done, **wrong)
    for wrong in ({'error': 'gone'}, {'stored-bytes': 1}, {'exit-code': 0}):
        refused('sink-result', failed, **wrong)

    names = [b'no \xff\xc3 utf-8', b'"\\\x01\x1b\n\x7f']
    with open('names.vma', 'wb') as archive:
        archive.write(mkvma.header(
            [(i, n, 2**48 - 1) for i, n in enumerate(names, 7)],
            [(b'c\xfe', b'12345')]))

    def listed(archive, **options):
        return valid('list', json.loads(
            run(RESTORE, 'list', '--json', archive, **options).stdout))

    full = listed('x.vma')
    for archive in 'x.vma.zst', 'names.vma':
        listed(archive)
    with open('x.vma', 'rb') as archive:
        assert listed('-', stdin=archive.read())['file-size'] is None
    for wrong in ({'devices': 'gone'}, {'devices': [{'id': 0}]},
                  {'time': 'today'}, {'digests': 'md5'}, {'end-mark': 'yes'},
                  {'configs': [{'name': 'c', 'size': 65536}]}, {'more': 1}):
        refused('list', full, **wrong)

    def mapped(archive):
        return valid('map', json.loads(
            run(RESTORE, 'map', '--output=json', archive).stdout))

    runs = mapped('x.vma')
    assert len(runs) == 3 and mapped('x.vma.zst') == runs, runs
    for wrong in ({'data': True, 'zero': True}, {'length': 0}, {'start': -1},
                  {'present': False}, {'depth': 'gone'}, {'offset': 0}):
        one = {key: value for key, value in {**runs[0], **wrong}.items()
               if value != 'gone'}
        assert not SCHEMAS['map'].is_valid([one]), one
    assert not SCHEMAS['map'].is_valid(runs[0])

assert min(checked.values()) >= 2, checked

# The pages have every key.
with open(ROOT + '/vma-sink/cli/progress.md', encoding='utf-8') as page:
    text = page.read()
for name, schema in SCHEMAS.items():
    schema = schema.schema.get('items', schema.schema)
    for key in schema['properties']:
        assert f'`{key}`' in text, (name, key)
