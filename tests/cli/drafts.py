#!/usr/bin/env python3
"""A search whose code is new begins with quickly compiled code, and goes on with better code of the same bits."""
import os
import signal
import subprocess
import sys
import time

from _run import RUN, expect, lines_of, main, read, run, write

# Small, but of a whole space of candidates: 3 MB of source.
SEARCH = '''import "darts.nd"
search {
    space darts
    network cifar_search(C=2, layers=3)
    data synthetic(limit=16, H=8, W=8, classes=3)
    epochs 100000  batch 2  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
FOLLOWS = 'faster code of the same bits follows'


def modules(cache):
    folder = os.path.join(cache, 'ndarts')
    return len([name for name in os.listdir(folder) if name.endswith('.so')]) if os.path.isdir(folder) else 0


def loaded(process):
    """Modules that the program has in its memory."""
    with open(f'/proc/{process.pid}/maps', encoding='utf-8') as maps:
        return len({line.split()[-1] for line in maps if '/ndarts/' in line and line.endswith('.so\n')})


def epochs(out):
    path = os.path.join(out, 'metrics.jsonl')
    return read(path).count(b'\n') if os.path.exists(path) else 0


def wait(process, until):
    deadline = time.time() + 300
    while process.poll() is None and time.time() < deadline and not until(process):
        time.sleep(0.2)


def search(cache, out, until, drafts='on'):
    """Runs until the condition holds, then two more epochs; returns what it said."""
    write('search.nd', SEARCH)
    environment = {**os.environ, 'XDG_CACHE_HOME': os.path.abspath(cache), 'NDARTS_DRAFTS': drafts}
    with open('said', 'w+', encoding='utf-8') as file, subprocess.Popen(
            (RUN, 'search', 'search.nd', '--out', out, '--threads=1'), env=environment, stdout=subprocess.DEVNULL, stderr=file) as process:
        wait(process, until)
        least = epochs(out) + 2
        wait(process, lambda _: epochs(out) >= least)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
        file.seek(0)
        said = file.read()
    expect(code == 130 and 'saved in' in said, said)
    return said


def expect_same_epochs(first, second):
    for name in ('metrics.jsonl', 'alphas.jsonl'):
        one, other = lines_of(first, name), lines_of(second, name)
        count = min(len(one), len(other))
        expect(count > 1 and one[:count] == other[:count], f'{first} and {second} differ')


def test_better_code_takes_over():
    said = search('cache', 'both', lambda process: loaded(process) == 2)
    expect(FOLLOWS in said, said)
    done = epochs('both')
    said = search('cache', 'better', lambda _: epochs('better') >= done)
    expect(FOLLOWS not in said, said)
    expect_same_epochs('both', 'better')


def test_ended_before_it_is_there():
    """Its process goes with the program; the draft stays."""
    for out in ('first', 'second'):
        said = search('other', out, lambda _, out=out: epochs(out) >= 1)
        expect(FOLLOWS in said and modules('other') == 1, said)
        left = [name for name in os.listdir('other/ndarts') if 'build' in name]
        expect(not left, f'{left}')
    expect_same_epochs('first', 'second')


def test_unwanted():
    said = search('none', 'unwanted', lambda _: epochs('unwanted') >= 1, drafts='off')
    expect(FOLLOWS not in said and modules('none') == 1, said)
    expect_same_epochs('unwanted', 'first')


def test_compiled_before():
    """`ndarts-run compile` leaves what the search then finds, and says what it cannot do."""
    environment = {**os.environ, 'XDG_CACHE_HOME': os.path.abspath('before'), 'NDARTS_CFLAGS': '-O1'}
    write('small.nd', SEARCH.replace('epochs 100000', 'epochs 1'))
    said = run(RUN, 'compile', 'small.nd', env=environment)[0]
    expect('small.nd: eval, search-alphas, search-weights, batch 2: ' in said, said)
    expect(modules('before') == 1, 'no module')
    run(RUN, 'search', 'small.nd', '--out', 'found', '--threads=1', env=environment)
    expect(modules('before') == 1, 'the search compiled another module')
    for arguments, complaint in ((('compile',), 'needs a text'), (('compile', 'net.so'), 'is compiled already'),
                                 (('compile', 'small.nd', '--batch=0'), '--batch')):
        expect(complaint in run(RUN, *arguments, code=1, env=environment)[1], complaint)


if __name__ == '__main__':
    sys.exit(main([test_better_code_takes_over, test_ended_before_it_is_there, test_unwanted, test_compiled_before]))
