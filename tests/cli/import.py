#!/usr/bin/env python3
"""ndarts-run import: checkpoints in PyTorch's two formats give the right tensors, foreign ones are refused by name and
nothing in them is run, and weights are held against a network."""
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import zipfile

import _safetensors

RUN = os.path.join(os.environ['NDARTS_BUILD'], 'bin', 'ndarts-run')
DATA = os.path.join(os.environ['NDARTS_SOURCE'], 'tests', 'data', 'checkpoints')
EXPECTED = _safetensors.read(os.path.join(DATA, 'expected.safetensors'))
NET = '''set kind = "network"
set classes = 4
graph @forward(%input: f32[N,8,8,3]) {
  %1 = param {name="stem.0.weight", kind="weight", init="uniform", scale=0.5} : f32[4,3,2,2]
  %2 = conv2d %input, %1 {stride=[1,1], pad=[0,0,0,0], dilation=[1,1], groups=1}
  %3 = reduce_sum %2 {axes=[1,2]}
  %4 = param {name="row", kind="weight", init="uniform", scale=0.5} : f32[SHAPE]
  %5 = reduce_sum %4 {axes=[0]}
  %6 = mul %3, %5
  return "logits" = %6
}
'''
failures = []


MOST_MEMORY = 64 << 20  # of addresses, which is more than the program uses


def run(*arguments):
    done = subprocess.run([RUN, 'import', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY)))
    return done.returncode, done.stdout


def expect(title, code, said, *arguments):
    found, output = run(*arguments)
    for part in [said] if isinstance(said, str) else said:
        if found != code or part not in output:
            failures.append(title)
            print(f'{title}: expected exit {code} and "{part}", found exit {found}:\n{output}')


def check_tensors(title, path):
    found = _safetensors.read(path)
    for name in EXPECTED.keys() | found.keys():
        if EXPECTED.get(name) != found.get(name):
            failures.append(title)
            print(f'{title}: {name} is {found.get(name)}, expected {EXPECTED.get(name)}')


def good_files():
    for name in ('bare_zip.pt', 'bare_legacy.pt'):
        expect(name, 0, '14 tensors, 107 numbers', os.path.join(DATA, name), '-o', 'out.safetensors')
        check_tensors(name, 'out.safetensors')
    for name in ('inside_zip.pt', 'inside_legacy.pth.tar', 'proto4_legacy.pt'):
        expect(name, 0, "from 'model_state', prefix 'module.' stripped", os.path.join(DATA, name), '-o', 'out.safetensors')
        check_tensors(name, 'out.safetensors')
    expect('key', 0, 'from', os.path.join(DATA, 'inside_zip.pt'), '--key', 'model_state', '-o', 'out.safetensors')
    check_tensors('key', 'out.safetensors')


def refused_files():
    for name, what in (('refused_call_zip.pt', 'posix.system'), ('refused_call_legacy.pt', 'posix.system'),
                       ('refused_module_zip.pt', 'torch.nn.modules.linear.Linear')):
        expect(name, 1, f"asks for '{what}'", os.path.join(DATA, name), '-o', 'refused.safetensors')
    expect('wrong key', 1, "no 'weights'", os.path.join(DATA, 'inside_zip.pt'), '--key', 'weights', '-o', 'refused.safetensors')
    expect('key of no dict', 1, "'epoch' is an integer", os.path.join(DATA, 'inside_zip.pt'), '--key', 'epoch', '-o', 'refused.safetensors')
    expect('not a checkpoint', 1, 'neither a zip archive', os.path.join(DATA, 'make.py'), '-o', 'refused.safetensors')
    expect('no file', 1, 'cannot open', 'nothing.pt', '-o', 'refused.safetensors')


def pickled(name, value, entries=(), protocol=2, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(name, 'w', how) as file:
        file.writestr('x/data.pkl', value if isinstance(value, bytes) else pickle.dumps(value, protocol))
        for key, data in entries:
            file.writestr(key, data)


def tensor(count, offset, shape, stride, key=b'0'):
    """{'w': a tensor}, as PyTorch pickles it."""
    def integers(values):
        return b'(' + b''.join(b'J' + value.to_bytes(4, 'little') for value in values) + b't'
    storage = b'(X\7\0\0\0storagectorch\nFloatStorage\nU' + bytes([len(key)]) + key + b'X\3\0\0\0cpuJ' + count.to_bytes(4, 'little') + b'tQ'
    return (b'\x80\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(' + storage + b'J' + offset.to_bytes(4, 'little') +
            integers(shape) + integers(stride) + b'\x89ccollections\nOrderedDict\n)RtRs.')


def hostile_files():
    sixteen = ('x/data/0', bytes(16))
    cases = (
        ('fits', 0, '1 tensors', tensor(4, 0, (2, 2), (2, 1)), [sixteen]),
        ('beyond its storage', 1, 'reaches beyond', tensor(4, 1, (2, 2), (2, 1)), [sixteen]),
        ('huge stride', 1, 'reaches beyond', tensor(4, 0, (2,), (1 << 30,)), [sixteen]),
        ('overflow', 1, 'reaches beyond', tensor(4, 0, (1 << 30,) * 4, (1 << 30,) * 4), [sixteen]),
        ('repeated for ever', 1, 'repeats its numbers', tensor(4, 0, (1 << 30,) * 2, (0, 0)), [sixteen]),
        ('nine axes', 1, 'at most 8', tensor(4, 0, (1,) * 9, (1,) * 9), [sixteen]),
        ('short storage', 1, 'should have 16 bytes and has 15', tensor(4, 0, (4,), (1,)), [('x/data/0', bytes(15))]),
        ('no storage', 1, "'x/data/0' is missing", tensor(4, 0, (4,), (1,)), []),
        ('other folder', 1, "'x/data/../0' is missing", tensor(4, 0, (4,), (1,), b'../0'), [sixteen]),
        ('big-endian', 1, 'not little-endian', tensor(4, 0, (4,), (1,)), [sixteen, ('x/byteorder', b'big')]),
        ('cut off', 1, 'cut off', tensor(4, 0, (4,), (1,))[:-3], [sixteen]),
        ('no weights', 1, 'no weights under a usual name', {'a': 1}, []),
        ('a list', 1, 'holds a list', [1, 2], []),
        ('empty pickle', 1, 'cut off', b'', []),
        ('an empty stack', 1, 'empty stack', b'\x80\2.', []),
        ('unknown opcode', 1, 'opcode 0x69', b'\x80\2i', []),
        ('memo without end', 1, 'memo entry', b'\x80\2}r\xff\xff\xff\x7f.', []),
        ('memo of nothing', 1, 'never made', b'\x80\2h\7.', []),
        ('long string', 1, 'cut off', b'\x80\4\x8d' + b'\xff' * 7 + b'\x7f', []),
        ('deep', 1, 'a tuple', b'\x80\2)' + b'\x85' * 200000 + b'.', []),
        ('in itself', 1, 'no weights', b'\x80\2}q\0X\1\0\0\0ah\0s.', []),
        ('in its usual self', 1, 'not a dict', b'\x80\2}q\0X\3\0\0\0neth\0s.', []),
        ('protocol', 1, 'protocol 9', b'\x80\x09.', []),
    )
    for title, code, said, value, entries in cases:
        pickled('hostile.pt', value, entries)
        expect(title, code, said, 'hostile.pt', '-o', f'hostile{code}.safetensors')
    bombs()
    with open(os.path.join(DATA, 'inside_zip.pt'), 'rb') as file:
        whole = file.read()
    with open('cut.pt', 'wb') as file:
        file.write(whole[:-100])
    expect('cut archive', 1, 'broken zip archive', 'cut.pt', '-o', 'hostile1.safetensors')


def bombs():
    """Small archives that would be large in memory: refused by what they claim, before anything is unpacked."""
    zeros = bytes(90 << 20)
    count = len(zeros) // 4
    cases = (
        ('storage', 'far more than weights in a file of', tensor(count, 0, (count,), (1,)), [('x/data/0', zeros)]),
        ('pickle', 'far more than weights in a file of', zeros, []),
        ('several', "'x/data/1' would have", tensor(count // 2, 0, (4,), (1,))[:-1] + tensor(count // 2, 0, (4,), (1,), b'1')[3:].replace(b'\1\0\0\0w', b'\1\0\0\0v'),
         [('x/data/0', zeros[:len(zeros) // 2]), ('x/data/1', zeros[:len(zeros) // 2])]),
        ('longer than the pickle says', "'x/data/0' has 31457280 bytes; expected at most 16", tensor(4, 0, (4,), (1,)),
         [('x/data/0', zeros[:30 << 20])]),
        ('byte order', "'x/byteorder' has 31457280 bytes", tensor(4, 0, (4,), (1,)), [('x/data/0', bytes(16)), ('x/byteorder', zeros[:30 << 20])]),
    )
    for title, said, value, entries in cases:
        pickled('bomb.pt', value, entries, how=zipfile.ZIP_DEFLATED)
        expect(title, 1, said, 'bomb.pt', '-o', 'hostile1.safetensors')


def networks():
    for shape, code, said in (('6', 1, ['left over: transposed [6, 4]', '11 left over']), ('7', 1, ['row: expected [7], found [6]', '1 of another shape'])):
        with open('net.ir', 'w') as file:
            file.write(NET.replace('SHAPE', shape))
        expect(f'network {shape}', code, said, os.path.join(DATA, 'bare_zip.pt'), '--net', 'net.ir', '-o', 'net.safetensors')
    pickled('fits.pt', tensor(48, 0, (4, 3, 2, 2), (12, 4, 2, 1)).replace(b'X\1\0\0\0w', b'X\x0d\0\0\0stem.0.weight'), [('x/data/0', bytes(192))])
    with open('net.ir', 'w') as file:
        file.write(NET.replace('  %4 = param {name="row", kind="weight", init="uniform", scale=0.5} : f32[SHAPE]\n  %5 = reduce_sum %4 {axes=[0]}\n  %6 = mul %3, %5\n', '').replace('%6', '%3'))
    expect('a network that fits', 0, 'all weights of net.ir are there', 'fits.pt', '--net', 'net.ir', '-o', 'fits.safetensors')


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        good_files()
        refused_files()
        hostile_files()
        networks()
        left = [name for name in os.listdir('.') if 'refused' in name or 'hostile1' in name or 'executed' in name or name == 'net.safetensors']
        if left:
            failures.append('nothing is left behind')
            print('left behind:', left)
        os.chdir('/')
    sys.exit(1 if failures else 0)


main()
