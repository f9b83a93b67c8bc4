#!/usr/bin/env python3
"""Faults planted into emitted CUDA source are found: by other results, and by the address and the thread sanitizer with the line."""
import os
import subprocess
import sys
import tempfile

BUILD, HERE = os.environ['NDARTS_BUILD'], os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(BUILD, 'tests', 'simt')
NETWORK = os.path.join(HERE, 'network.nd')
CELL = os.path.join(HERE, 'cell.nd')
# In kernels of several steps: where sums behind a convolution, convolutions and gradients that share a tile begin.
GROUPS = ('T total1 = 0;', '__shared__ nd_v4 tile[', 'T total1[')
SANITIZER = '-fsanitize=address -fsanitize=alignment -fno-sanitize-recover=all -fsanitize-sections=simt_shared_*'
failures = 0


def expect(what, program, arguments, code, said, **environment):
    global failures
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([os.path.join(FOLDER, program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', env={**os.environ, 'TMPDIR': folder, **environment})
    found = done.returncode == code and said in done.stdout
    failures += not found
    print(f'{what}: {"found" if found else "NOT as expected"}')
    if not found:
        print(f'exit {done.returncode}, expected {code} and "{said}":\n{done.stdout[:3000]}')


def main():
    plain = dict()
    watched = dict(SIMT_OPTIONS=SANITIZER, ASAN_OPTIONS='detect_leaks=0:exitcode=99')
    for fault in ('store', 'write', 'read'):
        expect(f'{fault}, by its results', 'simt_graphs', [NETWORK, 'infer', '--orders', '1', '--fault', fault], 0,
               'the planted fault was found', **plain)
    expect('barrier, by its results', 'simt_graphs', [NETWORK, 'gradients', '--fault', 'barrier'], 0,
           'the planted fault was found', **plain)
    for fault in ('write', 'read'):
        expect(f'{fault}, by the address sanitizer', 'simt_graphs_asan', [NETWORK, 'infer', '--orders', '1', '--fault', fault],
               99, 'use-after-poison', **watched)
    races = dict(SIMT_OPTIONS='-fsanitize=thread', TSAN_OPTIONS='halt_on_error=1:exitcode=66')
    expect('no fault under the thread sanitizer', 'simt_graphs_tsan', [NETWORK, 'gradients', '--orders', '2'], 0, 'gradients:', **races)
    expect('no fault of a cell under the thread sanitizer', 'simt_graphs_tsan', [CELL, 'search-weights', '--orders', '1'], 0,
           'search-weights:', **races)
    for text in GROUPS:
        expect(f'a barrier behind {text}', 'simt_graphs_tsan', [CELL, 'search-weights', '--orders', '1', '--fault', f'barrier:{text}'],
               66, 'SUMMARY: ThreadSanitizer: data race', **races)
    for fault in ('barrier', 'barrier:1', 'barrier:2'):
        expect(f'{fault}, by the thread sanitizer', 'simt_graphs_tsan', [NETWORK, 'gradients', '--orders', '2', '--fault', fault], 66,
               'SUMMARY: ThreadSanitizer: data race', **races)
    expect('no fault under the address sanitizer', 'simt_graphs_asan', [NETWORK, 'eval', '--orders', '1'], 0, 'eval:', **watched)
    sys.exit(1 if failures else 0)


main()
