#!/usr/bin/env python3
"""Dense convolutions and their gradients by cuDNN instead of our kernels: a stand-in for it on the emulator (fake_cudnn.cpp), every
kind of convolution compared with the CPU; and the real library, as far as that goes without a GPU. With NDARTS_REAL_GPU=1 the real
library alone.

    cudnn.py [TITLE...]      all checks, or those with these titles"""
import ctypes
import json
import math
import os
import re
import sys
import tempfile

import _compare
from _programs import COMPILER, FAKE, HERE, REAL, RUN, Trace, call, check, compare, failures, npy, same_bytes, write_images

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

DENSE = os.path.join(HERE, 'dense.nd')
KINDS = {'forward': 'batch', 'input': 'gradient of input batch', 'weight': 'gradient of weight batch'}
SHAPES = {'forward': 6, 'input': 6, 'weight': 6}  # the others' operands are computed where they are used
LIBRARIES = f'{os.path.join(FAKE, "cudnn")}:{FAKE}'


class Cudnn:
    """Runs with the stand-in, and what they leave in the file of choices."""
    def __init__(self, folder):
        self.trace = Trace(folder, DENSE, ['input=input:4,3,16,16', 'labels=label/10:4'], '--epoch', '1')
        self.cache = os.path.join(folder, 'cache')
        self.file = os.path.join(self.cache, 'ndarts', 'cudnn-choices')
        self.expected = self.trace.run('cpu')

    def environment(self, **more):
        return {'fake': LIBRARIES, 'XDG_CACHE_HOME': self.cache, 'FAKE_CUDNN_COUNT': '1', 'SIMT_KEEP_POISON': '1', **more}

    def run(self, *options, name='cuda', **more):
        """How many convolutions of each kind cuDNN computed."""
        self.trace.run(name, '--device=cuda', *options, **self.environment(**more))
        return counts(self.trace.said)

    def compare(self, name='cuda'):
        return compare(self.trace.path(name), self.expected)

    def choices(self):
        """Choices by kind and the rest of their lines."""
        if not os.path.exists(self.file):
            return {}
        with open(self.file) as file:
            lines = file.read().splitlines()
        found = {kind: {} for kind in KINDS}
        for line in lines:
            choice, shape = line.split(': ', 1)
            kind = next(kind for kind, name in KINDS.items() if re.match(rf'\w+ {name} \d', shape))
            assert shape not in found[kind], f'two lines for {shape}'
            found[kind][shape] = choice
        return found

    def try_all(self, *options, **more):
        """Trials of all shapes, and what they chose."""
        if os.path.exists(self.file):
            os.remove(self.file)
        self.run(*options, **more)
        return self.choices()

    def choose(self, choice, choices):
        with open(self.file, 'w') as file:
            file.write(''.join(f'{choice}: {shape}\n' for shapes in choices.values() for shape in shapes))


def counts(said):
    found = re.search(r'fake cudnn: (\d+) forward, (\d+) input, (\d+) weight', said)
    return dict(zip(KINDS, map(int, found.groups()))) if found else dict.fromkeys(KINDS, 0)


def trials(c):
    """The first run tries each shape once; the file decides from then on."""
    assert not any(c.run('--no-cudnn').values()) and not c.choices(), 'a forbidden library was used'
    tried, choices = c.run(), c.choices()
    c.compare()
    shapes = {kind: len(lines) for kind, lines in choices.items()}
    assert shapes == SHAPES, shapes
    assert all(tried[kind] >= shapes[kind] for kind in KINDS), tried
    c.choose('own', choices)
    assert not any(c.run().values()), 'chosen against the file'
    c.choose('cudnn', choices)
    used, said = c.run(), c.compare()
    assert all(used[kind] > shapes[kind] for kind in KINDS), used
    for order in ('1', '2'):
        c.run(name='again', SIMT_ORDER=order)
        assert same_bytes(c.trace.path('cuda'), c.trace.path('again')), f'other bits in order {order}'
    assert not any(c.run('--no-cudnn').values())
    return f'{said}; {used}'


def small_batches(c):
    """Ten images, four at a time: the library adds up all four images, of which the last run has but two."""
    lines = []
    choices = c.try_all()
    c.choose('cudnn', choices)
    for device in ('cpu', 'cuda'):
        out = os.path.join(c.trace.folder, device)
        said = call([RUN, 'train', DENSE, '--out', out, f'--device={device}'], **c.environment())
        with open(os.path.join(out, 'metrics.jsonl')) as file:
            lines.append(json.loads(file.readline()))
    assert counts(said)['weight'] >= 3 * len(choices['weight']), said
    for key in ('train_loss', 'valid_loss', 'grad_norm'):
        error = abs(lines[0][key] - lines[1][key]) / abs(lines[0][key])
        assert error < 1e-4, f'{key}: {lines[0][key]} and {lines[1][key]}'


def module_file(c):
    """What a .cubin needs for it is in it; ten images, four at a time."""
    c.choose('cudnn', c.try_all())
    images, cubin = (os.path.join(c.trace.folder, name) for name in ('x.npy', 'net.cubin'))
    weights, results = ['--weights', c.trace.path('weights')], []
    write_images(images, 10)
    call([COMPILER, DENSE, '--graph=infer', '--batch=4', '-o', cubin])
    for net in (DENSE, cubin):
        out = os.path.join(c.trace.folder, 'y.npy')
        said = call([RUN, 'infer', net, *weights, '--input', images, '--output', out, '--batch', '4'], **c.environment())
        results.append(npy(out))
    size = math.sqrt(sum(x * x for x in results[0]))
    error = math.sqrt(sum((x - y) ** 2 for x, y in zip(*results))) / size
    assert error < 1e-5 and counts(said)['forward'] >= 3 * SHAPES['forward'], f'relative error {error}; {counts(said)}'


def wrong_results(c):
    for wrong in KINDS:
        choices = c.try_all(FAKE_CUDNN_WRONG=wrong)[wrong].values()
        c.compare()
        assert choices and all(choice == 'own' for choice in choices), f'{wrong}: a library that computes something else was chosen'


def memory(c):
    """What does not fit is left to our kernels, and tried again another time."""
    for greedy in KINDS:
        choices = c.try_all(FAKE_CUDNN_GREEDY=greedy, SIMT_MEMORY=str(100 << 20))
        c.compare()
        left = [kind for kind, lines in choices.items() if not lines]
        assert left == [greedy], f'{greedy}: no choice for {left}'
    c.choose('cudnn', c.try_all())
    most = sum(c.run().values())
    for size in ('500000', '700000'):  # what must be there finds its place beside it
        used = sum(c.run(SIMT_MEMORY=size).values())
        c.compare()
        assert 0 < used < most, f'{size} bytes: {used} of {most} by cuDNN'


def no_capture(c):
    """A library that runs but cannot be captured is left out of the steps, and not tried again."""
    choices = c.try_all()
    for refuses in ('1', 'late'):
        c.choose('cudnn', choices)
        captured, used = c.run(), c.run(SIMT_NO_LIBRARY_CAPTURE=refuses)
        c.compare()
        assert all(0 < used[kind] < captured[kind] for kind in KINDS), f'{used} without, {captured} with'
        chosen = {choice for lines in c.choices().values() for choice in lines.values()}
        assert chosen == {'own'}, chosen
    assert not any(c.run(SIMT_NO_LIBRARY_CAPTURE='1').values()), 'tried again'


def best_of_three(c):
    """One slow run does not decide; every other graph is a trial of the library, the next of our kernel."""
    choices = [choice for lines in c.try_all(SIMT_STUTTER='150').values() for choice in lines.values()]
    assert choices.count('cudnn') > len(choices) / 2, choices


def old_choices(c):
    """Lines of when there were no gradients are understood; what is no choice is passed over."""
    choices = c.try_all()
    with open(c.file, 'w') as file:
        file.write('nonsense\n' + ''.join(f'cudnn: {shape}\n' for shape in choices['forward']))
    used = c.run()
    c.compare()
    with open(c.file) as file:
        text = file.read()
    assert used['forward'] > 0 and text.startswith('nonsense\n'), used
    assert all(text.count(shape) == 1 for lines in choices.values() for shape in lines), text


def tf32(c):
    return precision(c, 'tf32', ('forward', 'input', 'weight'))


def bf16(c):
    """All but the gradients of weights, which cuDNN would round."""
    return precision(c, 'bf16', ('forward', 'input'))


def graphs(c):
    """The graph interface, where the legacy one has nothing deterministic for bf16; in f32 that is not asked."""
    choices = c.try_all(FAKE_CUDNN_LEGACY='none')
    assert not any(choices.values()), choices
    return precision(c, 'bf16', ('forward', 'input'), FAKE_CUDNN_LEGACY='none')


def precision(c, name, kinds, **more):
    choices = c.try_all('--precision', name, **more)
    assert all(len(lines) == (SHAPES[kind] if kind in kinds else 0) for kind, lines in choices.items()), choices
    c.choose('cudnn', choices)
    used = c.run('--precision', name, name='library', **more)
    assert all((used[kind] > 0) == (kind in kinds) for kind in KINDS), used
    return f'{beside_ours(c, name)}; {used}'


def beside_ours(c, name):
    """How far the library's numbers are from those of our kernels in the same precision; in tf32 the stand-in does not round."""
    c.run('--precision', name, '--no-cudnn', name='own')
    values, gradients = 0, []
    expected, found = _compare.read(c.trace.path('own')), _compare.read(c.trace.path('library'))
    for key, value in expected.items():
        error, size = _compare.norm([x - y for x, y in zip(found[key], value)]), _compare.norm(value)
        if 'grad/' in key:
            gradients.append((error, size))
        elif key.endswith('logits'):
            values = max(values, error / size)
    together = _compare.norm([g[0] for g in gradients]) / _compare.norm([g[1] for g in gradients])
    assert values < 5e-3 and together < 5e-2, f'values {values}, gradients together {together}'
    return f'values {values:.2g}, gradients together {together:.2g}'


def on_a_gpu(c):
    """The real library on a real GPU: what trials choose, and what it computes where it can, chosen or not."""
    installed = next(line for line in call([RUN, 'info']).splitlines() if line.startswith('cudnn'))
    if 'not installed' in installed:
        return 'not installed'
    said = []
    for name in ('f32', 'tf32', 'bf16'):
        choices = c.try_all('--precision', name)
        c.choose('cudnn', choices)
        c.run('--precision', name, name='library')
        chosen = ', '.join(f'{list(lines.values()).count("cudnn")} of {len(lines)} {kind}' for kind, lines in choices.items())
        said.append(f'{name}: {chosen}, beside ours {beside_ours(c, name)}')
    return f'{installed.split()[1]} chosen for {"; ".join(said)}'


def real_library():
    """Found, with all functions that are used; it takes our descriptors, and sees the same sizes. Without a GPU it goes no further."""
    said = call([RUN, 'info'], fake=None)
    line = next(line for line in said.splitlines() if line.startswith('cudnn '))
    found = re.search(r'(\d+)\.(\d+)\.(\d+)$', line)
    if not found:
        return f'skipped: {line}'
    library = open_library('libcudnn.so.9', '/usr/local/cuda/lib64/libcudnn.so.9')
    version = library.cudnnGetVersion()
    assert (version // 10000, version // 100 % 100, version % 100) == tuple(map(int, found.groups())), f'{version}, but {line}'
    for data_type in (0, 9):
        describe(library, data_type, [3, 16, 8, 6], [5, 6, 7, 3], [3, 2], [2, 1], [1, 2], [3, 8, 8, 5])
    handle = ctypes.c_void_p()
    status = library.cudnnCreate(ctypes.byref(handle))
    assert status in (0, 1001), f'cudnnCreate: {status}'
    return f'{line.split()[1]}, cudnnCreate {status}'


def describe(library, data_type, image, weight, pad, stride, dilation, expected):
    """As runtime/device/cudnn.c does; image and expected N, H, W, C, weight O, I, H, W."""
    x, w, conv = (ctypes.c_void_p() for _ in range(3))

    def succeed(name, *arguments):
        status = getattr(library, 'cudnn' + name)(*arguments)
        assert status == 0, f'cudnn{name}: {status}'

    n, height, width, channels = image
    succeed('CreateTensorDescriptor', ctypes.byref(x))
    succeed('SetTensor4dDescriptorEx', x, data_type, n, channels, height, width, height * width * channels, 1, width * channels, channels)
    succeed('CreateFilterDescriptor', ctypes.byref(w))
    succeed('SetFilter4dDescriptor', w, data_type, 1, *weight)
    succeed('CreateConvolutionDescriptor', ctypes.byref(conv))
    succeed('SetConvolution2dDescriptor', conv, *pad, *stride, *dilation, 1, 0)
    for math_type in (0, 3):
        succeed('SetConvolutionMathType', conv, math_type)
    sizes = [ctypes.c_int() for _ in range(4)]
    succeed('GetConvolution2dForwardOutputDim', conv, x, w, *map(ctypes.byref, sizes))
    n, channels, height, width = (size.value for size in sizes)
    assert [n, height, width, channels] == expected, f'{[n, height, width, channels]}, expected {expected}'
    succeed('DestroyTensorDescriptor', x)
    succeed('DestroyFilterDescriptor', w)
    succeed('DestroyConvolutionDescriptor', conv)


def open_library(*paths):
    """As base/library.c does."""
    for path in paths[:-1]:
        try:
            return ctypes.CDLL(path)
        except OSError:
            pass
    return ctypes.CDLL(paths[-1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        c = Cudnn(folder)
        if REAL:
            check('cudnn', on_a_gpu, c)
            sys.exit(1 if failures else 0)
        for test in (trials, small_batches, module_file, wrong_results, memory, no_capture, best_of_three, old_choices, tf32, bf16, graphs):
            check(test.__name__.replace('_', ' '), test, c)
        check('the real library', real_library)
    sys.exit(1 if failures else 0)


main()
