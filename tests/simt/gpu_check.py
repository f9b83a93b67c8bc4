#!/usr/bin/env python3
"""tools/gpu_check.sh on the emulator, with a stand-in for compute-sanitizer: what it measures is printed and written, what is wrong or
cannot run is said. Its tests are tests of their own here."""
import json
import os
import subprocess
import sys
import tempfile

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

SCRIPT = os.path.join(os.environ['NDARTS_SOURCE'], 'tools', 'gpu_check.sh')
# Runs the program that it is given, but for one of its tools, which finds a race, and one that does not work on the machine.
SANITIZER = """#!/bin/sh
kind=$2
[ $kind = synccheck ] && { echo "Device not supported"; exit 1; }
shift 4
"$@" || exit
[ $kind = racecheck ] && { echo "========= RACECHECK SUMMARY: 1 hazard displayed"; exit 9; }
echo "========= ERROR SUMMARY: 0 errors"
"""


def run(folder, parts, code):
    results = os.path.join(folder, 'results.json')
    environment = {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'}
    environment.pop('HOME', None)
    done = subprocess.run([SCRIPT, '--fake', os.environ['NDARTS_BUILD'], '--only', parts, '-o', results], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder)
    assert done.returncode == code, f'exit {done.returncode}, expected {code}\n{done.stdout}'
    with open(results) as file:
        return done.stdout, json.load(file)


def main():
    with tempfile.TemporaryDirectory() as folder:
        said, found = run(folder, 'times,kernels,pytorch', 0)
        assert found['emulated'] and [row['graph'] for row in found['times']] == ['infer', 'train'], found['times']
        assert all(row['median_s'] > 0 for row in found['times']) and len(found['kernels']) > 10
        assert all(step['outcome'] == 'right' for step in found['steps']), found['steps']
        table = said.splitlines()[-4:]
        assert table[0].split()[:2] == ['text', 'graph'] and table[-1].startswith('2 steps, 0 wrong, 0 skipped'), said
        with open(os.path.join(folder, 'compute-sanitizer'), 'w') as file:
            file.write(SANITIZER)
        os.chmod(os.path.join(folder, 'compute-sanitizer'), 0o755)
        said, found = run(folder, 'sanitizer', 1)
        assert [step['outcome'] for step in found['steps']] == ['right', 'WRONG', 'skipped'], found['steps']
        assert 'RACECHECK SUMMARY: 1 hazard' in said and 'it does not run here' in said, said
    return 0


sys.exit(main())
