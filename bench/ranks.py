#!/usr/bin/env python3
"""What a search on several ranks costs: images per second of one process and of R ranks with one thread each, at the same batch; how
many messages a step has, and how many bytes, with statistics of all images and of each rank's own; and, on paper, what they would
take on other wires.

    python3 bench/ranks.py [--build DIR] [--ranks 2,4] [--batch 64] [--steps 6] [--rounds 3] [--cpu-time]

The runs take turns, and the best of all rounds counts, since other processes only ever make a run slower. --cpu-time prints the
processor's seconds of a step besides, of all ranks together: for a busy machine, where the clock says nothing."""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = '''import "darts.nd"
search {
    space darts   network cifar_search(C=16, layers=8)
    data synthetic(limit = IMAGES) split 0.5
    epochs 1  batch BATCH  seed 1
}
'''
# A message goes to R - 1 others: log2(R) waits, and each rank receives what the others send, at so many bytes a second.
WIRES = (('10 Gbit Ethernet, TCP', 25e-6, 1.25e9), ('100 Gbit Ethernet, RDMA', 2e-6, 12.5e9))
NVLINK = ('NVLink, GPUs of one machine', 5e-6, 300e9)


def call(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f'{" ".join(command)}\n{done.stderr[-2000:]}')
    return done.stderr


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def search(arguments, ranks, folder):
    """Images per second, those of both passes, and seconds of the processors for a step."""
    out, before = os.path.join(folder, f'ranks{ranks}'), processor_seconds()
    launcher = ['mpirun', '--oversubscribe', '--bind-to', 'none', '-n', str(ranks)] if ranks > 1 else []
    call([*launcher, os.path.join(arguments.build, 'bin', 'ndarts-run'), 'search', os.path.join(folder, 'search.nd'), '--out', out, '--threads', '1'])
    with open(os.path.join(out, 'timing.jsonl'), encoding='utf-8') as lines:
        rate = json.loads(lines.readlines()[-1])['images_per_second']
    return rate, (processor_seconds() - before) / arguments.steps


def exchanged(arguments, ranks, batch_norm, folder):
    """Messages of a step, and bytes that each rank sends in it, as --mem-report says."""
    said = subprocess.run([os.path.join(arguments.build, 'bin', 'ndartsc'), os.path.join(folder, 'search.nd'), '--ranks', str(ranks), '--set', f'batch_norm={batch_norm}', '--mem-report',
                           '--graph=search-alphas,search-weights', '--emit=plan', '-o', os.path.join(folder, 'plan')],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    found = re.findall(r'exchanged \d+ values? in (\d+) messages?, ([\d.]+) (B|MB) from each', said)
    return sum(int(m) for m, _, _ in found), sum(float(b) * (1e6 if unit == 'MB' else 1) for _, b, unit in found)


def exchanged_by_gpus(arguments, ranks, folder):
    """Likewise of GPUs, by the plan: rows of all ranks, of which each sends its own."""
    plan = json.loads(subprocess.run([os.path.join(arguments.build, 'bin', 'ndartsc'), os.path.join(folder, 'search.nd'), '--ranks', str(ranks), '--target=cuda',
                                      '--graph=search-alphas,search-weights', '--emit=plan'], stdout=subprocess.PIPE, text=True, check=True).stdout)
    stages = [stage['steps'].split(';') for graph in plan['graphs'] for stage in graph['stages'] if stage['domain'] == 'exchange']
    return len(stages), sum(int(re.search(r'#(\d+)', step)[1]) for steps in stages for step in steps) / ranks


def print_on_paper(kind, ranks, messages, sent, wires, compute):
    print(f'{ranks} {kind}, a step: {messages} messages, {sent / 1e6:.1f} MB from each')
    for name, wait, speed in wires:
        seconds = messages * wait * (ranks - 1).bit_length() + sent * (ranks - 1) / speed
        print(f'    on paper, {name}: {1e3 * seconds:.1f} ms{compute}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(ROOT, 'build'))
    parser.add_argument('--ranks', default='2')
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--steps', type=int, default=6)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--cpu-time', action='store_true')
    arguments = parser.parse_args()
    counts = [1] + [int(r) for r in arguments.ranks.split(',')]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'search.nd'), 'w', encoding='utf-8') as file:
            file.write(TEXT.replace('BATCH', str(arguments.batch)).replace('IMAGES', str(2 * arguments.batch * arguments.steps)))
        for ranks in counts:
            search(arguments, ranks, folder)  # what compiles
        rates, seconds = {ranks: 0 for ranks in counts}, {ranks: float('inf') for ranks in counts}
        for _ in range(arguments.rounds):
            for ranks in counts:
                rate, used = search(arguments, ranks, folder)
                rates[ranks], seconds[ranks] = max(rates[ranks], rate), min(seconds[ranks], used)
        step = 2 * arguments.batch / rates[1]
        for ranks in counts:
            print(f'{ranks} rank{"s" * (ranks > 1)}: {rates[ranks]:.1f} images/s, {rates[ranks] / rates[1]:.2f} x' +
                  (f', {seconds[ranks]:.2f} s of processors for a step' if arguments.cpu_time else ''))
        for ranks in counts[1:] + [8]:
            for batch_norm in ('global', 'local'):
                print_on_paper(f'ranks, batch_norm {batch_norm}', ranks, *exchanged(arguments, ranks, batch_norm, folder), WIRES,
                               f' beside {1e3 * step / ranks:.0f} ms of one thread each')
            print_on_paper('GPUs', ranks, *exchanged_by_gpus(arguments, ranks, folder), [NVLINK], '')


if __name__ == '__main__':
    main()
