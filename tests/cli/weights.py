#!/usr/bin/env python3
"""Weights that do not fit the network: whoever takes weights lists every difference (more than a handful of each kind), takes
nothing and leaves nothing behind. The C library is held to the same in library.py."""
import os
import sys

import _safetensors
from _run import COMPILER, RUN, expect, main, run, write

LAYERS = 12
NETWORK = 'network main(classes ?= 4, H = 8, W = 8, channels = 3) on x {\n    return x' + ''.join(
    f' | c{i}: conv({8}, 3, pad = 1)' for i in range(LAYERS)) + ''' | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = NETWORK + '''train {
    network main
    data synthetic(limit = 32, H = 8, W = 8, classes = 4)
    epochs 1  batch 8
    weights sgd(lr = 0.1, momentum = 0.9, decay = 0, clip = 0)
}
'''
SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C = 2, layers = 3)
    data synthetic(limit = 32, H = 8, W = 8, classes = 4)
    epochs 1  batch 8  seed 5
    weights sgd(lr = 0.05, momentum = 0.9, decay = 3e-4, clip = 5)
    alphas adam(lr = 1e-2, betas = (0.5, 0.999), decay = 1e-3)
}
'''
COUNTS = f'{LAYERS} missing, 2 of another shape, {LAYERS} left over'


def prepare():
    write('net.nd', NETWORK)
    write('train.nd', TRAIN)
    write('search.nd', SEARCH)
    one = {'classifier.weight': ((5, 8), [0.1] * 40), 'classifier.bias': ((5,), [0.1] * 5)}
    one |= {f'w{i}.weight': ((1,), (0.1,)) for i in range(LAYERS)} | {'classifier.num_batches_tracked': ((1,), (3,))}
    _safetensors.write('w.safetensors', one)


def lists(says, *arguments):
    before = set(os.listdir('.'))
    _, said = run(*arguments, code=1, says=says)
    for i in range(LAYERS):
        shape = '[8, 3, 3, 3]' if i == 0 else '[8, 8, 3, 3]'
        expect(f'  missing: c{i}.weight {shape}\n' in said, said)
        expect(f'  left over: w{i}.weight [1]\n' in said, said)
    for name, wanted, found in (('weight', '[4, 8]', '[5, 8]'), ('bias', '[4]', '[5]')):
        expect(f'  classifier.{name}: expected {wanted}, found {found}\n' in said, said)
    expect(COUNTS in said and said.count('left over: ') == LAYERS and 'num_batches_tracked' not in said, said)
    expect(set(os.listdir('.')) == before, f'left behind: {set(os.listdir(".")) - before}')


def test_every_command():
    with open('x.npy', 'wb') as file:
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".ljust(117) + '\n'
        file.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode() + bytes(4 * 192))
    run(COMPILER, 'net.nd', '--graph=infer,eval', '-o', 'net.so')
    loaded, written, weights = 'nothing was loaded', 'nothing was written', ('--weights', 'w.safetensors')
    for net in ('net.nd', 'net.so'):
        lists(loaded, RUN, 'infer', net, *weights, '--input', 'x.npy', '--output', 'y.npy')
        lists(loaded, RUN, 'eval', net, *weights, '--data', 'synthetic("", limit = 32)')
    lists(written, RUN, 'export', 'net.nd', *weights, '-o', 'net.onnx')
    lists(written, RUN, 'export', 'net.nd', *weights, '-o', 'out.safetensors')
    lists(written, COMPILER, 'net.nd', *weights, '--emit=c', '-o', 'net.c')


def test_train():
    # Its folder and what describes the run are there before the weights are; no weights, no epoch.
    os.makedirs('run', exist_ok=True)
    lists('nothing was loaded', RUN, 'train', 'train.nd', '--init', 'w.safetensors', '--out', 'run')
    expect(not [name for name in os.listdir('run') if 'safetensors' in name or 'metrics' in name], os.listdir('run'))


def test_search():
    os.makedirs('run2', exist_ok=True)
    _, said = run(RUN, 'search', 'search.nd', '--init', 'w.safetensors', '--out', 'run2', code=1, says='nothing was loaded')
    expect('  missing: stem.0.weight [6, 3, 3, 3]\n' in said and '  left over: w11.weight [1]\n' in said, said)
    expect(said.count('  missing: ') > 100, said)


if __name__ == '__main__':
    sys.exit(main([prepare, test_every_command, test_train, test_search]))
