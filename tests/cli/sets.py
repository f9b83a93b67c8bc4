#!/usr/bin/env python3
"""Sets in files: IDX of other sizes and numbers of classes, EMNIST's names, transposed, with labels from 1; STL-10; SVHN. What is read
is compared with the same pixels by another way."""
import gzip
import json
import os
import random
import shutil
import struct
import sys
import zlib

from _run import RUN, expect, main, run, write
from folders import png

TEXT = '''network main(classes ?= 10, H ?= 32, W ?= 32, channels ?= 1) on x {
    return x | conv: conv(6, 3, pad = 1) | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data SOURCE
    epochs 1  batch 8
    weights sgd(lr = 0.1)
}
'''
DRAW = random.Random(4)


def idx(path, images, labels, part='train', zipped=False, rows=None):
    """images: lists of rows of bytes. rows: what the header says."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    height, width = rows or (len(images[0]), len(images[0][0]))
    for name, data in ((f'{part}-images-idx3-ubyte', struct.pack('>IIII', 0x803, len(images), height, width) +
                        b''.join(b''.join(image) for image in images)),
                       (f'{part}-labels-idx1-ubyte', struct.pack('>II', 0x801, len(labels)) + bytes(labels))):
        with (gzip.open(path + name + '.gz', 'wb') if zipped else open(path + name, 'wb')) as file:
            file.write(data)


def draw_images(count, height, width):
    return [[bytes(DRAW.randrange(256) for _ in range(width)) for _ in range(height)] for _ in range(count)]


def both(path, images, labels, **more):
    idx(path, images, labels, 'train', **more)
    idx(path, images, labels, 't10k', **more)


def train(source, *more, code=0, says='', text=TEXT):
    write('text.nd', text.replace('SOURCE', source))
    shutil.rmtree('out', ignore_errors=True)
    return run(RUN, 'train', 'text.nd', '--out', 'out', '--threads', '1', *more, code=code, says=says)[1]


def loss(source, *more):
    stdout, _ = run(RUN, 'eval', 'text.nd', '--weights', 'out/weights.safetensors', '--json', '--data', source, *more)
    return json.loads(stdout)['loss']


def padded(image, side):
    top, left = (side - len(image)) // 2, (side - len(image[0])) // 2
    rows = [bytes(left) + row + bytes(side - left - len(row)) for row in image]
    return [bytes(side)] * top + rows + [bytes(side)] * (side - top - len(rows))


def test_sizes():
    images, labels = draw_images(12, 28, 28), [i % 10 for i in range(12)]
    both('plain/', images, labels)
    both('wide/', [padded(image, 32) for image in images], labels)
    expect('32 x 32 x 1' in train('mnist("plain")'), 'padded unless it is said otherwise')
    expect(loss('mnist("plain")') == loss('mnist("wide")'), 'padding')
    for arguments, options in (('"plain", H = 28, W = 28', ()), ('"plain"', ('--set', 'H=28', '--set', 'W=28'))):
        expect('28 x 28 x 1' in train(f'mnist({arguments})', *options), arguments)
    fixed = TEXT.replace('H ?= 32, W ?= 32', 'H = 28, W = 28')
    train('kmnist("plain")', text=fixed, code=1, says='the data has 32 unless it is said to have others: kmnist(..., H = 28)')
    train('mnist("wide", H = 28, W = 28)', code=1, says='one for them has H = 32, W = 32 (--set H=32 --set W=32)')
    train('mnist("wide", H = 28, W = 28)', '--set', 'H=32', '--set', 'W=32')
    both('oblong/', draw_images(8, 10, 17), labels[:8])
    expect('10 x 17 x 1' in train('fashion_mnist("oblong", H = 10, W = 17)'), '10 x 17')
    train('mnist("plain", channels = 3)', code=1, says='images have one channel; the network takes 3')


def test_classes():
    for classes in (2, 47, 62, 256):
        both(f'of{classes}/', draw_images(classes, 8, 8), list(range(classes)))
        expect(f'{classes} classes' in train(f'mnist("of{classes}", classes = {classes}, H = 8, W = 8)'), classes)
        train(f'mnist("of{classes}", H = 8, W = 8)', '--set', f'classes={classes}')
    train('mnist("of47", classes = 46, H = 8, W = 8)', code=1, says='image 46 has label 46; the network has 46 classes; the labels go from 0 to 46 (--set classes=47)')
    train('mnist("of47")', text=TEXT.replace('classes ?= 10', 'classes = 47'), code=1, says='mnist(..., classes = 47)')


def test_emnist():
    images, labels = draw_images(26, 6, 9), [i + 1 for i in range(26)]
    turned = [[bytes(image[y][x] for y in range(6)) for x in range(9)] for image in images]
    size = 'classes = 26, H = 6, W = 9'
    for part in ('train', 'test'):
        idx('emnist/emnist-letters-', turned, labels, part, zipped=True)
        idx('upright/', images, [label - 1 for label in labels], {'test': 't10k'}.get(part, part))
    train(f'mnist("emnist", transposed = true, {size})', code=1,
          says='the labels go from 1 to 26, for 26 classes from 0; labels_from = 1 takes them so (--set labels_from=1)')
    train(f'mnist("emnist", transposed = true, {size})', '--set', 'labels_from=1')
    whole = loss(f'mnist("emnist", transposed = true, labels_from = 1, {size})')
    expect(whole == loss(f'mnist("upright", {size})'), 'turned images')
    expect(whole == loss(f'mnist("emnist/emnist-letters", transposed = true, labels_from = 1, {size})'), 'the name of a set')
    idx('emnist/emnist-balanced-', turned, labels, zipped=True)
    train(f'mnist("emnist", transposed = true, {size})', code=1,
          says='emnist: several sets: emnist-balanced, emnist-letters; name one of them, as in emnist/SET')
    train(f'mnist("nowhere", {size})', code=1, says="no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz in 'nowhere'")
    train(f'mnist("upright", labels_from = 3, {size})', code=1, says='the labels go from 0 to 25')
    for name in ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'):
        os.makedirs(f'folders/{name}')
    train(f'mnist("folders", {size})', code=1, says='folders/train-images-idx3-ubyte: Is a directory')


def colours(count, side):
    """Images as rows of red, green, blue, and as planes column by column."""
    images = [bytes(DRAW.randrange(256) for _ in range(3 * side * side)) for _ in range(count)]
    planes = [bytes(image[3 * (side * y + x) + c] for c in range(3) for x in range(side) for y in range(side)) for image in images]
    return images, planes


def as_folder(path, images, labels, side):
    for n, (image, label) in enumerate(zip(images, labels)):
        png(f'{path}/{label}/{n}.png', [image[3 * side * y:3 * side * (y + 1)] for y in range(side)])


NORMAL = 'mean = 0.5, std = 0.25'
LABELS = list(range(10)) + [3, 7]


def compare(source, side, images):
    as_folder('as_folder', images, LABELS, side)
    train(f'{source}')
    for size in ((), ('--set', 'H=24', '--set', 'W=24')):
        found = loss(f'{source[:-1]}, {NORMAL})', *size)
        resize = ', resize = 24' if size else ''
        expected = loss(f'image_folder("as_folder", {NORMAL}{resize})', *size)
        expect(abs(found - expected) < 1e-6, f'{source} {size}: {found}, as a folder {expected}')
    shutil.rmtree('as_folder')


def test_stl10():
    images, planes = colours(12, 96)
    os.makedirs('stl')
    for part in ('train', 'test'):
        with open(f'stl/{part}_X.bin', 'wb') as file:
            file.write(b''.join(planes))
        with open(f'stl/{part}_y.bin', 'wb') as file:
            file.write(bytes(label + 1 for label in LABELS))
    compare('stl10("stl")', 96, images)
    expect('3 to train on, 12 to test' in train('stl10("stl", limit = 3)'), 'limit')
    train('stl10("stl")', text=TEXT.replace('channels ?= 1', 'channels = 1'), code=1, says='made for 1 channels; the data has 3')
    for name, data, says in (('train_y.bin', bytes(12), 'image 0 has label 0; the classes begin at 1'),
                             ('train_y.bin', bytes([11] * 12), 'image 0 has label 10; the network has 10 classes'),
                             ('train_y.bin', bytes(11), '11 labels, but stl/train_X.bin has 12 images'),
                             ('train_X.bin', bytes(100), 'expected a multiple of 27648 bytes, found 100')):
        with open(f'stl/{name}', 'wb') as file:
            file.write(data)
        train('stl10("stl")', code=1, says=says)
    train('stl10("nowhere")', code=1, says='nowhere/train_X.bin: No such file or directory')


def element(kind, data):
    if 0 < len(data) <= 4:
        return struct.pack('<HH', kind, len(data)) + data + bytes(4 - len(data))
    return struct.pack('<II', kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name, extents, kind, data, packed, flags=9):
    body = (element(6, struct.pack('<II', flags, 0)) + element(5, struct.pack(f'<{len(extents)}i', *extents)) + element(1, name.encode()) +
            element(kind, data))
    whole = struct.pack('<II', 14, len(body)) + body
    return struct.pack('<II', 15, len(zlib.compress(whole))) + zlib.compress(whole) if packed else whole


def mat(path, planes, labels, packed=True, double=False, extra=b'', extents=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    digits = [label or 10 for label in labels]
    data = (b'MATLAB 5.0'.ljust(124) + struct.pack('<H', 0x100) + b'IM' + extra +
            matrix('X', extents or (32, 32, 3, len(planes)), 2, b''.join(planes), packed) +
            matrix('y', (len(labels), 1), 9 if double else 2, struct.pack(f'<{len(digits)}d', *digits) if double else bytes(digits), packed))
    with open(path, 'wb') as file:
        file.write(data)
    return data


def test_svhn():
    images, planes = colours(12, 32)
    for kind in ({}, {'packed': False}, {'double': True}, {'extra': matrix('z', (1, 5), 2, b'12345', True)}):
        for part in ('train', 'test'):
            whole = mat(f'svhn/{part}_32x32.mat', planes, LABELS, **kind)
        compare('svhn("svhn")', 32, images)
    expect('3 to train on, 12 to test' in train('svhn("svhn", limit = 3)'), 'limit')
    # Others before X: a number, which stands with its size; more axes or a longer name than X or y can have; what is no array of numbers.
    others = [('one', (1, 1), 2, b'1'), ('many', (1, 1, 1, 1, 1), 2, b'12345'), ('a_name_that_is_long', (1, 5), 2, b'12345'), ('s', (1, 1), 5, bytes(4)), ('', (0, 0), 2, b'')]
    for packed in (False, True):
        extra = b''.join(matrix(*other, packed, flags=2 if other[0] == 's' else 9) for other in others)
        mat('svhn/train_32x32.mat', planes, LABELS, extra=extra, packed=packed)
        compare('svhn("svhn")', 32, images)
    for options in ({}, {'packed': False}, {'double': True}, {'extents': (32, 32, 3)}):
        mat('svhn/train_32x32.mat', planes[:1], LABELS[:1], **options)
        expect('1 to train on, 12 to test' in train('svhn("svhn")'), 'one image')
    for label in (1.5, -1, float('nan'), 300):
        mat('svhn/train_32x32.mat', planes, [*LABELS[1:], label], double=True)
        train('svhn("svhn")', code=1, says='a label is no small whole number')
    os.makedirs('folder/train_32x32.mat')
    train('svhn("folder")', code=1, says='folder/train_32x32.mat: Is a directory')
    for data, says in ((whole[:-30], 'broken'), (whole[:5000], 'broken'), (b'x' * 200, 'its header is another one'), (b'', 'it is cut off'),
                       (whole[:128] + b'\x0f\0\0\0\x20\0\0\0' + b'\x55' * 32, 'its packed data is wrong')):
        with open('svhn/train_32x32.mat', 'wb') as file:
            file.write(data)
        train('svhn("svhn")', code=1, says=says)
    train('svhn("nowhere")', code=1, says='nowhere/train_32x32.mat: No such file or directory')


if __name__ == '__main__':
    sys.exit(main([test_sizes, test_classes, test_emnist, test_stl10, test_svhn]))
