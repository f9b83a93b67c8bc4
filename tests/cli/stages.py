#!/usr/bin/env python3
"""A search in stages, P-DARTS' three texts (specs/p_darts_1.nd and so on) at a tiny size: each stage searches the space that `derive --keep-ops` made
of the one before, with `--recipe`. And the method's dropout of skip connections, number by number."""
import math
import os

import _safetensors
from _run import RUN, SOURCE, expect, lines_of, main, read, run, write

os.environ['NDARTS_CFLAGS'] = '-O0'
TINY = ('--set', 'network=cifar_search(C=1, layers=3, H=8, W=8)', '--data', 'synthetic(H=8, W=8, limit=8)', '--set', 'epochs=2', '--set', 'frozen_epochs=1',
        '--set', 'batch=4', '--set', 'alphas.lr=0.5')
CANDIDATES = ['none', 'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5']
CELLS, EDGES = ('normal', 'reduce'), [(source, node) for node in range(2, 6) for source in range(node)]


def spec(stage):
    return os.path.join(SOURCE, 'specs', f'p_darts_{stage}.nd')


def kept_by(folder, candidates, most):
    """By the weights of the last epoch: of each edge of each cell the heaviest, in the order they had."""
    line = lines_of(folder, 'alphas.jsonl')[-1]
    kept = {}
    for cell in CELLS:
        for edge, weights in zip(EDGES, line[f'alphas_{cell}']):
            names = candidates[cell, edge]
            expect(len(weights) == len(names), f'{cell}{edge}: {len(weights)} weights of {names}')
            heaviest = sorted(range(len(names)), key=lambda i: (-weights[i], i))[:most]
            kept[cell, edge] = [names[i] for i in sorted(heaviest)]
    return kept


def test_stages():
    candidates = {(cell, edge): CANDIDATES for cell in CELLS for edge in EDGES}
    stdout, _ = run(RUN, 'search', spec(1), '--out', 'p1', *TINY)
    for stage, most in ((2, 5), (3, 3)):
        before = f'p{stage - 1}'
        run(RUN, 'derive', before, '--keep-ops', str(most), '-o', f'{before}/kept.nd')
        candidates = kept_by(before, candidates, most)
        text = read(before, 'kept.nd').decode()
        expect('import "darts.nd"\n\nspace kept {\n    after max_pool_3x3 = ^bn1: batch_norm\n' in text, text)
        for (cell, edge), names in candidates.items():
            expect(f'    edge {cell}{edge} = [{", ".join(names)}]\n' in text, f'{cell}{edge} of {names}:\n{text}')
        stdout, _ = run(RUN, 'search', f'{before}/kept.nd', '--recipe', spec(stage), '--out', f'p{stage}', *TINY)
    expect(len({tuple(names) for names in candidates.values()}) > 5, 'all edges keep the same')
    run(RUN, 'search', 'p1/kept.nd', '--recipe', spec(2), '--out', 'again', *TINY, '--set', 'weights.lr=0', '--init', 'p1/checkpoint.safetensors', '--init-except',
        'cells.', '--init-except', 'alphas')
    begun, ended = (_safetensors.read(f'{folder}/checkpoint.safetensors') for folder in ('p1', 'again'))
    expect(all(begun[name] == ended[name] for name in ('stem.0.weight', 'classifier.weight', 'classifier.bias')), 'what --init takes along')
    for name in CELLS:
        cell = stdout[stdout.index(f'    {name} {{'):].split('}')[0]
        expect(cell.count('skip_connect(') <= 2 and cell.count(' = ') == 4 and 'none' not in cell, stdout)


def test_mistakes():
    write('nothing.nd', 'op mine(C, stride) = conv(C, 3, stride, 1)\n')
    run(RUN, 'search', 'nothing.nd', '--recipe', spec(2), code=1, says="nothing.nd:1:1: error: this text has no space to search; `ndarts-run derive OUT --keep-ops 5`")
    run(RUN, 'search', spec(1), '--recipe', 'p_darts_9', code=1, says="unknown recipe 'p_darts_9'")
    run(RUN, 'derive', 'p1', '--keep-ops', '0', code=1, says='--keep-ops')
    run(RUN, 'derive', 'p1', '--keep-ops', '2', '--draw', 'd', code=1, says='nothing to --draw')


DROPPED = '''import "methods.nd"
space tiny { candidates = [skip_connect]  cells = [normal]  cell { inputs 1  nodes 1  output s1 } }
network net(cells, C = 1, H = 2, W = 3, channels = 1, classes ?= 2) on x { return x | cell: cells.normal | global_avg_pool | classifier: linear(classes) }
search { space tiny  network net(tiny)  method p_darts(rate = 0.6)  epochs 25  batch 2  data synthetic(H = 2, W = 3, channels = 1, classes = 2) }
'''


def test_dropout():
    """In training x / (1 - p) where u >= p; p falls from 24 / 25 of the rate, and from all of it by exp(-0.2) from epoch 10 on."""
    write('dropped.nd', DROPPED)
    x, u = [0.5, -1, 2, 3, -0.25, 1, 1, 2, 4, 8, 16, 32], [0.1, 0.9, 0.3, 0.45, 0.35, 0.7, 0.2, 0.5, 0.4, 0.6, 0.99, 0]
    weight, bias = [1.5, -2], [0.25, 0.5]
    _safetensors.write('feed.safetensors', {'input_valid': ((2, 1, 2, 3), x), 'labels_valid': ((2,), [0, 1]), 'alphas_normal': ((1, 1), [0.3]),
                                            'noise.cell._ops.0.step0': ((2, 1, 2, 3), u)}, {'labels_valid': 'I64'})
    _safetensors.write('weights.safetensors', {'classifier.weight': ((2, 1), weight), 'classifier.bias': ((2,), bias)})
    for epoch in (0, 9, 10, 13, 24):
        p = 0.6 * (24 - epoch) / 25 if epoch < 10 else 0.6 * math.exp(-0.2 * (epoch - 10))
        run(RUN, 'trace', 'dropped.nd', '--weights', 'weights.safetensors', '--feed', 'feed.safetensors', '--steps', '0', '--epoch', str(epoch),
            '--precision', 'f64', '-o', 'out.safetensors')
        means = [sum(v / (1 - p) if r >= p else 0 for v, r in zip(x[i:i + 6], u[i:i + 6])) / 6 for i in (0, 6)]
        found = _safetensors.numbers('out.safetensors')
        for key, pooled in (('logits', means), ('eval_logits', [sum(x[:6]) / 6, sum(x[6:]) / 6])):
            wanted = [m * w + b for m in pooled for w, b in zip(weight, bias)]
            expect(max(abs(a - b) for a, b in zip(found[key], wanted)) < 1e-6, f'epoch {epoch}: {key} {found[key]}, not {wanted}')


if __name__ == '__main__':
    raise SystemExit(main([test_stages, test_mistakes, test_dropout]))
