#!/usr/bin/env python3
"""docs/your-own-pictures.md: its texts and commands, in order, on pictures drawn here, print what the page says. Whole numbers have to be
the same; numbers with a point are measured, and may be any. Three dots stand for anything."""
import os
import random
import re
import shutil
import subprocess
import sys

from _run import BUILD, SOURCE, expect, main, read, write
from folders import png

PAGE = os.path.join(SOURCE, 'docs', 'your-own-pictures.md')
SIDE = 64
INSIDE = {
    'circle': lambda x, y, r: x * x + y * y <= r * r,
    'cross': lambda x, y, r: min(abs(x), abs(y)) <= r / 4 and max(abs(x), abs(y)) <= r,
    'square': lambda x, y, r: max(abs(x), abs(y)) <= 0.85 * r,
    'triangle': lambda x, y, r: -r <= y <= r and abs(x) <= (y + r) / 2,
}


def shape(kind, draw):
    """Rows of a bright shape, somewhere, on dark ground."""
    x, y, r = draw.uniform(24, 40), draw.uniform(24, 40), draw.uniform(12, 20)
    bright, dark = bytes(draw.randrange(150, 256) for _ in range(3)), bytes(draw.randrange(80) for _ in range(3))
    return [b''.join(bright if INSIDE[kind](i - x, j - y, r) else dark for i in range(SIDE)) for j in range(SIDE)]


def blocks(page):
    """The indented parts: [[line, ...], ...]."""
    found, before = [], False
    for line in page.splitlines():
        indented = line.startswith('    ')
        if indented:
            if not before:
                found.append([])
            found[-1].append(line[4:])
        before = indented
    return found


def commands(lines):
    """[(command, [line that it prints, ...]), ...]"""
    found = []
    for line in lines:
        if line.startswith('$ '):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def pattern(lines):
    """What the printed text has to match."""
    text = '\n'.join(lines)
    parts = re.split(r'(\n?\.\.\.\n?|\d+\.\d+|\s+)', text)
    wanted = ''
    for part in parts:
        if '...' in part:
            wanted += r'(?:.|\n)*?'
        elif re.fullmatch(r'\d+\.\d+', part):
            wanted += r'\d+\.\d+'
        else:
            wanted += r'\s+' if part.isspace() else re.escape(part)
    return re.compile(wanted)


def drop_machine(lines):
    """Without the lines that depend on the machine: off a terminal a line of progress comes every ten seconds, and how long the compiler
    takes is said where it takes long."""
    return [line for line in lines if not re.match(r'epoch \d+/\d+ |\d+ of \d+ functions are new: ', line)]


def is_possible(command):
    """Drawings need Graphviz."""
    return not command.endswith('.svg') or shutil.which('dot') is not None


def run_command(command, shown):
    # Small enough to be compiled in little time rather than to run fast.
    environment = {**os.environ, 'PATH': os.path.join(BUILD, 'bin') + ':' + os.environ['PATH'], 'NDARTS_CFLAGS': '-O1'}
    done = subprocess.run(command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, timeout=500, check=False)
    expect(done.returncode == 0, f'{command}\nexit code {done.returncode}\n{done.stdout}')
    expect(pattern(drop_machine(shown)).search('\n'.join(drop_machine(done.stdout.splitlines()))), f'{command}\n{done.stdout}\nexpected:\n' + '\n'.join(shown))


def prepare():
    draw = random.Random(1)
    for part, count in (('train', 24), ('val', 8)):
        for kind in INSIDE:
            for i in range(count):
                png(f'pictures/{part}/{kind}/{i:03}.png', shape(kind, draw))


def test_page():
    ran = []
    for block in blocks(read(PAGE).decode()):
        if block[0].startswith('# '):
            write(block[0][2:].strip(), '\n'.join(block) + '\n')
        for command, shown in commands(block):
            if is_possible(command):
                run_command(command, shown)
            ran.append(command.split()[1] if command.startswith('ndarts-run') else 'ndartsc')
    expect(ran == ['search', 'ndartsc', 'ndartsc', 'train', 'eval', 'report', 'infer', 'export', 'ndartsc'], ran)
    for path in ('report.html', 'mine.onnx', 'mine.so', 'runs/trained/classes.txt'):
        expect(os.path.getsize(path) > 0, path)
    expect('What the classes are taken for' in read('report.html').decode(), 'report.html')


def test_can_fail():
    """Another whole number, a line that is missing, lines in another order are seen; measured numbers and what the dots stand for are not."""
    shown = ['data: 96 pictures', '...', 'top-1     75.00 %', 'circle   8   75.00 %...']
    for said, fits in (('data: 96 pictures\nx\ny 3\ntop-1  3.1 %\ncircle 8 100.00 %  cross (1)\n', True),
                       ('data: 97 pictures\nx\ntop-1  3.1 %\ncircle 8 100.00 %\n', False),
                       ('data: 96 pictures\nx\ncircle 8 100.00 %\n', False), ('top-1 3.1 %\ndata: 96 pictures\ncircle 8 100.00 %\n', False),
                       ('data: 96 pictures\nx\ntop-1  3.1 %\ncircle 7 100.00 %\n', False)):
        expect(bool(pattern(shown).search(said)) == fits, said)


if __name__ == '__main__':
    sys.exit(main([prepare, test_can_fail, test_page]))
