#!/usr/bin/env python3
"""No test is green because Python left out its asserts: a file that has any refuses to run under -O, and ctest takes
PYTHONOPTIMIZE out of the environment."""
import os
import re
import subprocess
import sys

SOURCE = os.environ['NDARTS_SOURCE']
ASSERT = re.compile(r'^\s*assert\b', re.MULTILINE)
REFUSAL = 'python3 -O leaves out what this file asserts'


def files_with_asserts():
    for top in ('tests', 'tools', 'bench'):
        for folder, _, names in os.walk(os.path.join(SOURCE, top)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.endswith('.py'):
                    with open(path, encoding='utf-8') as file:
                        if ASSERT.search(file.read()):
                            yield path


def refuses(path):
    done = subprocess.run([sys.executable, '-O', path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          timeout=60, check=False)
    return done.returncode != 0 and REFUSAL in done.stderr


def main():
    if os.environ.get('PYTHONOPTIMIZE'):
        sys.exit('PYTHONOPTIMIZE is set: ctest is to empty it')
    paths = list(files_with_asserts())
    wrong = [os.path.relpath(path, SOURCE) for path in paths if not refuses(path)]
    print('\n'.join([f'{path} asserts, and runs under python3 -O' for path in wrong] + [f'{len(paths)} files, {len(wrong)} wrong']))
    return 1 if wrong or not paths else 0


if __name__ == '__main__':
    sys.exit(main())
