#!/usr/bin/env python3
"""Noise is a method like others: the texts of genotypes/methods.nd give the same source as the clause `noise on`, and methods combine."""
import os
import re
import subprocess
import sys
import tempfile

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD = os.environ['NDARTS_BUILD']
NOISES = [
    ('noise on skip_connect { gaussian additive std = 0.2 mean = 0 }', 'method gaussian_noise'),
    ('noise on skip_connect { gaussian additive std = 0.1 mean = 0.5 }', 'method gaussian_noise(std = 0.1, mean = 0.5)'),
    ('noise on dil_conv_3x3 { uniform additive variance = 0.3 mean = 0 }', 'method uniform_noise(dil_conv_3x3, 0.3)'),
    ('noise on sep_conv_3x3 { gaussian multiplicative std = 0.2 mean = 1 }', 'method gaussian_factor(sep_conv_3x3)'),
    ('noise on skip_connect { gaussian additive std = 0.1 mean = 0.5 decay }', 'method gaussian_noise(std = 0.1, mean = 0.5, decay = true)'),
    ('noise on sep_conv_5x5 { gaussian std = 0.1 absolute at = input }', 'method gaussian_noise(sep_conv_5x5, 0.1, relative = false, at = "input")'),
    ('noise on skip_connect { uniform multiplicative variance = 0.2 mean = 1 }', 'method [uniform_factor]'),
]


def compile_search(folder, setting, *options):
    path = os.path.join(folder, 'text.nd')
    with open(path, 'w', encoding='ascii') as file:
        file.write(f'''import "methods.nd"
            method two_draws {{ candidate dil_conv_3x3(x) = x * normal() + uniform() }}
            search {{
                space darts  network cifar_search(C = 4, layers = 3)  {setting}
                drop_path on skip_connect {{ probability = 0.3 }}
                data synthetic(H = 8, W = 8)  batch 2
            }}''')
    return subprocess.run([f'{BUILD}/bin/ndartsc', path, *options], stdout=subprocess.PIPE, text=True, check=True).stdout


def source(folder, setting, *options):
    """The C source of a search with this setting, comments taken out."""
    return re.sub(r'/\*.*?\*/', '', compile_search(folder, setting, '--emit=c', '--plain', *options), flags=re.DOTALL)


def test_noise(folder):
    plain = source(folder, '')
    for noise, method in NOISES[::2 if 'NDARTS_SHORT' in os.environ else 1]:
        expected = source(folder, noise)
        assert expected != plain, noise
        assert source(folder, method) == expected, method


def test_evaluation_has_no_noise(folder):
    assert source(folder, 'method gaussian_noise', '--graph=eval') == source(folder, '', '--graph=eval')


def test_streams(folder):
    """No two draws of an edge are the same numbers; one that is drawn again in the backward is."""
    graph = compile_search(folder, 'method [gaussian_noise, gaussian_noise(sep_conv_3x3), two_draws]', '--emit=ir', '--graph=search-weights')
    streams = re.findall(r'stream="(noise[0-9_]*)\.cells\.0\._ops\.0"', graph)
    assert set(streams) == {'noise', 'noise2', 'noise3', 'noise3_2'}, streams


def test_dump(folder):
    """A dump has the functions of a method too: it can be read back, gives the same source, and tells a method from another, as the
    cache has to."""
    methods = 'method [gaussian_noise, two_draws]'
    path = os.path.join(folder, 'dump.ir')
    with open(path, 'w', encoding='ascii') as file:
        file.write(compile_search(folder, methods, '--emit=ir'))
    read = subprocess.run([f'{BUILD}/bin/ndartsc', path, '--emit=c', '--plain'], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert re.sub(r'/\*.*?\*/', '', read, flags=re.DOTALL) == source(folder, methods)
    texts = {compile_search(folder, f'method gaussian_noise(std = {std})', '--emit=ir') for std in (0.1, 0.2)}
    assert len(texts) == 2


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_noise(folder)
        test_evaluation_has_no_noise(folder)
        test_streams(folder)
        test_dump(folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
