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
import signal
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


PARTS = ('tests', 'sanitizer', 'times', 'kernels', 'pytorch')
CARDS = ('h200', 'h100', 'a100', 'l4', 't4', 'rtx3090', 'rtx4090')  # of `ndartsc --emit=resources --card`
LIBRARIES = ('libcudart.so.1[23]*', 'libnvrtc.so.1[23]*', 'libnvJitLink.so.1[23]*', 'libcudnn.so.9*')
KERNEL_TIME = re.compile(r' +([\d.]+) s +([\d.]+) % +(\d+) +([\d.]+) +[\d.]+ +[\d.]+ (nd_k\d+)  (.*)')
KERNEL_RESOURCES = re.compile(r'(nd_k\d+) +\d+ +(\d+) +(\d+) +\d+ +\d+ +[\d.]+ +[\d.]+ +([\d.]+) +[\d.]+  ')


def find_libraries():
    """Folders that hold any of the libraries: the toolkit's, and those of Python packages."""
    patterns = ['/usr/local/cuda*/lib64', '/usr/local/cuda*/lib', '/usr/local/cuda*/targets/*/lib', '/usr/local/lib',
                os.path.join(sys.prefix, 'lib'), '/usr/lib/x86_64-linux-gnu']
    spec = importlib.util.find_spec('nvidia')
    for root in (spec.submodule_search_locations or []) if spec else []:
        patterns.append(os.path.join(root, '*', 'lib'))
    folders = [folder for pattern in patterns for folder in sorted(glob.glob(pattern), reverse=True)]
    return [folder for folder in folders if any(glob.glob(os.path.join(folder, name)) for name in LIBRARIES)]


class Check:
    def __init__(self, arguments, folder):
        self.began, self.fake, self.results, self.rows, self.kernels = time.time(), arguments.fake, [], [], []
        self.build = self.find_build(arguments.fake)
        # PyTorch brings its own libraries, and knows where they are.
        self.outside = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1', 'XDG_CACHE_HOME': os.path.join(folder, 'cache'),
                        'TORCHINDUCTOR_CACHE_DIR': os.path.join(folder, 'inductor'), 'TRITON_CACHE_DIR': os.path.join(folder, 'triton')}
        self.environment = {**self.outside, 'NDARTS_BUILD': self.build, 'NDARTS_SOURCE': SOURCE,
                            'NDARTS_LIBRARY': os.path.join(SOURCE, 'genotypes'), 'NDARTS_TEST_DEVICE': 'cuda'}
        folders = [os.path.join(self.build, 'tests', 'simt', 'fake')] if self.fake else find_libraries()
        old = [os.environ['LD_LIBRARY_PATH']] if os.environ.get('LD_LIBRARY_PATH') else []
        self.environment['LD_LIBRARY_PATH'] = ':'.join(folders + old)
        if not self.fake:
            self.environment['NDARTS_REAL_GPU'] = '1'

    @staticmethod
    def find_build(fake):
        for path in [os.path.abspath(fake)] if fake else [os.path.join(SOURCE, 'build-gpu'), os.path.join(SOURCE, 'build')]:
            if os.path.exists(os.path.join(path, 'bin', 'ndarts-run')):
                return path
        print('gpu_check: there is no build; run `tools/gpu_check.sh --build` where flex, bison and cmake are, and bring build-gpu/ along',
              file=sys.stderr)
        sys.exit(2)

    def program(self, name):
        return os.path.join(self.build, 'bin', name)

    def left(self):
        return TOTAL_SECONDS - (time.time() - self.began)

    def run(self, command, seconds, environment=None):
        """(exit code, output); exit code None when it took too long: then all that it started is ended too."""
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                       errors='replace', env=environment or self.environment, cwd=SOURCE, start_new_session=True)
        except OSError as failure:
            return 127, str(failure)
        try:
            output, _ = process.communicate(timeout=max(5, min(seconds, self.left())))
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]

    def note(self, name, outcome, seconds, detail=''):
        self.results.append({'step': name, 'outcome': outcome, 'seconds': round(seconds, 1), 'detail': detail})
        print(f'{outcome:>8}  {seconds:6.1f} s  {name}{": " + detail if detail else ""}', flush=True)

    def step(self, name, command, seconds, summary=None, environment=None, excuse=lambda code, output: None):
        """Runs a step and says how it went; returns its output, or None when it failed. excuse: why a failure is none."""
        if self.left() < 10:
            self.note(name, 'skipped', 0, 'no time left')
            return None
        began = time.time()
        code, output = self.run(command, seconds, environment)
        took = time.time() - began
        if code == 0:
            self.note(name, 'right', took, summary(output) if summary else '')
            return output
        reason = excuse(code, output)
        if reason:
            self.note(name, 'skipped', took, reason)
            return None
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

    def test(self, _):
        last = lambda output: output.strip().splitlines()[-1] if output.strip() else ''
        python = sys.executable
        chosen = lambda output: next((line for line in output.splitlines() if line.startswith('cudnn: ')), '')
        self.step('all commands against the CPU', [python, 'tests/simt/end_to_end.py'], 200)
        self.step('cuDNN against our kernels', [python, 'tests/simt/cudnn.py', *(['trials'] if self.fake else [])], 60, chosen)
        self.step('operations against reference values, f64', [python, 'tests/reference/ops_f64.py'], 90, last)
        self.step('supernets against reference values, f64', [python, 'tests/reference/supernet_f64.py', *(['darts/'] if self.fake else [])], 120, last)
        self.step('networks against reference values, f32', [python, 'tests/reference/networks_f32.py', 'noisy_darts_a/small' if self.fake else '/'], 90, last)

    def watch(self, folder):
        """compute-sanitizer on a small search and a small training step; kernel by kernel it is slow, so one tool at a time."""
        tool = next((path for path in [shutil.which('compute-sanitizer'), *sorted(glob.glob('/usr/local/cuda*/bin/compute-sanitizer'))] if path), None)
        if not tool:
            self.note('compute-sanitizer', 'skipped', 0, 'it is not installed')
            return

        def summary(output):
            return next((line.strip('= ') for line in output.splitlines() if 'SUMMARY' in line), '')

        def excuse(code, output):  # of a tool that cannot work here, or not in the time
            if code is None:
                return 'it took too long'
            return None if summary(output) else f'it does not run here: {output.strip().splitlines()[-1:]}'
        search = [self.program('ndarts-run'), 'search', 'tests/simt/search.nd', '--out', os.path.join(folder, 'watched')]
        step = [self.program('bench_steps'), 'tests/simt/network.nd', 'gradients', '--batch', '4', '--steps', '1']
        for kind, command in (('memcheck', search), ('racecheck', step), ('synccheck', step)):
            self.step(f'compute-sanitizer {kind}', [tool, '--tool', kind, '--error-exitcode', '9', *command, '--device', 'cuda', '--no-cudnn'], 75,
                      summary, excuse=excuse)

    def add_times(self, name, command, device=None):
        """device: what the table calls it."""
        for line in (self.step(f'times: {name}', command, 60) or '').splitlines():
            if line.startswith('{'):
                row = json.loads(line)
                self.rows.append({**row, 'device': device or row['device']})

    def measure(self, folder):
        training = os.path.join(folder, 'training.nd')
        with open(training, 'w') as file:
            file.write(TRAINING.format(source=SOURCE))
        command = lambda text, graphs, batch, *options: [self.program('bench_steps'), text, graphs, '--device', 'cuda', '--batch', batch, '--steps', '20', *options]
        if self.fake:
            self.add_times('a small network', command('tests/simt/network.nd', 'infer,train', '4', '--steps', '2'))
            return
        search = ('search step', SEARCH, 'search-alphas,search-weights', '64')
        train, infer = ('training step', training, 'train', '64'), ('inference', NETWORK, 'infer', '64')
        one = ('inference of one image', NETWORK, 'infer', '1')
        for precision, measured in (('f32', (search, train, infer, one)), ('tf32', (search, train, infer)), ('bf16', (search, train, infer))):
            for name, *what in measured:
                self.add_times(f'{name}, {precision}', command(*what, '--precision', precision))
        for name, *what in (search, train, infer):
            self.add_times(f'{name}, f32, without cuDNN', command(*what, '--no-cudnn'), 'cuda, no cuDNN')

    def measure_peers(self, _):
        """PyTorch's compiler needs minutes for a supernet: it gets the time that is left."""
        if self.fake:
            return
        if not importlib.util.find_spec('torch'):
            self.note('times: PyTorch', 'skipped', 0, 'it is not installed')
            return
        torch = [sys.executable, 'bench/torch_steps.py', '--batch', '64', '--seconds', '5']
        late = lambda code, output: 'it took too long' if code is None else None
        for name, options, seconds in (('eager', ['--only', 'search,train,infer'], 90), ('compiled', ['--compile', '--only', 'train,infer'], 150),
                                       ('compiled, a search', ['--compile', '--only', 'search'], TOTAL_SECONDS)):
            output = self.step(f'times: PyTorch, {name}', [*torch, *options], seconds, environment=self.outside, excuse=late)
            self.rows += [json.loads(line) for line in (output or '').splitlines() if line.startswith('{')]

    def find_card(self):
        words = re.findall('[a-z0-9]+', self.card.lower())
        return next((card for card in CARDS if card in words + [a + b for a, b in zip(words, words[1:])]), None)

    def read_resources(self, folder):
        """By kernel: registers, shared memory, and microseconds of a call at the card's peak."""
        card, cubin = self.find_card(), os.path.join(folder, 'search.cubin')
        if not card or self.step('roofline: compiling', [self.program('ndartsc'), SEARCH, '--graph=search-weights', '--batch', '64', '-o', cubin], 60) is None:
            return {}
        lines = (self.step('roofline', [self.program('ndartsc'), cubin, '--emit=resources', '--card', card], 30, lambda output: output.splitlines()[-1]) or '').splitlines()
        return {match[1]: (int(match[2]), int(match[3]), float(match[4])) for match in map(KERNEL_RESOURCES.match, lines) if match}

    def profile(self, folder):
        """The kernels that take most of a search step: each beside the least that the card's arithmetic and memory allow."""
        text, graph, batch = ('tests/simt/network.nd', 'train', '4') if self.fake else (SEARCH, 'search-weights', '64')
        output = self.step('kernels of a step', [self.program('bench_steps'), text, graph, '--device', 'cuda', '--batch', batch, '--steps', '2', '--profile', '-'], 60)
        resources = self.read_resources(folder) if output else {}
        for match in filter(None, map(KERNEL_TIME.match, (output or '').splitlines())):
            registers, shared, least = resources.get(match[5], (None, None, None))
            self.kernels.append({'kernel': match[5], 'share_percent': float(match[2]), 'calls': int(match[3]), 'us': float(match[4]), 'us_at_peak': least,
                                 'registers': registers, 'shared_bytes': shared, 'for': match[6]})
        shown = lambda value, width: f'{"-" if value is None else value:>{width}}'
        print(f'\n{"kernel":8} {"share":>7} {"us a call":>10} {"at peak":>8} {"of peak":>8} {"registers":>9} {"shared":>7}  for')
        for k in self.kernels[:25]:
            part = None if not k['us_at_peak'] or not k['us'] else f'{100 * k["us_at_peak"] / k["us"]:.1f} %'
            print(f'{k["kernel"]:8} {k["share_percent"]:5.1f} % {k["us"]:10.2f} {shown(k["us_at_peak"], 8)} {shown(part, 8)} {shown(k["registers"], 9)} '
                  f'{shown(k["shared_bytes"], 7)}  {k["for"][:100]}')
        print(flush=True)

    def report(self, path):
        eager = {(row['graph'], row['batch']): row['median_s'] for row in self.rows if row['device'] == 'torch eager'}
        print(f'\n{"text":30} {"graph":15} {"device":14} {"numbers":7} {"batch":>5} {"median":>10} {"images/s":>10} {"memory":>9} {"x eager":>8}')
        for row in self.rows:
            faster = eager.get((row['graph'], row['batch']))
            faster = f'{faster / row["median_s"]:.2f}' if faster else '-'
            print(f'{os.path.basename(row["text"])[:30]:30} {row["graph"]:15} {row["device"]:14} {row.get("precision", "f32"):7} {row["batch"]:5} {1e3 * row["median_s"]:7.2f} ms '
                  f'{row["images_per_s"]:10.0f} {row["memory_mb"]:6.0f} MB {faster:>8}')
        wrong = sum(r['outcome'] == 'WRONG' for r in self.results)
        with open(path, 'w') as file:
            json.dump({'card': self.card, 'date': time.strftime('%Y-%m-%d'), 'emulated': bool(self.fake), 'steps': self.results, 'times': self.rows,
                       'kernels': self.kernels}, file, indent=1)
        print(f'{len(self.results)} steps, {wrong} wrong, {sum(r["outcome"] == "skipped" for r in self.results)} skipped; '
              f'{time.time() - self.began:.0f} s; written to {path}')
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('-o', '--output', default='gpu_check.json')
    parser.add_argument('--fake', metavar='BUILD', help='try the script on the emulator built in BUILD')
    parser.add_argument('--only', metavar='PARTS', default=','.join(PARTS), help=f'some of {",".join(PARTS)}')
    arguments = parser.parse_args()
    parts = arguments.only.split(',')
    if not set(parts) <= set(PARTS):
        parser.error(f'--only takes some of {",".join(PARTS)}')
    try:
        open(arguments.output, 'w').close()
    except OSError as failure:
        print(f'gpu_check: {failure}; -o FILE says where the results shall go', file=sys.stderr)
        sys.exit(2)
    with tempfile.TemporaryDirectory() as folder:
        check = Check(arguments, folder)
        check.find_gpu()
        for part, run in zip(PARTS, (check.test, check.watch, check.measure, check.profile, check.measure_peers)):
            if part in parts:
                run(folder)
        wrong = check.report(arguments.output)
    sys.exit(1 if wrong else 0)


main()
