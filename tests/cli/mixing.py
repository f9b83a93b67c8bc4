#!/usr/bin/env python3
"""mixup and cutmix: a training of one convolution once more in plain Python, from the equations (runtime/data/mixing.c) and the definition of
the draws, which give the published images (tests/reference/training.json); the same bits for any number of threads, interrupted and resumed; searches, and evaluation, do not mix."""
import json
import math
import os

import _draws
import _safetensors
from _run import COMPILER, RUN, SOURCE, expect, expect_same, interrupt, lines_of, main, run, write

HEIGHT, WIDTH, CLASSES, IMAGES, BATCH, SEED, EPOCHS, RATE = 6, 5, 3, 11, 4, 7, 3, 0.3
TEXT = f'''network net(H = {HEIGHT}, W = {WIDTH}, channels = 1, classes ?= {CLASSES}) on x {{
    return x | classifier: conv(classes, {WIDTH}, 1, 0) | global_avg_pool | flatten
}}
train {{
    network net  data synthetic(H = {HEIGHT}, W = {WIDTH}, channels = 1, classes = {CLASSES}, limit = {IMAGES}, mean = 0.5, std = 0.25)
    epochs {EPOCHS}  batch {BATCH}  seed {SEED}
    weights sgd(lr = {RATE}, momentum = 0, decay = 0, clip = 0)  MORE
}}
'''
RESULTS = ('checkpoint.safetensors', 'metrics.jsonl', 'weights.safetensors', 'best.safetensors')


def train(out, more, *options):
    write('text.nd', TEXT.replace('MORE', more))
    run(RUN, 'train', 'text.nd', '--out', out, '--precision', 'f64', *options)
    return _safetensors.numbers(os.path.join(out, 'checkpoint.safetensors'))


# ---- the images, and how they are mixed ----

def picture(image):
    """A synthetic image as the network gets it."""
    def value(y, x):
        level = _draws.uniform(20, 'synthetic.pattern', 0, image % CLASSES, y * 4 // HEIGHT * 4 + x * 4 // WIDTH)
        byte = int(255 * 0.5 * (level + _draws.uniform(20, 'synthetic.noise', 0, image, y * WIDTH + x)))
        return (byte / 255 - 0.5) / 0.25
    return [[value(y, x) for x in range(WIDTH)] for y in range(HEIGHT)]


def beta(a, u, v):
    """Beta(a, a) from Student's t."""
    t = math.sqrt(2 * a * (u**(-1 / a) - 1)) * math.cos(2 * math.pi * v)
    return (1 + t / math.sqrt(2 * a + t * t)) / 2


def sides(middle, side, size):
    return range(max(middle - side // 2, 0), min(middle + side // 2, size))


def drawn(epoch, batch, mixup=0, cutmix=0, probability=1):
    """The share that is an image's own, and where it is its partner's."""
    u = [_draws.uniform(SEED, 'augment.mix', epoch, batch, i) for i in range(6)]
    if u[0] >= probability:
        return 1.0, None
    cut = cutmix and (not mixup or u[1] < 0.5)
    share = beta(cutmix if cut else mixup, u[2], u[3])
    if not cut:
        return share, None
    return cut_out(share, int(u[4] * HEIGHT), int(u[5] * WIDTH), HEIGHT, WIDTH)


def cut_out(share, y, x, height, width):
    side = math.sqrt(1 - share)
    rows, columns = sides(y, int(height * side), height), sides(x, int(width * side), width)
    return 1 - len(rows) * len(columns) / (height * width), (rows, columns)


def mixed(own, other, share, box):
    if box:
        return [[b if y in box[0] and x in box[1] else a for x, (a, b) in enumerate(zip(*rows))] for y, rows in enumerate(zip(own, other))]
    return [[share * a + (1 - share) * b for a, b in zip(*rows)] for rows in zip(own, other)]


# ---- the training ----

def features(image):
    """What the one convolution multiplies, in the mean over its places."""
    return [(image[y][x] + image[y + 1][x]) / 2 for y in range(WIDTH) for x in range(WIDTH)]


def log_softmax(logits):
    total = math.log(sum(math.exp(z - max(logits)) for z in logits)) + max(logits)
    return [z - total for z in logits]


class Replay:
    def __init__(self, begin, smoothing, **mix):
        self.weight, self.smoothing, self.mix = list(begin['classifier.weight']), smoothing, mix
        self.loss, self.correct, self.shares, self.boxes = [], [], [], 0

    def entropy(self, log, label):
        return -(1 - self.smoothing) * log[label] - self.smoothing / CLASSES * sum(log)

    def step(self, epoch, batch, images):
        """Moves the weights; adds the loss of the images, and those that are right."""
        share, box = drawn(epoch, batch, **self.mix)
        self.shares.append(share)
        self.boxes += bool(box)
        partners, size = _draws.shuffled(images, SEED, 'shuffle.mix', epoch, batch), WIDTH * WIDTH
        gradients = [0.0] * len(self.weight)
        for own, other in zip(images, partners):
            x = features(mixed(picture(own), picture(other), share, box))
            log = log_softmax([sum(w * v for w, v in zip(self.weight[c * size:], x)) for c in range(CLASSES)])
            labels = own % CLASSES, other % CLASSES
            self.loss[-1] += share * self.entropy(log, labels[0]) + (1 - share) * self.entropy(log, labels[1])
            self.correct[-1] += log.index(max(log)) == labels[share < 0.5]
            for c in range(CLASSES):
                target = share * (labels[0] == c) + (1 - share) * (labels[1] == c)
                dz = (math.exp(log[c]) - (1 - self.smoothing) * target - self.smoothing / CLASSES) / len(images)
                for i, v in enumerate(x):
                    gradients[c * size + i] += dz * v
        self.weight = [w - RATE * g for w, g in zip(self.weight, gradients)]

    def run(self):
        for epoch in range(EPOCHS):
            self.loss.append(0.0)
            self.correct.append(0)
            order = _draws.shuffled(range(IMAGES), SEED, 'shuffle.train', epoch)
            for batch in range(0, IMAGES, BATCH):
                self.step(epoch, batch // BATCH, order[batch:batch + BATCH])
        return self


def check(name, more, smoothing=0.0, **mix):
    begin = train('still', '', '--set', 'lr=0', '--set', 'epochs=1')
    found = train(name, more, '--threads', '1')
    replay = Replay(begin, smoothing, **mix).run()
    worst = max(abs(a - b) for a, b in zip(found['classifier.weight'], replay.weight))
    expect(worst < 1e-12, f'{name}: the weights are {worst} away')
    for line, loss, correct in zip(lines_of(name, 'metrics.jsonl'), replay.loss, replay.correct):
        expect(abs(line['train_loss'] - loss / IMAGES) < 1e-9 and abs(line['train_accuracy'] - correct / IMAGES) < 1e-9, f'{name}: {line}, {loss}, {correct}')
    train(f'{name}-threads', more, '--threads', '4')
    expect_same(name, f'{name}-threads', RESULTS)
    return replay


def test_mixup():
    replay = check('mixup', 'mixup 0.4', mixup=0.4)
    expect(replay.boxes == 0 and len(set(replay.shares)) == 9, replay.shares)


def test_cutmix():
    replay = check('cutmix', 'cutmix 1', cutmix=1)
    expect(replay.boxes == 9 and len(set(replay.shares)) > 3, replay.shares)


def test_both():
    """With label smoothing; some batches are left alone."""
    replay = check('both', 'mixup 2  cutmix 1.5  mix_probability 0.7  label_smoothing 0.1', 0.1, mixup=2, cutmix=1.5, probability=0.7)
    expect(0 < replay.boxes < 8 and 1.0 in replay.shares, replay.shares)


def test_interrupted_and_resumed():
    more = ('--precision', 'f32', '--set', 'limit=1500', '--set', 'epochs=20')
    write('text.nd', TEXT.replace('MORE', 'mixup 0.4  cutmix 1'))
    run(RUN, 'train', 'text.nd', '--out', 'whole', *more, '--threads', '2')
    said = interrupt('epoch 1/20:', 0.02, RUN, 'train', 'text.nd', '--out', 'halves', *more, '--threads', '1')
    expect('interrupted in epoch ' in said, said)
    run(RUN, 'train', 'text.nd', '--out', 'halves', *more, '--resume')
    expect_same('whole', 'halves', RESULTS)


def formula(name, count):
    """The reference values' numbers of a name (tests/reference/ref_tool.c)."""
    start = 0xcbf29ce484222325
    for byte in name.encode():
        start = (start ^ byte) * 0x100000001b3 % 2**64
    for i in range(count):
        z = (start + (i + 1) * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        yield 4 * ((z ^ z >> 31) >> 40) / 2**24 - 2


def test_published_images():
    with open(os.path.join(SOURCE, 'tests', 'reference', 'training.json'), encoding='ascii') as file:
        results = json.load(file)['losses']['results']
    numbers = list(formula('cut', 4 * 3 * 8 * 8))
    planes = [[numbers[plane * 64 + y * 8:plane * 64 + y * 8 + 8] for y in range(8)] for plane in range(12)]
    cut = results['cutmix_images']
    share, box = cut_out(cut['lambda'], *cut['centre'], 8, 8)
    expect(share == cut['lambda_adjusted'] and [box[0].start, box[0].stop, box[1].start, box[1].stop] == cut['box_dim2_from_to_dim3_from_to'], f'{share} {box}')
    for wanted, how in ((cut, (share, box)), (results['mixup_images'], (results['mixup_images']['lambda'], None))):
        pairs = [(planes[i * 3 + c], planes[wanted['permutation'][i] * 3 + c]) for i in range(4) for c in range(3)]
        values = [value for own, other in pairs for row in mixed(own, other, *how) for value in row]
        squares, first = sum(value * value for value in values), wanted.get('first', [])
        expect(abs(squares - wanted['sum_of_squares']) < 1e-3 and max([abs(a - b) for a, b in zip(values, first)], default=0) < 1e-6, f'{squares}: {wanted}')


def test_distribution():
    """Mean and variance of Beta(a, a) are 1 / 2 and 1 / (4 (2 a + 1))."""
    for a in (0.2, 1, 3):
        values = [beta(a, (i + 0.5) / 200, (k + 0.5) / 200) for i in range(200) for k in range(200)]
        variance = sum((value - 0.5)**2 for value in values) / len(values)
        expect(abs(sum(values) / len(values) - 0.5) < 1e-9 and abs(variance - 1 / (4 * (2 * a + 1))) < 2e-3, f'{a}: {variance}')


def test_where():
    """Only passes that train have targets; a search has no such settings."""
    write('text.nd', TEXT.replace('MORE', 'mixup 0.2'))
    for graph, inputs in (('train', '%targets: f32[N,3]'), ('eval', '%labels: i32[N]')):
        stdout, _ = run(COMPILER, 'text.nd', '--emit=ir', f'--graph={graph}', '--print-ir-after=attach-loss')
        expect(inputs in stdout, f'{graph}: {stdout}')
    run(COMPILER, 'text.nd', '--emit=ir', '--set', 'mixup=-1', code=1, says='train.mixup')


if __name__ == '__main__':
    raise SystemExit(main([test_mixup, test_cutmix, test_both, test_interrupted_and_resumed, test_published_images, test_distribution, test_where]))
