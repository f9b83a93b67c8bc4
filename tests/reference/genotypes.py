#!/usr/bin/env python3
"""Every published genotype stands in genotypes/, edge by edge as in genotypes.json, and nothing else claims to be one."""
import glob
import json
import os
import sys

import _common
from derive import edges

OTHERS = {'imagenet', 'darts', 'methods', 'networks', 'nas_bench_201', 'robust_darts', 'noisy_darts_A_imagenet'}  # spaces, methods, networks, the ImageNet model


def check(entry, path):
    """The tree, printed: the program's own reading of the file."""
    text = _common.call(os.path.join(_common.BUILD, 'bin', 'ndartsc'), path, '--emit=ast')
    for cell in ('normal', 'reduce'):
        found, states = edges(text, cell)
        if found != entry[cell] or states != entry[cell + '_concat']:
            print(f'{path}: {cell}: {found} {states}; expected {entry[cell]} {entry[cell + "_concat"]}')
            return False
    return True


def main():
    folder = os.path.join(_common.SOURCE, 'genotypes')
    with open(os.path.join(_common.HERE, 'genotypes.json')) as file:
        entries = json.load(file)
    right = sum(check(e, os.path.join(folder, e['name'].lower() + '.nd')) for e in entries)
    there = {os.path.basename(path)[:-3] for path in glob.glob(os.path.join(folder, '*.nd'))}
    unknown = there - OTHERS - {e['name'].lower() for e in entries}
    for name in sorted(unknown):
        print(f'genotypes/{name}.nd is no published genotype')
    print(f'{right} of {len(entries)} agree')
    return 0 if entries and right == len(entries) and not unknown else 1


sys.exit(main())
