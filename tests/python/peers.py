#!/usr/bin/env python3
"""ndarts.torch beside PyTorch (_torch.py), from the wheel. Skipped unless NDARTS_PEERS names a virtual environment with numpy and torch
(tools/check.sh --peers makes one)."""
import glob
import os
import sys
import zipfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), 'cli'))

from _run import BUILD, SOURCE, main, run

PYTHON = os.path.join(os.environ.get('NDARTS_PEERS', ''), 'bin', 'python')


def test_torch():
    run('bash', os.path.join(SOURCE, 'tools', 'wheel.sh'), os.path.abspath('dist'), env={**os.environ, 'NDARTS_BUILD': BUILD})
    zipfile.ZipFile(glob.glob('dist/*.whl')[0]).extractall('packages')
    shown, _ = run(PYTHON, '-B', os.path.join(FOLDER, '_torch.py'),
                   env={**os.environ, 'PYTHONPATH': os.path.abspath('packages'), 'NDARTS_CFLAGS': '-O1'})
    print(shown, end='')


if __name__ == '__main__':
    if 'NDARTS_PEERS' not in os.environ:
        print('NDARTS_PEERS names no environment; tools/check.sh --peers makes one')
        sys.exit(77)
    sys.exit(main([test_torch]))
