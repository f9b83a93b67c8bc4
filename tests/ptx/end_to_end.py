#!/usr/bin/env python3
"""`ndarts-run trace|search|train|eval|infer --device=cuda` on kernels that are executed from the PTX that NVRTC makes of them, by stand-ins for
the CUDA libraries: what they give is what the CPU gives.

    end_to_end.py [TITLE...]      all checks, or those with these titles"""
import json
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'simt'))
from _programs import BUILD, RUN, Trace, call, check, failures, npy, same_metrics, write_images  # noqa: E402

SEARCH, TINY = os.path.join(HERE, 'search.nd'), os.path.join(HERE, 'tiny.nd')
FEED = ['input=input:4,3,16,16', 'labels=label/10:4']
SKIPPED = 77


def search(folder):
    same_metrics(folder, 'search', SEARCH, ('train_loss', 'alphas_loss', 'valid_loss', 'grad_norm', 'alphas_entropy'))


def train(folder):
    same_metrics(folder, 'train', TINY, ('train_loss', 'valid_loss', 'grad_norm'))


def evaluate(folder):
    weights = os.path.join(folder, 'train-cuda', 'weights.safetensors')
    losses = [json.loads(call([RUN, 'eval', TINY, '--weights', weights, '--json', f'--device={device}']).splitlines()[-1])['loss']
              for device in ('cpu', 'cuda')]
    assert abs(losses[0] - losses[1]) < 1e-4 * losses[0], losses


def infer(folder):
    """Ten images in batches of 4, the last one smaller."""
    images, weights, results = os.path.join(folder, 'x.npy'), os.path.join(folder, 'train-cuda', 'weights.safetensors'), []
    write_images(images, 10)
    for device in ('cpu', 'cuda'):
        out = os.path.join(folder, device + '.npy')
        call([RUN, 'infer', TINY, '--weights', weights, '--input', images, '--output', out, '--batch', '4', f'--device={device}'])
        results.append(npy(out))
    error = math.sqrt(sum((x - y) ** 2 for x, y in zip(*results)) / sum(x * x for x in results[0]))
    assert len(results[0]) == 100 and error < 1e-5, f'relative error {error}'
    return f'relative error {error:.2g}'


def main():
    has_nvrtc = subprocess.run([os.path.join(BUILD, 'tests', 'simt', 'to_ptx'), os.devnull, os.devnull],
                               env={**os.environ, 'LD_LIBRARY_PATH': os.environ['SIMT_PTX']}).returncode != SKIPPED
    if not has_nvrtc:
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as folder:
        check('search', search, folder)
        check('train', train, folder)
        check('eval', evaluate, folder)
        check('infer', infer, folder)
        check('trace', Trace(folder, TINY, FEED).compare)
    sys.exit(1 if failures else 0)


main()
