"""Compares two safetensors files of `ndarts-run trace` by the norm of the reference values: ||a - b|| / max(||b||, 1e-3 r), r the
norm of all gradients of the file for a gradient, else 0."""
import array
import json
import math
import struct
import sys

TYPES = {'F32': 'f', 'F64': 'd', 'I32': 'i', 'I64': 'q', 'U8': 'B'}


def read(path):
    with open(path, 'rb') as file:
        size = struct.unpack('<Q', file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != '__metadata__':
            begin, end = entry['data_offsets']
            values = array.array(TYPES[entry['dtype']])
            values.frombytes(data[begin:end])
            tensors[name] = values
    return tensors


def norm(values):
    return math.sqrt(sum(v * v for v in values))


def is_loose(name):
    """Gradients, updates and the results of steps: a relu within rounding of its kink moves them."""
    return any(part in name for part in ('grad', 'update', 'search', 'after_step'))


def worst(found_path, expected_path, value_tolerance=1e-5, gradient_tolerance=5e-3, only=None):
    """The largest relative error of values and of gradients, and a list of what is beyond its tolerance."""
    found, expected = read(found_path), read(expected_path)
    wrong = [f'{name}: missing' for name in sorted(set(expected) ^ set(found))]
    gradients = math.sqrt(sum(norm(v) ** 2 for name, v in expected.items() if 'grad/' in name))
    largest = {False: 0.0, True: 0.0}
    for name in sorted(set(expected) & set(found)):
        a, b = found[name], expected[name]
        if len(a) != len(b):
            wrong.append(f'{name}: {len(a)} elements, expected {len(b)}')
            continue
        scale = max(norm(b), 1e-3 * gradients if 'grad/' in name else 0.0)
        error = norm([x - y for x, y in zip(a, b)])
        error = error / scale if scale > 0 else error
        loose = is_loose(name)
        if not error <= (gradient_tolerance if loose else value_tolerance):
            wrong.append(f'{name}: relative error {error:.3g}')
        largest[loose] = max(largest[loose], error)
    return largest[False], largest[True], wrong


if __name__ == '__main__':
    values, gradients, failed = worst(sys.argv[1], sys.argv[2])
    print('\n'.join(failed))
    print(f'largest relative error: values {values:.3g}, gradients {gradients:.3g}')
    sys.exit(1 if failed else 0)
