#!/usr/bin/env python3
"""specs/ holds the published searches: every setting of every row and every method, as the commands that were run had it; and all of it compiles."""
import os
import re
import subprocess
import sys

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
COMMON = {
    'search.epochs': 50, 'search.batch': 128, 'search.seed': 10, 'search.order': 'first', 'search.frozen_epochs': 0,
    'search.weights.lr': 0.05, 'search.weights.lr_min': 0.001, 'search.weights.schedule': 'cosine', 'search.weights.momentum': 0.9,
    'search.weights.decay': 3e-4, 'search.weights.clip': 5, 'search.alphas.lr': 3e-4, 'search.alphas.beta1': 0.5,
    'search.alphas.beta2': 0.999, 'search.alphas.decay': 1e-3, 'classes': 10, 'input.height': 32, 'input.width': 32, 'input.channels': 3,
    'data.source': 'cifar10', 'data.split': 0.5, 'data.crop': 4, 'data.flip': True, 'data.cutout': 0,
    'space.inputs': 2, 'space.nodes': 4, 'space.keep': 2,
}
CANDIDATES = '[@max_pool_3x3, @avg_pool_3x3, @skip_connect, @sep_conv_3x3, @sep_conv_5x5, @dil_conv_3x3, @dil_conv_5x5]'
DEFAULTS = {'search.frozen_epochs': 0, 'data.cutout': 0}  # what is meant when the text says nothing
# distribution, mixture, std (of uniform noise the variance), mean, decay
ROWS = {
    'a': ('gaussian', 'additive', 0.2, 0, False), 'b': ('gaussian', 'additive', 0.1, 0, False),
    'c': ('uniform', 'additive', 0.2, 0, False), 'd': ('uniform', 'additive', 0.1, 0, False),
    'e': ('gaussian', 'multiplicative', 0.2, 1, False), 'f': ('gaussian', 'multiplicative', 0.1, 1, False),
    'g': ('gaussian', 'additive', 0.2, 0.5, True), 'h': ('gaussian', 'additive', 0.2, 1, True),
    'i': ('gaussian', 'additive', 0.1, 0.5, True), 'j': ('gaussian', 'additive', 0.1, 1, True),
}

# epochs, batch, seed, rate of the weights and at the end, rate and beta1 of the alphas; the space's candidates; what else the module says of the method
SEVEN, EIGHT = CANDIDATES, CANDIDATES.replace('[', '[@none, ')
METHODS = {
    'fair_darts': ((50, 128, 2, 0.005, 0.001, 3e-3, 0.9), SEVEN, ['set keep.threshold = 0.85', '= sigmoid ', '"penalty" = ', '{value=-10.0}']),
    'fair_darts_l1': ((50, 128, 2, 0.005, 0.001, 3e-3, 0.9), SEVEN, ['set keep.threshold = 0.85', '= sigmoid ', '"penalty" = ', '= abs ']),
    'darts_minus': ((50, 64, 0, 0.025, 0.001, 3e-4, 0.5), '[@none, @skip_connect, @sep_conv_3x3]', ['auxiliary_op', '"linear(1.0, 0.0, 50.0, 50.0)"']),
    'beta_darts': ((100, 64, 2, 0.025, 0.001, 3e-4, 0.5), '[@none_201, @skip_connect_201, @nor_conv_1x1, @nor_conv_3x3, @avg_pool_3x3_201]',
                   ['"penalty" = ', '"linear(0.0, 50.0, 100.0)"']),
    'snas': ((150, 64, 6, 0.025, 0.001, 3e-4, 0.5), EIGHT, ['gumbel', '"linear(1.0, 0.03, 0.0)"']),
    'p_darts_1': ((25, 96, 2, 0.025, 0, 6e-4, 0.5), EIGHT, ['set search.frozen_epochs = 10', 'distribution="uniform"', 'geometric(']),
    'p_darts_3': ((25, 96, 2, 0.025, 0, 6e-4, 0.5), EIGHT, ['set keep.most.skip_connect = 2']),
    'pc_darts': ((50, 256, 2, 0.1, 0, 6e-4, 0.5), EIGHT, ['set search.frozen_epochs = 15', '"betas_normal"', 'shuffle']),
    'sdarts': ((50, 64, 10, 0.025, 0.001, 3e-4, 0.5), SEVEN, ['ascend', '"linear(0.03, 0.3, 0.0)"']),
}


def value(text):
    if text in ('true', 'false'):
        return text == 'true'
    if text.startswith('"'):
        return text[1:-1]
    return text if text.startswith(('[', '@')) else float(text)


def compiled(name):
    """The module's settings, and all of it."""
    command = [os.path.join(BUILD, 'bin', 'ndartsc'), os.path.join(SOURCE, 'specs', name + '.nd'), '--emit=ir']
    ir = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    settings = {key: value(text) for key, text in re.findall(r'^set ([\w.]+) = (.*)$', ir, re.M)}
    return {**DEFAULTS, **settings}, ir


def check(name, noise, drop, at='output'):
    settings, ir = compiled(name)
    graph = ir[ir.index('graph @forward'):]
    expected = dict(COMMON)
    if noise:
        distribution, mixture, std, mean, decay = noise
        relative = distribution == 'gaussian' and mixture == 'additive'
        expected |= {'noise.candidate': 'skip_connect', 'noise.distribution': distribution, 'noise.mixture': mixture, 'noise.std': std,
                     'noise.mean': mean, 'noise.decay': decay, 'noise.relative': relative, 'noise.at': at}
        settings.setdefault('noise.decay', False)
        settings.setdefault('noise.at', 'output')
        settings.setdefault('noise.mixture', 'additive')
    if drop:
        expected |= {'drop_path.candidate': 'skip_connect', 'drop_path.probability': drop}
    wrong = [f'{key} is {settings.get(key)}, not {wanted}' for key, wanted in expected.items() if settings.get(key) != wanted]
    wrong += [f'{key} is set' for key in settings if re.match(r'(noise|drop_path|train)\.', key) and key not in expected]
    if settings['space.candidates'] != CANDIDATES:
        wrong.append(f'candidates {settings["space.candidates"]}')
    # 8 cells of 14 edges; 16 channels, of which the stem makes three times as many; reductions after 2 and 5 cells double them.
    shapes = {int(c) for c in re.findall(r'mixed .* : f32\[N,\d+,\d+,(\d+)\]', graph)}
    if len(re.findall(r'= mixed ', graph)) != 8 * 14 or shapes != {16, 32, 64} or 'f32[48,3,3,3]' not in graph:
        wrong.append(f'the network is another one: channels {shapes}')
    for text in wrong:
        print(f'specs/{name}.nd: {text}')
    return not wrong


def check_method(name):
    numbers, candidates, marks = METHODS[name]
    keys = ('search.epochs', 'search.batch', 'search.seed', 'search.weights.lr', 'search.weights.lr_min', 'search.alphas.lr', 'search.alphas.beta1')
    expected = {**{key: COMMON[key] for key in COMMON if key.startswith(('search.', 'data.')) and key != 'search.frozen_epochs'},
                **dict(zip(keys, numbers)), 'space.candidates': candidates}
    settings, ir = compiled(name)
    wrong = [f'{key} is {settings.get(key)}, not {wanted}' for key, wanted in expected.items() if settings.get(key) != wanted]
    wrong += [f'no {mark}' for mark in marks if mark not in ir]
    for text in wrong:
        print(f'specs/{name}.nd: {text}')
    return not wrong


def compiles(name):
    done = subprocess.run([os.path.join(BUILD, 'bin', 'ndartsc'), os.path.join(SOURCE, 'specs', name), '--emit=ir'], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, end='')
    return done.returncode == 0


def main():
    right = all([check(f'noisy_darts_{row}', noise, 0.3) for row, noise in ROWS.items()])
    right &= check('noisy_darts_paper', ROWS['a'], None, at='input')
    right &= check('darts', None, None)
    right &= all([check_method(name) for name in METHODS])
    right &= all([compiles(name) for name in sorted(os.listdir(os.path.join(SOURCE, 'specs'))) if name.endswith('.nd')])
    for row in 'ef':
        with open(os.path.join(SOURCE, 'specs', f'noisy_darts_{row}.nd')) as file:
            assert 'published table swaps e and f' in file.read(), f'specs/noisy_darts_{row}.nd does not warn of the published table'
    print('every published search is as published' if right else 'not as published')
    return 0 if right else 1


sys.exit(main())
