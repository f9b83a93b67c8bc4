#!/usr/bin/env python3
"""`ndarts-run infer` gives the stored logits of every network of the reference; a module the same bits as its text, with more images
than a batch."""
import json
import os
import struct
import sys
import tempfile

import _common
import _imagenet
import _networks

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

WITH_MODULE = 'noisy_darts_g/small'


def read_safetensors(path, name):
    with open(path, 'rb') as file:
        size = struct.unpack('<Q', file.read(8))[0]
        entry = json.loads(file.read(size))[name]
        begin, end = entry['data_offsets']
        file.seek(8 + size + begin)
        return entry['shape'], file.read(end - begin)


def write_safetensors(path, name, shape, data):
    header = json.dumps({name: {'dtype': 'F32', 'shape': shape, 'data_offsets': [0, len(data)]}}).encode()
    header += b' ' * (-len(header) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(header)) + header + data)


def write_npy(path, shape, data):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}".encode()
    header += b' ' * (63 - (10 + len(header)) % 64) + b'\n'
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + data)


def read_npy(path):
    with open(path, 'rb') as file:
        data = file.read()
    return data[10 + struct.unpack('<H', data[8:10])[0]:]


def infer(case, described, net, *options):
    """The bytes of the logits, compared with the stored ones."""
    _common.call(_common.RUN, 'infer', net, '--weights', case.path('weights.safetensors'), '--input', case.path('x.npy'), '--output',
                 case.path('y.npy'), *options)
    logits = read_npy(case.path('y.npy'))
    write_safetensors(case.path('out.safetensors'), 'eval/logits', [described['N'], described['classes']], logits)
    print(case.compare('f32').rstrip(), flush=True)
    return logits


def check(build, described):
    with tempfile.TemporaryDirectory() as folder:
        case = build(described, folder)
        case.rules.append('-train/')
        shape, images = read_safetensors(case.path('feed.safetensors'), 'input')
        write_npy(case.path('x.npy'), shape, images)
        if described['key'] != WITH_MODULE:
            infer(case, described, case.text)
            return
        module = case.path('net.so')
        _common.call(os.path.join(_common.BUILD, 'bin', 'ndartsc'), case.text, '--graph=infer', '--batch', '3', '-o', module)
        outputs = [infer(case, described, net, *options)
                   for net, options in ((case.text, ('--batch', '3')), (module, ()), (module, ('--threads', '1')))]
        assert outputs[0] == outputs[1] == outputs[2], 'the text and its module give different bits'


def main():
    for file, build in (('networks', _networks.build), ('noisy_darts_A_imagenet', _imagenet.build)):
        for described in _common.cases(file):
            check(build, described)


if __name__ == '__main__':
    main()
