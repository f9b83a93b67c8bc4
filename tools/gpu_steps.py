"""The steps of tools/gpu_check.py, in the order in which they are wanted on a card that nobody has seen: is it right, what does it
take, where does the time go; then everything that takes longer. Each is given a check (gpu_check.Check)."""
import glob
import importlib.util
import json
import os
import re
import shutil
import sys

import gpu_report

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEARCH, NETWORK, SMALL, CELL = 'specs/noisy_darts_a.nd', 'genotypes/noisy_darts_a.nd', 'tests/simt/network.nd', 'tests/simt/cell.nd'
TRAINING = '''import "{source}/genotypes/noisy_darts_a.nd"
train {{
    network cifar(noisy_darts_a, C = 36, layers = 20)
    data synthetic
    epochs 1  batch 96
    weights sgd(lr = 0.025, momentum = 0.9, decay = 3e-4, clip = 5)
}}
'''
HEAVIEST, AT_ONCE = 12, 4  # kernels that ncu looks at, and how many of them in one run, which may meet its end
SECTIONS = ('SpeedOfLight', 'Occupancy', 'MemoryWorkloadAnalysis', 'LaunchStats')
# What the search step of PyTorch and the compiled networks are given, beyond the rest of the part's time.
LATE = lambda code, output: 'it took too long' if code is None else None


def last(output):
    return output.strip().splitlines()[-1] if output.strip() else ''


def find_tool(name):
    """In the PATH, or where the CUDA toolkit puts it."""
    places = [*sorted(glob.glob(f'/usr/local/cuda*/bin/{name}')), *sorted(glob.glob(f'/opt/nvidia/nsight-compute/*/{name}'))]
    return next((path for path in [shutil.which(name), *places] if path), None)


def steps_command(check, text, graphs, batch, *options):
    return [check.program('ndarts-run'), 'bench', text, '--graph', graphs, '--device', 'cuda', '--batch', batch, '--json', *options]


def add_rows(check, kind, output):
    """The lines of JSON that a program printed."""
    check.part.found[kind] += [json.loads(line) for line in (output or '').splitlines() if line.startswith('{')]
    check.part.write()


# ---- part A ----

def machine(check):
    """What is there."""
    tool = shutil.which('nvidia-smi')
    if not tool:
        check.note('nvidia-smi', 'skipped', 0, 'it is not installed')
        return
    query = 'name,driver_version,memory.total,memory.used,clocks.max.sm,clocks.max.mem,clocks.sm,power.limit'
    check.step('nvidia-smi', [tool, f'--query-gpu={query}', '--format=csv,noheader'], 20, last)


def card(check):
    """Bandwidth of a copy, and what launches cost."""
    less = ['--bytes', '1e6', '--launches', '16'] if check.fake else []
    add_rows(check, 'measures', check.step('the card by itself', [check.program('bench_card'), *less], 30))


def right(check):
    """One network in f32 against reference values: is it right at all?"""
    if check.fake:
        check.step('a trace against the CPU', [sys.executable, 'tests/simt/end_to_end.py', 'trace of a network'], 60, last)
    else:
        check.step('a trace against reference values, f32', [sys.executable, 'tests/reference/networks_f32.py', 'noisy_darts_a/small'], 60, last,
                   known=gpu_report.kinks)


def times(check):
    """20 steps each of a search, a training and inference."""
    if check.fake:
        add_rows(check, 'times', check.step('times: a small network', steps_command(check, SMALL, 'train', '4', '--repeat', '2'), 60))
        return
    training = os.path.join(check.scratch, 'training.nd')
    with open(training, 'w') as file:
        file.write(TRAINING.format(source=SOURCE))
    search = (SEARCH, 'search-alphas,search-weights', '64', '--steps', '20', '--precision')
    wanted = [(f'search step, {precision}', *search, precision) for precision in ('f32', 'bf16', 'tf32')]
    wanted += [('training step, f32', training, 'train', '96'), ('inference, f32', NETWORK, 'infer', '256'), ('inference of one image, f32', NETWORK, 'infer', '1')]
    for name, *what in wanted:
        add_rows(check, 'times', check.step(f'times: {name}', steps_command(check, *what), 40))
    # What it costs that all kernels, cuDNN's too, are loaded at once, shows in the steps' seconds.
    check.step('the last one, kernels loaded late', steps_command(check, *wanted[-1][1:]), 40, environment={**check.environment, 'CUDA_MODULE_LOADING': 'LAZY'})


def profile(check):
    """The kernels of both halves of a search step, each launch timed by itself."""
    what = (SMALL, 'train', '4', '--repeat', '2') if check.fake else (SEARCH, 'search-alphas,search-weights', '64', '--steps', '3')
    output = check.step('kernels of a step', steps_command(check, *what, '--profile'), 40)
    check.part.found['kernels'] = gpu_report.read_profile(output or '')
    check.part.write()


def pytorch_search(check):
    pytorch(check, 'eager, a search', 40, '64', '--only', 'search')


def pytorch(check, name, seconds, batch, *options):
    if check.fake or not importlib.util.find_spec('torch'):
        check.note(f'PyTorch, {name}', 'skipped', 0, 'it knows no emulated card' if check.fake else 'it is not installed')
        return
    command = [sys.executable, 'bench/torch_steps.py', '--batch', batch, '--seconds', '5', *options]
    add_rows(check, 'times', check.step(f'PyTorch, {name}', command, seconds, environment=check.outside, excuse=LATE))


# ---- part B ----

def tests(check):
    python = sys.executable
    if check.fake:
        check.step('all commands against the CPU', [python, 'tests/simt/end_to_end.py', 'infer'], 60)
        return
    check.step('networks against reference values, f32', [python, 'tests/reference/networks_f32.py'], 40, last, known=gpu_report.kinks)
    check.step('operations against reference values, f64', [python, 'tests/reference/ops_f64.py'], 40, last)
    check.step('a supernet against reference values, f32', [python, 'tests/reference/supernet_f32.py', 'gaussian_decay/drop0.0'], 30, last, known=gpu_report.kinks)
    check.step('a supernet against reference values, f64', [python, 'tests/reference/supernet_f64.py', 'gaussian/drop0.3'], 30, last)
    check.step('all commands against the CPU', [python, 'tests/simt/end_to_end.py'], 60)


def heaviest(check):
    """Names of kernels of the weights' graph (of the only one on the emulator): of part A, if it lies there, else measured now."""
    path = os.path.join(check.folder, 'A.json')
    if os.path.exists(path):
        with open(path) as file:
            check.part.found['kernels'] = json.load(file)['kernels']
    if not check.part.found['kernels']:
        profile(check)
    kernels = check.part.found['kernels']
    rows = kernels.get('search-weights') or next(iter(kernels.values()), [])
    return [row['kernel'] for row in rows[:HEAVIEST]]


def ncu(check):
    """What the heaviest kernels do: one launch of each of their sizes."""
    tool = find_tool('ncu')
    if not tool:
        check.note('ncu', 'skipped', 0, 'it is not installed')
        return
    names = heaviest(check)
    what = (SMALL, 'train', '4') if check.fake else (SEARCH, 'search-weights', '64')
    sections = [option for section in SECTIONS for option in ('--section', section)]
    for first in range(0, len(names), AT_ONCE):
        some = names[first:first + AT_ONCE]
        command = [tool, '--clock-control', 'none', '--graph-profiling', 'node', '--filter-mode', 'per-launch-config', '--launch-count', '1',
                   '--kernel-name', f'regex:^({"|".join(some)})$', *sections, '--csv', *steps_command(check, *what, '--repeat', '1')]
        refused = lambda code, output: LATE(code, output) or (f'it does not run here: {last(output)}' if not gpu_report.read_ncu(output) else None)
        output = check.step(f'ncu: {", ".join(some)}', command, 30, lambda output: f'{len(gpu_report.read_ncu(output))} launches', excuse=refused)
        check.part.found['ncu'] += gpu_report.read_ncu(output or '')
        check.part.write()
        with open(os.path.join(check.folder, 'ncu.csv'), 'w' if first == 0 else 'a') as file:
            file.write(gpu_report.csv_of(output or ''))


def sanitizer(check):
    """memcheck on a cell of a supernet; with time left, racecheck and synccheck on a step of a small network. Kernel by kernel they are slow."""
    tool = find_tool('compute-sanitizer')
    if not tool:
        check.note('compute-sanitizer', 'skipped', 0, 'it is not installed')
        return
    summary = lambda output: next((line.strip('= ') for line in output.splitlines() if 'SUMMARY' in line), '')
    refused = lambda code, output: LATE(code, output) or (None if summary(output) else f'it does not run here: {last(output)}')
    cell = (SMALL, 'train') if check.fake else (CELL, 'search-weights')  # what the other steps have compiled
    for kind, text, graph in (('memcheck', *cell), ('racecheck', SMALL, 'train'), ('synccheck', SMALL, 'train')):
        command = [tool, '--tool', kind, '--error-exitcode', '9', *steps_command(check, text, graph, '4', '--repeat', '1'), '--no-cudnn']
        check.step(f'compute-sanitizer {kind}', command, 40 if kind == 'memcheck' else 15, summary, excuse=refused)


def cudnn(check):
    """What its trials choose, and what it computes beside our kernels."""
    chosen = lambda output: next((line for line in output.splitlines() if line.startswith(('cudnn: ', 'the real library: '))), '')
    check.step('cuDNN against our kernels', [sys.executable, 'tests/simt/cudnn.py', *(['the real library'] if check.fake else [])], 50, chosen)


def pytorch_networks(check):
    """Its compiler needs minutes: it gets the time that is left."""
    pytorch(check, 'eager, a training', 25, '96', '--only', 'train')
    pytorch(check, 'eager, inference', 25, '256', '--only', 'infer')
    pytorch(check, 'compiled, inference', 90, '256', '--compile', '--only', 'infer')
    pytorch(check, 'compiled, a training', 330, '96', '--compile', '--only', 'train')


PARTS = {'A': ((machine, card, right, times, profile, pytorch_search), 210), 'B': ((ncu, cudnn, sanitizer, tests, pytorch_networks), 330)}
