#!/usr/bin/env python3
"""Every way to put noise and drop path on a candidate, against the formulas in plain Python: which candidate, its input or its result,
the distribution, how it is mixed, the size of it, the decay; and none of it in evaluation mode."""
import itertools
import json
import math
import struct
import sys
import tempfile

import _common

N, SIDE, C, CLASSES, EPOCH = 3, 2, 2, 2, 10
# Candidate `square` tells its input from its result; both candidates' weights are equal.
TEXT = '''fn squared(x) = x * x + 0.5
op square(stride) = squared
op skip(stride) = identity
space tiny {{ candidates = [skip, square]  cell {{ inputs 1 nodes 1 output s1 keep 1 per node }} }}
network net(space, H = {side}, W = {side}, channels = {c}, classes = {classes}) on x {{
    return space.normal(x) | global_avg_pool | classifier: linear(classes)
}}
search {{
    space tiny  network net  data synthetic(H = {side}, W = {side}, channels = {c}, classes = {classes})
    {rules}
    epochs 50  batch {n}
    weights sgd(lr = 0, momentum = 0.9, decay = 0, clip = 5)   alphas adam(lr = 0, betas = (0.5, 0.999), decay = 0)
}}
'''


def read(path):
    """name -> list of numbers of a safetensors file."""
    with open(path, 'rb') as file:
        data = file.read()
    size = struct.unpack('<Q', data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != '__metadata__':
            begin, end = entry['data_offsets']
            letter, width = {'F32': ('f', 4), 'F64': ('d', 8), 'I64': ('q', 8)}[entry['dtype']]
            found[name] = struct.unpack(f'<{(end - begin) // width}{letter}', data[8 + size + begin:8 + size + end])
    return found


def unbiased_std(x):
    mean = sum(x) / len(x)
    return math.sqrt(sum((v - mean) ** 2 for v in x) / (len(x) - 1))


def noisy(x, draw, rule):
    d = (1 + math.cos(math.pi * EPOCH / 50)) / 2 if rule['decay'] else 1
    if rule['distribution'] == 'uniform':
        n = [rule['mean'] + (1 - 2 * u) * math.sqrt(3 * rule['size']) for u in draw]
    else:
        amount = rule['size'] * (unbiased_std(x) if rule['mixture'] == 'additive' and not rule['absolute'] else 1)
        n = [rule['mean'] + amount * z for z in draw]
    return [a * b * d if rule['mixture'] == 'multiplicative' else a + d * b for a, b in zip(x, n)]


def logits(x, draw, mask, rule, feed, weights):
    candidates = {'skip': lambda v: list(v), 'square': lambda v: [a * a + 0.5 for a in v]}
    mixed = [0.0] * len(x)
    for name, operation in candidates.items():
        y = x
        if rule and name == rule['on'] and rule['at'] == 'input':
            y = noisy(y, draw, rule)
        y = operation(y)
        if rule and name == rule['on']:
            if rule['at'] == 'output':
                y = noisy(y, draw, rule)
            if rule['drop']:
                y = [v * mask[i // (len(x) // N)] / (1 - rule['drop']) for i, v in enumerate(y)]
        mixed = [a + b / 2 for a, b in zip(mixed, y)]
    area, out = SIDE * SIDE, []
    for n in range(N):
        pooled = [sum(mixed[(n * C + c) * area:(n * C + c + 1) * area]) / area for c in range(C)]
        out += [sum(weights['classifier.weight'][k * C + c] * pooled[c] for c in range(C)) + weights['classifier.bias'][k]
                for k in range(CLASSES)]
    return out


def text_of(rule):
    words = [rule['distribution'], rule['mixture'], 'absolute' if rule['absolute'] else '', 'decay' if rule['decay'] else '']
    size = 'std' if rule['distribution'] == 'gaussian' else 'variance'
    rules = f'noise on {rule["on"]} {{ {" ".join(words)} {size} = {rule["size"]} mean = {rule["mean"]} at = {rule["at"]} }}'
    if rule['drop']:
        rules += f' drop_path on {rule["on"]} {{ probability = {rule["drop"]} }}'
    return TEXT.format(side=SIDE, c=C, classes=CLASSES, n=N, rules=rules)


def check(rule, folder):
    case = _common.Case('noise', str(rule), text_of(rule), folder)
    case.make_weights()
    kind, shape = 'noise' if rule['distribution'] == 'gaussian' else 'uniform', f'{N},{C},{SIDE},{SIDE}'
    entries = [f'{name}=input:{shape}' for name in ('input', 'input_valid')]
    entries += [f'{name}=label/{CLASSES}:{N}' for name in ('labels', 'labels_valid')] + ['alphas_normal=label/1:1,2']
    for step in range(3):
        entries.append(f'noise._ops.0.step{step}={kind}:{shape}')
        if rule['drop']:
            entries.append(f'mask._ops.0.step{step}=keep/{1 - rule["drop"]}:{N}')
    case.make_feed(entries)
    case.options = ['--steps', '1', '--epoch', str(EPOCH)]
    case.trace('f64')
    feed, weights, found = (read(case.path(name + '.safetensors')) for name in ('feed', 'weights', 'out'))
    x, draw, mask = feed['input_valid'], feed['noise._ops.0.step0'], feed.get('mask._ops.0.step0')
    for key, expected in (('logits', logits(x, draw, mask, rule, feed, weights)),
                          ('search_end/eval_logits', logits(x, None, None, None, feed, weights))):
        error = max(abs(a - b) for a, b in zip(found[key], expected, strict=True))
        if error > 1e-9:
            print(f'{rule}: {key} is off by {error:.3g}')
            return False
    return True


def main():
    rules = [dict(zip(('distribution', 'mixture', 'absolute', 'at', 'on', 'size', 'mean', 'decay', 'drop'), values))
             for values in itertools.chain(
                 itertools.product(['gaussian'], ['additive', 'multiplicative'], [False, True], ['input', 'output'], ['square'], [0.2],
                                   [0.5], [False], [0]),
                 itertools.product(['uniform'], ['additive', 'multiplicative'], [False], ['input', 'output'], ['square'], [0.1], [1], [True],
                                   [0]),
                 [('gaussian', 'additive', True, 'output', 'skip', 0.3, 0, True, 0.4),
                  ('uniform', 'additive', False, 'input', 'skip', 0.3, 0, False, 0.4)])]
    right = 0
    for rule in rules:
        with tempfile.TemporaryDirectory() as folder:
            right += check(rule, folder)
    print(f'{right} of {len(rules)} agree')
    return 0 if right == len(rules) else 1


if __name__ == '__main__':
    sys.exit(main())
