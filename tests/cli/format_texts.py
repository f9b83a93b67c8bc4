#!/usr/bin/env python3
"""ndartsc --format on every text of the tree, as it is and with its blanks disturbed: it means the same, formatting it again changes nothing, and the
library's own texts stay as they are."""
import glob
import os
import re
import subprocess
import sys
import tempfile

source, build = os.environ['NDARTS_SOURCE'], os.environ['NDARTS_BUILD']
COMPILER = os.path.join(build, 'bin', 'ndartsc')
COMPILED = ('genotypes/noisy_darts_a.nd', 'specs/noisy_darts_a.nd', 'specs/gdas.nd')
wrong, lines, changed = [], 0, 0


def run(*options, given=None):
    done = subprocess.run([COMPILER, *options], input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        wrong.append(f'{options}: {done.stderr}')
    return done.stdout


def compiled(root, name):
    """Without the definitions that a genotype of the space would bring along, which are written out where they are not the library's."""
    return re.sub(r'(?m)^set space.definitions = .*', '', run(os.path.join(root, name), '--emit=ir'))


def disturb(text):
    """Other blanks everywhere outside strings and comments; no columns."""
    pieces = re.split(r'("(?:[^"\\\\\n]|\\\\.)*"|#.*)', text)
    for i in range(0, len(pieces), 2):
        piece = re.sub(r'(?m)^ +', '   ', pieces[i])
        piece = re.sub(r' ?([|+*/%]|,) ?', r'\1', piece)
        pieces[i] = re.sub(r'(?<=\w) = (?=\w)', '=', piece)
    return ''.join(pieces)


with tempfile.TemporaryDirectory() as folder:
    for path in sorted(glob.glob(os.path.join(source, '*', '**', '*.nd'), recursive=True)):
        name = os.path.relpath(path, source)
        if name.split('/')[0] not in ('genotypes', 'specs'):
            continue
        with open(path) as file:
            text = file.read()
        formatted = run('--format', path)
        lines += text.count('\n')
        changed += sum(a != b for a, b in zip(text.split('\n'), formatted.split('\n')))
        if formatted.count('\n') != text.count('\n') or run('--format', '-', given=formatted) != formatted:
            wrong.append(f'{name}: other lines, or formatting it again changes it')
        again = run('--format', '-', given=disturb(text))
        if run('--format', '-', given=again) != again:
            wrong.append(f'{name}, disturbed: formatting it again changes it')
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'w') as file:
            file.write(again)
    for name in COMPILED:
        if compiled(folder, name) != compiled(source, name):
            wrong.append(f'{name}: another IR')
if changed:
    wrong.append(f'{changed} of {lines} lines of the library are not formatted')
print('\n'.join(wrong) or f'{lines} lines stay as they are')
sys.exit(1 if wrong or lines < 1000 else 0)
