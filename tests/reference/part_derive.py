#!/usr/bin/env python3
"""The genotype of architecture parameters with weights of edges (PC-DARTS) is the published one, by the product of both weights."""
import json
import os
import sys
import tempfile

import _common
import _methods
import derive


def check(case, spec, folder):
    alphas = os.path.join(folder, 'alphas.safetensors')
    shapes = ['14,8', '14,8', '14', '14']
    _common.call(_common.TOOL, 'tensors', alphas,
                 *(f'{name.split(".")[0]}=unit@{name}:{shape}' for name, shape in zip(case['alphas'], shapes)))
    text = _common.call(_common.RUN, 'derive', alphas, '--name', 'found', '--spec', spec)
    wrong = [cell for cell in ('normal', 'reduce') if derive.edges(text, cell)[0] != case[cell]]
    for cell in wrong:
        print(f'{case["alphas"][0]}: {derive.edges(text, cell)[0]}; expected {case[cell]}')
    return not wrong


def main():
    with open(os.path.join(_common.HERE, 'part_derive.json')) as file:
        stored = json.load(file)
    names = [('max_pool_bn', 'max_pool_3x3'), ('avg_pool_bn', 'avg_pool_3x3')]
    with tempfile.TemporaryDirectory() as folder:
        spec = os.path.join(folder, 'spec.nd')
        spaces = _methods.SPACES
        for ours, published in names:
            spaces = spaces.replace(f'[{ours}', f'[{published}').replace(f', {ours}', f', {published}')
        with open(spec, 'w') as file:
            file.write(f'import "methods.nd"\n{spaces}\nsearch {{ space darts8  network cifar_search(C = 4, layers = 3)  method pc_darts  data synthetic }}\n')
        right = sum(check(case, spec, folder) for case in stored)
    print(f'{right} of {len(stored)} genotypes agree')
    return 0 if stored and right == len(stored) else 1


if __name__ == '__main__':
    sys.exit(main())
