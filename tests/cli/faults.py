#!/usr/bin/env python3
"""Every command with one call that fails: an allocation, or a file that cannot be opened, read, written, synced, renamed or closed, or is
written otherwise than asked. Well: exit 1 or 2 with a message, or 0 with the results of an undisturbed run; never a signal, never
a file that is damaged or another; and afterwards the same command (a search or training: --resume) gives the undisturbed results.
A sample of the calls is tried; NDARTS_FAULTS=10 in the environment tries ten times as many."""
import errno
import hashlib
import os
import shutil
import struct
import subprocess
import sys

from _run import BUILD, COMPILER, RUN, SOURCE, Failure, expect, main, read, run, write

TIMES = int(os.environ.get('NDARTS_FAULTS', '1'))
SHIM = os.path.join(BUILD, 'tests', 'faults.so')
SEARCH = '''import "darts.nd"
space tiny {
    candidates = [max_pool_3x3, skip_connect]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space tiny   network cifar_search(C = 1, layers = 3)
    data synthetic(classes = 4, H = 8, W = 8, channels = 1, limit = 32) split 0.5
    epochs 2  batch 16  seed 10
    weights sgd(lr = 0.1, momentum = 0.9)
    alphas  adam(lr = 1e-2)
}
'''
NETWORK = '''network main(classes ?= 2, H = 8, W = 8, channels = 3) on x {
    return x | conv(2, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = NETWORK + '''train {
    network main
    data image_folder("pics", classes = 2, H = 8, W = 8, resize = 8)
    epochs 2  batch 4
    weights sgd(lr = 0.1)
}
'''
FAULTS = (('write', errno.ENOSPC), ('open', errno.EMFILE), ('open', errno.EACCES), ('open', errno.ENOENT), ('read', errno.EIO), ('fsync', errno.EIO),
          ('rename', errno.EIO), ('close', errno.EIO), ('stat', errno.EACCES), ('opendir', errno.EIO), ('flip', 0))
# Times, paths and pictures; the lock says who had it; what was set aside is not of this run.
SKIPPED = ('timing.jsonl', 'normal.svg', 'reduce.svg', 'run.json', '.lock')


class Command:
    """result: the file, or the folder, that it writes; again: what it begins with."""

    def __init__(self, name, result, *arguments, begin=None, most=5, allocations=10):
        self.name, self.result, self.arguments, self.begin = name, result, arguments, begin
        self.most, self.allocations = most * TIMES, allocations * TIMES

    def prepare(self):
        shutil.rmtree(self.result, ignore_errors=True)
        if os.path.exists(self.result):
            os.remove(self.result)
        if self.begin:
            shutil.copytree(self.begin, self.result)

    def start(self, fault=None, **more):
        environment = {**os.environ, **({'LD_PRELOAD': SHIM, 'FAULT': fault} if fault else {}), **more}
        done = subprocess.run(self.arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False, env=environment)
        return done.returncode, done.stdout, done.stderr.decode(errors='replace')

    def count(self, kind):
        self.prepare()
        self.start(f'{kind}:0', FAULT_COUNT='count')
        return int(read('count'))


def digest(path):
    """Of a file, or of each of a folder's."""
    if not os.path.isdir(path):
        return hashlib.sha256(read(path)).hexdigest() if os.path.exists(path) else None
    return {name: digest(os.path.join(path, name)) for name in sorted(os.listdir(path))
            if name not in SKIPPED and not name.endswith('.tmp') and not os.path.isdir(os.path.join(path, name))}


def spread(count, most):
    return range(1, count + 1) if count <= most else sorted({1 + i * (count - 1) // (most - 1) for i in range(most)})


def check_failed(command, code, said, expected):
    """After an exit that is none of success: a message, nothing damaged, and the way on."""
    expect(code in (1, 2) and 'error: ' in said, f'exit {code}')
    if not os.path.isdir(command.result):
        expect(digest(command.result) in (None, expected), 'a damaged result is left')
    arguments = command.arguments
    if os.path.exists(os.path.join(command.result, 'checkpoint.safetensors')) and '--resume' not in arguments:
        command = Command(command.name, command.result, *arguments, '--resume')
    code, _, said = command.start()
    expect(code == 0, f'afterwards: exit {code}\n{said}')
    expect(digest(command.result) == expected, 'afterwards: other results')


def check(command, fault, expected, stdout_expected):
    command.prepare()
    code, stdout, said = command.start(fault)
    try:
        if code != 0:
            check_failed(command, code, said, expected)
        elif command.name != 'report' or b'class="missing"' not in read(command.result):
            expect(digest(command.result) == expected, 'exit 0, but other results')
            expect(command.name == 'eval' or stdout == stdout_expected, 'exit 0, but another stdout')
    except Failure as failure:
        raise Failure(f'{command.name}, {fault}: {failure}\n{said}') from failure


def check_all(command):
    for _ in range(2):  # it compiles the first time
        command.prepare()
        code, stdout, said = command.start()
        expect(code == 0, f'{command.arguments}: exit {code}\n{said}')
    expected = digest(command.result)
    for kind, number in FAULTS:
        if kind == 'flip' and command.name == 'report':  # most of its writes are to other programs
            continue
        for k in spread(command.count(kind), command.most):
            check(command, f'{kind}:{k}:{number}', expected, stdout)
    for k in spread(command.count('malloc'), command.allocations):
        check(command, f'malloc:{k}:{errno.ENOMEM}', expected, stdout)
        if k % 3 == 0:
            check(command, f'malloc:{k}+:{errno.ENOMEM}', expected, stdout)


def npy(path, shape, count):
    header = str({'descr': '<f4', 'fortran_order': False, 'shape': shape}).encode()
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + struct.pack(f'<{count}f', *(i % 7 / 7 for i in range(count))))


def prepare():
    images = os.path.join(SOURCE, 'tests', 'data', 'images')
    for part, count in (('train', 4), ('val', 2)):
        for label in 'ab':
            os.makedirs(f'pics/{part}/{label}')
            for i in range(count):
                shutil.copy(os.path.join(images, {'a': 'small.rgb.png', 'b': 'small.grey.png'}[label]), f'pics/{part}/{label}/{i}.png')
    write('s.nd', SEARCH)
    write('t.nd', TRAIN)
    write('n.nd', NETWORK)
    npy('x.npy', (3, 3, 8, 8), 3 * 3 * 64)
    run(RUN, 'search', 's.nd', '--out', 'found', '--threads', '1')
    run(RUN, 'train', 't.nd', '--out', 'trained', '--threads', '1')
    # A run that ends in its second epoch.
    half = Command('half', 'half', RUN, 'train', 't.nd', '--out', 'half', '--threads', '1')
    last = half.count('rename')
    half.prepare()
    code, _, said = half.start(f'rename:{last - 2}:{errno.EIO}')
    expect(code == 2 and os.path.exists('half/checkpoint.safetensors'), f'exit {code}\n{said}')


TRAINED = ('trained/network.ir', '--weights', 'trained/weights.safetensors')


def test_files():
    check_all(Command('export', 'e.safetensors', RUN, 'export', *TRAINED, '-o', 'e.safetensors'))
    check_all(Command('onnx', 'e.onnx', RUN, 'export', *TRAINED, '-o', 'e.onnx', most=4))
    check_all(Command('import', 'i.safetensors', RUN, 'import', os.path.join(SOURCE, 'tests/data/checkpoints/inside_zip.pt'), '-o', 'i.safetensors'))
    check_all(Command('derive', 'd.nd', RUN, 'derive', 'found/checkpoint.safetensors', '-o', 'd.nd'))
    check_all(Command('c', 'n.c', COMPILER, 'n.nd', '-o', 'n.c', most=4))


def test_numbers():
    check_all(Command('infer', 'y.npy', RUN, 'infer', *TRAINED, '--input', 'x.npy', '--output', 'y.npy', '--threads', '1', most=4))
    check_all(Command('eval', 'none', RUN, 'eval', *TRAINED, '--data', 'image_folder("pics", resize = 8)', '--threads', '1', most=4))


def test_report():
    check_all(Command('report', 'r.html', RUN, 'report', 'found', '-o', 'r.html', most=3, allocations=6))


def test_decoders():
    """A picture for which there was no memory is not a broken one. (libtiff and libwebp themselves crash at some of their allocations.)"""
    for name in ('baseline.jpg', 'palette.png', 'small.few.gif', 'small.rgb.bmp', 'small.rgb.ppm'):
        command = Command('infer', 'none', RUN, 'infer', *TRAINED, os.path.join(SOURCE, 'tests/data/images', name), '--threads', '1')
        code, expected, said = command.start()
        if code == 1 and 'was built without' in said:
            continue
        expect(code == 0, f'{name}: exit {code}\n{said}')
        count = command.count('malloc')
        for k in range(count - 24, count + 1):
            code, stdout, said = command.start(f'malloc:{k}:{errno.ENOMEM}')
            expect((code, stdout) == (0, expected) or (code == 2 and 'error: ' in said and 'skipped' not in said),
                   f'{name}, allocation {k} of {count}: exit {code}\n{said}')


def test_runs():
    check_all(Command('search', 'out-s', RUN, 'search', 's.nd', '--out', 'out-s', '--threads', '1', most=3, allocations=6))
    check_all(Command('train', 'out-t', RUN, 'train', 't.nd', '--out', 'out-t', '--threads', '1', most=4, allocations=6))
    check_all(Command('resume', 'out-r', RUN, 'train', 't.nd', '--out', 'out-r', '--threads', '1', '--resume', begin='half',
                      most=3, allocations=6))


def is_possible():
    """Sanitizers want to be loaded first."""
    return os.path.exists(SHIM) and subprocess.run([RUN, 'help'], env={**os.environ, 'LD_PRELOAD': SHIM}, stdout=subprocess.DEVNULL,
                                                   stderr=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == '__main__':
    if not is_possible():
        print('no library can be preloaded into this build')
        sys.exit(77)
    sys.exit(main([prepare, test_files, test_numbers], thorough=[test_decoders, test_report, test_runs]))
