#!/usr/bin/env python3
"""Weights to and from PyTorch itself, and the exported network in ONNX Runtime: the same logits; weights of the classes in the loss; the steps of
a search and of a training. Skipped unless NDARTS_PEERS names a virtual environment that has both (tools/check.sh --peers makes one)."""
import os
import sys

import steps
from _run import RUN, SOURCE, expect, main, run

PYTHON = os.path.join(os.environ.get('NDARTS_PEERS', ''), 'bin', 'python')


def test_network():
    # -P: profile.py beside it is not the library's.
    stdout, _ = run(PYTHON, '-P', os.path.join(SOURCE, 'tests', 'cli', '_peer_network.py'), RUN, os.path.join(SOURCE, 'genotypes'))
    expect('agree' in stdout, stdout)


def test_class_weights():
    folder = os.path.join(SOURCE, 'tests', 'cli')
    stdout, _ = run(PYTHON, '-P', os.path.join(folder, '_peer_class_weights.py'), folder)
    expect('agree' in stdout, stdout)


def test_steps():
    steps.prepare()
    for command in ('search', 'train'):
        steps.go(command, f'{command}.nd', command, '--init', f'{command}.safetensors')
    folder = os.path.join(SOURCE, 'tests', 'cli')
    stdout, _ = run(PYTHON, '-P', os.path.join(folder, '_peer_steps.py'), folder)
    expect('agree' in stdout, stdout)


if __name__ == '__main__':
    if 'NDARTS_PEERS' not in os.environ:
        print('NDARTS_PEERS names no environment; tools/check.sh --peers makes one')
        sys.exit(77)
    sys.exit(main([test_network, test_class_weights, test_steps]))
