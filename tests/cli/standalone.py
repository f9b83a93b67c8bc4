#!/usr/bin/env python3
"""ndartsc --weights --emit=c: one C99 file and its header, which gcc and clang compile, with and without vectors, and which
compute the very bits of ndarts-run infer; also for ARM's processors, with a cross compiler and an emulator."""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
COMPILER, RUN = os.path.join(BUILD, 'bin', 'ndartsc'), os.path.join(BUILD, 'bin', 'ndarts-run')
TOOL = os.path.join(BUILD, 'tests', 'ref_tool')
NETWORK = os.path.join(SOURCE, 'genotypes', 'noisy_darts_a.nd')
SETS = ('C=4', 'layers=3')
IMAGES, PIXELS, CLASSES = 3, 3 * 32 * 32, 10
PROGRAM = '''#include "my_net.h"
#include <stdio.h>
int main(void) {
    static float images[%d * MY_NET_CHANNELS * MY_NET_HEIGHT * MY_NET_WIDTH], logits[%d * MY_NET_CLASSES];
    if (fread(images, sizeof images, 1, stdin) != 1)
        return 1;
    my_net_infer(images, logits, 1);
    my_net_infer(images, logits, %d);
    return fwrite(logits, sizeof logits, 1, stdout) != 1;
}
''' % (IMAGES, IMAGES, IMAGES)
FORBIDDEN = ('malloc', 'calloc', 'realloc', 'free', 'pthread')
# Compilers, and what runs a program of theirs: NEON's vectors have 16 bytes.
ARM = 'aarch64-linux-gnu-gcc'
COMPILERS = {'gcc': [], 'clang': [], ARM: ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu']}
# Networks that leave out parts which larger ones have: warned of is what nothing uses.
SMALL = {
    'pool': 'return x | global_avg_pool | classifier: linear(3)',
    'no_weights': 'return x | global_avg_pool | flatten',
    'elementwise': 'return relu(x) * 2 | global_avg_pool | linear(3)',
    'convolution': 'return x | conv(3, 1) | global_avg_pool | linear(3)',
    'norm': 'return x | conv(3, 3, pad = 1) | batch_norm | relu | global_avg_pool | linear(3)',
    'depthwise': 'return x | depthwise(3, 2, 1) | max_pool(3, 2, 1) | global_avg_pool | linear(3)',
}
failures = []


def fail(what):
    failures.append(what)
    print(what)


def call(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def expected(images, vector, sets):
    header = repr({'descr': '<f4', 'fortran_order': False, 'shape': (IMAGES, 3, 32, 32)}).ljust(117) + '\n'
    with open('x.npy', 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + images)
    done = call(RUN, 'infer', NETWORK, '--weights', 'w.safetensors', '--input', 'x.npy', '--output', 'y.npy', '--batch', '1', '--vector', str(vector), *sets)
    if done.returncode:
        sys.exit(done.stdout.decode())
    with open('y.npy', 'rb') as file:
        return file.read()[-4 * IMAGES * CLASSES:]


def check(vector, options, images, sets):
    done = call(COMPILER, NETWORK, '--weights', 'w.safetensors', '--emit=c', '--vector', str(vector), '-o', 'my-net.c', *sets)
    if done.returncode:
        return fail(done.stdout.decode())
    os.replace('my-net.h', 'my_net.h')
    with open('my-net.c') as file:
        text = file.read().replace('"my-net.h"', '"my_net.h"')
    with open('my-net.c', 'w') as file:
        file.write(text)
    wanted = expected(images, vector, sets)
    for compiler, run in COMPILERS.items():
        if compiler == ARM and vector > 16:
            continue
        if not shutil.which(compiler) or (run and not shutil.which(run[0])):
            print(f'no {compiler} here')
            continue
        done = call(compiler, '-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', '-O1', '-ffp-contract=off', *options, 'program.c', 'my-net.c', '-lm', '-o', 'program')
        if done.returncode:
            fail(f'{compiler}, vectors of {vector} bytes:\n{done.stdout.decode()[:2000]}')
            continue
        found = subprocess.run([*run, './program'], input=images, stdout=subprocess.PIPE).stdout
        if found != wanted:
            fail(f'{compiler}, vectors of {vector} bytes: {found.hex()} instead of {wanted.hex()}')
        symbols = call('nm', '-u', 'program').stdout.decode() if shutil.which('nm') else ''
        if any(name + '@' in symbols for name in FORBIDDEN):
            fail(f'{compiler}: the program allocates:\n{symbols}')


def expect(said, *arguments):
    done = call(COMPILER, NETWORK, *arguments)
    if done.returncode != 1 or said not in done.stdout.decode():
        fail(f'{arguments}: expected "{said}", found exit {done.returncode}: {done.stdout.decode()}')


def check_small(name, body, vector, options):
    with open('small.nd', 'w') as file:
        file.write(f'network main(H = 12, W = 12, channels = 3) on x {{ {body} }}\n')
    subprocess.run([TOOL, 'weights', 'small.safetensors', 'small.nd', '', '1'], check=True)
    done = call(COMPILER, 'small.nd', '--weights', 'small.safetensors', '--emit=c', '--vector', str(vector), '-o', 'small.c')
    if done.returncode:
        return fail(f'{name}: {done.stdout.decode()}')
    for compiler in filter(shutil.which, ('gcc', 'clang')):
        done = call(compiler, '-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', '-O1', *options, '-c', 'small.c')
        if done.returncode:
            fail(f'{name}, {compiler}, vectors of {vector} bytes:\n{done.stdout.decode()[:2000]}')


def main():
    sets = [f'--set={item}' for item in SETS]
    subprocess.run([TOOL, 'weights', 'w.safetensors', NETWORK, '', '1', *SETS], check=True)
    generator = random.Random(1)
    images = struct.pack(f'<{IMAGES * PIXELS}f', *(generator.uniform(-2, 2) for _ in range(IMAGES * PIXELS)))
    with open('program.c', 'w') as file:
        file.write(PROGRAM)
    with open('/proc/cpuinfo') as file:
        flags = set(next((line for line in file if line.startswith('flags')), '').split())
    check(0, (), images, sets)
    check(16, (), images, sets)
    if {'avx2', 'fma', 'bmi2'} <= flags:
        check(32, ('-march=x86-64-v3',), images, sets)
    for name, body in SMALL.items():
        check_small(name, body, 0, ())
        check_small(name, body, 16, ())
    expect('missing: ', '--weights', 'w.safetensors', '--emit=c', '-o', 'other.c', '--set=C=5', '--set=layers=4')
    expect('stand-alone', '--weights', 'w.safetensors', '--emit=plan', '-o', 'other.c', *sets)
    expect('stand-alone', '--weights', 'w.safetensors', '--emit=c', *sets)
    if os.path.exists('other.c') or os.path.exists('other.h'):
        fail('a refused network left a file behind')


with tempfile.TemporaryDirectory() as temporary:
    os.chdir(temporary)
    main()
    os.chdir('/')
sys.exit(1 if failures else 0)
