#!/usr/bin/env python3
"""Every optimiser of ir/optimizers.def updates weights and alphas: searches and trainings with each, in double precision, arrive where
the formulas of their papers arrive, number by number in plain Python (the networks and their gradients: _replay.py). What a text gives
reaches them, what only others take is a mistake, and a checkpoint holds their states."""
import math
import re
import os
import sys

import _replay
import _safetensors
import steps
from _run import COMPILER, RUN, expect, main, run, write

SOURCE = os.environ['NDARTS_SOURCE']
with open(os.path.join(SOURCE, 'ir', 'optimizers.def'), encoding='utf-8') as table:
    KNOWN = re.findall(r'^OPTIMIZER\((\w+),', table.read(), re.M)


def sgd(w, g, memory, t, momentum=0.9, decay=0.0, dampening=0.0, nesterov=False):
    g += decay * w
    memory['momentum'] = momentum * memory.get('momentum', 0.0) + (g if t == 1 else (1 - dampening) * g)
    return g + momentum * memory['momentum'] if nesterov else memory['momentum']


def direction(g, memory, t, betas, eps, amsgrad):
    memory['adam_m'] = betas[0] * memory.get('adam_m', 0.0) + (1 - betas[0]) * g
    memory['adam_v'] = v = betas[1] * memory.get('adam_v', 0.0) + (1 - betas[1]) * g * g
    if amsgrad:
        memory['adam_v_most'] = v = max(memory.get('adam_v_most', 0.0), v)
    return memory['adam_m'] / (1 - betas[0]**t) / (math.sqrt(v / (1 - betas[1]**t)) + eps)


def adam(w, g, memory, t, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
    return direction(g + decay * w, memory, t, betas, eps, amsgrad)


def adamw(w, g, memory, t, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
    return direction(g, memory, t, betas, eps, amsgrad) + decay * w


def rmsprop(w, g, memory, t, smoothing=0.99, momentum=0.9, eps=1e-8, decay=0.0):
    g += decay * w
    memory['square'] = smoothing * memory.get('square', 0.0) + (1 - smoothing) * g * g
    memory['momentum'] = momentum * memory.get('momentum', 0.0) + g / (math.sqrt(memory['square']) + eps)
    return memory['momentum']


STEPS = {'sgd': sgd, 'adam': adam, 'adamw': adamw, 'rmsprop': rmsprop}
OPTIONS = {'sgd': {'momentum': 0.8, 'decay': 0.02}, 'adam': {'betas': (0.8, 0.95), 'eps': 1e-4, 'decay': 0.02},
           'adamw': {'betas': (0.7, 0.9), 'eps': 1e-3, 'decay': 0.05}, 'rmsprop': {'smoothing': 0.8, 'momentum': 0.7, 'eps': 1e-2, 'decay': 0.02},
           # and with what they may do besides
           'sgd nesterov': {'momentum': 0.8, 'nesterov': True, 'decay': 0.02}, 'sgd dampening': {'momentum': 0.8, 'dampening': 0.4, 'decay': 0.02},
           'adam amsgrad': {'betas': (0.8, 0.5), 'eps': 1e-4, 'amsgrad': True, 'decay': 0.02}}


def call(name, rate, more=''):
    options = ', '.join(f'{key} = {str(value).lower()}' for key, value in OPTIONS[name].items())
    return f'{name.split()[0]}(lr = {rate}, {options}{more})'


def update(name, parameters, names, gradients, memories, rate, t, clip=None):
    """One update of all named parameters; clip: the largest norm of their gradients together."""
    norm = math.sqrt(sum(g * g for of in names for g in gradients[of]))
    factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
    for of in names:
        for i, value in enumerate(parameters[of]):
            memory = memories.setdefault((of, i), {})
            parameters[of][i] = value - rate * STEPS[name.split()[0]](value, factor * gradients[of][i], memory, t, **OPTIONS[name])


def arrive(command, weights, alphas):
    """Where a run ends, and what its optimisers remember: {(parameter, number): {state: value}}."""
    parameters = {name: list(values) for name, values in _safetensors.numbers(f'{command}.safetensors').items()}
    images, labels = steps.pictures()
    memories, moved = {}, 0
    for epoch, _, at, is_alphas, numbers, base in steps.passes(command, 5, 2):
        given = {'seed': 5, 'image_base': base, 'noise_decay': (1 + math.cos(math.pi * epoch / 50)) / 2}
        batch, classes = [images[i] for i in numbers], [labels[i] for i in numbers]
        if command == 'search':
            given.update(step=2 * at + (1 if is_alphas else 2), drop_keep=0.7)
            _, gradients = _replay.search_pass(parameters, batch, classes, given, 0.3, 0.1)
        else:
            given.update(step=at + 1, drop_keep=1 - 0.4 * epoch / 2)
            _, gradients = _replay.train_pass(parameters, batch, classes, given)
        names = [name for name in parameters if _replay.is_alpha(name) == is_alphas]
        moved += is_alphas
        if is_alphas:
            update(alphas, parameters, names, gradients, memories, 0.1, moved)
        else:
            update(weights, parameters, names, gradients, memories, 0.05, at + 1, clip=0.5)
    return parameters, memories


def check_near(found, wanted, what):
    far = max(abs(a - b) for a, b in zip(wanted, found)) / max(abs(value) for value in wanted)
    expect(len(found) == len(wanted) and far < 1e-6, f'{what} is {found}, not {wanted}')


def check(command, text, weights, alphas):
    name = f'{command}_{weights}_{alphas}'.replace(' ', '_')
    text = re.sub(r'weights sgd\(.*\)', 'weights ' + call(weights, 0.05, ', clip = 0.5'), text)
    write(f'{name}.nd', re.sub(r'alphas adam\(.*\)', 'alphas ' + call(alphas, 0.1), text))
    steps.go(command, f'{name}.nd', name, '--init', f'{command}.safetensors')
    found = _safetensors.numbers(f'{name}/checkpoint.safetensors')
    parameters, memories = arrive(command, weights, alphas)
    for of, values in parameters.items():
        check_near(found[of], values, f'{name}: {of}')
        for state in memories[of, 0]:
            check_near(found[f'{state}/{of}'], [memories[of, i][state] for i in range(len(values))], f'{name}: {state}/{of}')


def test_all_are_checked():
    expect(sorted(KNOWN) == sorted(STEPS), f'ir/optimizers.def has {KNOWN}, this test {list(STEPS)}')


def test_searches():
    for i, weights in enumerate(KNOWN):
        check('search', steps.SEARCH, weights, KNOWN[(i + 1) % len(KNOWN)])


def test_trainings():
    for weights in OPTIONS:
        check('train', steps.TRAIN, weights, 'adam')


def test_arguments():
    """By --set, and those of others."""
    write('adam.nd', steps.TRAIN.replace('weights sgd(lr = cosine(0.5, 0.1), momentum = 0.9, decay = 0.01, clip = 1)', 'weights adam(lr = 0.1)'))
    shown = run(COMPILER, 'adam.nd', '--emit=ir', '--set', 'beta1=0.75')[0]
    expect('set train.weights.optimizer = "adam"' in shown and 'set train.weights.beta1 = 0.75' in shown, shown)
    run(COMPILER, 'adam.nd', '--emit=ir', '--set', 'momentum=0.5', code=1, says='momentum')
    shown = run(COMPILER, 'train.nd', '--emit=ir', '--graph=train', '--set', 'optimizer=adamw')[0]
    expect('param "adam_m/classifier.bias"' in shown and 'momentum/' not in shown, 'the optimiser of --set is not there')
    write('wrong.nd', steps.TRAIN.replace('weights sgd(', 'weights adam('))
    run(COMPILER, 'wrong.nd', '--emit=ir', code=1, says="'adam' has no parameter 'momentum'")
    run(RUN, 'train', 'train.nd', '--out', 'x', '--set', 'optimizer=adan', code=1, says="did you mean 'adam'?")


if __name__ == '__main__':
    sys.exit(main([steps.prepare, test_all_are_checked, test_searches, test_trainings, test_arguments]))
