#!/usr/bin/env python3
"""The C library as it is installed: its header in C99 and C++, its symbols, the example of the documentation through pkg-config,
shared and static, with the logits of ndarts-run infer; every mistake as a code and a message, threads, and no word printed; the same in
locales with other numbers."""
import os
import random
import shutil
import struct
import subprocess
import sys

import _safetensors
from _run import BUILD, COMPILER, RUN, SOURCE, Failure, expect, main, read, run, write

NETWORK = '''network main(classes ?= 5, H = 8, W = 8, channels = 3) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
WRONG = '''network main(classes ?= 5, H = 8, W = 8, channels = 3) on x {
    let a = convolution(x)
    return x | global_average_pool | classifier: linear(classes)
}
'''
IMAGES, NUMBERS, CLASSES = 37, 3 * 8 * 8, 5
SHAPES = {'conv.weight': (6, 3, 3, 3), '1.weight': (6,), '1.bias': (6,), '1.running_mean': (6,), '1.running_var': (6,),
          'classifier.weight': (5, 6), 'classifier.bias': (5,)}
INSTALLED = os.path.abspath('installed')


def pkg_config(*arguments):
    folder = subprocess.run(['find', INSTALLED, '-name', 'ndarts.pc'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    environment = {**os.environ, 'PKG_CONFIG_PATH': os.path.dirname(folder)}
    return subprocess.run(['pkg-config', *arguments, 'ndarts'], stdout=subprocess.PIPE, text=True, check=True,
                          env=environment).stdout.split()


def library_path():
    return {**os.environ, 'LD_LIBRARY_PATH': next(flag[2:] for flag in pkg_config('--libs') if flag.startswith('-L'))}


def prepare():
    global INSTALLED
    INSTALLED = os.path.abspath('installed')
    run('cmake', '--install', BUILD, '--prefix', INSTALLED)
    draw = random.Random(4)
    write('net.nd', NETWORK)
    write('wrong.nd', WRONG)
    count = lambda shape: 1 if not shape else shape[0] * count(shape[1:])
    weights = {name: (shape, [draw.uniform(0.1, 1) for _ in range(count(shape))]) for name, shape in SHAPES.items()}
    _safetensors.write('w.safetensors', weights)
    del weights['classifier.bias']
    _safetensors.write('other.safetensors', {**weights, 'conv.weight': ((2,), (1, 1)), 'strange': ((1,), (1,))})
    text = b'{"strange": {"dtype": "U8", "shape": [100000000], "data_offsets": [0, 100000000]}}'
    with open('huge.safetensors', 'wb') as file: # most of it a hole
        file.write(struct.pack('<Q', len(text)) + text)
        file.truncate(8 + len(text) + 100000000)
    pixels = struct.pack(f'<{IMAGES * NUMBERS}f', *(draw.uniform(-2, 2) for _ in range(IMAGES * NUMBERS)))
    header = repr({'descr': '<f4', 'fortran_order': False, 'shape': (IMAGES, 3, 8, 8)}).ljust(117) + '\n'
    with open('x.npy', 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + pixels)
    with open('x.f32', 'wb') as file:
        file.write(pixels)
    run(RUN, 'infer', 'net.nd', '--weights', 'w.safetensors', '--input', 'x.npy', '--output', 'y.npy')
    with open('y.f32', 'wb') as file:
        file.write(read('y.npy')[-4 * IMAGES * CLASSES:])
    run(COMPILER, 'net.nd', '-o', 'net.so')


def test_header():
    write('header.c', '#include <ndarts.h>\nint main(void) { return ndarts_version() == 0; }\n')
    shutil.copy('header.c', 'header.cpp')
    flags = pkg_config('--cflags')
    for compiler, standard, file in (('gcc', 'c99', 'header.c'), ('clang', 'c99', 'header.c'), ('g++', 'c++98', 'header.cpp')):
        if shutil.which(compiler):
            run(compiler, f'-std={standard}', '-pedantic', '-Wall', '-Wextra', '-Wno-long-long', '-Werror', *flags, '-c', file, '-o', 'header.o')


def test_symbols():
    for file, options in (('libndarts.so', ('-D',)), ('libndarts.a', ('-g',))):
        path = os.path.join(library_path()['LD_LIBRARY_PATH'], file)
        listed, _ = run('nm', *options, '--defined-only', path)
        names = {line.split()[-1] for line in listed.splitlines() if len(line.split()) == 3}
        expect(len(names) > 10 and all(name.startswith('ndarts_') for name in names), f'{file}: {sorted(names)}')
    expect({name for name in names} == set(declared()), f'header and library differ: {sorted(names ^ set(declared()))}')


def declared():
    import re
    return re.findall(r'^[A-Za-z_][A-Za-z0-9_ *]*?\b\*?(ndarts_[a-z_]+)\(', read(INSTALLED, 'include', 'ndarts.h').decode(), re.M)


def test_example():
    logits = struct.unpack(f'<{IMAGES * CLASSES}f', read('y.f32'))
    rows = [logits[i:i + CLASSES] for i in range(0, len(logits), CLASSES)]
    example = os.path.join(SOURCE, 'docs', 'examples', 'predict.c')
    static = os.path.join(library_path()['LD_LIBRARY_PATH'], 'libndarts.a')
    ways = (('shared', pkg_config('--cflags', '--libs')),
            ('static', [*pkg_config('--cflags'), static, *[flag for flag in pkg_config('--static', '--libs') if flag != '-lndarts']]))
    for name, flags in ways:
        run('cc', '-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', '-fsanitize=undefined', example, '-o', name, *flags)
        for net in ('net.nd', 'net.so'):
            with open('x.f32', 'rb') as file:
                stdout, stderr = run(f'./{name}', net, 'w.safetensors', stdin=file, env=library_path())
            found = [(int(line.split()[0]), float(line.split()[1])) for line in stdout.splitlines()]
            for (best, value), row in zip(found, rows, strict=True):
                expect(row[best] == max(row) and abs(value - max(row)) <= 1e-6 * abs(value), f'{name} {net}: {stdout}')
            expect(stderr == '', stderr)
        run(f'./{name}', 'absent.nd', code=1, says='absent.nd', env=library_path())


# (locale, character set): a comma in numbers and points between thousands; letters that are no ASCII in one byte.
LOCALES = (('de_DE', 'UTF-8'), ('tr_TR', 'ISO-8859-9'))


def make_locales():
    """Into the folder locales, for LOCPATH; what can be made of LOCALES with what is installed."""
    os.makedirs('locales', exist_ok=True)
    made = []
    for name, charset in LOCALES:
        path = os.path.abspath(f'locales/{name}.{charset}')
        if shutil.which('localedef'):
            subprocess.run(['localedef', '-i', name, '-f', charset, path], stderr=subprocess.DEVNULL, check=False)
        if os.path.isdir(path):
            made.append(f'{name}.{charset}')
        else:
            print(f'skipped: localedef cannot make {name}.{charset} (package locales)')
    return made


def test_everything():
    source = os.path.join(SOURCE, 'tests', 'cli', '_library.c')
    run('cc', '-std=gnu11', '-Wall', '-Wextra', source, '-o', 'library', *pkg_config('--cflags', '--libs'), '-lpthread')
    for net in ('net.nd', 'net.so'):
        expect_no_failures(net, '.', library_path())


def expect_no_failures(net, point, environment):
    done = subprocess.run(['./library', net, 'w.safetensors', 'other.safetensors', 'x.f32', str(IMAGES), 'y.f32'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, check=False, timeout=60)
    if done.returncode or done.stdout != f"decimal point '{point}'\n0.1.0, 0 failures\n" or done.stderr:
        raise Failure(f'{net}: {done.returncode}\n{done.stdout}{done.stderr}')


def test_locales():
    for name in make_locales():
        environment = {'LOCPATH': os.path.abspath('locales'), 'LC_ALL': name}
        # A cache of its own, so that the text is compiled in this locale.
        expect_no_failures('net.nd', ',', {**library_path(), **environment, 'XDG_CACHE_HOME': os.path.abspath(f'cache-{name}')})
        for emit in ('c', 'ir', 'plan', 'stats', 'svg'):
            here, _ = run(COMPILER, 'net.nd', f'--emit={emit}')
            there, _ = run(COMPILER, 'net.nd', f'--emit={emit}', env={**os.environ, **environment})
            expect(here == there, f'--emit={emit} is another in {name}')


if __name__ == '__main__':
    if not shutil.which('pkg-config'):
        print('no pkg-config here')
        sys.exit(77)
    sys.exit(main([prepare, test_header, test_symbols, test_example, test_everything, test_locales]))
