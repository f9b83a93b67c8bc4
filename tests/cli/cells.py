#!/usr/bin/env python3
"""Spaces with one, two and three kinds of cells, called as the text likes: search, derive, report and the training of what was found
work by count; drawings are called like the cells, and set aside with the run."""
import os
import shutil
import sys

from _run import COMPILER, RUN, expect, lines_of, main, run, write

TEXT = '''op thin(C, stride) = conv(C, 1, stride)
op wide(C, stride) = conv(C, 3, stride, 1) | relu
space several { candidates = [thin, wide]  cells = [%s]  cell { inputs 1  nodes 2  output s2  keep 1 per node } }
network net(space, C = 4, classes ?= 10, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | stem: conv(C, 1) | %s | global_avg_pool | classifier: linear(classes)
}
search {
    space several  network net(several)
    data synthetic(classes = 3, H = 8, W = 8, limit = 32)
    epochs 1  batch 8
}
'''


def check(kinds):
    write('several.nd', TEXT % (', '.join(kinds), ' | '.join(f'c{i}: space.{kind}(stride = {1 + i % 2})' for i, kind in enumerate(kinds))))
    run(RUN, 'search', 'several.nd', '--out', 'out')
    rows = lines_of('out', 'alphas.jsonl')[-1]
    expect({f'alphas_{kind}' for kind in kinds} <= set(rows), f'alphas.jsonl has {list(rows)}')
    expect(all(len(rows[f'alphas_{kind}']) == 3 for kind in kinds), 'a cell of one input and two nodes has three edges')
    with open('out/genotype.nd', encoding='utf-8') as file:
        genotype = file.read()
    places = [genotype.find(f'\n    {kind} {{\n') for kind in kinds]
    expect(places == sorted(places) and places[0] > 0, f'the cells are not {kinds}:\n{genotype}')
    drawings = sorted(name[:-4] for name in os.listdir('out') if name.endswith('.dot'))
    expect(drawings == sorted(kinds), f'drawn are {drawings}')
    run(COMPILER, 'out/genotype.nd', '--emit=ir', '-o', 'out.ir')
    derived = run(RUN, 'derive', 'out/checkpoint.safetensors', '--name', 'several')[0]
    expect(genotype.startswith(derived), f'derive has another genotype:\n{derived}')
    run(RUN, 'report', 'out')
    with open('out/report.html', encoding='utf-8') as file:
        report = file.read()
    words = ['reduction' if kind == 'reduce' else kind for kind in kinds]
    expect(all(f'Alphas of the {word} cell' in report for word in words), 'the report lacks a kind of cell')


def test_one_kind():
    check(['only'])
    shutil.rmtree('out')


def test_two_kinds():
    check(['normal', 'reduce'])
    shutil.rmtree('out')


def test_three_kinds():
    check(['small', 'middle', 'large'])
    run(RUN, 'train', 'out/genotype.nd', '--out', 'trained', '--set', 'epochs=1', '--set', 'batch=32')
    run(RUN, 'genotype', 'out/genotype.nd', '--format', 'python', code=1, says="a cell 'normal' and a cell 'reduce'")


def test_drawings_are_set_aside():
    run(RUN, 'search', 'several.nd', '--out', 'out', '--set', 'seed=2')
    earlier = [name for name in os.listdir('out') if name.startswith('earlier-')]
    expect(len(earlier) == 1 and {'small.dot', 'middle.dot', 'large.dot'} <= set(os.listdir(os.path.join('out', earlier[0]))),
           f'set aside: {earlier}')


if __name__ == '__main__':
    sys.exit(main([test_one_kind, test_two_kinds, test_three_kinds, test_drawings_are_set_aside]))
