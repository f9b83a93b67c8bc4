#!/usr/bin/env python3
"""golden.py itself: passes what matches, fails what does not, rewrites with --update and then passes."""
import os
import subprocess
import sys
import tempfile

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

GOLDEN = os.path.join(os.environ['NDARTS_SOURCE'], 'tests', 'golden.py')
GOOD = '''A comment before the first section.
# RUN: cat %s more/second; echo wrong >&2; exit 3
--- input
one
--- input more/second
two
--- output
one
two
wrong
--- exit 3
# RUN: printf 'no newline'
--- output
no newline
# RUN: true
--- output
# RUN: (echo right; exit 4) | cat
--- output
right
--- exit 4
'''


def run(path, *options):
    done = subprocess.run([sys.executable, GOLDEN, *options, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def expect(path, text, code, said=''):
    with open(path, 'w') as file:
        file.write(text)
    found, output = run(path)
    assert found == code and said in output, f'expected exit code {code} and "{said}", found {found}:\n{output}'


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'a.test')
        expect(path, GOOD, 0)
        expect(path, GOOD.replace('--- exit 3\n', ''), 1, 'expected exit code 0, found 3')
        expect(path, GOOD.replace('two\nwrong', 'too\nwrong'), 1, '-too')
        assert run(path, '--update')[0] == 0
        with open(path) as file:
            assert file.read() == GOOD
        expect(path, 'nothing\n', 1, 'no RUN line')
        expect(path, '# RUN: true\nstray\n', 1, 'text outside of a section')
    print('golden.py works')


if __name__ == '__main__':
    main()
