#!/usr/bin/env python3
"""Whose data a run takes: the text's, a recipe's, with `data own` those of the text that the recipe is applied to, or those of --data;
what a folder holds is looked at; the line that says it; the recipe quick; the note on running averages."""
import os
import sys

from _run import COMPILER, RUN, SOURCE, expect, main, read, run, write
from folders import png

NETWORK = '''network main(classes ?= 3, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | conv: conv(4, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = '''train {
    network main
    data image_folder("three", classes = 3, H = 8, W = 8, flip = false, cutout = 4)
    epochs 1  batch 4  hold_out 0.5
}
'''
RECIPE = '''train {
    network main
    %s
    epochs 1  batch 4  hold_out 0.25
    weights sgd(lr = 0.1)
}
'''


def make_folder(path, classes, size, per=4):
    for c in range(classes):
        os.makedirs(f'{path}/c{c}')
        for i in range(per):
            height, width = size(c) if callable(size) else size
            png(f'{path}/c{c}/{i}.png', [bytes([40 * c + i] * (3 * width))] * height)


def prepare():
    make_folder('three', 3, (8, 8))
    make_folder('five', 5, (8, 8))
    make_folder('parts/train', 2, (12, 8))
    make_folder('mixed', 2, lambda c: (8 + c, 8))
    make_folder('large', 2, (225, 4), per=1)
    write('text.nd', NETWORK + TRAIN)
    write('plain.nd', NETWORK)
    write('own.nd', RECIPE % 'data own(cutout = 0, flip = true)')
    write('silent.nd', RECIPE % '')
    write('other.nd', RECIPE % 'data synthetic(classes = 3, H = 8, W = 8, limit = 8)')


def settings_of(*arguments):
    """What the text says with these options, of the module."""
    lines = run(COMPILER, *arguments, '--emit=ir')[0].splitlines()
    return dict(line[4:].split(' = ', 1) for line in lines if line.startswith('set '))


def test_folder_is_looked_at():
    """Its classes, and the size of its pictures where they have one of at most 224; what the option says goes before."""
    shape = ('classes', 'input.height', 'input.width')
    for data, expected in (('"five"', '5 8 8'), ('"parts"', '2 12 8'), ('"mixed"', '2 224 224'), ('"large"', '2 224 224'),
                           ('path = "five"', '5 8 8'), ('"five", classes = 4', '4 8 8'), ('"parts", H = 24', '2 24 8'),
                           ('"nowhere"', '1000 224 224')):
        write('net.nd', NETWORK + TRAIN.replace('image_folder("three", classes = 3, H = 8, W = 8, flip = false, cutout = 4)', 'cifar10("x")'))
        found = settings_of('net.nd', '--set', f'data=image_folder({data})')
        expect(' '.join(found[key] for key in shape) == expected, f'{data}: {found}')
        expect(found['data.source'] == '"image_folder"', found)
    # The size is that of the data it replaces where these are a folder too; the classes are counted.
    write('sized.nd', NETWORK + TRAIN.replace('H = 8, W = 8', 'H = 16, W = 16'))
    found = settings_of('sized.nd', '--set', 'data=image_folder("five")')
    expect(' '.join(found[key] for key in shape) == '5 16 16' and 'data.cutout' not in found, found)


def train(*arguments, **options):
    return run(RUN, 'train', *arguments, **options)[1]


def test_data_of_recipes():
    said = train('text.nd', '--recipe', './own.nd', '--out', 'a')
    expect("data: image_folder 'three': 12 pictures in 3 classes, 8 x 8 x 3; 9 to train on, 3 held out\n" in said, said)
    expect('"data.cutout": 0' in read('a', 'run.json').decode() and '"data.flip": true' in read('a', 'run.json').decode(), 'changes')
    said = train('text.nd', '--recipe', './silent.nd', '--out', 'b')
    expect("data: image_folder 'three'" in said and '"data.cutout": 4' in read('b', 'run.json').decode(), said)
    expect('data: synthetic: 8 pictures in 3 classes' in train('text.nd', '--recipe', './other.nd', '--out', 'c'), 'its own')
    said = train('text.nd', '--recipe', './other.nd', '--out', 'c', '--data', 'image_folder:five')
    expect("data: image_folder 'five': 20 pictures in 5 classes, 8 x 8 x 3; 15 to train on, 5 held out\n" in said, said)
    train('plain.nd', '--recipe', './own.nd', code=1, says='the text that is trained names no data; --data \'image_folder("PATH")\' does')
    said = train('plain.nd', '--recipe', './own.nd', '--data', 'image_folder("parts")', '--out', 'd')
    expect("data: image_folder 'parts': 8 pictures in 2 classes, 12 x 8 x 3; 6 to train on, 2 held out\n" in said, said)
    write('alone.nd', NETWORK + TRAIN.replace('image_folder("three", classes = 3, H = 8, W = 8, flip = false, cutout = 4)', 'own'))
    train('alone.nd', code=1, says="'own' is for recipes")


def test_mistakes_name_what_works():
    write('fixed.nd', NETWORK.replace('classes ?= 3', 'classes = 3') + TRAIN)
    train('fixed.nd', '--data', 'image_folder:five', code=1, says='the network is made for 3 classes; the data has 5; --recipe quick makes')
    train('fixed.nd', '--recipe', './other.nd', '--set', 'network=main(classes = 4)', code=1,
          says='the network is made for 4 classes; the data has 3; --data \'image_folder("PATH")\' trains on other images')
    train('text.nd', '--data', 'image_foldr("five")', code=1, says="not 'image_foldr'")
    train('text.nd', '--data', 'image_folder(', code=1, says="expected ')'")
    train('text.nd', '--data', 'image_folder("nowhere")', '--out', 'e', code=1, says='nowhere')
    train('text.nd', '--dta', 'x', code=1, says="did you mean '--data'?")


def test_quick():
    """The recipe itself, on a genotype with and without data; only what it is made of, since it takes a minute to compile."""
    write('cells.nd', read(SOURCE, 'genotypes', 'noisy_darts_a.nd').decode())
    expect(settings_of('cells.nd', '--set', 'C=4', '--set', 'layers=3')['classes'] == '10', 'cells')
    out = run(RUN, 'train', 'cells.nd', '--recipe', 'quick', '--out', 'q', code=1)[1]
    expect('quick.nd:' in out and '--data' in out, out)


def test_running_averages():
    """After few steps at a high accuracy the tested one may be chance: said, once, and only then."""
    write('fast.nd', """network main(classes ?= 3, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | conv: conv(8, 4, stride = 2) | batch_norm | relu | conv2: conv(8, 3) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data synthetic(classes = 3, H = 8, W = 8, limit = 24, mean = -3)
    epochs 10  batch 24
    weights sgd(lr = 0.1, momentum = 0.9)
}
""")
    note = "batch norm's running averages"
    said = train('fast.nd', '--out', 'f')
    expect(said.count(f'after only 10 steps {note}') == 1 and '100.0 % while training, 33.3 % tested' in said, said)
    expect(note in train('fast.nd', '--out', 'g', '--set', 'epochs=6'), 'fewer')
    write('near.nd', read('fast.nd').decode().replace('mean = -3', 'mean = -1'))
    said = train('near.nd', '--out', 'h', '--set', 'epochs=12', '--set', 'train.weights.lr=0.5')
    expect(note not in said and 'test loss 0.0' in said, said)
    expect(note not in train('fast.nd', '--out', 'i', '--set', 'epochs=120'), 'many steps')
    write('none.nd', read('fast.nd').decode().replace('| batch_norm ', ''))
    expect(note not in train('none.nd', '--out', 'j'), 'without batch norm')


if __name__ == '__main__':
    sys.exit(main([prepare, test_folder_is_looked_at, test_data_of_recipes, test_mistakes_name_what_works, test_quick, test_running_averages]))
