#!/usr/bin/env python3
"""How well the sum of what operations cost (`ndarts-run cost`) foretells what whole networks take: random genotypes of the DARTS space.

    bench/cost.py [--networks 30] [--seed 1] [-C 16] [--layers 8] [--build build] [-- OPTION...]

OPTIONs go to ndarts-run cost: --threads 1 --cpu-time on a machine that others use, --device. Prints the sum and the best time of the whole of each
network, the largest and the mean error of the sum, and the rank correlation (Spearman's)."""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = 3  # a machine has slow seconds: networks are timed again, all of them in turn
OPERATIONS = ['max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5']


def cell(draw):
    """Two different states into each of four nodes."""
    return [(draw.choice(OPERATIONS), state) for node in range(4) for state in sorted(draw.sample(range(node + 2), 2))]


def genotype(draw):
    return f'Genotype(normal={cell(draw)}, normal_concat=range(2, 6), reduce={cell(draw)}, reduce_concat=range(2, 6))\n'


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    return {place: rank for rank, place in enumerate(order)}


def spearman(a, b):
    """Times are never equal."""
    x, y, n = ranks(a), ranks(b), len(a)
    return 1 - 6 * sum((x[i] - y[i]) ** 2 for i in range(n)) / (n * (n * n - 1))


def run(options, command, network):
    arguments = [os.path.join(options.build, 'bin', 'ndarts-run'), command, network, '--set', f'C={options.channels}', '--set',
                 f'layers={options.layers}', '--batch=1', '--json', *options.options]
    return json.loads(subprocess.run(arguments, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--networks', type=int, default=30)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('-C', dest='channels', type=int, default=16)
    parser.add_argument('--layers', type=int, default=8)
    parser.add_argument('--build', default=os.path.join(ROOT, 'build'))
    parser.add_argument('options', nargs='*')
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        networks = []
        for number in range(options.networks):
            networks.append(os.path.join(folder, f'random_{number}.py'))
            with open(networks[-1], 'w') as file:
                file.write(genotype(draw))
        tables = [run(options, 'cost', network) for network in networks]
        sums = [table['sum_ms'] for table in tables]
        wholes = [table['whole_ms'] for table in tables]
        for _ in range(ROUNDS):
            wholes = [min(whole, 1e3 * run(options, 'bench', network)['best_s']) for whole, network in zip(wholes, networks)]
    print('network   sum ms  whole ms   error')
    for number, (s, w) in enumerate(zip(sums, wholes)):
        print(f'{number:7} {s:8.3f} {w:9.3f} {100 * (s / w - 1):+6.1f} %')
    errors = [abs(s / w - 1) for s, w in zip(sums, wholes)]
    print(f'mean error {100 * sum(errors) / len(errors):.1f} %, largest {100 * max(errors):.1f} %; rank correlation {spearman(sums, wholes):.3f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
