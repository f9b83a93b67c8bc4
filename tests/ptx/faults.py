#!/usr/bin/env python3
"""Faults that are planted into kernels, or into their PTX, are found, each for what it is."""
import os
import subprocess
import sys

BUILD, HERE = os.environ['NDARTS_BUILD'], os.path.dirname(os.path.abspath(__file__))
GRAPHS = os.path.join(BUILD, 'tests', 'simt', 'simt_graphs')
WINDOWS, DENSE, INSIDE = (os.path.join(HERE, '..', 'simt', name) for name in ('windows.nd', 'dense.nd', 'inside.nd'))
SMALL = os.path.join(HERE, 'small.nd')
FRAGMENT = r's/(mma[^{]*\{[^}]*\}, \{)(%r[0-9]+), (%r[0-9]+)/\1\3, \2/'
VECTOR = r's/(ld.shared.v4.f32[^[]*\[%rd[0-9]+)(\+[0-9]+)?\]/\1+4]/'
WIDE = r's/ld.global.f32 (.*)\[(%rd[0-9]+)\];/ld.global.f32 \1[\2+2];/'
ZERO = r's/mov.f32 .*0f00000000;//'
WRITER, READER = r'/bar.sync/,/atom.global.inc/s/membar.gl;//', r'/atom.global.inc/,/bar.sync/s/membar.gl;//'
BARRIER = r's/bar.sync.*0;//'
# What, text, graph, further arguments, edit of the PTX, what is said. The results differ: "relative error".
FAULTS = (
    ('an index one too far, written', WINDOWS, 'infer', ['--fault', 'write'], '', 'are outside of all memory (st.'),
    ('an index one too far, read', WINDOWS, 'infer', ['--fault', 'read'], '', 'are outside of all memory (ld.'),
    ('an element that is not written', WINDOWS, 'infer', ['--fault', 'store'], '', 'relative error'),
    ('a barrier left out', WINDOWS, 'infer', ['--fault', 'barrier:1'], '', 'a race: thread'),
    ('a product that does not wait for its window', INSIDE, 'infer', ['--fault', 'barrier:= window0[i];'], '', 'a race: thread'),
    ('all barriers left out', DENSE, 'infer', [], BARRIER, 'a race: thread'),
    ('rows of a fragment exchanged', DENSE, 'infer', ['--precision', 'tf32'], FRAGMENT, 'relative error'),
    ('a misaligned vector', DENSE, 'infer', [], VECTOR, 'misaligned access: 16 bytes'),
    ('a misaligned element', WINDOWS, 'infer', [], WIDE, 'misaligned access: 4 bytes'),
    ('a block that counts itself without a fence', SMALL, 'search-alphas', ['--orders', '3'], WRITER, 'relative error'),
    ('a last block that merges without a fence', SMALL, 'search-alphas', ['--orders', '3'], READER, 'relative error'),
    ('a block that counts itself before all threads', SMALL, 'search-alphas', ['--fault', 'barrier:bool last;'], '', 'relative error'),
    ('a last block that does not wait to know it', SMALL, 'search-alphas', ['--fault', 'barrier:gridDim.x - 1;'], '', 'relative error'),
    ('a counter that does not go back', SMALL, 'search-alphas', ['--orders', '2'], r's/atom.global.inc/atom.global.add/', 'relative error'),
    ('a register that nobody wrote', WINDOWS, 'infer', [], ZERO, 'undefined value is stored'),
)
failures = 0


def main():
    global failures
    for what, text, graph, arguments, edit, said in FAULTS[::2 if 'NDARTS_SHORT' in os.environ else 1]:
        done = subprocess.run([GRAPHS, text, graph, '--orders', '1', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env={**os.environ, 'SIMT_PTX_EDIT': edit})
        if done.returncode == 77:
            sys.exit(77)
        planted = '--fault' in arguments  # then the exit code says that it was found
        found = done.returncode == (0 if planted else 1) and said in done.stdout
        failures += not found
        print(f'{what}: {"found" if found else "NOT as expected"}', flush=True)
        if not found:
            print(f'exit {done.returncode}, expected "{said}":\n{done.stdout[:3000]}')
    sys.exit(1 if failures else 0)


main()
