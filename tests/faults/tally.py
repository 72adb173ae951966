# SPDX-License-Identifier: GPL-2.0-or-later
"""How the faults ended: counted, and printed as a table."""

import collections

# What may become of a fault.  The first four are as it should be.
COLUMNS = (
    ('none', 'no result'),          # nothing is there, or the old one
    ('whole', 'whole'),             # there, whole, and what it should be
    ('found', 'found'),             # a fault of the programs that was planted
    ('named', 'until the next'),    # left over; the next run ends or names it
    ('lie', 'lies'),                # there and not that, or a wrong success
    ('left', 'left over'),          # something that a later run stumbles on
    ('guest', 'guest errors'),
)


class Tally:
    def __init__(self):
        self.counts = collections.defaultdict(collections.Counter)
        self.row = 'fault'          # of the table, for the kinds to come
        self.rows = {}              # by kind
        self.failures = []          # (kind, text)
        self.skipped = []           # (kind, reason)

    def good(self, kind, outcome):
        self.counts[kind][outcome] += 1
        self.rows.setdefault(kind, self.row)

    def bad(self, kind, outcome, text):
        self.good(kind, outcome)
        self.failures.append((kind, text))

    def skip(self, kind, reason):
        self.skipped.append((kind, reason))

    def tried(self, kind):
        return sum(self.counts[kind].values())

    def add(self, other):
        """What another one counted, of other kinds"""
        self.counts.update(other.counts)
        self.rows.update(other.rows)
        self.failures += other.failures
        self.skipped += other.skipped

    def table(self):
        """As tests/README.md has it: a row for the kinds that go together"""
        rows = collections.defaultdict(collections.Counter)
        for kind, counts in self.counts.items():
            rows[self.rows[kind]].update(counts)
        rows['all'] = sum(rows.values(), collections.Counter())
        lines = [['fault', 'tried', *(title for _, title in COLUMNS)],
                 ['---'] * (len(COLUMNS) + 2)]
        for row, counts in rows.items():
            lines.append([row, sum(counts.values()),
                          *(counts[name] for name, _ in COLUMNS)])
        return '\n'.join('| %s |' % ' | '.join(str(cell) for cell in line)
                         for line in lines)
