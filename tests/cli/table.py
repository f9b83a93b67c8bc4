#!/usr/bin/env python3
"""tools/table.sh: its own counts are those of the stored reference, and the convention that it names for each row is the one by
which the published number came about."""
import json
import os
import sys

from _run import SOURCE, expect, main, run

SCRIPT = os.path.join(SOURCE, 'tools', 'table.sh')
CONVENTIONS = {letter: '+2 bn' if letter in 'cdij' else '+4 bn' for letter in 'abcdefghij'}
PUBLISHED = {'a': ('534', '3.25', '97.61'), 'h': ('511', '3.01', '97.35'), 'j': ('476', '2.94', '97.21')}


def test_counts():
    stdout, _ = run('bash', SCRIPT)
    with open(os.path.join(SOURCE, 'tests', 'reference', 'genotypes.json'), encoding='utf-8') as file:
        reference = {entry['name']: entry['cifar'] for entry in json.load(file)}
    rows = {line[0]: line[31:].split(None, 7) for line in stdout.splitlines() if line[1:4] == '   ' and line[0] in CONVENTIONS}
    expect(sorted(rows) == sorted(CONVENTIONS), stdout)
    for letter, row in rows.items():
        counts = reference[f'noisy_darts_{letter}']
        macs, norm = counts['conv_macs'] + counts['linear_macs'], counts['batch_norm_elements']
        wanted = [f'{counts["parameters"] / 1e6:.3f}', *(f'{(macs + n * norm) / 1e6:.1f}' for n in (0, 2, 4))]
        expect(row[3:7] == wanted, f'{letter}: {row}, expected {wanted}')
        # The published table has another number of parameters for h.
        expect(row[7] == CONVENTIONS[letter] + (', not these params' if letter == 'h' else ''), f'{letter}: {row}')
        expect(letter not in PUBLISHED or tuple(row[:3]) == PUBLISHED[letter], f'{letter}: {row}')


def test_not_built():
    run('bash', SCRIPT, code=2, says='there is no nowhere/bin/ndartsc', env={**os.environ, 'NDARTS_BUILD': 'nowhere'})


if __name__ == '__main__':
    sys.exit(main([test_counts, test_not_built]))
