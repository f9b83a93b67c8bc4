#!/usr/bin/env python3
"""What tools/gpu_check.sh runs: the steps of its two parts (gpu_steps.py), each with a part of the time that is left. After every step
all that is known is written, so that a time limit in the middle loses only the step that it met. A step that cannot be run is reported
as such; it is no success. The exit code is 0 when all steps that ran were right, 1 when one was wrong, 2 when there is no GPU or
nothing to run."""
import argparse
import ctypes
import glob
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import gpu_report
import gpu_steps

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARIES = ('libcudart.so.1[23]*', 'libnvrtc.so.1[23]*', 'libnvJitLink.so.1[23]*', 'libcudnn.so.9*')
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def find_libraries():
    """Folders that hold any of the libraries: the toolkit's, and those of Python packages."""
    patterns = ['/usr/local/cuda*/lib64', '/usr/local/cuda*/lib', '/usr/local/cuda*/targets/*/lib', '/usr/local/lib',
                os.path.join(sys.prefix, 'lib'), '/usr/lib/x86_64-linux-gnu']
    spec = importlib.util.find_spec('nvidia')
    for root in (spec.submodule_search_locations or []) if spec else []:
        patterns.append(os.path.join(root, '*', 'lib'))
    folders = [folder for pattern in patterns for folder in sorted(glob.glob(pattern), reverse=True)]
    return [folder for folder in folders if any(glob.glob(os.path.join(folder, name)) for name in LIBRARIES)]


class Part:
    """What one part of the check has found: its JSON."""

    def __init__(self, name, seconds, path, common):
        self.name, self.path, self.ends = name, path, time.time() + seconds
        self.found = {'part': name, **common, 'finished': False, 'steps': [], 'measures': [], 'times': [], 'kernels': {}, 'ncu': []}

    def write(self):
        with open(self.path + '.new', 'w') as file:
            json.dump(self.found, file, indent=1)
        os.replace(self.path + '.new', self.path)


class Check:
    def __init__(self, arguments, scratch):
        self.fake, self.scratch, self.folder = arguments.fake, scratch, arguments.output
        self.ends = time.time() + arguments.seconds
        self.log = open(os.path.join(self.folder, 'log.txt'), 'a')
        self.build = self.find_build(arguments.fake)
        # PyTorch brings its own libraries, and knows where they are.
        self.outside = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1', 'XDG_CACHE_HOME': os.path.join(scratch, 'cache'),
                        'TORCHINDUCTOR_CACHE_DIR': os.path.join(scratch, 'inductor'), 'TRITON_CACHE_DIR': os.path.join(scratch, 'triton')}
        self.environment = {**self.outside, 'NDARTS_BUILD': self.build, 'NDARTS_SOURCE': SOURCE,
                            'NDARTS_LIBRARY': os.path.join(SOURCE, 'genotypes'), 'NDARTS_TEST_DEVICE': 'cuda'}
        folders = [os.path.join(self.build, 'tests', 'simt', 'fake')] if self.fake else find_libraries()
        old = [os.environ['LD_LIBRARY_PATH']] if os.environ.get('LD_LIBRARY_PATH') else []
        self.environment['LD_LIBRARY_PATH'] = ':'.join(folders + old)
        if not self.fake:
            self.environment['NDARTS_REAL_GPU'] = '1'
        self.part, self.running = None, None
        signal.signal(signal.SIGTERM, self.stop)

    @staticmethod
    def find_build(fake):
        for path in [os.path.abspath(fake)] if fake else [os.path.join(SOURCE, 'build-gpu'), os.path.join(SOURCE, 'build')]:
            if os.path.exists(os.path.join(path, 'bin', 'ndarts-run')):
                return path
        print('gpu_check: there is no build; run `tools/gpu_check.sh --build` where flex, bison and cmake are, and bring build-gpu/ along',
              file=sys.stderr)
        sys.exit(2)

    def say(self, text=''):
        print(text, flush=True)
        print(text, file=self.log, flush=True)

    def program(self, name):
        return os.path.join(self.build, 'bin', name)

    def left(self):
        return min(self.ends, self.part.ends if self.part else self.ends) - time.time()

    # ---- running ----

    def stop(self, *_):
        if self.running:
            os.killpg(self.running.pid, signal.SIGKILL)
        sys.exit(1)

    def run(self, command, seconds, environment=None):
        """(exit code, output); exit code None when it took too long: then all that it started is ended too."""
        parent_dies = lambda: ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        try:
            self.running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                            errors='replace', env=environment or self.environment, cwd=SOURCE, start_new_session=True,
                                            preexec_fn=parent_dies)
        except OSError as failure:
            return 127, str(failure)
        try:
            output, _ = self.running.communicate(timeout=max(1, min(seconds, self.left())))
            code = self.running.returncode
        except subprocess.TimeoutExpired:
            os.killpg(self.running.pid, signal.SIGKILL)
            code, output = None, self.running.communicate()[0]
        self.running = None
        print(output, file=self.log, flush=True)
        return code, output

    def note(self, name, outcome, seconds, detail=''):
        self.part.found['steps'].append({'step': name, 'outcome': outcome, 'seconds': round(seconds, 1), 'detail': detail})
        self.part.write()
        self.say(f'{outcome:>8}  {seconds:6.1f} s  {name}{": " + detail if detail else ""}')

    def step(self, name, command, seconds, summary=None, environment=None, excuse=lambda code, output: None, known=lambda output: None):
        """Runs a step and says how it went; returns its output, or None when it failed. excuse: why a failure is none; known: what
        was expected to be off, though it is no failure."""
        if self.left() < 5:
            self.note(name, 'skipped', 0, 'no time left')
            return None
        began = time.time()
        code, output = self.run(command, seconds, environment)
        took = time.time() - began
        if code == 0:
            off = known(output)
            self.note(name, 'known' if off else 'right', took, off or (summary(output) if summary else ''))
            return output
        reason = excuse(code, output)
        if reason:
            self.note(name, 'skipped', took, reason)
            return None
        self.say('\n'.join('          ' + line for line in output.splitlines()[-25:]))
        self.note(name, 'WRONG', took, 'it took too long' if code is None else f'exit code {code}')
        return None

    # ---- the parts ----

    def find_gpu(self):
        code, output = self.run([self.program('ndarts-run'), 'info'], 60)
        self.say(output.rstrip())
        line = next((line for line in output.splitlines() if line.startswith('cuda ')), '')
        self.card = re.sub(r'^cuda +', '', line)
        if code != 0 or ' GPU' not in line.split(',')[0] or not re.search(r'\d+ GPUs?', line):
            print(f'gpu_check: no GPU to check on: {self.card or output.strip()}', file=sys.stderr)
            sys.exit(2)

    def run_part(self, name, chosen):
        steps, seconds = gpu_steps.PARTS[name]
        common = {'card': self.card, 'date': time.strftime('%Y-%m-%d'), 'emulated': bool(self.fake)}
        self.part = Part(name, seconds, os.path.join(self.folder, name + '.json'), common)
        self.part.write()
        for step in steps:
            if step.__name__ in chosen:
                step(self)
        self.part.found['finished'] = True
        self.part.write()
        return sum(step['outcome'] == 'WRONG' for step in self.part.found['steps'])


def parse():
    names = {part: [step.__name__ for step in steps] for part, (steps, _) in gpu_steps.PARTS.items()}
    every = '; '.join(f'{part}: {", ".join(steps)}' for part, steps in names.items())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-o', '--output', metavar='FOLDER', default='gpu_check', help='where the results go')
    parser.add_argument('--parts', default='A,B', help=f'A, B, or some of their steps ({every})')
    parser.add_argument('--seconds', type=float, help='at most, all together')
    parser.add_argument('--table', metavar='FOLDER', help='print the tables of the results that lie there')
    parser.add_argument('--fake', metavar='BUILD', help='try the script on the emulator built in BUILD')
    arguments = parser.parse_args()
    chosen = [step for name in arguments.parts.split(',') for step in names.get(name, [name])]
    if not set(chosen) <= {step for steps in names.values() for step in steps}:
        parser.error(f'--parts takes A, B, or some of {every}')
    parts = [part for part, steps in names.items() if set(steps) & set(chosen)]
    arguments.seconds = arguments.seconds or sum(gpu_steps.PARTS[part][1] for part in parts)
    return arguments, parts, chosen


def main():
    arguments, parts, chosen = parse()
    if arguments.table:
        gpu_report.show(arguments.table, print)
        sys.exit(0)
    try:
        os.makedirs(arguments.output, exist_ok=True)
        open(os.path.join(arguments.output, 'log.txt'), 'a').close()
    except OSError as failure:
        print(f'gpu_check: {failure}; -o FOLDER says where the results shall go', file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as scratch:
        check = Check(arguments, scratch)
        check.find_gpu()
        wrong = sum(check.run_part(part, chosen) for part in parts)
        gpu_report.show(arguments.output, check.say)
    sys.exit(1 if wrong else 0)


main()
