#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every relative link of a document leads to a file of the project, and every
anchor to a title there; every page is linked from README.md, by some way.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), '..', '..'))
os.chdir(ROOT)
# Not those of a build folder; a source package has no git.
listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'],
                        capture_output=True, text=True)
if listed.returncode == 0:
    FILES = set(listed.stdout.split('\n'))
else:
    FILES = {os.path.relpath(os.path.join(folder, name))
             for folder, _, names in os.walk('.') for name in names}
PAGES = {name for name in FILES if name.endswith('.md')
         and not name.startswith('build/') and os.path.exists(name)}


def without_code(text):
    """Neither blocks that are fenced or indented nor what is in backquotes,
    which is no place for links.
    """
    text = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    text = re.sub(r'^    .*$', '', text, flags=re.M)
    return re.sub(r'`[^`\n]*`', '`', text)


def anchors(text):
    """Of the titles, as GitHub makes them."""
    text = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    found = []
    for title in re.findall(r'^#+ (.*)$', text, flags=re.M):
        title = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', title).strip().lower()
        name = re.sub(r'[^\w\- ]', '', title).replace(' ', '-')
        again = sum(a == name or re.fullmatch(re.escape(name) + r'-\d+', a)
                    is not None for a in found)
        found.append(f'{name}-{again}' if again else name)
    return found


texts = {}
for page in PAGES:
    with open(page, encoding='utf-8') as f:
        texts[page] = f.read()
wrong = []
links = {}
for page, text in texts.items():
    links[page] = set()
    found = re.findall(r'\]\(([^)\s]+)\)', without_code(text))
    found += re.findall(r'^\[[^]]+\]: (\S+)$', text, flags=re.M)
    for link in found:
        if re.match(r'[a-z]+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = page if not path else os.path.normpath(
            os.path.join(os.path.dirname(page), path))
        links[page].add(target)
        if not os.path.exists(target):
            wrong.append(f'{page}: no {link}')
        elif target not in FILES and not os.path.isdir(target):
            wrong.append(f'{page}: {link} is none of our files')
        elif anchor and anchor not in anchors(texts.get(target, '')):
            wrong.append(f'{page}: no title for {link}')
assert sum(map(len, links.values())) > 20, links

reached, todo = set(), ['README.md']
while todo:
    page = todo.pop()
    if page not in reached:
        reached.add(page)
        todo += links.get(page, ())
wrong += [f'nothing leads to {page}' for page in PAGES - reached]
if wrong:
    sys.exit('\n'.join(sorted(wrong)))
