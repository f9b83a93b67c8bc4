#!/usr/bin/env python3
"""ndarts-run export: the ONNX file is well formed, keeps the parameters' names, and ONNX Runtime computes the same logits
with it (only when NDARTS_PEERS names a virtual environment with numpy, onnx and onnxruntime); safetensors hold exactly
the network's weights."""
import os
import random
import struct
import subprocess
import sys
import tempfile

import _safetensors

BUILD, SOURCE = os.environ['NDARTS_BUILD'], os.environ['NDARTS_SOURCE']
RUN, TOOL = os.path.join(BUILD, 'bin', 'ndarts-run'), os.path.join(BUILD, 'tests', 'ref_tool')
PEERS = os.environ.get('NDARTS_PEERS')
NETWORK = os.path.join(SOURCE, 'genotypes', 'noisy_darts_a.nd')
SETS = ('C=4', 'layers=3')
PEER_SCRIPT = '''
import sys, numpy as np, onnx, onnxruntime
model, x, y = sys.argv[1:]
onnx.checker.check_model(onnx.load(model), full_check=True)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
found, expected = session.run(None, {'input': np.load(x)})[0], np.load(y)
error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
sys.exit(f'ONNX Runtime differs by {error}' if not error < 1e-5 else 0)
'''
failures = []


def fail(what):
    failures.append(what)
    print(what)


def run(*arguments):
    done = subprocess.run([RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


# ---- protocol buffers, by hand ----

def fields(data):
    """{number: [values]} of a message; integers or bytes."""
    at, out = 0, {}

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        elif key & 7 == 2:
            size = varint()
            value, at = data[at:at + size], at + size
        else:
            value, at = data[at:at + 4], at + 4
        out.setdefault(key >> 3, []).append(value)
    return out


def check_model(path, weights):
    with open(path, 'rb') as file:
        model = fields(file.read())
    if model[1] != [8] or [fields(opset).get(2) for opset in model[8]] != [[17]]:
        fail('the model is not of IR version 8 and opset 17')
    graph = fields(model[7][0])
    initializers = {}
    for tensor in map(fields, graph[5]):
        dims = [int(dim) for dim in tensor.get(1, [])]
        count = 1
        for dim in dims:
            count *= dim
        if len(tensor[9][0]) != count * (4 if tensor[2] == [1] else 8):
            fail(f'initialiser {tensor[8][0]} has {len(tensor[9][0])} bytes for {dims}')
        initializers[tensor[8][0].decode()] = (dims, tensor[9][0])
    known = set(initializers) | {fields(value)[1][0].decode() for value in graph[11]}
    operators = set()
    for node in map(fields, graph[1]):
        operators.add(node[4][0].decode())
        for name in node.get(1, []):
            if name.decode() not in known:
                fail(f'{node[4][0]} uses {name}, which is not known yet')
        known.update(name.decode() for name in node[2])
    for name, (shape, numbers) in weights.items():
        if initializers.get(name) != (shape, struct.pack(f'<{len(numbers)}f', *numbers)):
            fail(f'the initialiser {name} is missing or has other numbers')
    if [fields(value)[1][0] for value in graph[12]] != [b'logits'] or 'logits' not in known:
        fail('the model does not give logits')
    unknown = operators - {'Conv', 'Relu', 'Add', 'Mul', 'Sub', 'Div', 'Sqrt', 'Concat', 'Slice', 'MaxPool', 'AveragePool', 'ReduceSum',
                           'Reshape', 'Gemm', 'Sum', 'Identity', 'Expand', 'Shape', 'Neg', 'Transpose'}
    if unknown or not {'Conv', 'MaxPool', 'Concat', 'Slice', 'Gemm'} <= operators:
        fail(f'unexpected operators: {sorted(operators)}')


SHUFFLED = '''network main(classes ?= 4, H ?= 8, W ?= 8, channels ?= 3) on x {
    return shuffle(x | conv: conv(6, 3, pad = 1) | relu, 3) | global_avg_pool | classifier: linear(classes)
}
'''


def integers(values):
    """Of a repeated field, packed or not."""
    return [number for value in values for number in (value if isinstance(value, bytes) else [value])]


def check_shuffle(path):
    """Reshape, Transpose and Reshape, in which channel c * groups + g is channel g * C / groups + c."""
    with open(path, 'rb') as file:
        graph = fields(fields(file.read())[7][0])
    shapes = {tensor[8][0]: list(struct.unpack(f'<{len(tensor[9][0]) // 8}q', tensor[9][0])) for tensor in map(fields, graph[5]) if tensor[2] == [7]}
    nodes = list(map(fields, graph[1]))
    at = next(i for i, node in enumerate(nodes) if node[4] == [b'Transpose'] and len(integers(fields(node[5][0])[8])) == 5)
    before, turn, after = nodes[at - 1:at + 2]
    found = [shapes[before[1][1]], integers(fields(turn[5][0])[8]), shapes[after[1][1]]]
    if found != [[0, 3, 2, 8, 8], [0, 2, 1, 3, 4], [0, 6, 8, 8]] or turn[1] != before[2] or after[1][0] != turn[2][0]:
        fail(f'shuffle is {found}')


def check_not_exported():
    for name, line, why in (('draw', '%2 = draw {stream="noise", distribution="normal"} : f32[N,4]', 'this is drawn'),
                            ('scalar', '%2 = scalar {name="lr"} : f32[]', 'its value is that of a run'),
                            ('argmax', '%2 = argmax %1 : f32[N]', 'there is no such operator')):
        with open(f'{name}.ir', 'w') as file:
            file.write('set kind = "network"\nset classes = 4\ngraph @forward(%input: f32[N,2,2,4]) {\n  %1 = reduce_sum %input {axes=[1,2]} : f32[N,4]\n  '
                       f'{line}\n  %3 = {"add %1, %2" if name != "argmax" else "reshape %2 {shape=[-1,1]}"}\n  return "logits" = %3\n}}\n')
        expect(name, 1, f"the operation '{name}' cannot be exported to ONNX: ", f'{name}.ir', '--weights', 'empty.safetensors', '-o', 'no.onnx')
        expect(name, 1, why, f'{name}.ir', '--weights', 'empty.safetensors', '-o', 'no.onnx')


def write_images(path, count, side):
    generator = random.Random(1)
    header = repr({'descr': '<f4', 'fortran_order': False, 'shape': (count, 3, side, side)}).ljust(117) + '\n'
    numbers = [generator.uniform(-2, 2) for _ in range(count * 3 * side * side)]
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + struct.pack(f'<{len(numbers)}f', *numbers))


# Every operation that the texts of the library have: squeeze-and-excitation and swish, the other spaces' operations.
PEER_NETWORKS = (('noisy_darts_a', SETS, 32), ('noisy_darts_A_imagenet', ('network=transfer', 'H=64', 'W=64'), 64),
                 ('nasnet', SETS, 32), ('amoebanet', SETS, 32), ('nas_bench_201', (), 32))


def check_peer(name, settings, side):
    python, network = os.path.join(PEERS, 'bin', 'python'), os.path.join(SOURCE, 'genotypes', f'{name}.nd')
    sets = [f'--set={item}' for item in settings]
    write_images('x.npy', 3, side)
    subprocess.run([TOOL, 'weights', 'peer.safetensors', network, '', '0.6', *settings], check=True)
    weights = (network, '--weights', 'peer.safetensors', *sets)
    for command in (('infer', *weights, '--input', 'x.npy', '--output', 'y.npy', '--batch', '3'), ('export', *weights, '-o', 'peer.onnx')):
        code, output = run(*command)
        if code:
            return fail(output)
    with open('peer.py', 'w') as file:
        file.write(PEER_SCRIPT)
    done = subprocess.run([python, 'peer.py', 'peer.onnx', 'x.npy', 'y.npy'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        fail(f'{name}: {done.stdout}')


def expect(title, code, said, *arguments):
    found, output = run('export', *arguments)
    if found != code or said not in output:
        fail(f'{title}: expected exit {code} and "{said}", found exit {found}:\n{output}')


def main():
    sets = [f'--set={item}' for item in SETS]
    subprocess.run([TOOL, 'weights', 'w.safetensors', NETWORK, '', '1', *SETS], check=True)
    weights = _safetensors.floats('w.safetensors')
    own = {name: value for name, value in weights.items() if not name.startswith('auxiliary_head.')}
    arguments = (NETWORK, '--weights', 'w.safetensors', *sets)
    code, output = run('export', *arguments, '-o', 'net.onnx')
    if code == 2 and 'built without protobuf-c' in output:
        print('built without protobuf-c: no ONNX')
    elif code:
        fail(output)
    else:
        check_model('net.onnx', own)
        with open('shuffle.nd', 'w') as file:
            file.write(SHUFFLED)
        subprocess.run([TOOL, 'weights', 's.safetensors', 'shuffle.nd', '', '1'], check=True)
        expect('shuffle', 0, '', 'shuffle.nd', '--weights', 's.safetensors', '-o', 'shuffle.onnx')
        check_shuffle('shuffle.onnx')
        _safetensors.write('empty.safetensors', {})
        check_not_exported()
        for network in (*PEER_NETWORKS, (os.path.abspath('shuffle'), (), 8)) if PEERS else ():
            check_peer(*network)
    _safetensors.write('more.safetensors', {**weights, 'momentum/stem.0.weight': ((1,), (0.5,))})
    expect('weights', 0, '', NETWORK, '--weights', 'more.safetensors', *sets, '-o', 'own.safetensors')
    if _safetensors.floats('own.safetensors') != own:
        fail('the exported weights are not those of the network')
    first = next(iter(own))
    _safetensors.write('less.safetensors', {name: value for name, value in own.items() if name != first} | {'strange': ((1,), (1,))})
    expect('missing', 1, f'missing: {first}', NETWORK, '--weights', 'less.safetensors', *sets, '-o', 'no.onnx')
    expect('left over', 1, 'left over: strange', NETWORK, '--weights', 'less.safetensors', *sets, '-o', 'no.onnx')
    expect('suffix', 1, "not 'no.txt'", *arguments, '-o', 'no.txt')
    if any(name.startswith('no.') for name in os.listdir('.')):
        fail('a refused export left a file behind')


with tempfile.TemporaryDirectory() as temporary:
    os.chdir(temporary)
    main()
    os.chdir('/')
sys.exit(1 if failures else 0)
