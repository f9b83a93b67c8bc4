#!/usr/bin/env python3
"""Objectives of a search: what a network is expected to cost, computed again from weights and table; what its gradient does to the
alphas; tables measured, given, kept."""
import glob
import json
import math
import os
import re
import shutil
import sys

from _run import COMPILER, RUN, expect, expect_same, interrupt, main, read, run, write

TEXT = '''import "darts.nd"
space few {{
    candidates = [skip_connect, dil_conv_3x3]
    cell {{ inputs 2  nodes 2  output concat(nodes)  keep 2 per node }}
}}
search {{
    space few  network cifar_search(C=2, layers=3)
    data synthetic(limit=8, H=8, W=8, classes=4)
    epochs 1  batch 4
    alphas sgd(lr=1, momentum=0, decay=0)
    {}
}}
'''
SHARES = [1, 1, 2 / 3, 2 / 3, 2 / 3]  # two edges lead to the first node, three to the second, of which two stay
CELLS = [('alphas_normal', 2, 1), ('alphas_reduce', 4, 2), ('alphas_reduce', 8, 2)]  # channels, stride


def edges():
    """Alphas, edge, and the names of its candidates on its shape."""
    for alphas, channels, stride in CELLS:
        for edge, source in enumerate((0, 1, 0, 1, 2)):
            yield alphas, edge, [f'{op}_{channels}_{stride if source < 2 else 1}' for op in ('skip_connect', 'dil_conv_3x3')]


def table_of(*options):
    return json.loads(run(RUN, 'cost', 'search.nd', '--json', '--repeat=1', *options)[0])


def search(out, *options, **more):
    return run(RUN, 'search', 'search.nd', '--out', out, '--precision=f64', '--threads=1', *options, **more)[1]


def lines(folder, name):
    return json.loads(read(folder, name).splitlines()[-1])


def expected(folder, costs, fixed):
    weights = lines(folder, 'alphas.jsonl')
    return fixed + sum(SHARES[edge] * w * costs[name]
                       for alphas, edge, names in edges() for w, name in zip(weights[alphas][edge], names))


def near(found, wanted, tolerance=1e-5):
    expect(abs(found - wanted) <= tolerance * abs(wanted), f'{found}, expected {wanted}')


def test_expected_macs():
    write('search.nd', TEXT.format('objective [macs(target = 0.1), memory(target = 0.1)]'))
    table = table_of()
    costs = {item['name']: item['multiply_adds'] for item in table['items']}
    numbers = {item['name']: item['parameters'] + math.prod(item['output']) for item in table['items']}
    all_of_it = json.loads(run(COMPILER, 'search.nd', '--emit=stats', '--json')[0])
    fixed = all_of_it['macs'] - sum(item['edges'] * item['multiply_adds'] for item in table['items'])
    parameters = all_of_it['parameters'] - sum(item['edges'] * item['parameters'] for item in table['items'])
    values = sum(item['calls'] * math.prod(item['output']) for item in table['items'])
    # What is in no function: the stem's 6 channels, the two sums of each cell, what is pooled of the last, the logits.
    sums = sum(2 * channels * (8 // side) ** 2 for channels, side in ((2, 1), (4, 2), (8, 4)))
    values += 6 * 8 * 8 + sums + 2 * 8 + 4
    said = search('macs')
    near(lines('macs', 'metrics.jsonl')['macs_m'], 1e-6 * expected('macs', costs, fixed))
    near(lines('macs', 'metrics.jsonl')['memory_mb'], 4e-6 * expected('macs', numbers, parameters + values))
    expect('M multiply-adds' in said and ' MB, ' in said and 'latency' not in said, said)


def alphas_of(folder):
    """Of the second candidate less that of the first."""
    return {key: [math.log(row[1] / row[0]) for row in rows] for key, rows in lines(folder, 'alphas.jsonl').items() if key != 'epoch'}


def pull(form, target, times):
    """One step with a strong objective and one without it: their difference is the objective's gradient, of which alphas near
    zero have w (1 - w) = 1 / 4 for each of two candidates, and so twice that of their difference."""
    write('search.nd', TEXT.format(f'objective macs(target = {target}, weight = 8, form = {form})'))
    costs = {item['name']: item['multiply_adds'] for item in table_of()['items']}
    search(f'with-{form}-{target}')
    search(f'without-{form}-{target}', '--set=search.objective.macs.weight=0')
    moved, stayed = alphas_of(f'with-{form}-{target}'), alphas_of(f'without-{form}-{target}')
    wanted = {'alphas_normal': [0] * 5, 'alphas_reduce': [0] * 5}
    for alphas, edge, (skip, conv) in edges():
        wanted[alphas][edge] -= times * 8 * SHARES[edge] * 2 * 0.25 * 1e-6 * (costs[conv] - costs[skip]) / target
    for alphas, row in wanted.items():
        for edge, value in enumerate(row):
            near(moved[alphas][edge] - stayed[alphas][edge], value, 0.01) if value else \
                expect(abs(moved[alphas][edge] - stayed[alphas][edge]) < 1e-12, 'below the target')


def test_gradient():
    pull('ratio', 0.5, 1)
    pull('hinge', 0.005, 1)  # far below what there is
    pull('hinge', 50, 0)    # far above it


def test_latency():
    write('search.nd', TEXT.format('objective latency(target = 0.01, batch = 2)'))
    table = table_of('--batch=2', '--precision=f64')
    for number, item in enumerate(table['items']):
        item['ms'] = 0.125 * (number + 1)
    table['rest_ms'] = 3.5
    write('given.json', json.dumps(table))
    costs = {item['name']: item['ms'] for item in table['items']}
    fixed = 3.5 + sum(item['calls'] * item['ms'] for item in table['items'])
    expect('measuring' not in search('given', '--cost=given.json'), 'measured')
    near(lines('given', 'metrics.jsonl')['latency_ms'], expected('given', costs, fixed))
    expect(read('given', 'cost.json') == read('given.json'), 'another table was kept')


def test_measured():
    """A search without a table measures, keeps what it found, and takes that when it is resumed, whatever is found now."""
    said = search('measured', '--set=search.epochs=2')
    expect('measuring what the candidates cost' in said and ', latency ' in said, said)
    costs = {item['name']: item['ms'] for item in json.loads(read('measured', 'cost.json'))['items']}
    table = json.loads(read('measured', 'cost.json'))
    fixed = table['rest_ms'] + sum(item['calls'] * item['ms'] for item in table['items'])
    near(lines('measured', 'metrics.jsonl')['latency_ms'], expected('measured', costs, fixed), 1e-3)  # whole nanoseconds
    for path in glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*.cost')):
        os.remove(path)
    expect('measuring' not in search('measured', '--set=search.epochs=2', '--resume'), 'measured again')


def test_resumed():
    """Interrupted, a search goes on with what it began with, told so or not, and wherever that is from; with nothing else."""
    write('search.nd', TEXT.format('objective latency(target = 0.01, batch = 2)').replace('epochs 1', 'epochs 12'))
    table = json.loads(read('given.json'))
    write('same.json', json.dumps({**table, 'items': [*reversed(table['items']), {'key': 'of another text', 'ms': 1}]}, indent=1))
    write('other.json', json.dumps({**table, 'items': [{**item, 'ms': 2 * item['ms']} for item in table['items']]}))
    line = (RUN, 'search', 'search.nd', '--precision=f64', '--threads=1', '--out')
    for begin in ((), ('--cost=given.json',)):
        name = 'with' if begin else 'without'
        interrupt('epoch 1/12', 0, *line, name, *begin)
        same = '--cost=same.json' if begin else f'--cost={name}/cost.json'
        shutil.copytree(name, f'{name}-told')
        shutil.copytree(name, f'{name}-lost')
        search(name, '--resume', '--cost=other.json', code=1, says=f'{name}: the search began with other costs of its candidates than other.json')
        said = search(name, '--resume') + search(f'{name}-told', '--resume', same)
        expect('measuring' not in said and said.count('resuming in epoch') == 2, said)
        expect_same(name, f'{name}-told', ('checkpoint.safetensors', 'metrics.jsonl', 'alphas.jsonl', 'genotype.nd', 'network.ir', 'run.json'))
    os.remove('with-lost/cost.json')
    search('with-lost', '--resume', code=1, says='the search began with other costs of its candidates than those that were measured now')
    search('with-lost', '--resume', '--allow-different-build', says='resuming in epoch')


def test_hessian():
    """Of a folder that has what the candidates cost; also where the network in it lacks that, as in those of earlier versions."""
    found = run(RUN, 'hessian', 'without', '--precision=f64', '--threads=1')[0]
    expect(found.startswith('dominant '), found)
    settings = [line for line in read('without', 'network.ir').decode().splitlines() if 'latency.fixed' in line]
    write('without/network.ir', re.sub(r', nanoseconds=\[[^]]*\]|nanoseconds=\[[^]]*\], ', '', read('without', 'network.ir').decode()).replace(f'{settings[0]}\n', ''))
    expect('nanoseconds' not in read('without', 'network.ir').decode(), 'the network still has its costs')
    expect(run(RUN, 'hessian', 'without', '--precision=f64', '--threads=1')[0] == found, 'of other costs')


def test_mistakes():
    table = json.loads(read('given.json'))
    without = lambda name: {key: value for key, value in table.items() if key != name}
    for name, changed, says in (('batch', {**table, 'batch': 1}, 'batch.json is of batch 1, and the objective of batch 2'),
                                ('no_batch', without('batch'), "no_batch.json does not say of how many images its times are: it lacks a 'batch'"),
                                ('version', {**table, 'version': 7}, 'version.json is no table of costs'),
                                ('fewer', {**table, 'items': table['items'][1:]}, 'fewer.json does not have '),
                                ('negative', {**table, 'items': [{**table['items'][0], 'ms': -1}]}, 'item 1 lacks a key, or milliseconds that could be'),
                                ('negative_rest', {**table, 'rest_ms': -1}, "negative_rest.json lacks a 'rest_ms', or milliseconds that could be in it"),
                                ('no_rest', without('rest_ms'), "no_rest.json lacks a 'rest_ms', or milliseconds that could be in it")):
        write(f'{name}.json', json.dumps(changed))
        search('refused', f'--cost={name}.json', code=1, says=says)
    write('single.json', json.dumps({**table, 'precision': 'f32'}))  # of the machine where the network will run
    search('single', '--cost=single.json', says='note: the times of single.json are of the precision f32; the search computes in f64')
    for tool in ((RUN, 'search', '--out=refused'), (COMPILER, '--graph=search-alphas', '--emit=ir')):
        run(*tool, 'search.nd', '--cost=/dev/zero', code=1, says="cannot read '/dev/zero': it is a device or a pipe, not a file")
    write('broken.json', '{')
    search('refused', '--cost=broken.json', code=1, says='broken.json')
    search('refused', '--cost=missing.json', code=1, says='missing.json')
    run(COMPILER, 'search.nd', '--graph=search-alphas', '--emit=ir', code=1, says='the objective latency needs what the candidates cost: --cost FILE')
    write('search.nd', TEXT.format(''))
    search('refused', '--cost=given.json', code=1, says='given.json is what candidates cost, for a search with the objective latency')


if __name__ == '__main__':
    os.environ['NDARTS_CFLAGS'] = '-Og'  # compiled in half of the time, which is more than running it takes
    os.environ['XDG_CACHE_HOME'] = os.path.join(os.environ['XDG_CACHE_HOME'], 'objective')
    sys.exit(main([test_expected_macs, test_gradient, test_latency, test_measured, test_resumed, test_hessian, test_mistakes]))
