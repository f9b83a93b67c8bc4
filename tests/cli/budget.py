#!/usr/bin/env python3
"""--mem-budget: a program keeps to it, computes less where there is more room, and says so when it cannot."""
import json
import os
import re
import sys

from _run import COMPILER, RUN, expect, expect_same, main, read, run, write

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
RESULTS = ('metrics.jsonl', 'alphas.jsonl', 'genotype.nd')
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


def memory_of(budget):
    """Bytes of the plan that keeps to the budget, and operations of a run of its graphs."""
    text, _ = run(COMPILER, 'search.nd', '--emit=plan', '--graph=search-alphas,search-weights,eval', *(['--mem-budget', budget] if budget else []))
    plan = json.loads(text)
    graphs, kernels = plan['graphs'], plan['kernels']
    each = max((g['private_bytes'] + 63) // 64 * 64 for g in graphs) + plan['scratch_bytes']
    total = plan['state_bytes'] + plan['prepared_bytes'] + max(g['work_bytes'] for g in graphs) + each * len(os.sched_getaffinity(0))
    return total, sum(kernels[int(t.split()[0])]['flops'] * (plan['batch'] if s['domain'] == 'images' else 1)
                      for g in graphs for s in g['stages'] for t in s['steps'].split(';') if t)


def test_too_small():
    write('search.nd', SEARCH)
    least, batch = refuse('2M')
    expect(0 < batch < 16, f'a batch of {batch}')
    search('small', '--mem-budget=2M', f'--set=search.batch={batch}', says='search: 1 epochs')
    search('smallest', f'--mem-budget={int((least + 0.01) * 1e6)}', says='search: 1 epochs')
    refuse(f'{int((least - 0.02) * 1e6)}')
    _, said = search('refused', '--mem-budget=1K', code=1)
    expect('not even a batch of 1 would fit' in said, said)


def metrics_of(folder):
    return {k: v for k, v in json.loads(read(folder, 'metrics.jsonl')).items() if isinstance(v, float)}


def test_same_results():
    """The same for any number of threads; with another budget the same to the last few bits."""
    search('plain')
    search('least', f'--mem-budget={memory_of(None)[0]}')
    expect_same('plain', 'least', RESULTS)
    for budget, most in (('8M', 8), ('1G', 1000)):
        _, said = search(budget, '--mem-budget', budget)
        expect(int(re.search(r'1 threads, (\d+) MB', said).group(1)) <= most, said)
        expected, found = metrics_of('plain'), metrics_of(budget)
        for key, value in expected.items():
            expect(abs(found[key] - value) <= 1e-4 * abs(value), f'{budget}: {key} is {found[key]}, expected {value}')
        search('two', '--mem-budget', budget, '--threads=2')
        expect_same(budget, 'two', RESULTS)
    least = memory_of(None)[0]
    search('refused', f'--mem-budget={least}', '--threads=50', code=1, says='is too small for 50 threads')


def test_filled():
    """More room, less work; and the room is used."""
    least, all_again = memory_of(None)
    expect(memory_of(str(least)) == (least, all_again), 'the smallest budget')
    before = all_again
    for factor in (1.25, 2):
        budget = int(least * factor)
        total, operations = memory_of(str(budget))
        expect(0.9 * budget < total <= budget, f'{total} of {budget}')
        expect(operations < before, f'{operations} operations, {before} with less memory')
        before = operations
    total, operations = memory_of('2G')
    expect(operations < 0.95 * before and total < 2e9, 'all kept')
    run(COMPILER, 'search.nd', '--emit=plan', '--graph=search-weights', '--mem-budget', str(least // 2), code=1, says='--batch ')


def test_mistakes():
    for wrong in ('', '0', '-5', '12Q', '5MB', 'M', '1e30'):
        search('refused', f'--mem-budget={wrong}', code=1, says='as in 500M')
        run(COMPILER, 'search.nd', f'--mem-budget={wrong}', code=1, says='as in 500M')
    run(COMPILER, 'search.nd', '--graph=eval', '--mem-budget=1G', '--disable-pass=fuse', code=1, says='needs all passes')
    run(COMPILER, 'search.nd', '--memory-budget=1G', code=1, says="did you mean '--mem-budget'?")


if __name__ == '__main__':
    sys.exit(main([test_too_small, test_mistakes], thorough=[test_same_results, test_filled]))
