#!/usr/bin/env python3
"""What is checked is what runs: `ndarts-run search` and `ndarts-run train` themselves, over several epochs and resumed in the middle of
one. What every pass was given (--log-steps, written where it goes to the device) is what the documented formulas say, number by number;
and from given weights, on given images, in double precision, they arrive where an independent computation arrives (_replay.py)."""
import math
import random
import signal
import struct
import subprocess
import sys
import time

import _draws
import _replay
import _safetensors
from _run import RUN, expect, lines_of, main, read, run, write

NETWORKS = '''op skip(stride) = identity
op mix(C, stride) = conv(C, 1)
network net(cells, C = 2, H ?= 3, W ?= 4, channels ?= 1, classes ?= 3) on x {
    return x | stem: conv(C, 1) | a: cells.normal() | BODY global_avg_pool | classifier: linear(classes)
}
'''
DATA = 'mnist("images", classes = 3, H = 3, W = 4, mean = 0.25, std = 0.5)'
SEARCH = NETWORKS.replace('BODY', 'b: cells.reduce() |') + '''space tiny { candidates = [skip, mix]  cell { inputs 1 nodes 1 output s1 keep 1 per node } }
search {
    space tiny   network net(tiny)
    noise on skip { gaussian additive std = 0.3 mean = 0.1 decay }
    drop_path on skip { probability = 0.3 }
    data %s split 0.6
    epochs 2  batch 4  seed 5
    weights sgd(lr = cosine(0.5, 0.1), momentum = 0.9, decay = 0.01, clip = 1)
    alphas adam(lr = 0.1, betas = (0.5, 0.999), decay = 0.01)
}
''' % DATA
TRAIN = NETWORKS.replace('BODY', '') + '''genotype found { normal { s1 = mix(s0) + skip(s0)  return s1 } }
train {
    network net(found)
    data %s
    epochs 2  batch 4  seed 5  drop_path 0.4
    weights sgd(lr = cosine(0.5, 0.1), momentum = 0.9, decay = 0.01, clip = 1)
}
''' % DATA
LONG = 'synthetic(limit = 4000, classes = 3, H = 3, W = 4, channels = 1)'
IMAGES, TEST_IMAGES, PIXELS, BATCH = 26, 6, 12, 4
WEIGHTS = {'stem.weight': (2, 1, 1, 1), 'a._ops.0._ops.1.weight': (2, 2, 1, 1), 'b._ops.0._ops.1.weight': (2, 2, 1, 1), 'a._ops.0.weight': (2, 2, 1, 1),
           'classifier.weight': (3, 2), 'classifier.bias': (3,), 'alphas_normal': (1, 2), 'alphas_reduce': (1, 2)}
SEARCHED = [name for name in WEIGHTS if name != 'a._ops.0.weight']
TRAINED = ['stem.weight', 'a._ops.0.weight', 'classifier.weight', 'classifier.bias']


def prepare():
    """Images of given bytes, and weights."""
    draw = random.Random(11)
    run('mkdir', '-p', 'images')
    for part, count in (('train', IMAGES), ('t10k', TEST_IMAGES)):
        with open(f'images/{part}-images-idx3-ubyte', 'wb') as file:
            file.write(struct.pack('>IIII', 0x803, count, 3, 4) + bytes(draw.randrange(256) for _ in range(count * PIXELS)))
        with open(f'images/{part}-labels-idx1-ubyte', 'wb') as file:
            file.write(struct.pack('>II', 0x801, count) + bytes(draw.randrange(3) for _ in range(count)))
    values = {name: (shape, [draw.uniform(-1, 1) for _ in range(math.prod(shape))]) for name, shape in WEIGHTS.items()}
    for path, names in (('search.safetensors', SEARCHED), ('train.safetensors', TRAINED)):
        _safetensors.write(path, {name: values[name] for name in names}, dict.fromkeys(names, 'F64'))
    write('search.nd', SEARCH)
    write('train.nd', TRAIN)


def go(command, text, out, *options, **more):
    return run(RUN, command, text, '--out', out, '--threads', '1', '--precision', 'f64', '--log-steps', *options, **more)


# ---- every number that changes with the step ----

def rate(setting, epochs, epoch, step, steps):
    """setting: schedule, from, to, by epoch or step, epochs of warm-up."""
    schedule, first, last, every, warm_up = setting
    length = 1 / steps if every == 'step' else 1
    done = epoch + (step / steps if every == 'step' else 0)
    part = done / epochs
    value = {'constant': first, 'linear': first + (last - first) * part, 'cosine': last + (first - last) * (1 + math.cos(math.pi * part)) / 2}[schedule]
    return value * min(1, (done + length) / warm_up) if warm_up else value


def batches(images, size=BATCH):
    return [(first, min(size, images - first)) for first in range(0, images, size)]


def one(graph, seed, number, batch, **scalars):
    return {'graph': graph, 'seed': seed, 'step': number, 'image_base': batch[0], 'batch': batch[1], 'scalars': scalars}


def evaluation(images, size=BATCH, seed=0, number=0):
    """Drops nothing, and moves nothing. In a search it has the number of the pass that would come next."""
    return [one('eval', seed, number, batch, drop_keep=1, lr=0, alphas_lr=0, adam_bias1=1, adam_bias2=1) for batch in batches(images, size)]


def pair(training, valid):
    """What a pass of second order has of both: as many images as the smaller, named by the training images."""
    return training[0], min(training[1], valid[1])


def search_lines(setting, epochs=2, seed=5, frozen=0, images=(15, 11), size=BATCH, keep=0.7, betas=(0.5, 0.999), second=False):
    """The passes of a search. Step s of the whole has the draws 2s + 1 for the alphas and 2s + 2 for the weights, of second order 5s + 1
    (to 5s + 4) and 5s + 5; Adam's biases are of its own updates, which frozen epochs do not have."""
    passes_of_step = 5 if second else 2
    lines, s, updates = [], 0, 0
    of_weights, of_alphas = batches(images[0], size), batches(images[1], size)
    for epoch in range(epochs):
        for step, batch in enumerate(of_weights):
            common = {'drop_keep': keep, 'alphas_lr': 0.1,
                      'lr': rate(setting, epochs, epoch, step, len(of_weights))}
            if epoch >= frozen:
                updates += 1
                valid = of_alphas[step % len(of_alphas)]
                lines.append(one('search-second' if second else 'search-alphas', seed, passes_of_step * s + 1, pair(batch, valid) if second else valid,
                                 adam_bias1=1 - betas[0]**updates, adam_bias2=1 - betas[1]**updates, **common))
            lines.append(one('search-weights', seed, passes_of_step * (s + 1), batch, **common))
            s += 1
        lines += evaluation(images[1], size, seed, passes_of_step * s + 1)
    return lines


def train_lines(setting, epochs=2, seed=5, images=(IMAGES, TEST_IMAGES), size=BATCH, drop_path=0.4):
    """The passes of a training. Step s of the whole has the draws s + 1; paths are dropped more from epoch to epoch."""
    lines, s, of_images = [], 0, batches(images[0], size)
    for epoch in range(epochs):
        for step, batch in enumerate(of_images):
            s += 1
            lines.append(one('train', seed, s, batch, drop_keep=1 - drop_path * epoch / epochs, lr=rate(setting, epochs, epoch, step, len(of_images))))
        lines += evaluation(images[1], size)
    return lines


def check_line(line, wanted, where):
    for key in ('graph', 'seed', 'step', 'image_base', 'batch'):
        expect(line[key] == wanted[key], f'{where}: {key} is {line[key]}, not {wanted[key]}: {line}')
    for name, value in wanted['scalars'].items():
        found = line['scalars'].get(name, value if wanted['graph'] == 'eval' else None)  # one that no graph of the program reads is not there
        expect(found is not None and abs(found - value) <= 1e-12 * abs(value), f'{where}: {name} is {found}, not {value}: {line}')


def check_log(path, wanted):
    found = lines_of(path)
    expect(len(found) == len(wanted), f'{path}: {len(found)} passes, not {len(wanted)}')
    for i, (line, values) in enumerate(zip(found, wanted)):
        check_line(line, values, f'{path}:{i + 1}')


COSINE = ('cosine', 0.5, 0.1, 'epoch', 0)
BY_STEP = ('cosine', 0.5, 0.1, 'step', 1)


def sets(**values):
    return [f'--set={name.replace("__", ".")}={value}' for name, value in values.items()]


def rate_sets(setting):
    schedule, first, last, every, warm_up = setting
    more = {'warm_up': warm_up} if warm_up else {}
    if every == 'step':
        more['weights__every'] = every
    return sets(weights__lr=first, weights__lr_min=last, weights__schedule=schedule, **more)


def test_every_number_of_a_search():
    go('search', 'search.nd', 'cosine', '--init', 'search.safetensors')
    check_log('cosine/steps.jsonl', search_lines(COSINE))
    go('search', 'search.nd', 'linear', '--seed=77', *rate_sets(('linear', 0.3, 0.2, 'epoch', 0)), *sets(epochs=5))
    check_log('linear/steps.jsonl', search_lines(('linear', 0.3, 0.2, 'epoch', 0), epochs=5, seed=77))
    go('search', 'search.nd', 'constant', *rate_sets(('constant', 0.25, 0.1, 'epoch', 0)), *sets(epochs=3, frozen_epochs=1, probability=0.1, beta1=0.9))
    check_log('constant/steps.jsonl', search_lines(('constant', 0.25, 0.1, 'epoch', 0), epochs=3, frozen=1, keep=0.9, betas=(0.9, 0.999)))


def test_every_number_of_second_order():
    go('search', 'search.nd', 'second', *sets(order='second', frozen_epochs=1, epochs=3))
    check_log('second/steps.jsonl', search_lines(COSINE, epochs=3, frozen=1, second=True))
    rows = lines_of('second/metrics.jsonl')
    expect([row['alphas_updates'] for row in rows] == [0, 4, 8] and rows[0]['alphas_loss'] is None, f'updates of the alphas: {rows}')


def test_every_number_of_a_training():
    for every in ('epoch', 'step'):
        for schedule, warm_up, epochs in (('cosine', 0, 2), ('cosine', 2, 3), ('linear', 1, 3), ('linear', 0, 2), ('constant', 3, 4), ('constant', 0, 2)):
            setting, out = (schedule, 0.5, 0.1, every, warm_up), f'{schedule}_{every}_{warm_up}'
            go('train', 'train.nd', out, *rate_sets(setting), *sets(epochs=epochs))
            check_log(f'{out}/steps.jsonl', train_lines(setting, epochs))
    go('train', 'train.nd', 'seeds', '--seeds', '3,8', *sets(hold_out=0.25))
    for seed in (3, 8):
        # With a hold-out the test images are looked at once, at the end.
        check_log(f'seeds/seed-{seed}/steps.jsonl', train_lines(COSINE, seed=seed, images=(20, 6)) + evaluation(TEST_IMAGES))


def stop_after(lines, command, text, out, *options):
    """Interrupts a run when so many passes are done."""
    process = subprocess.Popen([RUN, command, text, '--out', out, '--threads', '1', '--precision', 'f64', '--log-steps', *options],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        try:
            if read(out, 'steps.jsonl').count(b'\n') >= lines:
                process.send_signal(signal.SIGINT)
                break
        except FileNotFoundError:
            pass
        time.sleep(0.005)
    said = process.communicate(timeout=300)[1]
    expect(process.returncode == 130 and '--resume goes on' in said, f'interrupted: exit code {process.returncode}\n{said}')


def check_resumed(command, text, wanted, marks, *options):
    """Interrupted twice, in the first epoch and later: the numbers of one run, and its bits."""
    whole, parts = f'{text}_whole', f'{text}_parts'
    go(command, text, whole, *options)
    check_log(f'{whole}/steps.jsonl', wanted)
    stop_after(marks[0], command, text, parts, *options)
    stop_after(marks[1], command, text, parts, '--resume', *options)
    go(command, text, parts, '--resume', *options)
    check_log(f'{parts}/steps.jsonl', wanted)
    for name in ('checkpoint.safetensors', 'metrics.jsonl'):
        expect(read(whole, name) == read(parts, name), f'{command}: {name} differs')


def test_resumed_in_the_middle():
    write('long_search.nd', SEARCH.replace(DATA, LONG))
    write('long_train.nd', TRAIN.replace(DATA, LONG))
    # In the first epoch, whose passes are 1200 + 400 and 1000 + 1000, and in the second.
    check_resumed('search', 'long_search.nd', search_lines(COSINE, images=(2400, 1600)), (400, 2000))
    write('long_second.nd', SEARCH.replace(DATA, LONG))
    check_resumed('search', 'long_second.nd', search_lines(COSINE, images=(1200, 800), second=True), (200, 1000), *sets(order='second', limit=2000))
    check_resumed('train', 'long_train.nd', train_lines(COSINE, images=(4000, 4000)), (250, 2250))


# ---- where it arrives ----

def pictures():
    data = read('images/train-images-idx3-ubyte')[16:]
    images = [[(byte / 255 - 0.25) / 0.5 for byte in data[i * PIXELS:(i + 1) * PIXELS]] for i in range(IMAGES)]
    return images, list(read('images/train-labels-idx1-ubyte')[8:])


def passes(command, seed, epochs):
    """What each pass of a run works on: epoch, step in it, step of the whole, whether it moves the alphas, numbers of the images, first of
    the batch."""
    at = 0
    for epoch in range(epochs):
        first = _draws.shuffled(range(15 if command == 'search' else IMAGES), seed, f'shuffle.{"weights" if command == "search" else "train"}', epoch)
        for step, (base, count) in enumerate(batches(len(first))):
            if command == 'search':
                of_alphas = batches(11)
                turn, place = divmod(step, len(of_alphas))
                order = _draws.shuffled(range(15, IMAGES), seed, 'shuffle.alphas', epoch, turn)
                yield epoch, step, at, True, order[of_alphas[place][0]:sum(of_alphas[place])], of_alphas[place][0]
            yield epoch, step, at, False, first[base:base + count], base
            at += 1


def replay(command, seed=5, epochs=2):
    parameters = {name: list(values) for name, values in _safetensors.numbers(f'{command}.safetensors').items()}
    images, labels = pictures()
    state = {}
    for epoch, step, at, is_alphas, numbers, base in passes(command, seed, epochs):
        given = {'seed': seed, 'image_base': base, 'noise_decay': (1 + math.cos(math.pi * epoch / 50)) / 2}
        batch, classes = [images[i] for i in numbers], [labels[i] for i in numbers]
        if command == 'search':
            given.update(step=2 * at + (1 if is_alphas else 2), drop_keep=0.7)
            _, gradients = _replay.search_pass(parameters, batch, classes, given, 0.3, 0.1)
        else:
            given.update(step=at + 1, drop_keep=1 - 0.4 * epoch / epochs)
            _, gradients = _replay.train_pass(parameters, batch, classes, given)
        if is_alphas:
            _replay.adam(parameters, state, gradients, 0.1, (0.5, 0.999), at + 1, 0.01)
        else:
            setting, steps = (COSINE, 4) if command == 'search' else (BY_STEP, 7)
            _replay.sgd(parameters, state, gradients, rate(setting, epochs, epoch, step, steps), 0.9, 0.01, 1)
    return parameters


def check_arrival(command, folder):
    found = _safetensors.numbers(f'{folder}/checkpoint.safetensors')
    for name, values in replay(command).items():
        far = max(abs(a - b) for a, b in zip(values, found[name])) / max(abs(value) for value in values)
        expect(far < 1e-6, f'{folder}: {name} is {found[name]}, not {values}')


def test_where_a_search_arrives():
    go('search', 'search.nd', 'arrived', '--init', 'search.safetensors')
    check_arrival('search', 'arrived')


def test_where_a_training_arrives():
    go('train', 'train.nd', 'trained', '--init', 'train.safetensors', *rate_sets(BY_STEP))
    check_arrival('train', 'trained')


def check_traced(command, out, batches_of, *options):
    """One step alone in an epoch, and the same images in the same order fed to trace, which is what the reference tests compare with the
    published numbers: the same bits."""
    images, labels = pictures()
    feed = {}
    for suffix, order in batches_of.items():
        feed[f'input{suffix}'] = ((len(order), 1, 3, 4), [value for i in order for value in images[i]])
        feed[f'labels{suffix}'] = ((len(order),), [labels[i] for i in order])
    _safetensors.write('feed.safetensors', feed, {name: 'I64' if name.startswith('labels') else 'F64' for name in feed})
    initial = _safetensors.numbers(f'{command}.safetensors')
    go(command, f'{command}.nd', out, '--init', f'{command}.safetensors', *sets(epochs=1), *options)
    run(RUN, 'trace', f'{command}.nd', '--weights', f'{command}.safetensors', '--feed', 'feed.safetensors', '--precision', 'f64', '--seed', '5',
        '--steps', '1', '-o', f'{out}.safetensors', *sets(epochs=1), *options)
    found, traced = _safetensors.numbers(f'{out}/checkpoint.safetensors'), _safetensors.numbers(f'{out}.safetensors')
    for name, before in initial.items():
        if name.startswith('alphas'):
            expect(found[name] == traced[f'search0/{name}'], f'{out}: {name} is {found[name]}, traced {traced[f"search0/{name}"]}')
            continue
        update = traced[f'{"search_update" if command == "search" else "train/update"}/{name}']
        moved = tuple(after - value for after, value in zip(found[name], before))
        expect(moved == update and any(moved), f'{out}: {name} moves by {moved}, traced {update}')


def test_a_step_is_that_of_trace():
    check_traced('search', 'one_search', {'': _draws.shuffled(range(4), 5, 'shuffle.weights', 0), '_valid': _draws.shuffled(range(4, 8), 5, 'shuffle.alphas', 0)},
                 *sets(limit=8, split=0.5))
    check_traced('search', 'one_of_second_order', {'': _draws.shuffled(range(4), 5, 'shuffle.weights', 0), '_valid': _draws.shuffled(range(4, 8), 5, 'shuffle.alphas', 0)},
                 *sets(limit=8, split=0.5, order='second'))
    check_traced('train', 'one_training', {'': _draws.shuffled(range(4), 5, 'shuffle.train', 0)}, *sets(limit=4, warm_up=1, weights__every='step'))


if __name__ == '__main__':
    sys.exit(main([prepare, test_every_number_of_a_search, test_every_number_of_second_order, test_every_number_of_a_training, test_resumed_in_the_middle, test_where_a_search_arrives,
                   test_where_a_training_arrives, test_a_step_is_that_of_trace]))
