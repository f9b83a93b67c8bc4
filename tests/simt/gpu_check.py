#!/usr/bin/env python3
"""tools/gpu_check.sh on the emulator, with stand-ins for NVIDIA's tools: both parts to their end; what is measured is printed and
written, what is wrong or cannot run is said; what was measured before it was killed, or its time was up, is there."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

TOOLS = os.path.join(os.environ['NDARTS_SOURCE'], 'tools')
SCRIPT = os.path.join(TOOLS, 'gpu_check.sh')
sys.path.insert(0, TOOLS)
import gpu_report

# Runs the program that it is given, but for one of its tools, which finds a race, and one that does not work on the machine.
SANITIZER = """#!/bin/sh
kind=$2
[ $kind = synccheck ] && { echo "Device not supported"; exit 1; }
shift 4
"$@" || exit
[ $kind = racecheck ] && { echo "========= RACECHECK SUMMARY: 1 hazard displayed"; exit 9; }
echo "========= ERROR SUMMARY: 0 errors"
"""
# Of each kernel that it is asked for three metrics, two of one name; beside them what the program and ncu itself say.
NCU = """#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" = --kernel-name ] && names=$(echo "$2" | sed 's/regex:^(//; s/)\\$$//; s/|/ /g')
    shift
done
echo '==PROF== Connected to process 1'
echo '"ID","Kernel Name","Grid Size","Section Name","Metric Name","Metric Unit","Metric Value"'
id=0
for name in $names; do
    echo "\\"$id\\",\\"$name(const long *, const NdRun *, long)\\",\\"(8, 1, 1)\\",\\"Speed\\",\\"Duration\\",\\"us\\",\\"12.5\\""
    echo '{"text": "what the program prints"}'
    echo "\\"$id\\",\\"$name(const long *, const NdRun *, long)\\",\\"(8, 1, 1)\\",\\"Occupancy\\",\\"Achieved Occupancy\\",\\"%\\",\\"48.1\\""
    echo "\\"$id\\",\\"$name(const long *, const NdRun *, long)\\",\\"(8, 1, 1)\\",\\"Memory\\",\\"Duration\\",\\"cycle\\",\\"20000\\""
    id=$((id + 1))
done
"""
SMI = '#!/bin/sh\necho "emulated device, 580.1, 8192 MiB"\n'
OFF = 'transfer_small: 6 of 335 gradients moved by a kink'


def start(folder, *options):
    environment = {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}'}
    environment.pop('HOME', None)
    command = [SCRIPT, '--fake', os.environ['NDARTS_BUILD'], '-o', os.path.join(folder, 'results'), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=folder)


def read(folder, part):
    with open(os.path.join(folder, 'results', part + '.json')) as file:
        return json.load(file)


def outcomes(found):
    return {step['step']: step['outcome'] for step in found['steps']}


def both_parts(folder):
    done = start(folder)
    said, _ = done.communicate()
    a, b = read(folder, 'A'), read(folder, 'B')
    assert done.returncode == 1 and a['finished'] and b['finished'], said
    assert outcomes(a) == {'nvidia-smi': 'right', 'the card by itself': 'right', 'a trace against the CPU': 'right', 'times: a small network': 'right',
                           'kernels of a step': 'right', 'PyTorch, eager, a search': 'skipped'}, a['steps']
    measures = {row['measure']: row for row in a['measures']}
    assert measures['copy']['gb_per_s'] > 0 and all('failed' not in row for row in a['measures']), a['measures']
    assert measures['chain']['levels'] == 16 and measures['levels of 8 launches']['levels'] == 2 and 'programmatic launch' in measures, measures
    assert [row['graph'] for row in a['times']] == ['train'] and a['times'][0]['median_s'] > 0, a['times']
    kernels = [row['kernel'] for row in a['kernels']['train']]
    assert len(kernels) > 12, kernels
    assert [row['kernel'] for row in b['ncu']] == kernels[:12], b['ncu']  # those of part A
    assert b['ncu'][0]['metrics'] == {'Duration': ['12.5', 'us'], 'Achieved Occupancy': ['48.1', '%'], 'Duration, cycle': ['20000', 'cycle']}, b['ncu'][0]
    steps = outcomes(b)
    assert [name for name, outcome in steps.items() if outcome == 'WRONG'] == ['compute-sanitizer racecheck'], steps
    assert steps['compute-sanitizer memcheck'] == 'right' and steps['compute-sanitizer synccheck'] == 'skipped', steps
    assert 'RACECHECK SUMMARY: 1 hazard' in said and 'it does not run here' in said, said
    assert '12.5 us' in said and said.splitlines()[-1].startswith(f'{len(a["steps"]) + len(steps)} steps, 1 wrong, 0 known'), said
    with open(os.path.join(folder, 'results', 'ncu.csv')) as file:
        assert file.read().count('"Duration"') == 24
    table = subprocess.run([SCRIPT, '--table', os.path.join(folder, 'results')], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert table in said, table


def killed(folder):
    """In the middle: what was measured before lies there."""
    running = start(folder, '--parts', 'card,right')
    deadline = time.time() + 120
    while time.time() < deadline:
        try:
            found = read(folder, 'A')
        except OSError:
            found = {'measures': []}
        if found['measures'] and not found['times']:  # not what an earlier run left
            break
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    found = read(folder, 'A')
    assert not found['finished'] and outcomes(found) == {'the card by itself': 'right'} and len(found['measures']) >= 4, found


def out_of_time(folder):
    done = start(folder, '--parts', 'card,tests', '--seconds', '2')
    said, _ = done.communicate()
    assert done.returncode == 0 and outcomes(read(folder, 'B')) == {'all commands against the CPU': 'skipped'} and 'no time left' in said, said


def main():
    assert gpu_report.kinks(f'dense: right\n{OFF}\n') == OFF and not gpu_report.kinks('dense: right\n')
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (('compute-sanitizer', SANITIZER), ('ncu', NCU), ('nvidia-smi', SMI)):
            with open(os.path.join(folder, name), 'w') as file:
                file.write(text)
            os.chmod(os.path.join(folder, name), 0o755)
        both_parts(folder)
        killed(folder)
        out_of_time(folder)
    return 0


sys.exit(main())
