#!/usr/bin/env python3
"""What the kernels of a step do on a GPU, counted on the PTX that NVRTC makes of them, and a guess of its time.

    bench/ptx_count.py TEXT GRAPH[,GRAPH...] [--batch N] [--precision P] [--build FOLDER] [--kernels N] [--json FILE]

Needs a build with tests, and NVRTC; no GPU. For each graph a table by class of kernels, heaviest first: how many are on the longest
chain of launches that wait for each other, launches, calls, memory traffic as the plan has it (each element once), warp instructions, sectors of 32 bytes over what was
asked for, turns of shared memory, milliseconds of each bound, and the estimate; --kernels N lists the N heaviest kernels too. Two
texts or two states of the code are compared by their counts, which are the same on every machine: those of four blocks of each
launch, spread over its grid, executed instruction by instruction. The estimate is a simple model of an H200 and says which count
binds:

    memory       bytes / 4.3 TB/s, of which 0.82 are reached, less with fewer than three blocks for each of the 132 multiprocessors
    issue        warp instructions over 4 schedulers at 1.755 GHz, of which a warp keeps at most 0.14 busy, all warps 0.8
    shared       a turn of shared memory, or a request of global memory, for each clock of a multiprocessor
    alone        the longest of the three and 0.35 of the second: what a launch takes that has the card to itself
    a merge      2 us more, of sums of all chunks, by the last block or a launch of its own: its loads wait for each other
    a wait       a launch begins 3 us after the last of those that it waits for has ended
    together     launches that run at the same time slow each other down, all alike, when they would use more than there is of
                 memory, issue slots, shared memory or places for blocks; what is left of one after the other's end is faster

The schedule is played through with these, launch by launch, on the graph of waits that the plan has; a launch's share in the estimate is what
it would take alone, as a part of what all would.

What stands for several instructions of a device counts as several: 10 for a division, 20 for one of whole numbers, 3 for a root
or an exponential; addresses that change their space and parameters count nothing."""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MULTIPROCESSORS, CLOCK, BYTES = 132, 1.755e9, 4.3e12
WAIT_SECONDS, TAIL_SECONDS = 3e-6, 2e-6
COUNTS = ('integer', 'float', 'double', 'special', 'convert', 'move', 'control', 'load_global', 'store_global', 'load_shared',
          'store_shared', 'tensor', 'exchange', 'atomic', 'sync')


def kind_of_convolution(shapes):
    """By its weights: [out, in of a group, rows, columns]."""
    weights = [s.split(',') for s in shapes if s.count(',') == 3 and not s.startswith('N,')]
    if not weights:
        return 'dense'
    out, inner, rows, columns = weights[0][-4:]
    return 'pointwise' if rows == columns == '1' else 'depthwise' if inner == '1' else 'dense'


def class_of(launch):
    """Kernels of one kind, by the operations that a kernel is for."""
    operations = launch['origin'].split(':')[0]
    shapes = [s.replace('K,', '') for s in re.findall(r'\w+\[([^\]]*)\]', launch['origin'])]
    images = any(s.startswith('N,') and s.count(',') == 3 for s in shapes)
    sums = ' and sums' if 'reduce_partial' in operations else ''
    if 'conv2d_grad_weight' in operations:
        return f'{kind_of_convolution(shapes[-1:])}: gradient of weights'
    if 'conv2d inside' in operations:
        return f'depthwise and pointwise{sums}'
    if 'conv2d' in operations:
        return f'{kind_of_convolution(shapes)}{sums}'
    if 'matmul' in operations:
        return 'matrix product'
    if 'pool' in operations:
        return 'pool' + sums
    if 'reduce_merge' in operations and 'reduce_partial' not in operations:
        return 'merge of sums'
    if 'reduce' in operations:
        return 'sums'
    if images and 'load_shared' in launch:  # convolutions inline, with a tile of each in shared memory
        return 'depthwise: gradients of data'
    return 'elements of images' if images else 'elements, small'


def resources(args, graph):
    """Registers and shared bytes of each kernel, as ptxas gives them."""
    compiler = os.path.join(args.build, 'bin', 'ndartsc')
    with tempfile.TemporaryDirectory() as folder:
        cubin = os.path.join(folder, 'x.cubin')
        options = ['--batch', str(args.batch)] if args.batch else []
        subprocess.run([compiler, args.text, f'--graph={graph}', '--arch=sm_90', f'--precision={args.precision}', *options, '-o', cubin],
                       check=True)
        lines = subprocess.run([compiler, '--emit=resources', cubin], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {f[0]: (int(f[2]), int(f[3])) for f in (line.split() for line in lines.splitlines()) if f and f[0].startswith('nd_')}


def launches(args, graph):
    command = [os.path.join(args.build, 'tests', 'simt', 'ptx_count'), args.text, graph, str(args.batch), args.precision]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return [json.loads(line) for line in done.stdout.splitlines()]


def resident_blocks(launch, found):
    registers, shared = found.get(launch['kernel'], (64, 0))
    return max(1, min(8, 65536 // ((registers + 7) // 8 * 8 * 256), 227 * 1024 // (shared + 1024)))


def measure(launch, found):
    """Seconds of a launch that is bound by memory, by instructions, by shared memory."""
    instructions = sum(launch.get(name, 0) for name in COUNTS)
    resident = resident_blocks(launch, found)
    warps = min(resident, max(1, launch['blocks'] / MULTIPROCESSORS)) * 8 / 4  # of a scheduler
    rate = min(0.8, 0.14 * warps) * 4 * CLOCK * MULTIPROCESSORS
    requests = launch['wavefronts'] + launch.get('load_global', 0) + launch.get('store_global', 0)
    launch['instructions'] = instructions * launch['blocks']
    launch['memory'] = launch['bytes'] / BYTES
    launch['issue'] = launch['blocks'] * instructions / rate
    launch['shared'] = launch['blocks'] * requests / (MULTIPROCESSORS * CLOCK)
    filled = max(0.35, min(1.0, launch['blocks'] / (3 * MULTIPROCESSORS)))
    parts = sorted([launch['memory'] / (0.82 * filled), launch['issue'], launch['shared']])
    tail = TAIL_SECONDS if 'reduce_merge' in launch['origin'].split(':')[0] else 0
    launch['alone'] = max(parts[2] + 0.35 * parts[1] + tail, 1e-9)
    launch['uses'] = [launch['memory'] / 0.82 / launch['alone'],
                      launch['instructions'] / (0.8 * 4 * CLOCK * MULTIPROCESSORS) / launch['alone'], launch['shared'] / launch['alone'],
                      min(1.0, launch['blocks'] / (MULTIPROCESSORS * resident))]


def longest_chain(found):
    """Marks the launches of one of the longest chains of waits; how many they are."""
    lengths, before = [], []
    for launch in found:
        last = max(launch['waits'], key=lambda i: lengths[i], default=None)
        before.append(last)
        lengths.append(1 if last is None else lengths[last] + 1)
        launch['chain'] = 0
    at = lengths.index(max(lengths))
    while at is not None:
        found[at]['chain'] = 1
        at = before[at]
    return max(lengths)


def play(found):
    """Seconds from the first launch's beginning to the last one's end."""
    waiting, followers = [len(x['waits']) for x in found], collections.defaultdict(list)
    for i, launch in enumerate(found):
        for j in launch['waits']:
            followers[j].append(i)
    starts = collections.deque((0.0, i) for i, count in enumerate(waiting) if count == 0)  # in order: all are one delay behind the clock
    running, clock = {}, 0.0
    while starts or running:
        slower = max(1.0, *(sum(found[i]['uses'][r] for i in running) for r in range(4)))
        end = clock + min(running.values(), default=float('inf')) * slower
        next_clock = min(end, starts[0][0]) if starts else end
        for i in running:
            running[i] -= (next_clock - clock) / slower
        clock = next_clock
        for i in [i for i, left in running.items() if left <= 1e-12]:
            del running[i]
            for j in followers[i]:
                waiting[j] -= 1
                if waiting[j] == 0:
                    starts.append((clock + WAIT_SECONDS, j))
        while starts and starts[0][0] <= clock:
            i = starts.popleft()[1]
            running[i] = found[i]['alone']
    return clock


def table(title, groups):
    print(f'{title:34} {"chain":>6} {"launches":>8} {"calls":>6} {"GB":>6} {"G instr":>8} {"over":>5} {"turns M":>8} {"memory":>7} {"issue":>6} {"shared":>6} '
          f'{"ms":>6}')
    for name, group in groups:
        total = collections.Counter()
        for x in group:
            for key in ('calls', 'bytes', 'instructions', 'memory', 'issue', 'shared', 'estimate'):
                total[key] += x[key]
            for key in ('sectors', 'asked', 'wavefronts'):
                total[key] += x[key] * x['blocks']
        chain = sum(launch['chain'] for launch in group)
        print(f'{name[:34]:34} {chain:6} {len(group):8} {total["calls"]:6} {total["bytes"] / 1e9:6.2f} {total["instructions"] / 1e9:8.3f} '
              f'{32 * total["sectors"] / max(total["asked"], 1):5.2f} {total["wavefronts"] / 1e6:8.2f} {1e3 * total["memory"]:7.2f} '
              f'{1e3 * total["issue"]:6.2f} {1e3 * total["shared"]:6.2f} {1e3 * total["estimate"]:6.2f}')


def by(key, found):
    groups = collections.defaultdict(list)
    for launch in found:
        groups[key(launch)].append(launch)
    return sorted(groups.items(), key=lambda g: -sum(x['estimate'] for x in g[1]))


def report(args, graph):
    with concurrent.futures.ThreadPoolExecutor() as pool:  # NVRTC is what takes time, in both
        waiting = pool.submit(resources, args, graph)
        found, kernels = launches(args, graph), waiting.result()
    for launch in found:
        measure(launch, kernels)
    chain, seconds, alone = longest_chain(found), play(found), sum(x['alone'] for x in found)
    for launch in found:
        launch['estimate'] = seconds * launch['alone'] / alone
    table(graph, by(class_of, found))
    if args.kernels:
        table('heaviest kernels', [(f'{name} {group[0]["origin"]}', group) for name, group in by(lambda x: x['kernel'], found)[:args.kernels]])
    total = {'graph': graph, 'chain': chain, 'launches': len(found), 'bytes': sum(x['bytes'] for x in found),
             'instructions': sum(x['instructions'] for x in found), 'milliseconds': 1e3 * seconds}
    print(f'{graph}: {total["launches"]} launches, the longest chain {total["chain"]}, {total["bytes"] / 1e9:.1f} GB, '
          f'{total["instructions"] / 1e9:.2f} G warp instructions, {total["milliseconds"]:.1f} ms on an H200\n')
    return {**total, 'classes': {name: sum(x['instructions'] for x in group) for name, group in by(class_of, found)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('text', help='an experiment')
    parser.add_argument('graphs', help='such as search-weights,search-alphas')
    parser.add_argument('--batch', type=int, default=0, help="the text's, if it is not given")
    parser.add_argument('--precision', default='f32')
    parser.add_argument('--build', default=os.path.join(HERE, '..', 'build'))
    parser.add_argument('--kernels', type=int, default=0, help='how many of the heaviest are listed')
    parser.add_argument('--json', help='where the totals are written')
    args = parser.parse_args()
    totals = [report(args, graph) for graph in args.graphs.split(',')]
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(totals, file, indent=1)


main()
