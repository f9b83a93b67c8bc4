#!/usr/bin/env python3
"""--precision=bf16 on a processor: what is stored is rounded as IEEE 754 says, steps are near those of f64, and the bits are the same
for any number of threads and any width of vectors."""
import math
import os
import platform
import re
import struct

import _safetensors
import ranks
from _run import BUILD, COMPILER, RUN, expect, expect_same, interrupt, main, read, run, write
from pictures import write_npy

TOOL = os.path.join(BUILD, 'tests', 'ref_tool')
# Channels of an image of one pixel: what is behind the convolution is stored, and its pool is what was loaded.
STORED = '''network main(H = 1, W = 1, channels = 18, classes ?= 18) on x {
    return x | conv: conv(18, 1, groups = 18) | relu | global_avg_pool | classifier: linear(18)
}
'''
SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=4, layers=1)
    noise on skip_connect { gaussian additive std=0.2 mean=0 }
    data synthetic(limit=40, H=16, W=16, classes=4)
    epochs 2  batch 5  seed 5
}
'''
# Shuffles, groups, windows of all kinds; images of an odd size, channels that fill no vector.
NETWORK = '''network main(H = 9, W = 9, channels = 3, classes ?= 4) on x {
    a = x | a: conv(6, 3, pad = 1) | a_bn: batch_norm | swish
    b = a | b: conv(6, 3, pad = 2, dilation = 2, groups = 2) | shuffle(3)
    c = b | relu | c: conv(6, 5, pad = 2, stride = 2, groups = 6) | d: conv(20, 1) | d_bn: batch_norm | swish
    return c | max_pool(3, pad = 1) | e: conv(10, 3) | global_avg_pool | classifier: linear(classes)
}
train {
    network main  data synthetic(H = 9, W = 9, classes = 4, limit = 30)
    epochs 2  batch 5  weights sgd(lr = 0.05, momentum = 0.9)
}
'''
# Even and odd numbers of what is added up, and of results: input channels in a forward pass, output channels in a gradient of an
# image, pixels in one of a weight; strides and padding, an image that a dense and a depthwise convolution read.
PAIRS = '''network main(H = 8, W = 8, channels = 3, classes ?= 4) on x {
    a = x | a: conv(22, 3, pad = 1) | a_bn: batch_norm | swish
    b = a | b: conv(23, 1) | b_bn: batch_norm | swish | c: conv(14, 1)
    c = a | relu | d: conv(22, 3, pad = 1, groups = 22) | e: conv(14, 1)
    d = (b + c) | relu | f: conv(18, 3, pad = 1, stride = 2, bias = true) | g: conv(6, 1, pad = 1) | h: conv(20, 1, stride = 2)
    return d | global_avg_pool | classifier: linear(classes)
}
train {
    network main  data synthetic(H = 8, W = 8, classes = 4, limit = 30)
    epochs 2  batch 5  weights sgd(lr = 0.05, momentum = 0.9)
}
'''


def rounded(number):
    """To eight bits, of two that are as near the even one; what is smaller than a normal number is none."""
    if math.isnan(number):
        return number
    if abs(number) < 2**-126:
        return 0.0
    bits = struct.unpack('<I', struct.pack('<f', number))[0]
    return struct.unpack('<f', struct.pack('<I', (bits + 0x7fff + (bits >> 16 & 1)) >> 16 << 16))[0]


def trace(text, *options, precision='bf16'):
    run(RUN, 'trace', text, '--weights', 'weights.safetensors', '--feed', 'feed.safetensors', '--seed', '3', '--precision', precision,
        '-o', 'out.safetensors', *options)
    return read('out.safetensors')


def norm(values):
    return math.sqrt(sum(value * value for value in values))


def off(found, wanted):
    return norm([a - b for a, b in zip(found, wanted)]) / norm(wanted)


def test_what_is_stored_is_rounded():
    write('stored.nd', STORED)
    # 1 + 2^-8 and 1 + 3 * 2^-8 lie between two; then just beside, the smallest, zeros, what relu cuts.
    values = [1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 1 + 2**-8 - 2**-20, 5.9999, 2**-126, 2**-140, 0.0, 7.0, -1.0, math.pi, math.e,
              0.1, 0.2, 0.3, 3.0, 1 / 3, 2**-30]
    identity = [1.0 if i // 18 == i % 18 else 0.0 for i in range(18 * 18)]
    _safetensors.write('weights.safetensors', {'conv.weight': ((18, 1, 1, 1), [1.0] * 18), 'classifier.weight': ((18, 18), identity),
                                               'classifier.bias': ((18,), [0.0] * 18)})
    _safetensors.write('feed.safetensors', {'input': ((1, 18, 1, 1), values)})
    for vector in ('32', '16', '0', ''):
        trace('stored.nd', *(('--vector', vector) if vector else ()))
        logits = _safetensors.numbers('out.safetensors')['eval/logits']
        single = [struct.unpack('<f', struct.pack('<f', value))[0] for value in values]
        wanted = [rounded(max(value, 0)) for value in single]
        expect(list(logits) == wanted, f'--vector {vector}: {logits}, not {wanted}')


def expect_near(text, most):
    """Of everything that a step gives, all tensors of a kind together."""
    found, wanted = {}, {}
    for precision, into in (('bf16', found), ('f64', wanted)):
        trace(text, precision=precision)
        for name, values in _safetensors.numbers('out.safetensors').items():
            kind = 'gradients' if 'grad/' in name else 'losses' if 'loss' in name else 'logits' if 'logits' in name else None
            if kind:
                into.setdefault(kind, []).extend(values)
    expect(set(found) >= {'gradients', 'losses', 'logits'}, sorted(found))
    for kind, values in found.items():
        expect(0 < off(values, wanted[kind]) < most[kind], f'{text}: {kind} are off by {off(values, wanted[kind])}')


def prepare_search():
    write('search.nd', SEARCH)
    run(TOOL, 'weights', 'weights.safetensors', 'search.nd', '', '1')
    run(TOOL, 'tensors', 'feed.safetensors', 'input=input:5,3,16,16', 'input_valid=input:5,3,16,16', 'labels=label/4:5', 'labels_valid=label/4:5',
        'alphas_normal=unit:14,7', 'alphas_reduce=unit:14,7')


def prepare_network():
    write('network.nd', NETWORK)
    run(TOOL, 'weights', 'weights.safetensors', 'network.nd', '', '1')
    run(TOOL, 'tensors', 'feed.safetensors', 'input=input:5,3,9,9', 'labels=label/4:5')


def prepare_pairs():
    write('pairs.nd', PAIRS)
    run(TOOL, 'weights', 'weights.safetensors', 'pairs.nd', '', '1')
    run(TOOL, 'tensors', 'feed.safetensors', 'input=input:5,3,8,8', 'labels=label/4:5')


def test_near_the_exact_values():
    most = {'logits': 2e-2, 'losses': 2e-2, 'gradients': 0.2}  # the kernels of a GPU: 0.1 for a search of this size
    prepare_search()
    expect_near('search.nd', most)
    prepare_network()
    expect_near('network.nd', most)
    prepare_pairs()
    expect_near('pairs.nd', most)


def test_same_bits():
    for prepare, text in ((prepare_search, 'search.nd'), (prepare_network, 'network.nd'), (prepare_pairs, 'pairs.nd')):
        prepare()
        first = trace(text, '--threads', '1')
        expect(trace(text, '--threads', '3') == first, f'{text}: other bits with three threads')
        for vector in (32, 16):
            expect(trace(text, '--vector', str(vector)) == first, f'{text}: other bits with --vector {vector}')


def test_same_bits_in_pairs():
    """With the instructions for bf16 where the machine has them; with pairs, but without; with singles."""
    if platform.machine() != 'x86_64':
        return
    before = os.environ['NDARTS_CFLAGS']
    for prepare, text in ((prepare_search, 'search.nd'), (prepare_network, 'network.nd'), (prepare_pairs, 'pairs.nd')):
        prepare()
        first = trace(text)
        for flags in ('-mno-avx512bf16', '-mno-avx512bf16 -DND_PAIRS=1'):
            os.environ['NDARTS_CFLAGS'] = f'{before} {flags}'
            expect(trace(text) == first, f'{text}: other bits with {flags}')
            os.environ['NDARTS_CFLAGS'] = before


def test_below_normal_numbers():
    """Wherever they arise, in all ways to compute."""
    prepare_pairs()
    _safetensors.write('weights.safetensors', {name: (shape, [number * (1e-37 if name == 'b.weight' else 1) for number in numbers])
                                               for name, (shape, numbers) in _safetensors.floats('weights.safetensors').items()})
    before, found = os.environ['NDARTS_CFLAGS'], []
    for flags in ('', *(('-mno-avx512bf16', '-mno-avx512bf16 -DND_PAIRS=1') if platform.machine() == 'x86_64' else ())):
        os.environ['NDARTS_CFLAGS'] = f'{before} {flags}'
        found.append(trace('pairs.nd'))
        found.append(trace('pairs.nd', '--vector', '16'))
        os.environ['NDARTS_CFLAGS'] = before
    expect(all(one == found[0] for one in found), 'other bits')


def test_one_image_on_all_threads():
    """Each has a band of the rows."""
    prepare_network()
    run(TOOL, 'tensors', 'x.safetensors', 'input=input:1,3,9,9')
    write_npy('x.npy', *_safetensors.floats('x.safetensors')['input'])
    found = []
    for threads in ('1', '2', '3'):
        run(RUN, 'infer', 'network.nd', '--weights', 'weights.safetensors', '--input', 'x.npy', '--output', 'y.npy', '--batch', '1', '--precision', 'bf16', '--threads', threads)
        found.append(read('y.npy'))
    expect(found[0] == found[1] == found[2], 'other bits')


def test_runs():
    write('search.nd', ranks.SEARCH)
    half = ('--precision', 'bf16')
    run(RUN, 'search', 'search.nd', '--out', 'one', '--threads', '1', *half)
    run(RUN, 'search', 'search.nd', '--out', 'two', '--threads', '2', *half)
    expect_same('one', 'two', ('checkpoint.safetensors', 'alphas.jsonl', 'metrics.jsonl'))
    interrupt('epoch 1/2', 0, RUN, 'search', 'search.nd', '--out', 'halves', *half)
    run(RUN, 'search', 'search.nd', '--out', 'halves', '--resume', code=1, says='precision')
    run(RUN, 'search', 'search.nd', '--out', 'halves', '--resume', *half)
    expect_same('one', 'halves', ('checkpoint.safetensors', 'alphas.jsonl', 'metrics.jsonl'))
    write('network.nd', NETWORK)
    run(RUN, 'train', 'network.nd', '--out', 'trained', *half)
    run(RUN, 'eval', 'network.nd', '--weights', 'trained/weights.safetensors', *half)


def test_it_takes_less_memory():
    write('search.nd', SEARCH)
    taken = {}
    for precision in ('f32', 'bf16'):
        said = run(COMPILER, 'search.nd', '--mem-report', '--graph=search-weights', '--batch', '64', '--emit=plan', '-o', 'plan', '--precision', precision)[1]
        taken[precision] = float(re.search(r'^work ([\d.]+) MB', said, re.MULTILINE)[1])
    expect(taken['bf16'] < 0.65 * taken['f32'], taken)


if __name__ == '__main__':
    os.environ['NDARTS_CFLAGS'] = '-O0'  # compiling takes longer than running
    raise SystemExit(main([test_what_is_stored_is_rounded, test_near_the_exact_values, test_same_bits, test_same_bits_in_pairs, test_below_normal_numbers, test_one_image_on_all_threads, test_runs, test_it_takes_less_memory]))
