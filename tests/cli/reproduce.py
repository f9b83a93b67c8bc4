#!/usr/bin/env python3
"""tools/reproduce.sh: every run of an experiment, each finished once; what was begun goes on; what failed is said. And
tools/results.py: a line and curves for each."""
import os
import sys
import xml.etree.ElementTree

from _run import SOURCE, expect, lines_of, main, read, run, write

SCRIPT = os.path.join(SOURCE, 'tools', 'reproduce.sh')
RESULTS = os.path.join(SOURCE, 'tools', 'results.py')
SMALL = ['2', '--set', 'C=2', '--set', 'layers=3', '--set', 'search.epochs=1', '--set', 'search.batch=8', '--data', 'synthetic(limit = 32, H = 8, W = 8)']
RUNS = ['darts-1', 'noisy-1', 'random-1', 'darts-2', 'noisy-2', 'random-2']
TRAINING = ['2', '--set', 'C=2', '--set', 'layers=3', '--set', 'train.epochs=1', '--set', 'train.batch=8', '--data', 'synthetic(limit = 32, H = 8, W = 8)']


def test_experiment():
    folder = os.path.abspath('runs')
    stdout, _ = run('bash', SCRIPT, 'darts', folder, *SMALL)
    found = {name: read(folder, name, 'genotypes.jsonl').decode() for name in RUNS}
    expect(all(f'{name}: {text.strip()}' in stdout for name, text in found.items()), stdout)
    expect(len(set(found.values())) == len(RUNS), found)
    before = {name: read(folder, name, 'timing.jsonl') for name in RUNS}
    stdout, _ = run('bash', SCRIPT, 'darts', folder, *SMALL)
    expect(all(f'/{name} --resume' in stdout for name in RUNS), stdout)
    table, _ = run('python3', RESULTS, folder, '--svg', 'curves.svg')
    rows = [line.split(' | ')[0] for line in table.splitlines()[2:]]
    methods = ['darts', 'noisy', 'random']
    expect(rows == [row for m in methods for row in (f'| {m}-1', f'| {m}-2', f'| **{m}, mean and deviation**')], table)
    curves = xml.etree.ElementTree.parse('curves.svg').findall('{*}polyline')
    expect(len(curves) == len(RUNS) * 5, f'{len(curves)} curves, of skips in two cells, their weights, eigenvalues and accuracies')
    expect(before == {name: read(folder, name, 'timing.jsonl') for name in RUNS}, 'finished runs have run again')
    stdout, _ = run('bash', SCRIPT, 'training', folder, *TRAINING)
    expect(stdout.count(': mean ') == len(RUNS) + 2, stdout)
    table, _ = run('python3', RESULTS, folder)
    rows = [line.split(' | ')[0] for line in table.split('| genotype |')[1].splitlines()[2:]]
    expect(rows == [f'| {name}' for name in sorted(RUNS + ['darts_v2', 'noisy_darts_a'])] + [f'| **{m}, 2 genotypes**' for m in methods], table)


def test_failures():
    folder = os.path.abspath('failing')
    os.mkdir(folder)
    write(os.path.join(folder, 'darts-2'), 'not a folder')
    _, stderr = run('bash', SCRIPT, 'darts', folder, *SMALL, code=2)
    expect('darts-2: failed: error: ' in stderr and stderr.count('failed') == 1, stderr)
    expect(all(len(lines_of(folder, name, 'metrics.jsonl')) == 1 for name in RUNS if name != 'darts-2'), 'the others did not go on')


def test_mistakes():
    for arguments in ([], ['darts'], ['nothing', 'runs'], ['darts', 'runs', 'many'], ['darts', 'runs', '0']):
        run('bash', SCRIPT, *arguments, code=1, says='usage: tools/reproduce.sh')
    run('bash', SCRIPT, 'darts', 'runs', code=1, says='there is no nowhere/bin/ndarts-run', env={**os.environ, 'NDARTS_BUILD': 'nowhere'})


if __name__ == '__main__':
    sys.exit(main([test_experiment, test_failures, test_mistakes]))
