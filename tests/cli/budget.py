#!/usr/bin/env python3
"""--mem-budget: a program keeps to it, and says so when it cannot (budget_bits.py: what else)."""
import os
import re
import sys

from _run import COMPILER, RUN, expect, expect_same, main, run, write

SEARCH = '''import "darts.nd"
search {
    space darts
    network cifar_search(C=4, layers=3)
    data synthetic(limit=64, H=16, W=16, classes=4, flip=true)
    epochs 1  batch 16  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
TRAINING = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=32, layers=3)
    data synthetic(limit=64, H=32, W=32, classes=10)
    epochs 1  batch 64  seed 3
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4)
}
'''
REFUSED = re.compile(r'error: the memory budget of ([\d.]+) MB is too small: at least ([\d.]+) MB are needed for a batch of 16:\n'
                     r'parameters and optimiser [\d.]+ MB, values of the batch in search-weights [\d.]+ MB, values of one image and scratch \d+ x '
                     r'[\d.]+ MB, prepared [\d.]+ MB;\nmost are alive in stage \d+: cells\.\d+ [\d.]+ MB \(\d+ values\), .*;\n'
                     r'a batch of (\d+) would fit \(--set search\.batch=\d+\)')


def search(out, *options, **more):
    threads = [] if any('--threads' in option for option in options) else ['--threads=1']
    return run(RUN, 'search', 'search.nd', '--out', out, *threads, *options, **more)


def refuse(budget, *options):
    _, said = search('refused', '--mem-budget', budget, *options, code=1)
    found = REFUSED.search(said)
    expect(found and 'search: ' not in said and not os.path.exists('refused/checkpoint.safetensors'), said)
    return float(found.group(2)), int(found.group(3))


def test_too_small():
    write('search.nd', SEARCH)
    least, batch = refuse('2M')
    expect(0 < batch < 16, f'a batch of {batch}')
    search('smallest', f'--mem-budget={int((least + 0.01) * 1e6)}', says='search: 1 epochs')
    refuse(f'{int((least - 0.02) * 1e6)}')
    _, said = search('refused', '--mem-budget=1K', code=1)
    expect('not even a batch of 1 would fit' in said, said)


def test_smaller_batch():
    batch = refuse('2M')[1]
    search('small', '--mem-budget=2M', f'--set=search.batch={batch}', says='search: 1 epochs')


def test_mistakes():
    for wrong in ('', '0', '-5', '12Q', '5MB', 'M', '1e30'):
        search('refused', f'--mem-budget={wrong}', code=1, says='as in 500M')
        run(COMPILER, 'search.nd', f'--mem-budget={wrong}', code=1, says='as in 500M')
    run(COMPILER, 'search.nd', '--graph=eval', '--mem-budget=1G', '--disable-pass=fuse', code=1, says='needs all passes')
    run(COMPILER, 'search.nd', '--memory-budget=1G', code=1, says="did you mean '--mem-budget'?")


def train_within(megabytes, out, **more):
    limited = () if megabytes is None else ('bash', '-c', f'ulimit -v {megabytes * 1000} && exec "$0" "$@"')
    _, said = run(*limited, RUN, 'train', 'train.nd', '--threads=1', '--out', out, **more)
    taken = re.search(r'1 threads, (\d+) MB', said)
    return taken and int(taken.group(1)), 'more is computed again' in said


def test_small_machine():
    """Without a budget a training takes half of the memory at most, if it can, and all if it must, with the same bits."""
    write('train.nd', TRAINING)
    usual, fitted = train_within(None, 'usual')
    expect(not fitted, 'fitted to a machine that has enough')
    half, fitted = train_within(640, 'half')
    least, fitted_too = train_within(520, 'least')
    expect(fitted and fitted_too and 266 < least < half <= 328 < usual, f'{least}, {half} and {usual} MB')
    expect_same('usual', 'half', ('checkpoint.safetensors',))
    expect_same('usual', 'least', ('checkpoint.safetensors',))
    train_within(260, 'refused', code=1, says='266.24 MB of memory, which is what this process may have, are too little: at least ')


if __name__ == '__main__':
    os.environ['NDARTS_CFLAGS'] = '-Og'  # compiled in half of the time, which is more than running it takes
    sys.exit(main([test_too_small, test_mistakes], thorough=[test_smaller_batch, test_small_machine]))
