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
        self.failures = []          # (kind, text)
        self.skipped = []           # (kind, reason)

    def good(self, kind, outcome, count=1):
        self.counts[kind][outcome] += count

    def bad(self, kind, outcome, text):
        self.counts[kind][outcome] += 1
        self.failures.append((kind, text))

    def skip(self, kind, reason):
        self.skipped.append((kind, reason))

    def tried(self, kind):
        return sum(self.counts[kind].values())

    def table(self):
        rows = [['fault', 'tried', *(title for _, title in COLUMNS)]]
        total = collections.Counter()
        for kind, counts in self.counts.items():
            rows.append([kind, self.tried(kind),
                         *(counts[name] for name, _ in COLUMNS)])
            total.update(counts)
        rows.append(['all', sum(total.values()),
                     *(total[name] for name, _ in COLUMNS)])
        rows.insert(1, ['---'] * len(rows[0]))
        return '\n'.join('| %s |' % ' | '.join(str(cell) for cell in row)
                         for row in rows)
