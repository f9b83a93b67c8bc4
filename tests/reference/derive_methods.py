#!/usr/bin/env python3
"""`ndarts-run derive` keeps what the published derivations keep: of the eight candidates of DARTS, by FairDARTS' three rules, in RobustDARTS'
spaces S1 to S4, of NAS-Bench-201. The genotypes are texts that compile, also where a node has no edges."""
import concurrent.futures
import json
import os
import re
import sys
import tempfile

import _common

DARTS = ['max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5']
BENCH = ['none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3']
EDGE = re.compile(r'(\w+)\(s(\d+)\)')
SETS = {'fair_darts_darts_0.85': ['keep.threshold=0'], 'fair_darts_threshold_sparse_0.85': [], 'fair_darts_threshold_sparse_0.7': ['keep.threshold=0.7'],
        'fair_darts_threshold_edge_0.85': ['keep.per_edge=2', 'keep.per_node=0'],
        'fair_darts_threshold_edge_0.7': ['keep.threshold=0.7', 'keep.per_edge=2', 'keep.per_node=0']}


def spaces(s1):
    edges = [(source, node) for node in range(2, 6) for source in range(node)]
    rules = '\n'.join(f'edge {kind}({source}, {node}) = [{", ".join(names)}]'
                      for kind in s1 for (source, node), names in zip(edges, s1[kind]))
    cell = 'cell { inputs 2  nodes 4  output concat(nodes)  keep 2 per node }'
    return f'''import "methods.nd"
        op noise(C, stride) = none
        op nor_conv_1x1(C, stride) = conv(C, 1, stride)
        op nor_conv_3x3(C, stride) = conv(C, 3, stride, 1)
        space darts7 {{ candidates = [{', '.join(DARTS)}]  {cell} }}
        space darts8 {{ candidates = [none, {', '.join(DARTS)}]  {cell} }}
        space s1 {{ {rules} {cell} }}
        space s2 {{ candidates = [skip_connect, sep_conv_3x3]  {cell} }}
        space s3 {{ candidates = [none, skip_connect, sep_conv_3x3]  {cell} }}
        space s4 {{ candidates = [noise, sep_conv_3x3]  {cell} }}
        space nb201 {{ candidates = [{', '.join(BENCH)}]  cells = [normal]
                       cell {{ inputs 1  nodes 3  output s3  keep 0 per node }} }}
        network bench(space, C = 4, classes ?= 10, H ?= 8, W ?= 8, channels ?= 3) on x {{
            return x | stem: conv(C, 1) | cell: space.normal | global_avg_pool | classifier: linear(classes)
        }}
    '''


def search(kind, texts):
    space = 'darts7' if kind.startswith('fair') else kind
    network = 'bench(nb201)' if kind == 'nb201' else 'cifar_search(C = 4, layers = 3)'
    method = 'method fair_darts' if kind.startswith('fair') else ''
    return f'{texts}\nsearch {{ space {space}  network {network}  {method}  data synthetic(H = 8, W = 8)  batch 2 }}\n'


def states(text, cell):
    """[(state, [(operation, source), ...]), ...] of one cell of a genotype's text; and what it returns."""
    body = re.search(cell + r' \{(.*?)\}', text, re.S).group(1)
    return ([(int(state), [(op, int(source)) for op, source in EDGE.findall(line)])
             for state, line in re.findall(r'^ *s(\d+) = (.*)$', body, re.M)], re.search(r'return (.*)', body).group(1))


def without_empty_nodes(edges):
    """The published lists have edges from nodes that have none of their own; a text cannot."""
    kept = [2, 3, 4, 5]
    while True:
        left = [edge for edge in edges if edge[2] < 2 or edge[2] in kept]
        filled = sorted({edge[1] for edge in left})
        if filled == kept and left == edges:
            return left
        kept, edges = filled, left


def expected(kind, row):
    if kind == 'nb201':
        return [[(f'{op}', node + 1, int(source)) for node, part in enumerate(row[1].split('+')) for op, source in re.findall(r'(\w+)~(\d+)', part)]]
    cells = [[edge.split('~') for edge in cell.split()] for cell in row[1:]]
    if 'threshold' in kind:
        return [without_empty_nodes([(op, int(node), int(source)) for op, node, source in cell]) for cell in cells]
    return [[(op, 2 + i // 2, int(source)) for i, (op, source) in enumerate(cell)] for cell in cells]


def derive(kind, row, folder, spec):
    name, rows, columns = f'{kind}.{row[0]}', 6 if kind == 'nb201' else 14, {'darts8': 8, 's3': 3, 'nb201': 5}.get(kind, 2)
    columns, scale = (7, 3) if kind.startswith('fair') else (columns, 1)
    alphas = os.path.join(folder, name + '.safetensors')
    cells = ['normal'] if kind == 'nb201' else ['normal', 'reduce']
    _common.call(_common.TOOL, 'tensors', alphas, *(f'alphas_{cell}=unit/{scale}@alphas_{cell}.{row[0]}:{rows},{columns}' for cell in cells))
    sets = [f'--set={value}' for value in SETS.get(kind, [])]
    text = _common.call(_common.RUN, 'derive', alphas, '--spec', spec, '--name', 'found', *sets)
    for cell, wanted in zip(cells, expected(kind, row)):
        found, result = states(text, cell)
        if [(op, state, source) for state, edges in found for op, source in edges] != wanted:
            return f'{name}, {cell}: {found}; expected {wanted}'
        if kind != 'nb201' and result != f'concat({", ".join(f"s{state}" for state, _ in found)})':
            return f'{name}, {cell}: returns {result}'
    return ''


def main():
    with open(os.path.join(_common.HERE, 'methods_derive.json'), encoding='ascii') as file:
        stored = json.load(file)
    texts, wrong, count = spaces(stored.pop('s1_candidates')), [], 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = []
        for kind, rows in stored.items():
            spec = os.path.join(folder, kind + '.nd')
            with open(spec, 'w', encoding='ascii') as file:
                file.write(search(kind, texts))
            jobs += [pool.submit(derive, kind, row, folder, spec) for row in rows]
        wrong = [job.result() for job in jobs if job.result()]
        count = len(jobs)
    print('\n'.join(wrong + [f'{count - len(wrong)} of {count} genotypes agree']))
    return 0 if count > 150 and not wrong else 1


if __name__ == '__main__':
    sys.exit(main())
