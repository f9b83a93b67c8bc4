#!/usr/bin/env python3
"""Every graph kind becomes machine code for one architecture, a network for all of them, with the plan inside. Skipped without NVRTC."""
import json
import os
import struct
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE, run

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

COMPILER = os.path.join(os.environ['NDARTS_BUILD'], 'bin', 'ndartsc')
SOURCE = os.environ['NDARTS_SOURCE']
SEARCH, NETWORK = os.path.join(SOURCE, 'specs/noisy_darts_a.nd'), os.path.join(SOURCE, 'genotypes/noisy_darts_a.nd')
SMALL = ['--set', 'C=2', '--set', 'layers=3', '--batch', '4']
ARCHITECTURES = ['sm_75', 'sm_80', 'sm_86', 'sm_89', 'sm_90', 'sm_100', 'sm_120']
TINY = 'network main(H = 8, W = 8, channels = 2) on x { return x | a: conv(4, 3, pad = 1) | relu | global_avg_pool | c: linear(3) }'


def symbol(data, name):
    """The bytes of a symbol of a 64-bit ELF file."""
    at, count = struct.unpack_from('<Q', data, 40)[0], struct.unpack_from('<H', data, 60)[0]
    sections = [struct.unpack_from('<IIQQQQIIQQ', data, at + 64 * i) for i in range(count)]
    for table in (s for s in sections if s[1] == 2):
        names = sections[table[6]][4]
        for entry in range(table[4], table[4] + table[5], 24):
            name_at, _, _, section, value, size = struct.unpack_from('<IBBHQQ', data, entry)
            if data[names + name_at:data.index(b'\0', names + name_at)].decode() == name:
                begin = sections[section][4] + value
                return data[begin:begin + size]
    return None


def check(path, graphs, architecture):
    with open(path, 'rb') as file:
        data = file.read()
    assert data[:4] == b'\x7fELF', f'{path} is no ELF file'
    plan = symbol(data, 'nd_plan')
    assert plan, f'{path} has no symbol nd_plan'
    assert plan[:8] == b'ndplan\0\1', plan[:8]
    plan = json.loads(plan[16:16 + struct.unpack_from('<Q', plan, 8)[0]])
    tensor = any(k.get('tensor') for k in plan['kernels'])  # of products of channels in f32 too
    assert tensor or plan['precision'] not in ('tf32', 'bf16'), 'tensor cores'
    assert not tensor or plan['precision'] != 'f64', 'tensor cores of doubles'
    assert plan['target'] == 'cuda' and sorted(g['name'] for g in plan['graphs']) == sorted(graphs), plan['graphs']
    for kernel in plan['kernels']:
        assert symbol(data, kernel['name']), f'{path}: no kernel {kernel["name"]}'
    done = run([COMPILER, path, '--emit=resources', '--card', 'h100'], stdout=PIPE, stderr=PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert b'.debug_line' in data, f'{path}: no lines for profilers'
    summary = done.stdout.splitlines()[-1]
    assert summary.startswith(f'{len(plan["kernels"])} kernels, 0 of them with a stack'), summary
    print(f'{architecture}: {", ".join(graphs)}: {len(plan["kernels"])} kernels, {len(data)} bytes', flush=True)


def skip_without_nvrtc(done, path):
    if done.returncode == 2 and 'libnvrtc is not installed' in done.stderr:
        assert not os.path.exists(path), 'a file was left behind'
        print('skipped: NVRTC is not installed')
        os._exit(77)


def compile_for(path, text, graphs, options, architecture='sm_90'):
    command = [COMPILER, text, f'--graph={",".join(graphs)}', *options, '--arch', architecture, '-o', path]
    done = run(command, stdout=PIPE, stderr=PIPE, text=True)
    skip_without_nvrtc(done, path)
    assert done.returncode == 0, f'{" ".join(command)}\n{done.stderr}'
    if architecture == 'sm_90':
        compile_again(path, command)
    check(path, graphs, architecture)


def compile_again(path, command):
    """The second time the file comes out of the cache, with the same bytes: a text that cannot be compiled would not be missed."""
    with open(path, 'rb') as file:
        first = file.read()
    done = run(command, stdout=PIPE, stderr=PIPE, text=True, env={**os.environ, 'LD_LIBRARY_PATH': os.path.dirname(path)})
    assert done.returncode == 0, done.stderr
    with open(path, 'rb') as file:
        assert file.read() == first, f'{path}: other bytes from the cache'


def refused(folder, said, *options):
    path = os.path.join(folder, 'refused.cubin')
    done = run([COMPILER, NETWORK, '-o', path, *options], stdout=PIPE, stderr=PIPE, text=True)
    skip_without_nvrtc(done, path)
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert not os.path.exists(path)


def check_ranks(folder, tiny):
    """A module for one of two ranks is none for one process, whatever lies in the cache."""
    plans = []
    for number, options in enumerate((['--ranks', '2'], [])):
        path = os.path.join(folder, f'ranks{number}.cubin')
        compile_for(path, tiny, ['infer'], ['--batch', '4', *options])
        with open(path, 'rb') as file:
            plans.append(b'"ranks":2' in file.read())
    assert plans == [True, False], plans


def check_ptx(folder, tiny):
    """Without --arch it is made for this machine's GPU, or for sm_80."""
    path = os.path.join(folder, 'tiny.ptx')
    done = run([COMPILER, tiny, '--emit=ptx', '-o', path], stdout=PIPE, stderr=PIPE, text=True)
    assert done.returncode == 0, done.stderr
    with open(path, encoding='ascii') as file:
        assert '.target sm_' in file.read()


def main():
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        tiny = os.path.join(folder, 'tiny.nd')
        with open(tiny, 'w') as file:
            file.write(TINY)
        jobs = [('search', SEARCH, ['search-alphas', 'search-weights', 'eval', 'gradients'], SMALL),
                ('train', NETWORK, ['infer', 'eval', 'train', 'gradients'], SMALL)]
        jobs += [(precision, NETWORK, ['infer', 'train'], [*SMALL, '--precision', precision], architecture)
                 for precision, architecture in (('tf32', 'sm_80'), ('bf16', 'sm_90'))]
        jobs += [(name, tiny, ['infer'], [], name) for name in ARCHITECTURES]
        refused(folder, '--precision tf32 needs a GPU of sm_80 or later, not sm_75', '--precision=tf32', '--arch=sm_75')
        for architecture in ('sm_77', 'compute_80', '90'):
            refused(folder, f'--arch {architecture} is not known; NVRTC ', f'--arch={architecture}')
        refused(folder, '--precision takes f32, f64, bf16, or on a GPU tf32', '--precision=f16')
        for job in [pool.submit(compile_for, os.path.join(folder, j[0] + '.cubin'), *j[1:]) for j in jobs]:
            job.result()
        check_ranks(folder, tiny)
        check_ptx(folder, tiny)
    return 0


sys.exit(main())
