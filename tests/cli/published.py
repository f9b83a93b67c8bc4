#!/usr/bin/env python3
"""The three published checkpoints, by the names of their files and at their size: the CIFAR-10 network with its auxiliary head, the
ImageNet model with squeeze-and-excitation, and that one transferred to CIFAR-10, whose linear layer is classifier.1. Each loads
into its network by name and shape, in both formats, whichever way it was wrapped; into another one it does not, and every
difference is listed. (Their numbers are made up here.)"""
import collections
import json
import os
import subprocess
import sys

import _checkpoint
import _safetensors
from _run import BUILD, COMPILER, RUN, SOURCE, expect, main, run

TOOL = os.path.join(BUILD, 'tests', 'ref_tool')
GENOTYPES = os.path.join(SOURCE, 'genotypes')
CIFAR, MOBILE = os.path.join(GENOTYPES, 'noisy_darts_a.nd'), os.path.join(GENOTYPES, 'noisy_darts_A_imagenet.nd')
TRANSFER = ('--set', 'network=transfer')


def state_dict(network, *sets):
    """As PyTorch has it: with the auxiliary head and a counter in every batch norm."""
    subprocess.run([TOOL, 'weights', 'w.safetensors', network, '', '1', *sets], check=True)
    state = collections.OrderedDict()
    for name, (_, shape, data) in _safetensors.read('w.safetensors').items():
        state[name] = _checkpoint.Tensor(shape, data)
        if name.endswith('.running_var'):
            state[name.replace('running_var', 'num_batches_tracked')] = _checkpoint.Tensor((), None, 'q')
    return state


def wrapped(state):
    return collections.OrderedDict((f'module.{name}', tensor) for name, tensor in state.items())


def load(path, network, state, *sets, says=''):
    _, said = run(RUN, 'import', path, '--net', network, *sets, '-o', 'out.safetensors')
    expect('are there, by name and shape' in said and says in said, said)
    found = _safetensors.read('out.safetensors')
    expect({name: (shape, data) for name, (_, shape, data) in found.items()} ==
           {name: (list(tensor.shape), tensor.data) for name, tensor in state.items()}, 'other tensors')
    os.remove('out.safetensors')


def parameters(network, state, *sets):
    """The numbers that are trained, without the auxiliary head: as ndartsc counts them."""
    stdout, _ = run(COMPILER, network, '--emit=stats', '--json', *sets)
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    count = sum(tensor.count for name, tensor in state.items() if not name.endswith(statistics) and not name.startswith('auxiliary_head.'))
    expect(json.loads(stdout)['parameters'] == count, f'{stdout} {count}')
    return count


def test_cifar():
    state = state_dict(CIFAR)
    expect(parameters(CIFAR, state) == 3257110 and 'auxiliary_head.classifier.weight' in state, 'parameters')
    for save in (_checkpoint.save_zip, _checkpoint.save_legacy):
        save('noisy_darts_a.pt', state)
        load('noisy_darts_a.pt', CIFAR, state)
    _checkpoint.save_zip('noisy_darts_a.pt', {'epoch': 599, 'model_state': wrapped(state)})
    load('noisy_darts_a.pt', CIFAR, state, says="from 'model_state', prefix 'module.' stripped")


def test_mobile():
    state = state_dict(MOBILE)
    expect(parameters(MOBILE, state) == 5547124, 'parameters')
    _checkpoint.save_legacy('noisy_darts_a_se.pth.tar', {'state_dict': wrapped(state), 'epoch': 250, 'arch': 'noisy_darts_a'})
    load('noisy_darts_a_se.pth.tar', MOBILE, state, says="from 'state_dict', prefix 'module.' stripped")


def test_transfer():
    state = state_dict(MOBILE, 'network=transfer')
    expect('classifier.1.weight' in state and 'classifier.1.bias' in state and 'classifier.weight' not in state, list(state)[-4:])
    _checkpoint.save_zip('noisy_darts_a_transfer.pt.tar', {'net': state, 'acc': 98.28})
    load('noisy_darts_a_transfer.pt.tar', MOBILE, state, *TRANSFER, says="from 'net'")
    _, said = run(RUN, 'import', 'noisy_darts_a_transfer.pt.tar', '--net', MOBILE, '-o', 'out.safetensors', code=1)
    for line in ('  missing: classifier.weight [1000, 1280]\n', '  missing: classifier.bias [1000]\n',
                 '  left over: classifier.1.weight [10, 1280]\n', '  left over: classifier.1.bias [10]\n', '2 missing, 0 of another shape, 2 left over'):
        expect(line in said, said)
    expect(not os.path.exists('out.safetensors'), 'something was written')


if __name__ == '__main__':
    sys.exit(main([test_cifar, test_mobile, test_transfer]))
