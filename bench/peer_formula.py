#!/usr/bin/env python3
"""Weights and inputs as functions of their names: the formulas of the reference values.

    peer_formula.py GENOTYPE CHANNELS LAYERS OUT.safetensors       writes the weights of a CIFAR network
"""
import math
import os
import sys

import numpy


def uniform(name, shape):
    """u in [0, 1) of a tensor called name: FNV-1a, then a SplitMix64 stream."""
    h = 0xcbf29ce484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    i = numpy.arange(1, math.prod(shape) + 1, dtype=numpy.uint64)
    z = numpy.uint64(h) + i * numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z = z ^ (z >> numpy.uint64(31))
    return ((z >> numpy.uint64(40)).astype(numpy.float64) / 2**24).reshape(shape)


def weight_value(name, shape, variance_scale=1.0):
    u = uniform(name, shape)
    if name.startswith('alphas'):
        value = 2 * u - 1
    elif len(shape) == 4:
        value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:])) * 1.4
    elif len(shape) == 2:
        value = (2 * u - 1) * math.sqrt(3 / shape[1])
    elif name.endswith('running_mean'):
        value = 0.2 * (u - 0.5)
    elif name.endswith('running_var'):
        value = variance_scale * (1 + 2 * u)
    else:
        value = u - 0.5 if name.endswith('bias') else 0.5 + u
    return value.astype(numpy.float32)


def formula_weights(network, variance_scale=1.0):
    return {name: weight_value(name, tuple(t.shape), variance_scale) for name, t in network.state_dict().items()
            if not name.endswith('num_batches_tracked')}


def main():
    from peer_torch import GenotypeNetwork, read_genotype, write_safetensors
    name, channels, layers, path = sys.argv[1:]
    genotype = read_genotype(f'{os.path.dirname(os.path.abspath(__file__))}/../genotypes/{name}.nd', name)
    write_safetensors(path, formula_weights(GenotypeNetwork(genotype, int(channels), int(layers), auxiliary=False)))


if __name__ == '__main__':
    main()
