#!/usr/bin/env python3
"""ndarts and its peers, in turn, on the same machine in the same run: figures, ratios, and whether each bar is met.

    build/peers/bin/python bench/compare.py [--build DIR] [--sections A,B] [--rounds N] [--seconds S] [--threads N] [--compile] [--cpu-time]
                                            [--json OUT.jsonl] [--no-check]

Sections: search16 search64 train32 infer1 infer64 infer1_bf16 infer64_bf16 own_bf16 start linear threads; without --sections all. A
section takes about a minute.
Ndarts and the peers take turns for --rounds rounds of about --seconds each, and the best run of all rounds counts, since other
processes only ever make a run slower. --compile adds torch.compile to search and train, which takes minutes to compile (for inference it
always runs). --cpu-time counts the processor's time of one thread instead of the clock's: for a busy machine; its figures are not the bars'.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

SEARCH_WAYS = ['eager', 'channels_last']
INFER_WAYS = {'f32': ['eager', 'channels_last', 'compile', 'onnxruntime', 'openvino'], 'bf16': ['eager', 'channels_last', 'compile', 'openvino']}
AGREE = {'f32': 1e-4, 'bf16': 0.1}  # logits, relative to those of ndarts in f32


class Failed(Exception):
    pass


def call(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)
    if done.returncode:
        raise Failed(f'{" ".join(map(str, command))}\n{done.stderr[-2000:]}')
    return done.stdout


class Peer:
    """A peer_worker.py process that runs when told."""

    def __init__(self, options, work, way, *arguments):
        self.way, self.seconds, self.resident = way, [], None
        command = [sys.executable, f'{HERE}/peer_worker.py', work, way, '--threads', str(options.threads), *map(str, arguments)]
        if options.cpu_time:
            command.append('--cpu-time')
        self.errors = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.ready = self.read()['ready']

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise Failed(f'{self.way}: {self.errors.read()[-1500:]}')
        return json.loads(line)

    def run(self, count):
        print(count, file=self.process.stdin, flush=True)
        self.seconds += self.read()['seconds']

    def close(self):
        self.process.stdin.close()
        self.resident = self.read()['resident_mb']
        self.process.wait()

    def best(self):
        return min(self.seconds)


class Ndarts:
    """A program that times itself, started anew every round; what it prints, best of all rounds."""

    def __init__(self, options, program, *arguments):
        self.command = [f'{options.build}/bin/{program}', *map(str, arguments), '--threads', str(options.threads)]
        if options.cpu_time:
            self.command.append('--cpu-time')
        self.seconds, self.resident, self.peak = [], 0, 0

    def run(self, count):
        text = call([*self.command, '--repeat' if 'bench' in self.command else '--steps', str(count)])
        if text.startswith('{'):
            result = json.loads(text)
            self.seconds.append(result['best_s'])
            self.resident = max(self.resident, result['resident_mb'])
            return
        self.seconds.append(float(re.search(r'best ([\d.]+) s', text).group(1)))
        self.resident = max(self.resident, float(re.search(r'process at most ([\d.]+) MB', text).group(1)))
        self.peak = max(self.peak, float(re.search(r'FMA peak (\d+)', text).group(1)))

    def best(self):
        return min(self.seconds)


class Comparison:
    def __init__(self, options):
        self.options, self.folder = options, tempfile.mkdtemp(prefix='ndarts-compare-')
        self.results, self.bars, self.peak = [], [], 0

    # ---- printing ----

    def line(self, text=''):
        print(text, flush=True)

    def bar(self, what, measured, wanted, unit, at_most=False):
        met = measured <= wanted if at_most else measured >= wanted
        sign = '<=' if at_most else '>='
        verdict = 'met' if met else 'NOT MET'
        self.bars.append(f'{what}: {measured:.3g}{unit}, bar {sign} {wanted:.3g}{unit}: {verdict}')
        self.line(f'  bar: {self.bars[-1]}')
        self.record(bar=what, measured=measured, wanted=wanted, met=met)

    def record(self, **what):
        if self.options.json:
            with open(self.options.json, 'a') as file:
                print(json.dumps(what), file=file)

    def begin(self, name, what):
        self.section = name
        self.line(f'\n{name}: {what}   (load {", ".join(f"{x:.1f}" for x in os.getloadavg())})')

    # ---- taking turns ----

    def start_peers(self, work, ways, *arguments):
        peers = []
        for way in ways:
            try:
                peers.append(Peer(self.options, work, way, *arguments))
            except Failed as failure:
                self.line(f'  {way}: did not run: {str(failure).strip().splitlines()[-1]}')
        return peers

    def run_rounds(self, everybody):
        """Everybody once to learn how many runs fit a round, then the rounds."""
        for one in everybody:
            one.run(1)
        counts = [max(1, min(1000, int(self.options.seconds / one.best()))) for one in everybody]
        for _ in range(self.options.rounds):
            for one, count in zip(everybody, counts):
                one.run(count)

    def take_turns(self, ndarts, peers):
        self.run_rounds([ndarts, *peers])
        for peer in peers:
            peer.close()
        self.peak = max(self.peak, ndarts.peak)

    def table(self, ndarts, peers, batch):
        """Prints everybody; returns how many times faster ndarts is than the best peer."""
        own = ndarts.best()
        self.line(f'  {"":16}{"best":>12}{"images/s":>12}{"ratio":>8}{"resident":>12}{"first runs":>12}')
        self.line(f'  {"ndarts":16}{1e3 * own:9.2f} ms{batch / own:12.1f}{1:8.2f}{ndarts.resident:9.0f} MB')
        self.record(section=self.section, way='ndarts', seconds=own, resident_mb=ndarts.resident)
        for peer in peers:
            self.line(f'  {peer.way:16}{1e3 * peer.best():9.2f} ms{batch / peer.best():12.1f}{peer.best() / own:8.2f}'
                      f'{peer.resident:9.0f} MB{peer.ready:10.1f} s')
            self.record(section=self.section, way=peer.way, seconds=peer.best(), resident_mb=peer.resident)
        return min((peer.best() for peer in peers), default=float('nan')) / own

    # ---- the sections ----

    def search(self, batch, ratio, memory):
        self.begin(f'search{batch}', f'one search step (alphas, then weights), C=16, 8 cells, 32x32, noise and drop path, batch {batch}')
        ndarts = Ndarts(self.options, 'bench_search_step', 'specs/noisy_darts_a.nd', '--batch', batch)
        ways = SEARCH_WAYS + (['compile_parts', 'compile'] if self.options.compile else [])
        peers = self.start_peers('search', ways, '--batch', batch)
        self.take_turns(ndarts, peers)
        faster = self.table(ndarts, peers, batch)
        self.bar(f'search step, batch {batch}, against the best of PyTorch', faster, ratio, 'x')
        self.bar(f'resident memory, batch {batch}', ndarts.resident, memory, ' MB', True)
        self.bar(f'useful work, {48.0 * batch / 16:.0f} GFLOP, of an FMA peak of {ndarts.peak:.0f} GFLOP/s',
                 100 * 48.0 * batch / 16 / ndarts.best() / ndarts.peak, 40, ' %')

    def train32(self):
        self.begin('train32', 'training step, noisy_darts_a C=36, 20 layers, auxiliary head, batch 32')
        ndarts = Ndarts(self.options, 'ndarts-run', 'bench', self.training_text(), '--graph=train', '--batch=32', '--json')
        ways = SEARCH_WAYS + (['compile_parts'] if self.options.compile else [])
        peers = self.start_peers('train', ways, '--batch', 32, '--channels', 36, '--layers', 20)
        self.take_turns(ndarts, peers)
        self.bar('training step, batch 32, against the best of PyTorch', self.table(ndarts, peers, 32), 4.5, 'x')

    def training_text(self):
        return self.write('train.nd', '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C = 36, layers = 20, classes = 10, auxiliary = 0.4)
    data synthetic
    epochs 1  batch 32
    weights sgd(lr = 0.025, momentum = 0.9, decay = 3e-4, clip = 5)
    drop_path 0.1
}
''')

    def write(self, name, text):
        with open(f'{self.folder}/{name}', 'w') as file:
            file.write(text)
        return f'{self.folder}/{name}'

    def infer(self, batch, wanted, precision='f32'):
        self.begin(f'infer{batch}' + ('_bf16' if precision == 'bf16' else ''), f'inference in {precision}, noisy_darts_a C=36, 20 layers, batch {batch}')
        files = self.inference_files(batch)
        ndarts = Ndarts(self.options, 'ndarts-run', 'bench', 'genotypes/noisy_darts_a.nd', f'--batch={batch}', f'--precision={precision}', '--json')
        arguments = ['--batch', batch, '--channels', 36, '--layers', 20, '--weights', files['weights'], '--onnx', files['onnx'], '--input',
                     files['input'], '--precision', precision]
        peers = []
        for way in INFER_WAYS[precision]:
            for peer in self.start_peers('infer', [way], *arguments, '--output', f'{self.folder}/{way}.npy'):
                self.compare_logits(way, files['logits'], AGREE[precision])
                peers.append(peer)
        self.take_turns(ndarts, peers)
        self.bar(f'inference in {precision}, batch {batch}, against the best of all', self.table(ndarts, peers, batch), wanted, 'x')

    def own_bf16(self):
        """Of ndarts alone: a search and a training step in bf16 beside f32, in turn."""
        self.begin('own_bf16', 'bf16 beside f32: search step, batch 16; training step, batch 32')
        for what, command in (('search step', ('bench_search_step', 'specs/noisy_darts_a.nd', '--batch', 16)),
                              ('training step', ('ndarts-run', 'bench', self.training_text(), '--graph=train', '--batch=32', '--json'))):
            single, half = (Ndarts(self.options, *command, '--precision', precision) for precision in ('f32', 'bf16'))
            self.run_rounds([single, half])
            self.line(f'  {what}: f32 {single.best():.3f} s, {single.resident:.0f} MB; bf16 {half.best():.3f} s, {half.resident:.0f} MB')
            self.record(section='own_bf16', what=what, f32=single.best(), bf16=half.best(), f32_mb=single.resident, bf16_mb=half.resident)

    def inference_files(self, batch):
        """The same weights and images for all; the logits are ndarts's."""
        import numpy
        files = {name: f'{self.folder}/{name}{end}' for name, end in (('weights', '.safetensors'), ('onnx', '.onnx'), ('input', '.npy'),
                                                                      ('logits', '.npy'))}
        net = 'genotypes/noisy_darts_a.nd'
        # In a process of its own: a child's ru_maxrss begins with what its parent had resident, and PyTorch is large.
        call([sys.executable, f'{HERE}/peer_formula.py', 'noisy_darts_a', '36', '20', files['weights']])
        call([f'{self.options.build}/bin/ndarts-run', 'export', net, '--weights', files['weights'], '-o', files['onnx']])
        numpy.save(files['input'], numpy.random.default_rng(batch).uniform(-2, 2, (batch, 3, 32, 32)).astype(numpy.float32))
        call([f'{self.options.build}/bin/ndarts-run', 'infer', net, '--weights', files['weights'], '--input', files['input'], '--output',
              files['logits'], '--batch', str(batch)])
        return files

    def compare_logits(self, way, path, most):
        import numpy
        own, other = numpy.load(path).astype(float), numpy.load(f'{self.folder}/{way}.npy').astype(float)
        error = numpy.linalg.norm(own - other) / numpy.linalg.norm(own)
        if not error < most:
            raise Failed(f'{way} computes something else than ndarts: relative error {error:.2g}')
        self.line(f'  {way}: logits agree with ndarts within {error:.1e}')

    def start(self):
        self.begin('start', '`ndarts-run search`: from its start to the first step of the full search (C=16, 8 cells, batch 16)')
        spec = self.write('start.nd', open(f'{ROOT}/specs/noisy_darts_a.nd').read().replace('../genotypes/', '').replace(
            'data cifar10("data/cifar-10-batches-bin", crop = 4, flip = true)', 'data synthetic').replace('batch 128', 'batch 16'))
        seconds = {'cold cache': [], 'warm cache': [], 'another setting': [], 'another batch': []}
        for repeat in range(self.options.rounds):
            cache = f'{self.folder}/cache{repeat}'
            seconds['cold cache'].append(self.start_once(spec, cache))
            call([f'{self.options.build}/bin/ndarts-run', 'compile', spec], env=self.start_environment(cache))
            seconds['warm cache'] += [self.start_once(spec, cache) for _ in range(3)]
            seconds['another setting'].append(self.start_once(spec, cache, '--set', 'search.alphas.lr=0.001'))
            seconds['another batch'].append(self.start_once(spec, cache, '--set', 'search.batch=24'))
        for (name, times), wanted in zip(seconds.items(), (4.0, 0.5, 1.5, 1.5)):
            self.bar(f'start to first step, {name}', min(times), wanted, ' s', True)

    def start_environment(self, cache):
        return {**os.environ, 'XDG_CACHE_HOME': cache, 'NDARTS_LIBRARY': f'{ROOT}/genotypes'}

    def start_once(self, spec, cache, *changes):
        """Seconds until the line that ndarts-run prints just before the first step."""
        out = f'{self.folder}/out'
        shutil.rmtree(out, ignore_errors=True)
        began = time.perf_counter()
        command = [f'{self.options.build}/bin/ndarts-run', 'search', spec, '--out', out, '--threads', str(self.options.threads), *changes]
        process = subprocess.Popen(command, cwd=ROOT, env=self.start_environment(cache), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   text=True)
        text, seconds = [], None
        for line in process.stderr:
            text.append(line)
            if line.startswith('search: '):
                seconds = time.perf_counter() - began
                break
        process.kill()
        process.communicate()
        if seconds is None:
            raise Failed(''.join(text))
        return seconds

    def search_time(self, batch=16, channels=16, layers=8, threads=None):
        ndarts = Ndarts(self.options, 'bench_search_step', 'specs/noisy_darts_a.nd', '--batch', batch, '--set', f'C={channels}', '--set',
                        f'layers={layers}')
        if threads:
            ndarts.command += ['--threads', str(threads)]
        ndarts.run(1)
        for _ in range(self.options.rounds):
            ndarts.run(max(1, min(50, int(self.options.seconds / ndarts.best()))))
        return ndarts.best()

    def multiply_adds(self, channels, layers):
        return json.loads(call([f'{self.options.build}/bin/ndartsc', 'specs/noisy_darts_a.nd', '--emit=stats', '--json', '--set', f'C={channels}',
                                '--set', f'layers={layers}']))['macs']

    def linear(self):
        self.begin('linear', 'search step time against batch, cells and channels')
        series = {'batch': [(b, 16, 8) for b in (8, 16, 32, 64, 128)], 'cells': [(16, 16, n) for n in (4, 8, 12, 16, 20)],
                  'channels': [(16, c, 8) for c in (8, 16, 24, 32, 36)]}
        for name, points in series.items():
            self.line(f'  {"batch":>6}{"C":>4}{"cells":>6}{"step":>12}{"per image and cell":>20}{"GFLOP/s":>9}')
            per_cell, per_work = [], []
            for batch, channels, layers in points:
                seconds, macs = self.search_time(batch, channels, layers), self.multiply_adds(channels, layers)
                per_cell.append(seconds / batch / layers)
                per_work.append(seconds / batch / macs)
                self.line(f'  {batch:6}{channels:4}{layers:6}{1e3 * seconds:9.1f} ms{1e3 * per_cell[-1]:17.3f} ms{10e-9 * macs * batch / seconds:9.1f}')
                self.record(section='linear', batch=batch, channels=channels, cells=layers, seconds=seconds, macs=macs)
            # With more channels there is more work in a cell: time per multiply-add is what can be constant.
            values, what = (per_work, 'multiply-add') if name == 'channels' else (per_cell, 'image and cell')
            middle = (max(values) + min(values)) / 2
            self.bar(f'{name}: largest deviation of the time per {what} from the middle', 100 * (max(values) / middle - 1),
                     20 if name == 'channels' else 15, ' %', True)

    def threads(self):
        self.begin('threads', 'search step, batch 16, 1 thread against 2')
        one, two = self.search_time(threads=1), self.search_time(threads=2)
        self.line(f'  1 thread {1e3 * one:.1f} ms, 2 threads {1e3 * two:.1f} ms')
        self.bar('1 -> 2 threads', one / two, 1.8, 'x')

    def run(self, name):
        {'search16': lambda: self.search(16, 11, 150), 'search64': lambda: self.search(64, 9, 500), 'train32': self.train32,
         'infer1': lambda: self.infer(1, 1.5), 'infer64': lambda: self.infer(64, 1.7), 'infer1_bf16': lambda: self.infer(1, 1.1, 'bf16'),
         'infer64_bf16': lambda: self.infer(64, 1.2, 'bf16'), 'own_bf16': self.own_bf16, 'start': self.start, 'linear': self.linear,
         'threads': self.threads}[name]()


SECTIONS = ['search16', 'search64', 'train32', 'infer1', 'infer64', 'infer1_bf16', 'infer64_bf16', 'own_bf16', 'start', 'linear', 'threads']


def print_machine(options):
    from importlib.metadata import version
    with open('/proc/cpuinfo') as file:
        processor = re.search(r'model name\s*:\s*(.*)', file.read()).group(1)
    compiler = subprocess.run(['cc', '--version'], stdout=subprocess.PIPE, text=True).stdout.splitlines()[0]
    print(f'{datetime.date.today()}, {processor}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, {compiler}')
    print(', '.join(f'{name} {version(name)}' for name in ('torch', 'onnxruntime', 'openvino', 'numpy')) +
          f', Python {platform.python_version()}; ndarts with {options.threads} threads of {"processor time" if options.cpu_time else "the clock"}')
    print(f'load average {", ".join(f"{x:.1f}" for x in os.getloadavg())}')


def check(options):
    """The peers' networks compute the stored reference values, in double."""
    for case in ('supernet/gaussian/drop0.3', 'networks/noisy_darts_a'):
        print(call([sys.executable, f'{HERE}/peer_check.py', '--stand-alone', '--only', case]).rstrip(), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=f'{ROOT}/build')
    parser.add_argument('--sections', default=','.join(SECTIONS))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=2)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--cpu-time', action='store_true')
    parser.add_argument('--no-check', action='store_true')
    parser.add_argument('--json')
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.threads = 1 if options.cpu_time else options.threads
    comparison = Comparison(options)
    failed = 0
    try:
        print_machine(options)
        if not options.no_check:
            check(options)
        for name in options.sections.split(','):
            try:
                comparison.run(name)
            except Failed as failure:
                failed += 1
                print(f'  {name}: FAILED: {failure}', flush=True)
    finally:
        shutil.rmtree(comparison.folder, ignore_errors=True)
    print('\nAll bars' + (' (processor time of one thread: not what the bars are for)' if options.cpu_time else ''))
    for text in comparison.bars:
        print(f'  {text}')
    sys.exit(1 if failed else 0)


main()
