#!/usr/bin/env python3
"""Do the networks of peer_torch.py compute the stored reference values? Nothing is timed before this passes.

    peer_check.py [--only PART] [--precision f64|f32] [--threads N] [--channels-last] [--stand-alone] [--list] [--kinks]

f64 must agree within 1e-6 everywhere. In f32 the values must agree within 1e-5; gradients beyond 5e-3 are counted, since a relu or a max
pool whose input is within rounding of its kink moves them: --list names the tensors, --kinks the relus and max pools that decide otherwise
than in f64. Weights, inputs and draws are the formulas of the reference, so nothing but PyTorch is needed.
"""
import argparse
import json
import math
import os
import sys

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

import peer_torch
from peer_formula import formula_weights, uniform
from peer_torch import GenotypeNetwork, MobileBlocks, Noise, SearchNetwork, read_genotype, read_safetensors

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
TOLERANCES = {'f64': (1e-6, 1e-6), 'f32': (1e-5, 5e-3)}


class Feed:
    """The draws of one forward pass; step None for a discrete network."""

    def __init__(self, keep):
        self.keep, self.step = keep, 0

    def __call__(self, what, path, shape, dtype):
        suffix = '' if self.step is None else f'.step{self.step}'
        u = uniform(('mask.' if what == 'mask' else 'noise.') + path + suffix, tuple(shape))
        value = {'mask': u < self.keep, 'gaussian': math.sqrt(3) * (2 * u - 1), 'uniform': u}[what]
        return torch.from_numpy(value.astype(numpy.float32)).to(dtype)


# ---- comparison ----

class Comparison:
    def __init__(self, expected, key, precision):
        self.expected = {name[len(key) + 1:]: t for name, t in expected.items() if name.startswith(key + '/')}
        self.key, self.tolerances, self.rows = key, TOLERANCES[precision], []
        gradients = [t for name, t in self.expected.items() if name.startswith(('grad/', 'train/grad/', 'train/grad_norm/'))]
        self.all_gradients = math.sqrt(sum(float((t.astype(numpy.float64)**2).sum()) for t in gradients))

    def add(self, name, found):
        """A tensor, or, where that is what is stored, its samples and its norm."""
        found = numpy.asarray(found.detach().double() if torch.is_tensor(found) else found, numpy.float64)
        if name in self.expected:
            self.compare(name, found)
            return
        head, slash, tail = name.partition('grad/') if 'grad/' in name else name.partition('update/')
        step = -(-found.size // 1024)
        self.compare(f'{head}{slash[:-1]}_sample/{tail}', found.reshape(-1)[::step])
        self.compare(f'{head}{slash[:-1]}_norm/{tail}', numpy.sqrt((found**2).sum()))

    def compare(self, name, found):
        expected = self.expected[name].astype(numpy.float64)
        r = self.all_gradients if 'grad' in name and not name.endswith('grad_norm') else 0
        distance = numpy.sqrt(((found.reshape(expected.shape) - expected)**2).sum())
        scale = max(numpy.sqrt((expected**2).sum()), 1e-3 * r)
        self.rows.append((name, 0.0 if distance == 0 else float(distance / scale)))

    def report(self, show, allow_kinks):
        """Prints one line; true when all is within the tolerances (or only some gradients are off, where that is allowed)."""
        def is_gradient(name):
            return 'grad' in name or 'update' in name or name.startswith('search') or 'after_step' in name
        values = [row for row in self.rows if not is_gradient(row[0])]
        gradients = [row for row in self.rows if is_gradient(row[0])]
        off = [row for row in gradients if not row[1] <= self.tolerances[1]]
        stand_alone = [row for row in gradients if row[0].startswith('grad/')]
        off_alone = [row for row in off if row[0].startswith('grad/')]
        worst = max(values, key=lambda row: row[1]), max(gradients, key=lambda row: row[1], default=('', 0))
        good = worst[0][1] <= self.tolerances[0] and (allow_kinks or not off)
        alone = f' ({len(off_alone)} of {len(stand_alone)} in the stand-alone pass)' if stand_alone and off else ''
        print(f'{self.key}: {len(self.rows)} of {len(self.expected)} tensors, worst value {worst[0][1]:.2g}, worst gradient {worst[1][1]:.2g}, '
              f'{len(off)} of {len(gradients)} gradients and updates beyond {self.tolerances[1]:g}{alone}{"" if good else ", WRONG " + worst[0][0]}',
              flush=True)
        for name, error in sorted(off, key=lambda row: -row[1]) if show else []:
            if name.startswith('grad/') or 'train/' in name:
                print(f'    {error:.2g}  {name}')
        return good


# ---- which relus and max pools decide otherwise ----

class Kinks:
    """Records the sign of every relu's input and the choice of every max pool."""

    def __init__(self, network):
        self.choices = {}
        for name, module in network.named_modules():
            if isinstance(module, (nn.ReLU, nn.MaxPool2d)):
                module.register_forward_pre_hook(lambda m, inputs, name=name: self.record(name, m, inputs[0].detach()))

    def record(self, name, module, x):
        if isinstance(module, nn.ReLU):
            self.choices[name] = (x > 0).contiguous(), x.double()
        else:
            self.choices[name] = F.max_pool2d(x.contiguous(), 3, module.stride, 1, return_indices=True)[1], None

    def differences(self, other):
        for name, (choice, value) in self.choices.items():
            exact, exact_value = other.choices[name]
            differs = (choice != exact).nonzero()
            if len(differs):
                size = '' if value is None else f', inputs in f64 {", ".join(f"{float(exact_value[tuple(i)]):.1e}" for i in differs[:4])}'
                yield f'{name}: {len(differs)} of {choice.numel()}{size}'


# ---- cases ----

class Checker:
    def __init__(self, options):
        self.options = options
        self.dtype = torch.float64 if options.precision == 'f64' else torch.float32
        self.good = True

    def prepare(self, network, scale=1.0, dtype=None):
        peer_torch.load(network, formula_weights(network, scale))
        network.to(dtype or self.dtype)
        return network.to(memory_format=torch.channels_last) if self.options.channels_last else network

    def images(self, name, case, dtype=None):
        value = 4 * uniform(name, (case['N'], 3, case['H'], case['W'])) - 2
        x = torch.from_numpy(value.astype(numpy.float32)).to(dtype or self.dtype)
        return x.to(memory_format=torch.channels_last) if self.options.channels_last else x

    def labels(self, name, case):
        return torch.from_numpy(numpy.floor(uniform(name, (case['N'],)) * case['classes']).astype(numpy.int64))

    def supernet(self, case, dtype=None):
        noise = case['noise']
        feed = Feed(1 - case['drop_path_on_skip'])
        decay = (1 + math.cos(math.pi * case['epoch'] / 50)) / 2 if noise.get('decay') else 1
        setting = Noise(noise.get('type', ''), noise.get('mixture') == 'multiplicative', noise.get('factor', 0), noise.get('mean', 0), decay,
                        feed.keep, feed)
        network = SearchNetwork(case['C'], case['layers'], case['classes'], setting)
        return self.prepare(network.train(), dtype=dtype), feed

    def stand_alone(self, case, comparison):
        network, _ = self.supernet(case)
        kinks = Kinks(network) if self.options.kinks else None
        logits = network(self.images('input_valid', case))
        loss = F.cross_entropy(logits, self.labels('labels_valid', case))
        loss.backward()
        comparison.add('logits', logits)
        comparison.add('loss', loss.reshape(1))
        for name, parameter in network.named_parameters():
            comparison.add(f'grad/{name}', parameter.grad)
        for name, buffer in network.named_buffers():
            if not name.endswith('num_batches_tracked'):
                comparison.add(f'after/{name}', buffer)
        if kinks:
            exact, _ = self.supernet(case, torch.float64)
            exact_kinks = Kinks(exact)
            exact(self.images('input_valid', case, torch.float64))
            for line in kinks.differences(exact_kinks):
                print('    decides otherwise:', line)

    def search_steps(self, case, comparison):
        network, feed = self.supernet(case)
        initial = {name: p.detach().clone() for name, p in network.named_parameters()}
        weights = network.weights()
        adam = torch.optim.Adam(network.alphas(), lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        sgd = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
        for step in range(3):
            feed.step = 2 * step + 1
            loss = F.cross_entropy(network(self.images('input_valid', case)), self.labels('labels_valid', case))
            for alpha, gradient in zip(network.alphas(), torch.autograd.grad(loss, network.alphas())):
                alpha.grad = gradient
            adam.step()
            comparison.add(f'search{step}/valid_loss', loss.reshape(1))
            feed.step += 1
            sgd.zero_grad()
            loss = F.cross_entropy(network(self.images('input', case)), self.labels('labels', case))
            loss.backward()
            norm = nn.utils.clip_grad_norm_(weights, case['clip'])
            sgd.step()
            comparison.add(f'search{step}/train_loss', loss.reshape(1))
            comparison.add(f'search{step}/grad_norm', norm.reshape(1))
            for name in ('alphas_normal', 'alphas_reduce'):
                comparison.add(f'search{step}/{name}', getattr(network, name))
        for name, parameter in network.named_parameters():
            if f'search_update/{name}' in comparison.expected:
                comparison.add(f'search_update/{name}', parameter.detach() - initial[name])
        if 'search_end/eval_logits' in comparison.expected:
            with torch.no_grad():
                comparison.add('search_end/eval_logits', network.eval()(self.images('input_valid', case)))

    def network(self, case, comparison):
        feed = Feed(1 - case['drop_path'])
        feed.step = None
        genotype = read_genotype(f'{ROOT}/genotypes/{case["genotype"]}.nd', case['genotype'])
        network = self.prepare(GenotypeNetwork(genotype, case['C'], case['layers'], case['classes'], True, feed.keep, feed))
        self.evaluation_and_training(network, case, comparison)

    def mobile(self, case, comparison):
        self.evaluation_and_training(self.prepare(MobileBlocks(classes=case['classes']), 0.6), case, comparison)

    def evaluation_and_training(self, network, case, comparison):
        x = self.images('input', case)
        with torch.no_grad():
            comparison.add('eval/logits', network.eval()(x))
        if 'train/logits' in comparison.expected:
            self.training(network.train(), x, case, comparison)

    def training(self, network, x, case, comparison):
        labels = self.labels('labels', case)
        result = network(x)
        logits, auxiliary = result if isinstance(result, tuple) else (result, None)
        loss = F.cross_entropy(logits, labels)
        if auxiliary is not None:
            loss = loss + 0.4 * F.cross_entropy(auxiliary, labels)
            comparison.add('train/logits_aux', auxiliary)
        loss.backward()
        comparison.add('train/logits', logits)
        comparison.add('train/loss', loss.reshape(1))
        for name, parameter in network.named_parameters():
            comparison.add(f'train/grad/{name}', parameter.grad)
        if 'train/logits_after_step' in comparison.expected:
            self.training_step(network, x, case, comparison)

    def training_step(self, network, x, case, comparison):
        for name, buffer in network.named_buffers():
            if not name.endswith('num_batches_tracked'):
                comparison.add(f'train/after/{name}', buffer)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        sgd = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
        comparison.add('train/grad_norm', nn.utils.clip_grad_norm_(network.parameters(), case['clip']).reshape(1))
        sgd.step()
        for name, parameter in network.named_parameters():
            comparison.add(f'train/update/{name}', parameter.detach() - before[name])
        with torch.no_grad():
            comparison.add('train/logits_after_step', network(x)[0])

    def run(self, file, case, parts):
        if self.options.only and self.options.only not in f'{file}/{case["key"]}':
            return
        expected, _ = read_safetensors(f'{ROOT}/tests/reference/{file}.safetensors')
        comparison = Comparison(expected, case['key'], self.options.precision)
        for part in parts:
            part(case, comparison)
        self.good &= comparison.report(self.options.list, self.options.precision == 'f32')


def cases(file):
    return json.loads(read_safetensors(f'{ROOT}/tests/reference/{file}.safetensors')[1]['cases'])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='', help='cases whose FILE/NAME contains this')
    parser.add_argument('--precision', choices=('f64', 'f32'), default='f64')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--stand-alone', action='store_true', help='of supernets only the first pass, without the search steps')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('--kinks', action='store_true')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checker = Checker(options)
    for case in cases('supernet'):
        checker.run('supernet', case, (checker.stand_alone,) if options.stand_alone else (checker.stand_alone, checker.search_steps))
    for case in cases('networks'):
        if case['network'] == 'NetworkCIFAR':
            checker.run('networks', case, (checker.network,))
    for case in cases('noisy_darts_A_imagenet'):
        checker.run('noisy_darts_A_imagenet', case, (checker.mobile,))
    sys.exit(0 if checker.good else 1)


main()
