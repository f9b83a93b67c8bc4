"""What the reference tests share: a case is traced, and every stored tensor of it is compared by ref_tool."""
import concurrent.futures
import json
import os
import struct
import subprocess
import sys
import tempfile

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
TOOL = os.path.join(BUILD, 'tests', 'ref_tool')
RUN = os.path.join(BUILD, 'bin', 'ndarts-run')
HERE = os.path.dirname(os.path.abspath(__file__))
LAUNCHER = os.environ.get('NDARTS_TEST_LAUNCHER', '').split()  # mpirun -n 2
DEVICE = os.environ.get('NDARTS_TEST_DEVICE', 'cpu')
# The largest relative errors of values and of gradients, updates and search results.
TOLERANCES = {'f64': ('1e-6', '1e-6'), 'f32': ('1e-5', '5e-3')}
# Where an input of a relu is so near its kink that single precision sees it on the other side (docs/performance.md: PyTorch
# differs by as much), one gradient in fifty may be off (ref_tool.c).
KINKED = {'gaussian_decay/drop0.0', 'transfer_small'}
# Doubles say that the numbers are right, and the C compiler's optimisation takes longer than they do. Single precision runs
# what users run.
COMPILER_OPTIONS = {'f64': '-O0', 'f32': ''}


class Failed(Exception):
    pass


def reference(name):
    return os.path.join(HERE, name + '.safetensors')


def cases(name):
    """The cases that a reference file says it holds."""
    with open(reference(name), 'rb') as file:
        size = struct.unpack('<Q', file.read(8))[0]
        return json.loads(json.loads(file.read(size))['__metadata__']['cases'])


def call(*command, **variables):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables})
    if done.returncode != 0:
        raise Failed(f'{" ".join(command)[:300]}\n{done.stdout}')
    return done.stdout


class Case:
    """One text with its weights and its feed, in a folder of its own."""

    def __init__(self, name, key, text, folder):
        self.name, self.key, self.folder = name, key, folder
        self.text = self.path('case.nd')
        self.sets, self.options, self.rules = [], [], []
        with open(self.text, 'w') as file:
            file.write(text)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_weights(self, prefix='', variance_scale='1'):
        call(TOOL, 'weights', self.path('weights.safetensors'), self.text, prefix, variance_scale, *self.sets)

    def make_feed(self, entries):
        call(TOOL, 'tensors', self.path('feed.safetensors'), *entries)

    def trace(self, precision):
        sets = [f'--set={item}' for item in self.sets]
        call(*LAUNCHER, RUN, 'trace', self.text, '--weights', self.path('weights.safetensors'), '--feed', self.path('feed.safetensors'),
             f'--precision={precision}', f'--device={DEVICE}', *sets, *self.options, '-o', self.path('out.safetensors'),
             NDARTS_CFLAGS=COMPILER_OPTIONS[precision])

    def compare(self, precision):
        kinks = ['kinks=0.02'] if precision == 'f32' and self.key in KINKED else []
        return call(TOOL, 'compare', reference(self.name), self.key, self.path('out.safetensors'), *TOLERANCES[precision], *kinks,
                    *self.rules)


def run_all(name, precision, build, only=None):
    """Runs build(case description, folder) -> Case for all cases of a file (every sixth where tests are to be short), two at a time; prints
    and counts what is wrong."""

    def run_one(description):
        with tempfile.TemporaryDirectory() as folder:
            try:
                case = build(description, folder)
                case.trace(precision)
                return True, case.compare(precision)
            except Failed as failure:
                return False, f'{description["key"]}: FAILED: {failure}'

    chosen = [c for c in cases(name) if only is None or only(c)]
    if len(sys.argv) > 1:
        chosen = [c for c in chosen if any(part in c['key'] for part in sys.argv[1:])]
    elif 'NDARTS_SHORT' in os.environ:
        chosen = chosen[::6]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for good, text in pool.map(run_one, chosen):
            print(text.rstrip(), flush=True)
            wrong += not good
    print(f'{len(chosen)} cases in {precision}, {wrong} wrong')
    sys.exit(1 if wrong or not chosen else 0)
