#!/usr/bin/env python3
"""The same steps in PyTorch, to compare with `ndarts-run bench`: a search step of the DARTS supernet (the alphas' half, the weights' half),
a training step and inference of NoisyDARTS-A. One line of JSON for each, as `ndarts-run bench --json` prints them.

    torch_steps.py [--batch N] [--steps N] [--compile] [--channels-last] [--only search,train,infer] [--seconds S]
"""
import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CANDIDATES = ['max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5']
NOISY_DARTS_A = {
    False: [('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('dil_conv_3x3', 2), ('dil_conv_3x3', 3),
            ('sep_conv_3x3', 1), ('dil_conv_5x5', 4), ('dil_conv_3x3', 3)],
    True: [('max_pool_3x3', 0), ('dil_conv_5x5', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 2),
           ('skip_connect', 3), ('skip_connect', 2), ('dil_conv_5x5', 4)],
}


def batch_norm(channels, affine):
    return nn.BatchNorm2d(channels, affine=affine)


def separable(channels, kernel, stride, dilation, affine):
    pad = dilation * (kernel - 1) // 2
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, kernel, stride, pad, dilation, channels, bias=False),
                         nn.Conv2d(channels, channels, 1, bias=False), batch_norm(channels, affine))


class FactorizedReduce(nn.Module):
    def __init__(self, inputs, outputs, affine):
        super().__init__()
        self.conv_1 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.conv_2 = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.bn = batch_norm(outputs, affine)

    def forward(self, x):
        x = F.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def operation(name, channels, stride, affine, supernet):
    if name.endswith('pool_3x3'):
        pool = nn.MaxPool2d(3, stride, 1) if name.startswith('max') else nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        return nn.Sequential(pool, batch_norm(channels, False)) if supernet else pool
    if name == 'skip_connect':
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)
    kernel = int(name[-1])
    if name.startswith('dil'):
        return separable(channels, kernel, stride, 2, affine)
    return nn.Sequential(separable(channels, kernel, stride, 1, affine), separable(channels, kernel, 1, 1, affine))


class MixedOperation(nn.Module):
    """Noise of std 0.2, relative to the operand's, on the skip connection."""

    def __init__(self, channels, stride):
        super().__init__()
        self.operations = nn.ModuleList(operation(name, channels, stride, False, True) for name in CANDIDATES)

    def forward(self, x, weights):
        total = 0
        for name, weight, op in zip(CANDIDATES, weights, self.operations):
            y = op(x)
            if name == 'skip_connect' and self.training:
                y = y + 0.2 * y.detach().std() * torch.randn_like(y)
            total = total + weight * y
        return total


def relu_conv_bn(inputs, outputs, affine):
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), batch_norm(outputs, affine))


class Cell(nn.Module):
    def __init__(self, before_last, last, channels, reduction, reduced, supernet):
        super().__init__()
        affine = not supernet
        self.preprocess0 = (FactorizedReduce if reduced else relu_conv_bn)(before_last, channels, affine)
        self.preprocess1 = relu_conv_bn(last, channels, affine)
        if supernet:
            edges = [source for node in range(4) for source in range(2 + node)]
            self.edges = nn.ModuleList(MixedOperation(channels, 2 if reduction and s < 2 else 1) for s in edges)
        else:
            genotype = NOISY_DARTS_A[reduction]
            self.sources = [source for _, source in genotype]
            self.edges = nn.ModuleList(operation(name, channels, 2 if reduction and s < 2 else 1, affine, False) for name, s in genotype)
        self.supernet = supernet

    def forward(self, s0, s1, weights):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        at = 0
        for node in range(4):
            if self.supernet:
                states.append(sum(self.edges[at + i](s, weights[at + i]) for i, s in enumerate(states)))
                at += 2 + node
            else:
                a, b = 2 * node, 2 * node + 1
                states.append(self.edges[a](states[self.sources[a]]) + self.edges[b](states[self.sources[b]]))
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, channels, layers, supernet):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * channels, 3, padding=1, bias=False), nn.BatchNorm2d(3 * channels))
        before_last = last = 3 * channels
        self.cells, reduced = nn.ModuleList(), False
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            channels *= 2 if reduction else 1
            self.cells.append(Cell(before_last, last, channels, reduction, reduced, supernet))
            before_last, last, reduced = last, 4 * channels, reduction
        self.reductions = [i in (layers // 3, 2 * layers // 3) for i in range(layers)]
        self.classifier = nn.Linear(last, 10)
        if supernet:
            self.alphas = nn.ParameterList([nn.Parameter(1e-3 * torch.randn(14, 7)) for _ in range(2)])
        self.supernet = supernet

    def forward(self, x):
        weights = [F.softmax(a, -1) for a in self.alphas] if self.supernet else [None, None]
        s0 = s1 = self.stem(x)
        for cell, reduction in zip(self.cells, self.reductions):
            s0, s1 = s1, cell(s0, s1, weights[reduction])
        return self.classifier(s1.mean((2, 3)))


class Timer:
    def __init__(self, arguments):
        self.arguments, self.name = arguments, torch.cuda.get_device_name()

    def measure(self, text, graph, batch, step):
        began = time.time()
        for _ in range(3):
            step()
        torch.cuda.synchronize()
        opened, seconds = time.time() - began, []
        deadline = time.time() + self.arguments.seconds
        while len(seconds) < self.arguments.steps and (len(seconds) < 3 or time.time() < deadline):
            began = time.perf_counter()
            step()
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        median = statistics.median(seconds)
        mode = 'torch.compile' if self.arguments.compile else 'torch eager'
        print(json.dumps({'text': text, 'graph': graph, 'device': mode, 'batch': batch, 'median_s': median, 'best_s': min(seconds),
                          'images_per_s': batch / median, 'memory_mb': torch.cuda.max_memory_allocated() / 1e6, 'open_s': opened,
                          'module': f'torch {torch.__version__}, {self.name}'}), flush=True)


def build(arguments, channels, layers, supernet):
    network = Network(channels, layers, supernet).cuda()
    if arguments.channels_last:
        network = network.to(memory_format=torch.channels_last)
    images = torch.rand(arguments.batch, 3, 32, 32, device='cuda') * 2 - 1
    if arguments.channels_last:
        images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(arguments.batch, device='cuda') % 10
    return network, torch.compile(network) if arguments.compile else network, images, labels


def bench_search(arguments, timer):
    network, run, images, labels = build(arguments, 16, 8, True)
    alphas = list(network.alphas)
    weights = [p for name, p in network.named_parameters() if not name.startswith('alphas')]
    adam = torch.optim.Adam(alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    sgd = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4)

    def step_alphas():
        loss = F.cross_entropy(run(images), labels)
        for alpha, gradient in zip(alphas, torch.autograd.grad(loss, alphas)):
            alpha.grad = gradient
        adam.step()

    def step_weights():
        sgd.zero_grad()
        F.cross_entropy(run(images), labels).backward()
        nn.utils.clip_grad_norm_(weights, 5)
        sgd.step()

    timer.measure('supernet C=16 layers=8', 'search-alphas', arguments.batch, step_alphas)
    timer.measure('supernet C=16 layers=8', 'search-weights', arguments.batch, step_weights)


def bench_network(arguments, timer, kinds):
    network, run, images, labels = build(arguments, 36, 20, False)
    sgd = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)

    def step_train():
        sgd.zero_grad()
        F.cross_entropy(run(images), labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5)
        sgd.step()

    @torch.no_grad()
    def step_infer():
        run(images)

    if 'train' in kinds:
        timer.measure('noisy_darts_a C=36 layers=20', 'train', arguments.batch, step_train)
    if 'infer' in kinds:
        network.eval()
        timer.measure('noisy_darts_a C=36 layers=20', 'infer', arguments.batch, step_infer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--seconds', type=float, default=20, help='at most, for each graph')
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--only', default='search,train,infer')
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit('torch_steps: PyTorch sees no GPU')
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    kinds, timer = arguments.only.split(','), Timer(arguments)
    if 'search' in kinds:
        bench_search(arguments, timer)
    if 'train' in kinds or 'infer' in kinds:
        bench_network(arguments, timer, kinds)


main()
