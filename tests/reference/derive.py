#!/usr/bin/env python3
"""`ndarts-run derive` gives the stored genotype for each of the stored architecture parameters, and its text compiles."""
import json
import os
import re
import sys
import tempfile

import _common

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

EDGE = re.compile(r'(\w+)\(s(\d+)\)')


def edges(text, cell):
    """[[operation, state], ...] of one cell of a genotype's text, node by node; and what it returns."""
    body = re.search(cell + r' \{(.*?)\}', text, re.S).group(1)
    found = []
    for number, line in enumerate(re.findall(r'^ *s(\d+) = (.*)$', body, re.M)):
        assert int(line[0]) == number + 2, f'{cell}: state s{line[0]} where s{number + 2} was expected'
        found += [[operation, int(state)] for operation, state in EDGE.findall(line[1])]
    return found, [int(state) for state in re.findall(r's(\d+)', re.search(r'return (.*)', body).group(1))]


def check(case, folder):
    alphas = os.path.join(folder, 'alphas.safetensors')
    _common.call(_common.TOOL, 'tensors', alphas, *(f'alphas_{cell}=unit@{case[cell + "_name"]}:14,7' for cell in ('normal', 'reduce')))
    text = _common.call(_common.RUN, 'derive', alphas, '--name', 'found')
    for cell in ('normal', 'reduce'):
        found, states = edges(text, cell)
        if found != case[cell] or states != [2, 3, 4, 5]:
            print(f'{case[cell + "_name"]}: {found} {states}; expected {case[cell]}')
            return False
    return True


def check_compiles(case, folder):
    path = os.path.join(folder, 'found.nd')
    _common.call(_common.RUN, 'derive', os.path.join(folder, 'alphas.safetensors'), '--name', 'found', '-o', path)
    parameters = json.loads(_common.call(os.path.join(_common.BUILD, 'bin', 'ndartsc'), path, '--emit=stats', '--json'))['parameters']
    assert parameters > 1e6, f'{case["normal_name"]}: {parameters} parameters'


def main():
    with open(os.path.join(_common.HERE, 'derive.json')) as file:
        stored = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        right = sum(check(case, folder) for case in stored)
        check_compiles(stored[-1], folder)
    print(f'{right} of {len(stored)} genotypes agree')
    return 0 if stored and right == len(stored) else 1


if __name__ == '__main__':
    sys.exit(main())
