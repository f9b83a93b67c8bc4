#!/usr/bin/env python3
"""Optimisers and schedules as PyTorch has them (training.json): the formulas that cli/optimizers holds runs against, on the given quadratic; and the
rates and momenta that a training gives its steps, with --log-steps, from texts. Schedules of search methods, as their papers' code has them. Losses, and averages
of weights."""
import json
import math
import os
import subprocess
import sys
import tempfile

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
sys.path.insert(0, os.path.join(SOURCE, 'tests', 'cli'))
import _safetensors  # noqa: E402
import optimizers  # noqa: E402

with open(os.path.join(SOURCE, 'tests', 'reference', 'training.json'), encoding='ascii') as file:
    EXPECTED = json.load(file)
RUNS = {
    'sgd_momentum': ('sgd', 0.05, {'momentum': 0.9, 'decay': 0.01}),
    'sgd_nesterov': ('sgd', 0.05, {'momentum': 0.9, 'decay': 0.01, 'nesterov': True}),
    'sgd_dampening': ('sgd', 0.05, {'momentum': 0.9, 'decay': 0.01, 'dampening': 0.5}),
    'adam': ('adam', 0.02, {'decay': 0.01}),
    'adam_darts': ('adam', 0.02, {'betas': (0.5, 0.999), 'decay': 1e-3}),
    'adamw': ('adamw', 0.02, {'decay': 0.01}),
    'adam_amsgrad': ('adam', 0.02, {'amsgrad': True}),
    'rmsprop': ('rmsprop', 0.02, {'smoothing': 0.9, 'momentum': 0.9, 'eps': 1e-3, 'decay': 0.01}),
}
# Rate, and momentum where it moves.
SCHEDULES = {
    'step_lr': ('step(0.05, 3, 0.1)', None),
    'multi_step_lr': ('multi_step(0.05, 0.5, [2, 5])', None),
    'exponential_lr': ('geometric(0.05, 0.97)', None),
    'cosine_lr': ('cosine(0.05, 0.001, 10)', None),
    'cosine_warm_restarts': ('warm_restarts(0.05, 0.001, 4, 2)', None),
    'one_cycle_cos': ('one_cycle(0.2 / 25, 0.2, 0.2 / 25 / 10000)', 'one_cycle(0.95, 0.85, 0.95)'),
    'one_cycle_linear': ('one_cycle_linear(0.2 / 10, 0.2, 0.2 / 10 / 100, 0.4)', 'one_cycle_linear(0.95, 0.85, 0.95, 0.4)'),
    'warm_up_cosine': ('warm_up_cosine(0.005, 0.05, 0.001, 3, 10)', None),
    'polynomial_lr': ('polynomial(0.05, 0, 2, 6)', None),
}
TEXT = '''network net(H = 1, W = 1, channels = 1, classes ?= 2) on x { return x | global_avg_pool | classifier: linear(classes) }
train {
    network net  data synthetic(H = 1, W = 1, channels = 1, classes = 2, limit = 1)
    epochs %d  batch 1
    weights sgd(lr = %s, momentum = %s)
}
'''


def expect(condition, message):
    if not condition:
        sys.exit(message)


def near(found, wanted, where, tolerance=1e-12):
    expect(len(found) == len(wanted) and all(abs(a - b) <= tolerance * max(abs(b), 1e-3) for a, b in zip(found, wanted)), f'{where}: {found}, not {wanted}')


def test_optimizers():
    quadratic = EXPECTED['optimisers']['quadratic']
    for name, (optimizer, rate, options) in RUNS.items():
        w, memories = list(quadratic['start']), [{} for _ in quadratic['start']]
        for t, wanted in enumerate(EXPECTED['optimisers']['runs'][name]['w']):
            gradient = [sum(a * x for a, x in zip(row, w)) - b for row, b in zip(quadratic['A'], quadratic['b'])]
            w = [x - rate * optimizers.STEPS[optimizer](x, g, memory, t + 1, **options) for x, g, memory in zip(w, gradient, memories)]
            near(w, wanted, f'{name}, step {t}')


def logged(folder, epochs, rate, momentum):
    """What the device was given in each epoch, which is one step."""
    text, out = os.path.join(folder, 'text.nd'), os.path.join(folder, 'out')
    with open(text, 'w', encoding='ascii') as file:
        file.write(TEXT % (epochs, rate, momentum))
    subprocess.run([f'{BUILD}/bin/ndarts-run', 'train', text, '--out', out, '--precision', 'f64', '--log-steps'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(out, 'steps.jsonl'), encoding='ascii') as file:
        lines = [json.loads(line) for line in file]
    return [line['scalars'] for line in lines if line['graph'] == 'train'][-epochs:]


def test_schedules(folder):
    for name, (rate, momentum) in SCHEDULES.items():
        wanted = EXPECTED['optimisers']['runs'][name]
        scalars = logged(folder, len(wanted['lr']), rate, momentum or 0)
        near([line['lr'] for line in scalars], wanted['lr'], name)
        if momentum:
            near([line['momentum'] for line in scalars], wanted['beta1_or_momentum'], f'{name}, momentum')


def beta(kind, e, base, last, start, stop):
    """methods.md's formulas of DARTS-, whose offset is missing in the published code."""
    if e < start:
        return base
    e = min(e, stop)
    return {'linear': base * (last - e) / (last - start), 'cosine': base * (1 + math.cos(math.pi * e / (last - start))) / 2,
            'slow_cosine': base * math.cos(math.pi / 2 * e / (last - start))}[kind]


def schedules_of(folder, method, epochs=55):
    """The factors of a method, as a search gives them to its passes: its only scalars that are written out, in order."""
    text, out = os.path.join(folder, 'search.nd'), os.path.join(folder, 'search')
    with open(text, 'w', encoding='ascii') as file:
        file.write(f'''import "methods.nd"
            op mix(C, stride) = conv(C, 1)
            space tiny {{ candidates = [skip_connect, mix]  cells = [normal]  cell {{ inputs 1  nodes 1  output s1 }} }}
            network net(cells, C = 1, H = 1, W = 1, channels = 1, classes ?= 2) on x {{ return cells.normal(x) | global_avg_pool | classifier: linear(classes) }}
            search {{ space tiny  network net(tiny)  method {method}  epochs {epochs}  batch 1
                      data synthetic(H = 1, W = 1, channels = 1, classes = 2, limit = 2) }}''')
    subprocess.run([f'{BUILD}/bin/ndarts-run', 'search', text, '--out', out, '--precision', 'f64', '--log-steps'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(out, 'steps.jsonl'), encoding='ascii') as file:
        lines = [json.loads(line) for line in file]
    return [{name: value for name, value in line['scalars'].items() if '(' in name} for line in lines if line['graph'] == 'search-weights'][-epochs:]


def test_darts_minus(folder):
    near(EXPECTED['darts_minus_linear'], [beta('linear', e, 1, 50, 0, 50) for e in range(len(EXPECTED['darts_minus_linear']))], 'the formula')
    for kind, suffix in (('linear', ''), ('cosine', '_cosine'), ('slow_cosine', '_slow_cosine')):
        for base, start, stop in ((1, 0, 50), (0.7, 0, 50), (1, 10, 40)):
            found = schedules_of(folder, f'darts_minus{suffix}({base}, 50, {start}, {stop})')
            name = next(name for name in found[0] if name.startswith(kind + '('))
            values = [base if line.get('epoch()', start) < start else line[name] for line in found]
            near(values, [beta(kind, e, base, 50, start, stop) for e in range(55)], f'{kind} {base} {start} {stop}')


def test_gdas(folder):
    """Falls to its end in the last epoch."""
    tau = EXPECTED['gdas_tau_schedule']
    found = schedules_of(folder, 'snas(10, 0.1, -1)', tau['epochs'])
    for epoch, value in tau['values'].items():
        near(list(found[int(epoch)].values()), [value], f'epoch {epoch}')


# Settings, and, where images are mixed, how much of a target is its own.
LOSSES = {
    'cross_entropy': ('', None), 'label_smoothing_0.1_torch': ('label_smoothing 0.1', None), 'label_smoothing_0.2_torch': ('label_smoothing 0.2', None),
    'mixup': ('mixup 1', 0.3), 'mixup_label_smoothing_0.1': ('mixup 1  label_smoothing 0.1', 0.3), 'cutmix': ('cutmix 1', 0.625),
}


def targets(labels, others, share, classes):
    return [share * (c == a) + (1 - share) * (c == b) for a, b in zip(labels, others) for c in range(classes)]


def test_losses(folder):
    """Image i is unit vector i, so that the weights of a linear layer are the logits, and their gradient the logits'."""
    losses = EXPECTED['losses']
    images, classes = len(losses['logits_values']), len(losses['logits_values'][0])
    text, feed, weights, out = (os.path.join(folder, name) for name in ('loss.nd', 'feed.safetensors', 'weights.safetensors', 'out.safetensors'))
    unit = [float(i == k) for i in range(images) for k in range(images)]
    columns = [losses['logits_values'][i][k] for k in range(classes) for i in range(images)]
    _safetensors.write(weights, {'classifier.weight': ((classes, images), columns)}, {'classifier.weight': 'F64'})
    for name, (setting, share) in LOSSES.items():
        labels = ('labels', ((images,), losses['labels']), 'I64') if share is None else \
            ('targets', ((images, classes), targets(losses['labels'], losses['labels_b'], share, classes)), 'F64')
        _safetensors.write(feed, {'input': ((images, images, 1, 1), unit), labels[0]: labels[1]}, {labels[0]: labels[2]})
        with open(text, 'w', encoding='ascii') as file:
            file.write(f'''network net(H = 1, W = 1, channels = {images}, classes ?= {classes}) on x {{ return x | flatten | classifier: linear(classes, bias = false) }}
                train {{ network net  data synthetic(H = 1, W = 1, channels = {images}, classes = {classes})  batch {images}  {setting} }}''')
        subprocess.run([f'{BUILD}/bin/ndarts-run', 'trace', text, '--feed', feed, '--weights', weights, '--precision', 'f64', '-o', out], check=True)
        found, wanted = _safetensors.numbers(out), losses['results'][name]
        near(found['train/loss'], [wanted['loss']], name)
        near(found['train/grad/classifier.weight'], [wanted['grad'][i][k] for k in range(classes) for i in range(images)], f'{name}, gradient')


def average_of(weights, decay, warm_up=False):
    """What an average is after each of the weights; it begins as a copy of the first."""
    average = [list(weights[0])]
    for n, values in enumerate(weights[1:], 1):
        left = min(decay, (1 + n) / (10 + n)) if warm_up else decay
        average.append([left * a + (1 - left) * w for a, w in zip(average[-1], values)])
    return average


AVERAGED = '''network net(H = 2, W = 2, channels = 2, classes ?= 2) on x {
    return x | stem { conv(2, 1) | batch_norm } | global_avg_pool | classifier: linear(classes)
}
train { network net  data synthetic(H = 2, W = 2, channels = 2, classes = 2, limit = 4)  batch 4  weights sgd(lr = 0.5) }
'''


def trained(folder, epochs, *sets):
    """The weights that are saved, and the checkpoint, after so many steps."""
    text, out = os.path.join(folder, 'averaged.nd'), os.path.join(folder, 'averaged')
    with open(text, 'w', encoding='ascii') as file:
        file.write(AVERAGED)
    subprocess.run([f'{BUILD}/bin/ndarts-run', 'train', text, '--out', out, '--precision', 'f64', '--set', f'epochs={epochs}', *sets], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [_safetensors.numbers(os.path.join(out, f'{name}.safetensors')) for name in ('weights', 'checkpoint', 'best')]


def test_averages(folder):
    """The formula, then trainings: what n steps make of weights and running statistics, and their averages, which are what is saved."""
    ema = EXPECTED['ema']
    for found, wanted in zip(average_of(ema['weights'], ema['decay']), ema['average_after']):
        near(found, wanted, 'average')
    for found, wanted in zip(average_of(ema['weights'], ema['decay'], True)[1:], ema['with_warm_up']):
        near(found, wanted, 'average with a warm-up')
    steps = [trained(folder, epochs)[1] for epochs in (1, 2, 3, 4)]
    begin = trained(folder, 1, '--set', 'lr=0')[1]  # whose statistics have moved by a step
    for sets, warm_up in ((('--set', 'ema=0.8'), False), (('--set', 'ema=0.8', '--set', 'ema_warm_up=true'), True)):
        saved, checkpoint, _ = trained(folder, 4, *sets)
        for name in saved:
            first = [float(name.endswith('var'))] * len(saved[name]) if 'running' in name else begin[name]
            wanted = average_of([first] + [step[name] for step in steps], 0.8, warm_up)[-1]
            near(checkpoint[f'ema/{name}'], wanted, f'ema/{name}', 1e-9)
            near(saved[name], wanted, f'{name}, saved', 1e-6)
            near(checkpoint[name], steps[-1][name], f'{name}, which goes on', 1e-9)
    saved, checkpoint, best = trained(folder, 1, '--set', 'ema=0.8')
    for name in saved:
        near(best[name], saved[name], f'{name} of the best epoch, which is the only one')


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_optimizers()
        test_schedules(folder)
        test_darts_minus(folder)
        test_gdas(folder)
        test_losses(folder)
        test_averages(folder)
    print(f'{len(RUNS)} optimisers, {len(SCHEDULES)} schedules, those of methods, and {len(LOSSES)} losses')
    return 0


if __name__ == '__main__':
    sys.exit(main())
