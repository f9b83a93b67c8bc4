#!/usr/bin/env python3
"""--mem-budget: with more room less is computed, and the results stay."""
import json
import os
import re
import sys

from _run import COMPILER, expect, expect_same, main, read, run, write
from budget import SEARCH, search

RESULTS = ('checkpoint.safetensors', 'metrics.jsonl', 'alphas.jsonl', 'genotype.nd')


def memory_of(budget):
    """Bytes of the plan that keeps to the budget, and operations of a run of its graphs."""
    text, _ = run(COMPILER, 'search.nd', '--emit=plan', '--graph=search-alphas,search-weights,eval', *(['--mem-budget', budget] if budget else []))
    plan = json.loads(text)
    graphs, kernels = plan['graphs'], plan['kernels']
    each = max((g['private_bytes'] + 63) // 64 * 64 for g in graphs) + plan['scratch_bytes']
    total = plan['state_bytes'] + plan['prepared_bytes'] + max(g['work_bytes'] for g in graphs) + each * len(os.sched_getaffinity(0))
    return total, sum(kernels[int(t.split()[0])]['flops'] * (plan['batch'] if s['domain'] == 'images' else 1)
                      for g in graphs for s in g['stages'] for t in s['steps'].split(';') if t)


def test_same_results():
    """The same bits for any number of threads and any budget, and the same identity: a run goes on with another."""
    search('plain')
    search('least', f'--mem-budget={memory_of(None)[0]}')
    expect_same('plain', 'least', RESULTS)
    for budget, most in (('8M', 8), ('1G', 1000)):
        _, said = search(budget, '--mem-budget', budget)
        expect(int(re.search(r'1 threads, (\d+) MB', said).group(1)) <= most, said)
        expect_same('plain', budget, RESULTS)
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


def prepare():
    write('search.nd', SEARCH)


if __name__ == '__main__':
    sys.exit(main([prepare, test_same_results, test_filled]))
