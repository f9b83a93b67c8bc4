#!/usr/bin/env python3
"""ndarts-run bench: the passes that were asked for, in order, of each graph and batch; and what it refuses."""
import json
import re
import sys

from _run import COMPILER, RUN, expect, main, run, write

NET = 'import "noisy_darts_a.nd"\nnetwork net = cifar(noisy_darts_a, C=2, layers=3)\n'
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=3)
    data synthetic(limit=8, H=8, W=8, classes=4)
    epochs 1  batch 4
    weights sgd(lr=0.1)
}
'''
ROW = re.compile(r'infer +(\d+) +[\d.]+ +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+) MB$', re.MULTILINE)


def bench(*arguments):
    return run(RUN, 'bench', *arguments)[0]


def results(*arguments):
    return [json.loads(line) for line in bench(*arguments, '--json').splitlines()]


def test_table():
    write('net.nd', NET)
    text = bench('net.nd', '--batch=1,3', '--repeat=7', '--threads=1')
    rows = ROW.findall(text)
    expect([(row[0], row[5]) for row in rows] == [('1', '7'), ('3', '7')], text)
    for row in rows:
        times = [float(cell) for cell in row[1:5]]
        expect(0 < times[0] and times == sorted(times), text)
    expect(text.startswith('cpu, f32, 1 threads\n'), text)


def test_json():
    write('train.nd', TRAIN)
    found = results('train.nd', '--repeat=2', '--precision=f64')
    expect([(r['graph'], r['batch'], r['precision'], r['repeats']) for r in found] ==
           [('eval', 4, 'f64', 2), ('train', 4, 'f64', 2)], found)
    for r in found:
        expect(0 < r['best_s'] <= r['median_s'] <= r['p99_s'] and r['memory_mb'] > 0, r)
        expect(abs(r['images_per_s'] * r['median_s'] - 4) < 1e-6, r)
    longer = results('net.nd', '--graph=infer', '--batch=3')
    expect([(r['graph'], r['warm_up']) for r in longer] == [('infer', 3)] and 10 <= longer[0]['repeats'] <= 1000, longer)


def test_module():
    run(COMPILER, 'net.nd', '--batch=5', '-o', 'net.so')
    found = results('net.so', '--repeat=1', '--warm-up=0')
    expect([(r['graph'], r['batch'], r['repeats'], r['warm_up']) for r in found] == [('infer', 5, 1, 0)], found)
    run(RUN, 'bench', 'net.so', '--batch=3', code=1, says='--batch and --graph are for texts')


def test_mistakes():
    run(RUN, 'bench', code=1, says='bench needs a text or module')
    run(RUN, 'bench', 'net.nd', '--batch=2,none', code=1, says='--batch none: expected an integer')
    run(RUN, 'bench', 'net.nd', '--graph=inference', code=1, says="unknown graph 'inference'")
    run(RUN, 'bench', 'net.nd', '--repeat=0', code=1, says='--repeat 0: expected an integer')


if __name__ == '__main__':
    sys.exit(main([test_table, test_json, test_module, test_mistakes]))
