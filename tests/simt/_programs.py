"""The programs as a user runs them, on stand-ins for the libraries of CUDA, or on the real ones with NDARTS_REAL_GPU=1."""
import array
import json
import math
import os
import subprocess
import sys

import _compare

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD, HERE = os.environ['NDARTS_BUILD'], os.path.dirname(os.path.abspath(__file__))
RUN, COMPILER = os.path.join(BUILD, 'bin', 'ndarts-run'), os.path.join(BUILD, 'bin', 'ndartsc')
TOOL, FAKE = os.path.join(BUILD, 'tests', 'ref_tool'), os.path.join(BUILD, 'tests', 'simt', 'fake')
REAL = os.environ.get('NDARTS_REAL_GPU') == '1'
failures = []


def call(command, code=0, fake=FAKE, **environment):
    environment = {**os.environ, **environment}
    if fake and not REAL:
        environment['LD_LIBRARY_PATH'] = fake
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode != code:
        raise AssertionError(f'{" ".join(command)[:200]}: exit {done.returncode}, expected {code}\n{done.stdout[-3000:]}')
    return done.stdout


def check(title, function, *arguments):
    if sys.argv[1:] and title not in sys.argv[1:]:
        return
    try:
        print(f'{title}: {function(*arguments) or "right"}', flush=True)
    except (AssertionError, OSError) as failure:
        failures.append(title)
        print(f'{title}: FAILED: {failure}', flush=True)


def compare(found, expected):
    values, gradients, wrong = _compare.worst(found, expected)
    assert not wrong, '\n' + '\n'.join(wrong[:10])
    return f'relative error of values {values:.2g}, of gradients {gradients:.2g}'


def same_bytes(a, b):
    with open(a, 'rb') as x, open(b, 'rb') as y:
        return x.read() == y.read()


def npy(path):
    """The numbers of a float32 file."""
    with open(path, 'rb') as file:
        data = file.read()
    size = 10 + int.from_bytes(data[8:10], 'little')
    return memoryview(data[size:]).cast('f').tolist()


def write_images(path, count):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 3, 16, 16), }}"
    header = header.ljust(117) + '\n'
    values = [math.sin(0.37 * i) for i in range(count * 3 * 256)]
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode() + array.array('f', values).tobytes())


def same_metrics(folder, command, text, keys, *options):
    """An epoch of a search or a training: what it says of itself is what it says on the CPU."""
    lines = []
    for device in ('cpu', 'cuda'):
        out = os.path.join(folder, f'{command}-{device}')
        call([RUN, command, text, '--out', out, f'--device={device}', *options])
        with open(os.path.join(out, 'metrics.jsonl')) as file:
            lines.append(json.loads(file.readline()))
    for key in keys:
        error = abs(lines[0][key] - lines[1][key]) / abs(lines[0][key])
        assert error < 1e-4, f'{key}: {lines[0][key]} and {lines[1][key]}'


class Trace:
    def __init__(self, folder, text, feed, *options):
        self.folder, self.text, self.options = folder, text, options
        call([TOOL, 'weights', self.path('weights'), text, '', '1'])
        call([TOOL, 'tensors', self.path('feed'), *feed])

    def path(self, name):
        return os.path.join(self.folder, f'{os.path.basename(self.text)}.{name}.safetensors')

    def run(self, name, *options, **environment):
        self.said = call([RUN, 'trace', self.text, '--weights', self.path('weights'), '--feed', self.path('feed'), '-o', self.path(name),
                          *self.options, *options], **environment)
        return self.path(name)

    def compare(self):
        """Near the CPU's values; the same bits in other orders of the threads and when run again."""
        expected = self.run('cpu')
        found = self.run('cuda', '--device=cuda', SIMT_KEEP_POISON='1')
        said = compare(found, expected)
        for order in ('1', '2'):
            again = self.run('again', '--device=cuda:0', SIMT_ORDER=order)
            assert same_bytes(found, again), f'other bits in order {order}'
        return said
