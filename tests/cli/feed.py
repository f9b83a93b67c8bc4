#!/usr/bin/env python3
"""What is fed to a trace replaces a draw, and what is not fed is drawn: a stream that is fed in one pass has the bits in the others that
it would have had in all of them."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ['NDARTS_SOURCE'], 'tests', 'reference'))
import _common
from _common import RUN, TOOL
from noise import read

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

TEXT = '''op skip(stride) = identity
op double(C, stride) = conv(C, 1)
space tiny {{ candidates = [skip, double]  cell {{ inputs 1 nodes 1 output s1 keep 1 per node }} }}
network net(space, C = 3, H = 4, W = 5, channels = 3) on x {{ return space.normal(x) | global_avg_pool | classifier: linear(4) }}
search {{
    space tiny  network net  data synthetic(H = 4, W = 5, channels = 3, classes = 4)
    noise on skip {{ {distribution} mean = 0.1 }}
    drop_path on skip {{ probability = 0.3 }}
    epochs 50  batch 6
}}
'''
INPUTS = ['input=input:6,3,4,5', 'input_valid=input:6,3,4,5', 'labels=label/4:6', 'labels_valid=label/4:6', 'alphas_normal=unit:1,2']


def trace(precision, *fed):
    _common.call(TOOL, 'tensors', 'feed.safetensors', *INPUTS, *fed)
    _common.call(RUN, 'trace', 'text.nd', '--weights', 'weights.safetensors', '--feed', 'feed.safetensors', '--steps', '2', '--seed', '9',
                 f'--precision={precision}', '-o', 'out.safetensors')
    return read('out.safetensors')


def check(distribution, precision):
    with open('text.nd', 'w') as file:
        file.write(TEXT.format(distribution=distribution))
    _common.call(TOOL, 'weights', 'weights.safetensors', 'text.nd', '', '1')
    drawn = trace(precision)
    for fed in ('noise._ops.0.step0=uniform:6,3,4,5', 'mask._ops.0.step0=keep/0.5:6'):
        found = trace(precision, fed)
        assert found['logits'] != drawn['logits'], f'{fed} changes nothing'
        assert found.keys() == drawn.keys()
        for name in drawn:
            assert not name.startswith('search') or found[name] == drawn[name], f'{distribution}, {precision}: with {fed} {name} differs'
        print(f'{distribution}, {precision}: {fed} leaves the other passes as they were')


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        check('gaussian additive std = 0.4', 'f32')
        check('uniform multiplicative variance = 0.4', 'f32')
        check('gaussian additive std = 0.4', 'f64')
        os.chdir('/')


if __name__ == '__main__':
    main()
