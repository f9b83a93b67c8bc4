#!/usr/bin/env python3
"""ndarts-run eval: the numbers agree with those of a program that counts them from the logits of infer, in all and by class; texts, IR and modules;
data from the text or the command line; mistakes."""
import gzip
import json
import math
import os
import random
import struct
import sys

from _run import COMPILER, RUN, expect, main, read, run, write

NETWORK = '''network main(classes ?= 10, H = 32, W = 32, channels = 1) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = NETWORK + '''train {
    network main
    data mnist("images", mean = 0.5, std = 0.25)
    epochs 1  batch 16
    weights sgd(lr = 0.1, momentum = 0.9, decay = 0, clip = 0)
}
'''
IMAGES, SIZE, CLASSES = 70, 32, 10


def make_images():
    """An MNIST-like folder of our own: pixels and labels drawn here."""
    draw = random.Random(3)
    os.makedirs('images')
    pixels = {}
    for part, count in (('train', 40), ('t10k', IMAGES)):
        labels = bytes(draw.randrange(CLASSES) for _ in range(count))
        data = bytes(min(255, max(0, int(draw.gauss(20 * labels[i // SIZE**2] + 20, 30)))) for i in range(count * SIZE**2))
        with gzip.open(f'images/{part}-images-idx3-ubyte.gz', 'wb') as file:
            file.write(struct.pack('>IIII', 0x803, count, SIZE, SIZE) + data)
        with gzip.open(f'images/{part}-labels-idx1-ubyte.gz', 'wb') as file:
            file.write(struct.pack('>II', 0x801, count) + labels)
        pixels[part] = data, labels
    return pixels


def write_npy(path, shape, numbers):
    header = str({'descr': '<f4', 'fortran_order': False, 'shape': tuple(shape)}).encode()
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + struct.pack(f'<{len(numbers)}f', *numbers))


def read_npy(path):
    data = read(path)
    return struct.unpack(f'<{IMAGES * CLASSES}f', data[-4 * IMAGES * CLASSES:])


def count(logits, labels):
    """Top-1, top-5 and the mean cross entropy."""
    top = [0, 0]
    loss = 0.0
    for n, label in enumerate(labels):
        row = logits[n * CLASSES:(n + 1) * CLASSES]
        order = sorted(range(CLASSES), key=lambda c: -row[c])
        top[0] += order[0] == label
        top[1] += label in order[:5]
        largest = max(row)
        loss += largest + math.log(sum(math.exp(v - largest) for v in row)) - row[label]
    return top[0] / len(labels), top[1] / len(labels), loss / len(labels)


PIXELS = {}


def prepare():
    PIXELS.update(make_images())
    write('net.nd', NETWORK)
    write('train.nd', TRAIN)
    run(RUN, 'train', 'train.nd', '--out', 'run')


def evaluate(*arguments, net='train.nd'):
    stdout, _ = run(RUN, 'eval', net, '--weights', 'run/weights.safetensors', '--json', *arguments)
    return json.loads(stdout)


def test_numbers():
    found = evaluate()
    pixels, labels = PIXELS['t10k']
    write_npy('x.npy', (IMAGES, 1, SIZE, SIZE), [(p / 255 - 0.5) / 0.25 for p in pixels])
    run(RUN, 'infer', 'net.nd', '--weights', 'run/weights.safetensors', '--input', 'x.npy', '--output', 'y.npy')
    top1, top5, loss = count(read_npy('y.npy'), labels)
    expect(found['images'] == IMAGES and found['accuracy'] == top1 and found['accuracy5'] == top5, f'{found} {top1} {top5}')
    expect(abs(found['loss'] - loss) < 1e-4, f'{found} {loss}')
    check_classes(found, read_npy('y.npy'), labels)
    stdout, stderr = run(RUN, 'eval', 'train.nd', '--weights', 'run/weights.safetensors')
    expect(f"data: mnist 'images': {IMAGES} pictures in {CLASSES} classes, 32 x 32 x 1; part test" in stderr, stderr)
    expect(stdout.count('\nclass ') == 1 + CLASSES, stdout)
    expect(f'top-1     {100 * top1:.2f} %' in stdout and 'images/s' in stdout, stdout)


def check_classes(found, logits, labels):
    """Recall of each class, their mean, and who was taken for whom."""
    matrix = [[0] * CLASSES for _ in range(CLASSES)]
    for n, label in enumerate(labels):
        row = logits[n * CLASSES:(n + 1) * CLASSES]
        matrix[label][row.index(max(row))] += 1
    expect(found['confusion'] == matrix, f'{found["confusion"]}, expected {matrix}')
    recalls = [row[i] / sum(row) for i, row in enumerate(matrix) if sum(row)]
    expect([c['accuracy'] for c in found['classes'] if c['images']] == recalls, f'{found["classes"]}, expected {recalls}')
    expect([(c['images'], c['correct']) for c in found['classes']] == [(sum(row), row[i]) for i, row in enumerate(matrix)], 'counts')
    expect(abs(found['balanced_accuracy'] - sum(recalls) / len(recalls)) < 1e-12, f'{found["balanced_accuracy"]}')
    last = json.loads(read('run', 'result.json'))['last']
    expect(all(last[key] == found[key] for key in ('classes', 'confusion', 'balanced_accuracy')), 'result.json')


def test_top5_needs_six_classes():
    """Of five classes the five largest logits are all: said nowhere. The worst of many classes are listed, all of few."""
    for classes in (2, 5, 6, 24):
        out = f'of{classes}'
        write(f'{out}.nd', TRAIN.replace('classes ?= 10', f'classes ?= {classes}').replace('channels = 1', 'channels = 3').replace(
            'mnist("images", mean = 0.5, std = 0.25)', f'synthetic(limit = 96, classes = {classes})').replace('epochs 1', 'epochs 1  hold_out 0.5'))
        stdout, stderr = run(RUN, 'train', f'{out}.nd', '--out', out)
        expect(f'data: synthetic: 96 pictures in {classes} classes, 32 x 32 x 3; 48 to train on, 48 held out, 96 to test with' in stderr, stderr)
        expect('x86' not in stderr and 'compiled in' in stderr, stderr)
        expect(('top-5' in stdout) == (classes > 5), stdout)
        test = json.loads(read(out, 'result.json'))['test']
        line = json.loads(read(out, 'metrics.jsonl').decode().splitlines()[0])
        weights = ('--weights', f'{out}/weights.safetensors')
        found = json.loads(run(RUN, 'eval', f'{out}.nd', *weights, '--json')[0])
        text = run(RUN, 'eval', f'{out}.nd', *weights)[0]
        for value in (test['accuracy5'], line['valid_accuracy5'], found['accuracy5']):
            expect((value is None) == (classes < 6), f'{classes}: {value}')
        expect(('top-5' in text) == (classes > 5) and ('the 10 worst of 24 classes' in text) == (classes == 24), text)
        expect(text.count('\nclass ') == 1 + min(classes, 10), text)


def test_sources_of_data_and_networks():
    first = evaluate()
    first.pop('images_per_second')
    run(COMPILER, 'net.nd', '--graph=infer,eval', '-o', 'net.so')
    run(COMPILER, 'net.nd', '-o', 'infer.so')  # the loss is then computed from the logits
    data = 'mnist("images", mean = 0.5, std = 0.25)'
    for arguments, net in (((), 'run/network.ir'), (('--data', data), 'net.nd'), (('--data', data), 'net.so'),
                           (('--data', data), 'infer.so'),
                           (('--batch', '7', '--threads', '2'), 'train.nd')):
        found = evaluate(*arguments, net=net)
        found.pop('images_per_second')
        expect(abs(found.pop('loss') - first['loss']) < 1e-5, f'{net}: {found}')
        expect(found == {key: first[key] for key in found}, f'{net}: {found}, expected {first}')
    # Without mean and deviation the pixels are normalised as the data set's own.
    expect(evaluate('--data', 'mnist:images')['loss'] != first['loss'], 'mnist:images')
    expect(evaluate('--part', 'train')['images'] == 40, 'part')


def test_mistakes():
    run(RUN, 'eval', code=1, says='eval needs a network')
    run(RUN, 'eval', 'train.nd', code=1, says='train.nd holds no weights, so --weights W.safetensors is needed')
    weights = ('--weights', 'run/weights.safetensors')
    run(RUN, 'eval', 'net.nd', *weights, code=1, says='net.nd names no data; --data SOURCE')
    run(RUN, 'eval', 'net.nd', *weights, '--data', 'mnits("images")', code=1, says='mnits')
    run(RUN, 'eval', 'net.nd', *weights, '--data', 'mnist("nowhere")', code=1, says='nowhere')
    run(RUN, 'eval', 'net.nd', *weights, '--data', 'mnist(', code=1, says='--data')
    run(RUN, 'eval', 'train.nd', *weights, '--part', 'all', code=1, says='--part takes test or train')
    run(RUN, 'eval', 'train.nd', '--weights', 'missing.safetensors', code=1, says='missing.safetensors')
    run(RUN, 'eval', 'net.nd', *weights, '--set', 'classes=7', '--data', 'mnist:images', code=1, says='classifier.weight')


if __name__ == '__main__':
    sys.exit(main([prepare, test_numbers, test_top5_needs_six_classes, test_sources_of_data_and_networks, test_mistakes]))
