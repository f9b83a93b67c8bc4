#!/usr/bin/env python3
"""The reference tests turn red when something is left out: clipping, weight decay, the unbiased running variance, the difference
between training and evaluation."""
import array
import json
import struct
import sys
import tempfile

import _common
import _methods

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

COUNT = 2 * 16 * 16  # of pixels that this batch norm sees
INITIAL = 'cells.0._ops.3._ops.3.op.3.running_var'


def read(path):
    with open(path, 'rb') as file:
        data = file.read()
    size = struct.unpack('<Q', data[:8])[0]
    return json.loads(data[8:8 + size]), bytearray(data[8 + size:])


def write(path, header, data):
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + data)


def values(header, data, name):
    begin, end = header[name]['data_offsets']
    result = array.array({'F32': 'f', 'F64': 'd'}[header[name]['dtype']])
    result.frombytes(bytes(data[begin:end]))
    return result


def put(header, data, name, new):
    begin, end = header[name]['data_offsets']
    data[begin:end] = new.tobytes()


def expect_red(case, title, key):
    try:
        case.compare('f64')
    except _common.Failed as failure:
        assert key in str(failure), f'{title}: expected {key} to be wrong: {failure}'
        print(f'{title}: red, as it should be')
        return
    raise AssertionError(f'{title}: nothing turned red')


def bias_variance(case):
    """The running variance as it would be without the factor n / (n - 1)."""
    header, data = read(case.path('out.safetensors'))
    initial = values(*read(case.path('weights.safetensors')), INITIAL)
    found = values(header, data, 'after/' + INITIAL)
    for i, old in enumerate(initial):
        found[i] = 0.9 * old + (found[i] - 0.9 * old) * (COUNT - 1) / COUNT
    put(header, data, 'after/' + INITIAL, found)
    write(case.path('out.safetensors'), header, data)


def train_instead_of_evaluating(case):
    header, data = read(case.path('out.safetensors'))
    put(header, data, 'search_end/eval_logits', values(header, data, 'logits'))
    write(case.path('out.safetensors'), header, data)


def main():
    described = next(c for c in _common.cases('methods') if c['key'] == 'beta_darts')
    with tempfile.TemporaryDirectory() as folder:
        case = _methods.build(described, folder)
        case.trace('f64')
        case.compare('f64')
        print('unchanged: green')
        bias_variance(case)
        expect_red(case, 'biased running variance', 'after/' + INITIAL)
        case.trace('f64')
        train_instead_of_evaluating(case)
        expect_red(case, 'training mode in evaluation', 'search_end/eval_logits')
        for setting in ('search.weights.clip=1', 'search.weights.decay=0', 'search.weights.momentum=0', 'search.alphas.decay=0'):
            case.sets = [setting]
            case.trace('f64')
            expect_red(case, setting, 'beta_darts/search')


if __name__ == '__main__':
    main()
