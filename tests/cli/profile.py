#!/usr/bin/env python3
"""--profile of search, train and infer: tables on stderr and a trace that a browser can show; the same results as without."""
import json
import os
import re
import struct
import sys

from _run import COMPILER, RUN, expect, main, read, run, write

SEARCH = '''import "darts.nd"
search {
    space darts
    network cifar_search(C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4, flip=true)
    epochs 1  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4)
    epochs 1  batch 8  seed 5
    weights sgd(lr=cosine(0.1, 0), momentum=0.9, decay=3e-4, clip=5)
}
'''
LINE = re.compile(r' +[\d.]+ s +[\d.]+ % +\d+ +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ %  (.*)')


def events_of(path, threads):
    """Checks a trace: rows, stages within runs of all threads, kernels within the stages of their row."""
    events = json.loads(read(path))['traceEvents']
    rows = {e['tid'] for e in events if e['ph'] == 'M' and e['name'] == 'thread_name'}
    expect(rows == set(range(threads)), f'rows: {rows}')
    slices = [e for e in events if e['ph'] == 'X']
    runs = [e for e in slices if ', run ' in e['name']]
    stages = [e for e in slices if re.match(r'(stage|prepare) \d+, (images|parallel|serial)$', e['name'])]
    kernels = [e for e in slices if ' nd_k' in e['name']]
    expect(runs and stages and kernels and len(runs) + len(stages) + len(kernels) == len(slices), 'kinds of events')

    def within(inner, outer):
        return any(o['ts'] - 0.002 <= inner['ts'] and inner['ts'] + inner['dur'] <= o['ts'] + o['dur'] + 0.002 for o in outer)
    for stage in stages[::7]:
        expect(within(stage, runs), f'{stage} is in no run')
    for kernel in kernels[::97]:
        expect(within(kernel, [s for s in stages if s['tid'] == kernel['tid']]), f'{kernel} is in no stage')
    return slices


def tables_of(text):
    """By graph: what the lines of its two tables say."""
    tables = {}
    for part in re.split(r'\nprofile of ', text)[1:]:
        tables[part.split(':')[0]] = [m.group(1) for m in map(LINE.match, part.splitlines()) if m]
    return tables


def test_search():
    write('search.nd', SEARCH)
    plain, _ = run(RUN, 'search', 'search.nd', '--out', 'plain', '--threads=1')
    stdout, said = run(RUN, 'search', 'search.nd', '--out', 'timed', '--threads=2', '--profile', says='timed/profile.json')
    expect(stdout == plain, 'the profile changed the genotype, or stdout')
    expect(read('plain', 'checkpoint.safetensors') == read('timed', 'checkpoint.safetensors'), 'the profile changed the results')
    tables = tables_of(said)
    expect(list(tables) == ['eval', 'search-alphas', 'search-weights'], f'graphs: {list(tables)}')
    for lines in tables.values():
        expect(any(re.match(r'nd_k\d+  .*conv2d.*: f32\[N,.* -> f32\[.*; cells\.', line) for line in lines), said)
    expect('4 runs of' in said and '2 threads, in kernels' in said, said)
    slices = events_of('timed/profile.json', 2)
    kept = {e['name'] for e in slices if e['name'].startswith('search-weights, run')}
    expect('search-weights, run 2' in kept and kept <= {f'search-weights, run {i}' for i in (2, 3, 4)}, f'kept: {kept}')
    expect(not os.path.exists('plain/profile.json'), 'a trace that nobody wanted')


def test_train():
    write('train.nd', TRAIN)
    _, said = run(RUN, 'train', 'train.nd', '--out', 'trained', '--profile=trace.json', '--threads=1', says='in trace.json')
    expect(set(tables_of(said)) == {'train', 'eval'}, said)
    events_of('trace.json', 1)
    run(RUN, 'train', 'train.nd', '--out', 'trained', '--profile=no/such/folder.json', code=1, says='no/such/folder.json')


def test_infer():
    run(RUN, 'train', 'train.nd', '--out', 'net', '--threads=1')
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 3, 8, 8), }".ljust(117) + '\n'
    with open('x.npy', 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + struct.pack('<f', 0.5) * (6 * 3 * 64))
    # Modules of few images are made so that threads can share an image.
    for batch in ('1', '3', '6'):
        arguments = [RUN, 'infer', 'net/network.ir', '--weights', 'net/weights.safetensors', '--input', 'x.npy', '--batch', batch, '--threads=2']
        run(*arguments, '--output', 'plain.npy')
        _, said = run(*arguments, '--output', 'timed.npy', '--profile')
        expect(list(tables_of(said)) == ['infer'], said)
        expect(read('plain.npy') == read('timed.npy'), 'the profile changed the logits')
        _, said = run(*arguments, '--output', 'timed.npy', '--profile=infer.json')
        if batch == '1':
            events_of('infer.json', 2)


def test_plan():
    """Work is counted per call: a convolution's is its multiply-adds, whatever is fused with it."""
    plan, _ = run(COMPILER, 'train.nd', '--graph=infer', '--emit=plan', '--batch=4', '--plain')
    kernels = json.loads(plan)['kernels']
    expect(all(k['flops'] >= 0 and k['bytes'] > 0 and k['origin'] for k in kernels), 'kernels without work')
    stem = [k for k in kernels if k['origin'].startswith('conv2d: f32[N,8,8,3], f32[6,3,3,3] -> f32[N,8,8,6]')]
    expect(stem and 2 * 64 * 27 * 6 <= stem[0]['flops'] < 2.2 * 64 * 27 * 6, f'the stem: {stem}')
    expect(abs(stem[0]['bytes'] - 4 * (64 * 3 + 27 * 6 + 64 * 6)) < 200, f'the stem: {stem}')


if __name__ == '__main__':
    sys.exit(main([test_search, test_train, test_infer, test_plan]))
