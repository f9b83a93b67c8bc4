#!/usr/bin/env python3
"""The Python package as users have it: the wheel of tools/wheel.sh in a fresh virtual environment, where no source tree is in reach: every call
(_suite.py, _runs.py), the samples of README and docs/python.md as written, and the notebook of docs/examples."""
import json
import os
import re
import subprocess
import sys
import zipfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), 'cli'))

from _run import BUILD, RUN, SOURCE, expect, main, read, run, write


def find_python():
    """One that has what a virtual environment takes, and numpy."""
    for python in (sys.executable, '/usr/bin/python3'):
        asked = subprocess.run([python, '-c', 'import venv, ensurepip, numpy'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if asked.returncode == 0:
            return python
    return None


def run_in(name, text):
    """A program in the environment, in a folder of its own."""
    os.makedirs(name)
    write(f'{name}/program.py', text)
    return run(os.path.abspath('environment/bin/python'), '-B', 'program.py', cwd=name,
               env={**os.environ, 'NDARTS_CFLAGS': '-Og', 'PYTHONPATH': '', 'NDARTS_TEST_RUN': RUN})


def samples(*path):
    """What is marked as Python in a text."""
    found = re.findall(r'```python\n(.*?)```', read(SOURCE, *path).decode(), re.DOTALL)
    expect(found, f'{path}: no samples')
    return '\n'.join(found)


def prepare():
    shown, _ = run('bash', os.path.join(SOURCE, 'tools', 'wheel.sh'), os.path.abspath('dist'), env={**os.environ, 'NDARTS_BUILD': BUILD})
    wheel = shown.splitlines()[-1]
    expect(re.search(r'/ndarts-[0-9.]+-py3-none-manylinux_2_[0-9]+_\w+\.whl$', wheel), wheel)
    expect([os.path.basename(wheel)] == os.listdir('dist'), os.listdir('dist'))
    names = zipfile.ZipFile(wheel).namelist()
    for name in ('ndarts/lib/libndarts.so.0', 'ndarts/share/ndarts/genotypes/darts.nd', 'ndarts/share/ndarts/specs/fashion_quick.nd'):
        expect(name in names, f'{name} is not in the wheel')
    run(find_python(), '-m', 'venv', '--system-site-packages', 'environment')
    run('environment/bin/python', '-m', 'pip', 'install', '--quiet', '--no-index', '--no-deps', wheel)


def run_suite(name):
    with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
        shown, _ = run_in(name[1:-3], file.read())
    print(shown, end='')


def test_suite():
    run_suite('_suite.py')


def test_runs():
    run_suite('_runs.py')


def test_readme():
    run_in('readme', samples('README.md'))


def test_documentation():
    run_in('documentation', samples('docs', 'python.md'))


def test_notebook():
    """Its code cells in their order."""
    cells = json.loads(read(SOURCE, 'docs', 'examples', 'search.ipynb'))['cells']
    code = [''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code']
    expect(len(code) > 3 and not any(cell.get('outputs') for cell in cells), 'a notebook is kept without outputs')
    shown, _ = run_in('notebook', '\n'.join(code))
    expect('epoch 3:' in shown and 'genotype text {' in shown, shown)


if __name__ == '__main__':
    if not find_python():
        print('skipped: no Python here with venv, ensurepip and numpy (packages python3-venv and python3-numpy)')
        sys.exit(77)
    sys.exit(main([prepare, test_suite, test_runs, test_readme, test_documentation, test_notebook]))
