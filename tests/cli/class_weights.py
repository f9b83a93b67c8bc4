#!/usr/bin/env python3
"""Weights of the classes in the loss: loss and gradients are those of the formula, computed here in Python, with and without label
smoothing and auxiliary head, in training and search; balanced weights are those of the images that are trained on; mistakes."""
import json
import math
import random
import struct
import sys

import _safetensors
from _run import RUN, expect, main, read, run, write

IMAGES, CLASSES, SIDE = 7, 4, 4
NETWORK = '''network main(classes ?= 4, H ?= 4, W ?= 4, channels ?= 3) on x {
    return x | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = NETWORK + '''train {
    network main
    data synthetic(limit = 30, H = 4, W = 4, classes = 4)
    epochs 2  batch 8
    weights sgd(lr = 0.1, momentum = 0.9, decay = 0, clip = 0)
}
'''
LISTS = ([1, 1, 1, 1], [1, 2, 0.5, 4], [0.001, 1, 1e3, 7.25])


def prepare():
    draw = random.Random(5)
    write('train.nd', TRAIN)
    pixels = [draw.gauss(0, 1) for _ in range(IMAGES * 3 * SIDE * SIDE)]
    labels = [draw.randrange(CLASSES) for _ in range(IMAGES)]
    save_feed('feed.safetensors', {'input': ([IMAGES, 3, SIDE, SIDE], pixels), 'labels': ([IMAGES], labels)})


def save_feed(path, tensors):
    _safetensors.write(path, tensors, {'labels': 'I64', 'labels_valid': 'I64'})


def formula(logits, labels, weights, smoothing):
    """Loss and its gradient for the logits, as torch.nn.CrossEntropyLoss(weight, label_smoothing) defines them."""
    total = sum(weights[label] for label in labels)
    loss, gradient = 0.0, []
    for row, label in zip(logits, labels):
        largest = max(row)
        log_sum = largest + math.log(sum(math.exp(v - largest) for v in row))
        target = [w * ((1 - smoothing) * (c == label) + smoothing / CLASSES) for c, w in enumerate(weights)]
        loss -= sum(t * (v - log_sum) for t, v in zip(target, row)) / total
        gradient.append([(sum(target) * math.exp(v - log_sum) - t) / total for t, v in zip(target, row)])
    return loss, gradient


def rows(numbers):
    return [numbers[i:i + CLASSES] for i in range(0, len(numbers), CLASSES)]


def near(found, expected, what):
    for a, b in zip(found, expected):
        expect(abs(a - b) <= 1e-9 * max(1, abs(b)), f'{what}: {a}, expected {b}')


def trace(text, feed, *arguments):
    run(RUN, 'trace', text, '--feed', feed, '--precision=f64', '-o', 'out.safetensors', *arguments)
    return _safetensors.numbers('out.safetensors')


def test_formula():
    labels = _safetensors.numbers('feed.safetensors')['labels']
    for weights in LISTS:
        for smoothing in (0, 0.1, 0.5):
            out = trace('train.nd', 'feed.safetensors', '--set', f'class_weights={weights}', '--set', f'label_smoothing={smoothing}')
            loss, gradient = formula(rows(out['train/logits']), labels, weights, smoothing)
            near(out['train/loss'], [loss], f'{weights} {smoothing}: loss')
            near(out['train/grad/classifier.bias'], [sum(row[c] for row in gradient) for c in range(CLASSES)], f'{weights} {smoothing}')
    # Equal weights are no weights, but for the order of additions.
    plain = trace('train.nd', 'feed.safetensors')
    equal = trace('train.nd', 'feed.safetensors', '--set', 'class_weights=[3, 3, 3, 3]')
    near(equal['train/grad/classifier.weight'], plain['train/grad/classifier.weight'], 'equal weights')


def test_auxiliary_head():
    """Both losses are weighted."""
    write('heads.nd', '''op head(classes) = global_avg_pool | classifier: linear(classes)
''' + TRAIN.replace('    return x', '''    logits_aux = x | auxiliary_head: auxiliary_loss(head(classes), 0.4)
    return x'''))
    labels = _safetensors.numbers('feed.safetensors')['labels']
    out = trace('heads.nd', 'feed.safetensors', '--set', 'class_weights=[1, 2, 0.5, 4]')
    losses = [formula(rows(out[name]), labels, [1, 2, 0.5, 4], 0)[0] for name in ('train/logits', 'train/logits_aux')]
    near(out['train/loss'], [losses[0] + 0.4 * losses[1]], 'with an auxiliary head')


def state(folder):
    return list(_safetensors.numbers(f'{folder}/checkpoint.safetensors')['loss/class_weights'])


def test_balanced():
    """Of 30 images those that are trained on: all, two thirds, the first ten."""
    for arguments, count in (((), 30), (('--set', 'hold_out=0.34'), 20), (('--set', 'data.limit=10'), 10)):
        run(RUN, 'train', 'train.nd', '--out', f'of{count}', '--set', 'class_weights=balanced', *arguments)
        sizes = [len(range(c, count, CLASSES)) for c in range(CLASSES)]
        near(state(f'of{count}'), [struct.unpack('f', struct.pack('f', count / CLASSES / size))[0] for size in sizes], f'{count} images')
        settings = json.loads(read(f'of{count}', 'run.json'))['settings']
        expect(settings['train.class_weights'] == 'balanced', settings)
    run(RUN, 'train', 'train.nd', '--out', 'none', '--set', 'class_weights=balanced', '--set', 'data.limit=3', code=1,
        says='class 3 has no images among the 3 that are trained on')


def test_resume_and_evaluation():
    """A run that goes on is the same; the weights of the classes are no weights of the network; evaluation is not weighted."""
    weighted = ('--set', 'class_weights=[1, 2, 0.5, 4]')
    run(RUN, 'train', 'train.nd', '--out', 'one', '--set', 'epochs=1', *weighted)
    run(RUN, 'train', 'train.nd', '--out', 'two', *weighted)
    run(RUN, 'train', 'train.nd', '--out', 'one', '--resume', '--set', 'epochs=2', '--allow-different-build', *weighted)
    expect(read('one', 'weights.safetensors') == read('two', 'weights.safetensors'), 'resumed')
    expect('loss/class_weights' not in _safetensors.numbers('two/weights.safetensors'), 'in the weights')
    expect(state('two') == [1, 2, 0.5, 4], state('two'))
    run(RUN, 'train', 'train.nd', '--out', 'one', '--resume', '--set', 'class_weights=balanced', code=1, says='train.class_weights')
    plain = json.loads(run(RUN, 'eval', 'train.nd', '--weights', 'two/checkpoint.safetensors', '--json')[0])
    other = json.loads(run(RUN, 'eval', 'train.nd', '--weights', 'two/weights.safetensors', '--json', *weighted)[0])
    expect(plain['loss'] == other['loss'], f'{plain} {other}')


def test_search():
    """Both passes of a search are weighted."""
    write('search.nd', '''op plain(C, stride) = conv(C, 1, stride)
op pooled(C, stride) = avg_pool(3, stride, pad = 1)
space tiny { candidates = [plain, pooled] cell { inputs 1 nodes 1 output s1 keep 1 per node } cells = [normal] }
network small(space, C = 4, classes ?= 4, H ?= 8, W ?= 8, channels ?= 3) on x {
    return space.normal(x | stem: conv(C, 1)) | global_avg_pool | classifier: linear(classes)
}
search {
    space tiny  network small
    data synthetic(limit = 32, H = 8, W = 8, classes = 4)
    epochs 1  batch 8  class_weights = balanced
    weights sgd(lr = 0.05)  alphas adam(lr = 1e-2)
}
''')
    run(RUN, 'search', 'search.nd', '--out', 'found')
    expect(state('found') == [1, 1, 1, 1], state('found'))
    draw = random.Random(7)
    pixels = [draw.gauss(0, 1) for _ in range(4 * 3 * 64)]
    feed = {}
    for part in ('', '_valid'):
        feed[f'input{part}'] = ([4, 3, 8, 8], pixels)
        feed[f'labels{part}'] = ([4], [0, 1, 3, 3])
    save_feed('search.safetensors', feed)
    out = trace('search.nd', 'search.safetensors', '--weights', 'found/checkpoint.safetensors', '--set', 'class_weights=[1, 2, 0.5, 4]')
    near(out['loss'], [formula(rows(out['logits']), [0, 1, 3, 3], [1, 2, 0.5, 4], 0)[0]], 'a search')


def test_mistakes():
    for value, says in (('blanced', "not 'blanced'"), ('[1, 2]', "'class_weights' has 2 numbers; the network has 4 classes"),
                        ('[1, 2, 0, 1]', "weight 3 of 'train.class_weights' is 0; expected a number above 0"),
                        ('[1, -2, 1, 1]', "weight 2 of 'train.class_weights' is -2"), ('3', 'with a number for each class'),
                        ('[]', 'with a number for each class'), ('[1, "a", 1, 1]', "weight 2 of 'train.class_weights' is a string")):
        run(RUN, 'train', 'train.nd', '--set', f'class_weights={value}', code=1, says=says)
    run(RUN, 'trace', 'train.nd', '--feed', 'feed.safetensors', '-o', 'x.safetensors', '--set', 'class_weights=balanced', code=1,
        says='class_weights balanced needs a checkpoint')


if __name__ == '__main__':
    sys.exit(main([prepare, test_formula, test_auxiliary_head, test_balanced, test_resume_and_evaluation, test_search, test_mistakes]))
