#!/usr/bin/env python3
"""What tools/gpu_check.sh runs: finds the CUDA libraries, the GPU and a build, then tests, watches and measures, each with a part of
the time that is left. A step that cannot be run is reported as such; it is no success. The exit code is 0 when all steps that ran
were right, 1 when one was wrong, 2 when there is no GPU or nothing to run."""
import argparse
import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOTAL_SECONDS = 525
SEARCH, NETWORK = 'specs/noisy_darts_a.nd', 'genotypes/noisy_darts_a.nd'
TRAINING = '''import "{source}/genotypes/noisy_darts_a.nd"
train {{
    network cifar(noisy_darts_a, C = 36, layers = 20)
    data synthetic
    epochs 1  batch 64
    weights sgd(lr = 0.025, momentum = 0.9, decay = 3e-4, clip = 5)
}}
'''


def find_libraries():
    """Folders that hold libcudart or libnvrtc: the toolkit's, and those of Python packages."""
    patterns = ['/usr/local/cuda*/lib64', '/usr/local/cuda*/lib', '/usr/local/cuda*/targets/*/lib', '/usr/local/lib',
                '/usr/lib/x86_64-linux-gnu']
    spec = importlib.util.find_spec('nvidia')
    for root in (spec.submodule_search_locations or []) if spec else []:
        patterns.append(os.path.join(root, '*', 'lib'))
    folders = []
    for pattern in patterns:
        for folder in sorted(glob.glob(pattern), reverse=True):
            if glob.glob(os.path.join(folder, 'libcudart.so.1[23]*')) or glob.glob(os.path.join(folder, 'libnvrtc.so.1[23]*')):
                folders.append(folder)
    return folders


class Check:
    def __init__(self, arguments):
        self.began, self.fake, self.results, self.rows = time.time(), arguments.fake, [], []
        self.build = self.find_build(arguments.fake)
        self.environment = {**os.environ, 'NDARTS_BUILD': self.build, 'NDARTS_SOURCE': SOURCE,
                            'NDARTS_LIBRARY': os.path.join(SOURCE, 'genotypes'), 'NDARTS_TEST_DEVICE': 'cuda', 'PYTHONDONTWRITEBYTECODE': '1'}
        folders = [os.path.join(self.build, 'tests', 'simt', 'fake')] if self.fake else find_libraries()
        old = [os.environ['LD_LIBRARY_PATH']] if os.environ.get('LD_LIBRARY_PATH') else []
        self.environment['LD_LIBRARY_PATH'] = ':'.join(folders + old)
        if not self.fake:
            self.environment['NDARTS_REAL_GPU'] = '1'

    @staticmethod
    def find_build(fake):
        for folder in [fake] if fake else ['build-gpu', 'build']:
            path = os.path.join(SOURCE, folder) if not os.path.isabs(folder) else folder
            if os.path.exists(os.path.join(path, 'bin', 'ndarts-run')):
                return path
        print('gpu_check: there is no build; run `tools/gpu_check.sh --build` where flex, bison and cmake are, and bring build-gpu/ along',
              file=sys.stderr)
        sys.exit(2)

    def program(self, name):
        return os.path.join(self.build, 'bin', name)

    def left(self):
        return TOTAL_SECONDS - (time.time() - self.began)

    def run(self, command, seconds):
        """(exit code, output); exit code None when it took too long."""
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                                  env=self.environment, cwd=SOURCE, timeout=max(5, min(seconds, self.left())))
            return done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            return None, (late.stdout or b'').decode(errors='replace') if isinstance(late.stdout, bytes) else late.stdout or ''
        except OSError as failure:
            return 127, str(failure)

    def note(self, name, outcome, seconds, detail=''):
        self.results.append({'step': name, 'outcome': outcome, 'seconds': round(seconds, 1), 'detail': detail})
        print(f'{outcome:>8}  {seconds:6.1f} s  {name}{": " + detail if detail else ""}', flush=True)

    def step(self, name, command, seconds, summary=None):
        """Runs a step and says how it went; returns its output, or None when it failed."""
        if self.left() < 10:
            self.note(name, 'skipped', 0, 'no time left')
            return None
        began = time.time()
        code, output = self.run(command, seconds)
        took = time.time() - began
        if code == 0:
            self.note(name, 'right', took, summary(output) if summary else '')
            return output
        print('\n'.join('          ' + line for line in output.splitlines()[-25:]))
        self.note(name, 'WRONG', took, 'it took too long' if code is None else f'exit code {code}')
        return None

    # ---- the steps ----

    def find_gpu(self):
        code, output = self.run([self.program('ndarts-run'), 'info'], 60)
        print(output.rstrip())
        line = next((line for line in output.splitlines() if line.startswith('cuda ')), '')
        self.card = re.sub(r'^cuda +', '', line)
        if code != 0 or ' GPU' not in line.split(',')[0] or not re.search(r'\d+ GPUs?', line):
            print(f'gpu_check: no GPU to check on: {self.card or output.strip()}', file=sys.stderr)
            sys.exit(2)
        if shutil.which('nvidia-smi') and not self.fake:
            code, output = self.run(['nvidia-smi', '--query-gpu=name,driver_version,memory.total,clocks.max.sm', '--format=csv,noheader'], 30)
            print(f'nvidia-smi  {output.strip()}')

    def test(self):
        last = lambda output: output.strip().splitlines()[-1] if output.strip() else ''
        python = sys.executable
        self.step('trace, infer, search against the CPU', [python, 'tests/simt/end_to_end.py'], 200)
        self.step('operations against reference values, f64', [python, 'tests/reference/ops_f64.py'], 90, last)
        self.step('supernets against reference values, f64', [python, 'tests/reference/supernet_f64.py', *(['darts/'] if self.fake else [])], 120, last)
        self.step('networks against reference values, f32', [python, 'tests/reference/networks_f32.py', 'noisy_darts_a/small' if self.fake else '/'], 90, last)

    def watch(self):
        """compute-sanitizer on a small training step; kernel by kernel it is slow, so one tool at a time."""
        tool = shutil.which('compute-sanitizer') or next(iter(sorted(glob.glob('/usr/local/cuda*/bin/compute-sanitizer'))), None)
        if not tool:
            self.note('compute-sanitizer', 'skipped', 0, 'it is not installed')
            return
        for kind in ('memcheck', 'racecheck'):
            command = [tool, '--tool', kind, '--error-exitcode', '9', self.program('bench_steps'), 'tests/simt/network.nd', 'gradients',
                       '--device', 'cuda', '--batch', '4', '--steps', '1']
            self.step(f'compute-sanitizer {kind}', command, 60, lambda output: next((l for l in output.splitlines() if 'SUMMARY' in l), '').strip('= '))

    def add_rows(self, output):
        for line in (output or '').splitlines():
            if line.startswith('{'):
                self.rows.append(json.loads(line))

    def measure(self, folder):
        training = os.path.join(folder, 'training.nd')
        with open(training, 'w') as file:
            file.write(TRAINING.format(source=SOURCE))
        steps = self.program('bench_steps')
        if self.fake:
            self.add_rows(self.step('times: a small network', [steps, 'tests/simt/network.nd', 'infer,train', '--device', 'cuda', '--batch', '4', '--steps', '2'], 60))
            return
        search = ('search step', SEARCH, 'search-alphas,search-weights', '64')
        train, infer = ('training step', training, 'train', '64'), ('inference', NETWORK, 'infer', '64')
        one = ('inference of one image', NETWORK, 'infer', '1')
        for precision, measured in (('f32', (search, train, infer, one)), ('tf32', (search, train, infer)), ('bf16', (search, train, infer))):
            for name, text, graphs, batch in measured:
                self.add_rows(self.step(f'times: {name}, {precision}', [steps, text, graphs, '--device', 'cuda', '--batch', batch, '--steps', '20',
                                                                        '--precision', precision], 60))
        torch = [sys.executable, 'bench/torch_steps.py', '--batch', '64', '--seconds', '5']
        self.add_rows(self.step('times: PyTorch, eager', torch, 90))
        self.add_rows(self.step('times: PyTorch, compiled', [*torch, '--compile', '--only', 'train,infer'], 150))

    def profile(self, folder):
        """The kernels that take most of a search step, one by one."""
        if self.fake:
            return
        output = self.step('kernels of a search step', [self.program('bench_steps'), SEARCH, 'search-weights', '--device', 'cuda', '--batch', '64', '--steps', '2', '--profile', '-'], 60)
        if output:
            print('\n'.join(line for line in output.splitlines() if 'profile' in line or '%' in line)[:2500])
        card = next((name for name in ('h200', 'h100', 'a100', 'l4', 't4', 'rtx3090', 'rtx4090') if name in re.sub(r'\W', '', self.card.lower())), None)
        cubin = os.path.join(folder, 'search.cubin')
        made = card and self.step('roofline: compiling', [self.program('ndartsc'), SEARCH, '--graph=search-weights', '--batch', '64', '-o', cubin], 60)
        if made is not None and card:
            lines = (self.step('roofline', [self.program('ndartsc'), cubin, '--emit=resources', '--card', card], 30) or '').splitlines()
            print('\n'.join(line[:150] for line in lines[:25] + lines[-1:]))

    def report(self, path):
        print(f'\n{"text":32} {"graph":15} {"device":14} {"numbers":7} {"batch":>5} {"median":>10} {"images/s":>10} {"memory":>9}')
        for row in self.rows:
            print(f'{os.path.basename(row["text"])[:32]:32} {row["graph"]:15} {row["device"]:14} {row.get("precision", "f32"):7} {row["batch"]:5} {1e3 * row["median_s"]:7.2f} ms '
                  f'{row["images_per_s"]:10.0f} {row["memory_mb"]:6.0f} MB')
        wrong = sum(r['outcome'] == 'WRONG' for r in self.results)
        with open(path, 'w') as file:
            json.dump({'card': self.card, 'date': time.strftime('%Y-%m-%d'), 'emulated': bool(self.fake), 'steps': self.results, 'times': self.rows}, file, indent=1)
        print(f'{len(self.results)} steps, {wrong} wrong, {sum(r["outcome"] == "skipped" for r in self.results)} skipped; '
              f'{time.time() - self.began:.0f} s; written to {path}')
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-o', '--output', default='gpu_check.json')
    parser.add_argument('--fake', metavar='BUILD', help='try the script on the emulator built in BUILD')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments)
        check.environment['XDG_CACHE_HOME'] = os.path.join(folder, 'cache')
        check.find_gpu()
        check.test()
        check.watch()
        check.measure(folder)
        check.profile(folder)
        wrong = check.report(arguments.output)
    sys.exit(1 if wrong else 0)


main()
