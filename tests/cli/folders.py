#!/usr/bin/env python3
"""Folders of pictures: classes by name, parts, what is empty or not read, links, TinyImageNet's annotations, training without test
pictures, pictures of the network's size, grey ones."""
import json
import os
import random
import shutil
import struct
import sys
import zlib

from _run import RUN, expect, main, read, run, write

SIDE = 6
NAMES = ('10', '2', 'a cat', 'Zoo')  # sorted by bytes
COLOURS = ((250, 10, 10), (10, 250, 10), (10, 10, 250), (240, 240, 240))
TEXT = '''network main(classes ?= 4, H ?= 6, W ?= 6, channels ?= 3) on x {
    return x | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data image_folder("PATH", classes = 4, H = 6, W = 6, mean = 0.5, std = 0.25, flip = false)
    epochs 12  batch 4
    weights sgd(lr = 0.3)
}
'''
ORDER = sorted(NAMES)


def png(path, rows, channels=3):
    """A picture of rows of bytes."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' +
                   chunk(b'IHDR', struct.pack('>IIBBBBB', len(rows[0]) // channels, len(rows), 8, 2 if channels == 3 else 0, 0, 0, 0)) +
                   chunk(b'IDAT', zlib.compress(b''.join(b'\0' + row for row in rows))) + chunk(b'IEND', b''))


def picture(path, colour, side=SIDE, seed=0):
    draw = random.Random(f'{path}{seed}')
    png(path, [bytes(min(255, max(0, value + draw.randrange(-9, 10))) for _ in range(side) for value in colour) for _ in range(side)])


def tree(path, parts=('train', 'val'), names=NAMES, count=5):
    """A colour for each class; train and val have the same ones."""
    shutil.rmtree(path, ignore_errors=True)
    for part in parts:
        for name in names:
            for i in range(count if part != 'val' else 2):
                picture(os.path.join(path, part, name, f'{i}.png'), COLOURS[NAMES.index(name)])
    return path


def train(path, *more, code=0, says='', out='out'):
    write('text.nd', TEXT.replace('PATH', path))
    shutil.rmtree(out, ignore_errors=True)
    return run(RUN, 'train', 'text.nd', '--out', out, '--threads', '1', *more, code=code, says=says)[1]


def evaluate(path, *more, **options):
    stdout, stderr = run(RUN, 'eval', 'text.nd', '--weights', 'model/weights.safetensors', '--json', '--data',
                         f'image_folder("{path}", mean = 0.5, std = 0.25)', *more, **options)
    return (json.loads(stdout) if stdout else None), stderr


def prepare():
    """A network that knows the colours."""
    train(tree('colours'), out='model')
    expect(read('model', 'classes.txt').decode().splitlines() == ORDER, 'classes.txt')
    expect(evaluate('colours')[0]['accuracy'] == 1, 'the colours are learnt')


def test_classes_are_known_by_name():
    for gone in ORDER:
        shutil.rmtree(os.path.join(tree('less'), 'val', gone))
        found, said = evaluate('less')
        expect(found['accuracy'] == 1 and found['images'] == 6, f'without {gone}: {found}')
        expect(f'warning: less/val: no pictures of the class {gone}, ' in said, said)
    os.rename('less/val/' + ORDER[0], 'less/val/aa')
    os.makedirs('less/val/new one')
    evaluate('less', code=1, says='less/val: folders that are no classes of the training pictures: aa, new one; not there: 10, ')
    shutil.rmtree('less/val')
    os.makedirs('less/val')
    train('less', code=1, says="no folder 'val' or 'test' with folders of classes")
    os.makedirs('less/val/2')
    train('less', code=1, says='less/val: no pictures; read are')
    train('colours', '--set', 'classes=3', code=1, says='found 4 folders of classes (10, 2, Zoo, a cat); the network has 3 classes (--set classes=4)')
    tree('five')
    os.rename('five/train/10', 'five/train/2/10')  # a folder in a class is no class
    train('five', code=1, says='--set classes=3')
    os.rename('five/val/10', 'five/val/2/10')
    train('five', '--set', 'classes=3')


def test_empty_and_not_read():
    for name in NAMES:
        tree('empty')
        for file in os.listdir(f'empty/train/{name}'):
            os.rename(f'empty/train/{name}/{file}', f'empty/train/{name}/{file[:-3]}HEIC')
        train('empty', code=1, says=f'empty/train: no pictures of the class {name}; not read: 5 .heic (empty/train/{name}/0.HEIC)')
        shutil.rmtree(f'empty/train/{name}')
        os.makedirs(f'empty/train/{name}')
        train('empty', code=1, says=f'empty/train: no pictures of the class {name}; put some there or take the folder away')
    tree('mixed')
    for name in ('2/notes.txt', '2/Thumbs.db', '2/.DS_Store', '2/._0.png', 'Zoo/list.csv', '.hidden/x.png', '__MACOSX/._x.png'):
        os.makedirs(os.path.dirname('mixed/train/' + name), exist_ok=True)
        write('mixed/train/' + name, 'x')
    expect('warning' not in train('mixed'), 'quiet files')
    for name in ('2/x.avif', 'Zoo/x.AVIF', '2/x.xcf', '2/README', '2/0.png.bak'):
        write('mixed/train/' + name, 'x')
    said = train('mixed')
    expect('mixed/train: files that are not read: 1 .bak (mixed/train/2/0.png.bak), 1 without a suffix (mixed/train/2/README), '
           '2 .avif (mixed/train/2/x.avif), 1 .xcf (mixed/train/2/x.xcf); read are JPEG, PNG' in said, said)
    picture('mixed/train/loose.png', COLOURS[0])
    expect('mixed/train: 1 pictures are in no folder of a class' in train('mixed'), 'loose pictures')
    expect('20 to train on' in train('mixed'), 'nothing else is taken')


def test_links():
    tree('links')
    os.makedirs('elsewhere/deep')
    picture('elsewhere/deep/one.png', COLOURS[0])
    os.symlink(os.path.abspath('elsewhere/deep/one.png'), 'links/train/10/link.png')
    os.symlink(os.path.abspath('elsewhere'), 'links/train/10/more')
    os.rename('links/train/2', 'two')
    os.symlink('../../two', 'links/train/2')
    said = train('links')
    expect('warning' not in said and '22 to train on' in said, said)
    os.symlink('..', 'links/train/Zoo/up')
    os.symlink('.', 'links/train/Zoo/self')
    os.symlink('/', 'links/train/Zoo/all')
    os.symlink('more', 'links/train/10/same')
    os.symlink('nowhere', 'links/train/Zoo/dangling')
    said = train('links')
    for expected in ('links/train/Zoo/up: leads back to a folder above it', 'links/train/Zoo/all: leads back', '22 to train on',
                     'links/train/Zoo/self: not read again: it is links/train/Zoo',
                     'links/train/10/same: not read again: it is links/train/10/more'):
        expect(expected in said, f'{said}\nexpected: {expected}')
    for make in (lambda path: os.symlink('nowhere.png', path), lambda path: os.symlink('x.JPG', path), os.mkfifo):
        make('links/train/Zoo/x.JPG')
        train('links', code=1, says="'links/train/Zoo/x.JPG' is no file but a link that leads nowhere, or a pipe")
        os.remove('links/train/Zoo/x.JPG')
    os.symlink('../2', 'links/train/10/two')
    train('links', code=1, says='are the same folder: its pictures cannot be both 10 and 2')


def test_annotations():
    """val/images and a text beside it."""
    tree('tiny')
    lines = []
    for name in NAMES:
        for file in os.listdir(f'tiny/val/{name}'):
            lines.append(f'{name}_{file}\t{name}\t0\t0\t62\t62')
            os.makedirs('tiny/val/images', exist_ok=True)
            os.rename(f'tiny/val/{name}/{file}', f'tiny/val/images/{name}_{file}')
        os.rmdir(f'tiny/val/{name}')
    evaluate('tiny', code=1, says='folders that are no classes of the training pictures: images; not there: 10, 2, Zoo, a cat')
    write('tiny/val/val_annotations.txt', '\r\n'.join(lines) + '\n\n')
    found, _ = evaluate('tiny')
    expect(found['accuracy'] == 1 and found['images'] == 8, f'{found}')
    for wrong, says in (('', 'names no picture; expected a line NAME<tab>CLASS'), ('x.png 10', 'line 1: expected NAME<tab>CLASS'),
                        ('2_0.png\tdog', "line 1: 'dog' is no class"), ('\n2_7.png\t2', "line 2: there is no file 'tiny/val/images/2_7.png'")):
        write('tiny/val/val_annotations.txt', wrong)
        evaluate('tiny', code=1, says=says)


def test_parts():
    """Other names of parts; class folders alone; a class that is called like a part."""
    for names in (('train', 'valid'), ('Training', 'Testing'), ('train', 'test')):
        tree('named')
        os.rename('named/train', 'named/' + names[0] + '_')
        os.rename('named/val', 'named/' + names[1])
        os.rename('named/' + names[0] + '_', 'named/' + names[0])
        expect('20 to train on, 8 to test with' in train('named'), names)
    tree('alone')
    os.rename('alone/train', 'classes')
    train('classes', code=1, says='hold_out 0.2')
    said = train('classes', '--set', 'hold_out=0.2')
    expect('16 to train on, 4 held out' in said and 'held-out loss' in said, said)
    expect('test' not in json.loads(read('out', 'result.json')), 'a test without test pictures')
    _, said = evaluate('classes')
    expect("'classes' has no folder val or test: all of its pictures are taken" in said, said)
    shutil.rmtree(tree('held') + '/val')
    train('held', code=1, says='hold_out 0.2')
    expect('16 to train on, 4 held out' in train('held', '--set', 'hold_out=0.2'), 'train/ without val/')
    os.rename('classes/2', 'classes/test')
    os.rename('classes/Zoo', 'classes/train')
    expect('16 to train on' in train('classes', '--set', 'hold_out=0.2'), 'classes called test and train')
    expect(read('out', 'classes.txt').decode().split('\n') == ['10', 'a cat', 'test', 'train', ''], 'their names')
    for path, says in (('nowhere', "there is no folder 'nowhere'"), ('text.nd', "'text.nd' is no folder")):
        train(path, code=1, says=says)
    os.makedirs('nothing/train')
    os.makedirs('nothing/val')
    train('nothing', code=1, says='no folders of classes in train, val; expected nothing/train/CLASS/picture.jpg')
    os.makedirs('flat')
    picture('flat/x.png', COLOURS[0])
    train('flat', code=1, says='flat: no folders of classes in it; expected flat/CLASS/picture.jpg')


SEARCH = '''import "darts.nd"
import "networks.nd"
search {
    space darts   network cifar_search(C = 2, layers = 3)
    data image_folder("SHAPES", classes = 4, H = 16, W = 16) split 0.5
    epochs 1  batch 8
    weights sgd(lr = 0.025)
    alphas adam(lr = 3e-4)
}
'''


def test_search():
    """Of class folders alone: parts of all classes, and a result that can be trained as it is, holding some out."""
    for k, name in enumerate(NAMES):
        for i in range(8):
            picture(f'shapes/{name}/{i}.png', COLOURS[k], 16)
    os.environ['NDARTS_CFLAGS'] = '-O0'
    write('search.nd', SEARCH.replace('SHAPES', os.path.abspath('shapes')))
    _, said = run(RUN, 'search', 'search.nd', '--out', 'found')
    expect('32 pictures in 4 classes' in said, said)
    small = ('--set', 'C=2', '--set', 'layers=2', '--set', 'epochs=1', '--set', 'batch=8', '--set', 'auxiliary=0')
    _, said = run(RUN, 'train', 'found/genotype.nd', *small, '--out', 'trained')
    expect('26 to train on, 6 held out' in said, said)
    del os.environ['NDARTS_CFLAGS']


def border(path, height, width, channels=3):
    """White at the very edge."""
    png(path, [bytes(255 if y in (0, height - 1) or x in (0, width - 1) else 0 for x in range(width) for _ in range(channels))
               for y in range(height)], channels)


MEAN = 'mean = 0, std = 1'


def test_pictures_of_the_size():
    """They are used as they are, in training, evaluation and inference alike; `resize` asks for another thing."""
    for height, width, white in ((6, 6, 20 / 36), (8, 4, 20 / 32)):
        size = ('--set', f'H={height}', '--set', f'W={width}', '--weights', 'model/weights.safetensors')
        border('edge.png', height, width)
        logits = []
        for data, expected in ((MEAN, white), (MEAN + ', resize = 9', None)):
            run(RUN, 'infer', 'text.nd', *size, '--data', f'image_folder({data})', '--output', 'y.npy', 'edge.png')
            logits.append(struct.unpack('<4f', read('y.npy')[-16:]))
        png('white.png', [bytes([255]) * 3 * width] * height)
        png('black.png', [bytes(3 * width)] * height)
        run(RUN, 'infer', 'text.nd', *size, '--data', f'image_folder({MEAN})', '--output', 'y.npy', 'white.png', 'black.png')
        values = struct.unpack('<8f', read('y.npy')[-32:])
        for i in range(4):  # a linear network of the mean
            wanted = values[4 + i] + white * (values[i] - values[4 + i])
            expect(abs(logits[0][i] - wanted) < 1e-4 * max(1, abs(wanted)), f'{height} x {width}: {logits[0]}, expected {wanted}')
        expect(logits[1] != logits[0], 'resize = 9 is another picture')
        shutil.rmtree('edges', ignore_errors=True)
        for name in NAMES:
            border(f'edges/{name}/edge.png', height, width)
        found, _ = evaluate('edges', *size[:4])
        run(RUN, 'infer', 'text.nd', *size, '--data', 'image_folder(mean = 0.5, std = 0.25)', '--output', 'y.npy', 'edge.png')
        logit = struct.unpack('<4f', read('y.npy')[-16:])
        loss = sum(zlog(logit) - value for value in logit) / 4
        expect(abs(found['loss'] - loss) < 1e-4 * max(1, loss), f'{found["loss"]}, infer says {loss}')


def zlog(values):
    from math import exp, log
    most = max(values)
    return most + log(sum(exp(value - most) for value in values))


def test_grey():
    """A network of one channel: grey pictures are as they are, coloured ones as Pillow's L, in training and inference alike."""
    shutil.rmtree('grey', ignore_errors=True)
    draw = random.Random(3)
    for part in ('train', 'val'):
        for k, name in enumerate(NAMES):
            for i in range(4):
                png(f'grey/{part}/{name}/{i}.png', [bytes(60 * k + draw.randrange(20) for _ in range(SIDE)) for _ in range(SIDE)], 1)
            picture(f'grey/{part}/{name}/colour.png', (60 * k + 10,) * 3)
    said = train('grey', '--set', 'channels=1', '--set', 'epochs=40', out='greys')
    expect('6 x 6 x 1' in said and 'best 100.00 %' in said, said)
    options = ('--set', 'channels=1', '--weights', 'greys/weights.safetensors', '--data', f'image_folder({MEAN})', '--output', 'y.npy')
    colour = (200, 100, 50)
    level = (colour[0] * 19595 + colour[1] * 38470 + colour[2] * 7471 + 0x8000) >> 16
    png('colour.png', [bytes(colour * SIDE)] * SIDE)
    png('level.png', [bytes([level]) * SIDE] * SIDE, 1)
    run(RUN, 'infer', 'text.nd', *options, 'colour.png', 'level.png')
    values = struct.unpack('<8f', read('y.npy')[-32:])
    expect(values[:4] == values[4:], f'{values}')
    train('grey', '--set', 'channels=1', '--set', 'hue=0.1', code=1, says='colour jitter needs 3 channels; the network takes 1')
    train('grey', '--set', 'channels=2', code=1, says='or 1 when they are made grey; the network takes 2')
    train('grey', '--set', 'channels=1', '--set', 'area.0=0.5')


if __name__ == '__main__':
    sys.exit(main([prepare, test_classes_are_known_by_name, test_empty_and_not_read, test_links, test_annotations, test_parts, test_search,
                   test_pictures_of_the_size, test_grey]))
