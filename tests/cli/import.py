#!/usr/bin/env python3
"""ndarts-run import: checkpoints in PyTorch's two formats give the right tensors, foreign ones are refused by name and
nothing in them is run, and weights are held against a network."""
import os
import pickle
import resource
import struct
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
    for name in ('refused_call_zip.pt', 'refused_call_legacy.pt'):
        expect(name, 1, "asks for 'posix.system', which runs programs", os.path.join(DATA, name), '-o', 'refused.safetensors')
    expect('a whole module', 1, "holds an object of 'torch.nn.modules.linear.Linear', not a dict of tensors; save model.state_dict()",
           os.path.join(DATA, 'refused_module_zip.pt'), '-o', 'refused.safetensors')
    expect('wrong key', 1, "no 'weights'", os.path.join(DATA, 'inside_zip.pt'), '--key', 'weights', '-o', 'refused.safetensors')
    expect('key of no dict', 1, "'epoch' is an integer", os.path.join(DATA, 'inside_zip.pt'), '--key', 'epoch', '-o', 'refused.safetensors')
    expect('not a checkpoint', 1, 'make.py: Python source, not a PyTorch checkpoint', os.path.join(DATA, 'make.py'), '-o', 'refused.safetensors')
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
        ('memo from 1, as of Python 2', 0, '1 tensors', tensor(4, 0, (2, 2), (2, 1)).replace(b'}X', b'}q\1X', 1).replace(b'Rt', b'Rq\2t'), [sixteen]),
        ('memo from 2', 1, 'memo entry 2 after only 0 others', tensor(4, 0, (2, 2), (2, 1)).replace(b'}X', b'}q\2X', 1), [sixteen]),
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
class Opaque:
    """Pickles as a call of any global with any arguments, then a state and items."""
    def __init__(self, module, name, *arguments, state=None, items=None):
        self.parts = module, name, arguments, state, items


def value(what):
    """Protocol 2, with names that need not exist here."""
    if isinstance(what, Opaque):
        module, name, arguments, state, items = what.parts
        code = f'c{module}\n{name}\n'.encode() + value(tuple(arguments)) + b'R'
        for key, item in items or ():
            code += value(key) + value(item) + b's'
        return code + (value(state) + b'b' if state is not None else b'')
    if isinstance(what, bytes):
        return what
    if isinstance(what, dict):
        return b'}' + b''.join(value(key) + value(item) + b's' for key, item in what.items())
    if isinstance(what, (tuple, list)):
        return b'(' + b''.join(value(item) for item in what) + (b't' if isinstance(what, tuple) else b'l')
    if isinstance(what, str):
        return b'X' + len(what.encode()).to_bytes(4, 'little') + what.encode()
    if isinstance(what, float):
        return b'G' + struct.pack('>d', what)
    return {None: b'N', True: b'\x88', False: b'\x89'}[what] if what is None or isinstance(what, bool) else b'J' + struct.pack('<i', what)


def weight(*shape, storage='FloatStorage', key=None, module='torch'):
    count, stride = 1, []
    for extent in reversed(shape):
        stride.insert(0, count)
        count *= extent
    storage = b'(' + value('storage') + f'c{module}\n{storage}\n'.encode() + value(key or str(count)) + value('cpu') + value(count) + b'tQ'
    return Opaque('torch._utils', '_rebuild_tensor_v2', storage, 0, tuple(shape), tuple(stride), False, Opaque('collections', 'OrderedDict'))


STORAGES = [(f'x/data/{count}', bytes(4 * count)) for count in (1, 2, 3, 6, 9)]


def save(name, what):
    """A zip archive with a storage for every number of elements."""
    pickled(name, b'\x80\2' + value(what) + b'.', STORAGES)


def objects_beside_the_weights():
    """Whatever stands beside the weights is left out, named, and never made."""
    path = Opaque('pathlib', 'PosixPath', 'data', 'cifar')
    beside = {
        'a path': (path, 'pathlib.PosixPath'),
        'arguments': (Opaque('argparse', 'Namespace', state={'path': path, 'lr': 0.1}), 'pathlib.PosixPath'),
        'a time': (Opaque('datetime', 'datetime', 'bytes'), 'datetime.datetime'),
        'a class of its own': (Opaque('train', 'Config', state={'a': [1, {'b': path}]}), 'train.Config'),
        'a kind of dict': (Opaque('easydict', 'EasyDict', items=[('a', 1)], state={'a': 1}), 'easydict.EasyDict'),
        'a function': (b'ctrain\nbuild\n', 'train.build'),
        'a lambda': (b'ctrain\n<lambda>\n', 'train.<lambda>'),
        'a bound method': (Opaque('__builtin__', 'getattr', Opaque('train', 'Model'), 'forward'), 'train.Model'),
        'a partial': (Opaque('functools', 'partial', b'ctorch.optim\nSGD\n', state=()), 'functools.partial'),
        'an optimiser': (Opaque('torch.optim.sgd', 'SGD', state={'state': {0: {'momentum_buffer': weight(2)}}}), 'torch.optim.sgd.SGD'),
        'a call of what a call made': (b'ctrain\nfactory\n)R)R', 'train.factory'),
        'an array': (Opaque('numpy.core.multiarray', '_reconstruct', b'cnumpy\nndarray\n', (0,), 'b', state=(1, (2,), Opaque('numpy', 'dtype', 'f4'), False, 'x')), ''),
        'an enum': (Opaque('train', 'Mode', 1), 'train.Mode'),
        'a sparse tensor': (Opaque('torch._utils', '_rebuild_sparse_tensor', 1, ()), 'torch._utils._rebuild_sparse_tensor'),
        'complex numbers': (weight(2, storage='ComplexFloatStorage', key='9'), 'torch.ComplexFloatStorage'),
        'an object with names': (b'ctrain\nA\n)}\x92', 'train.A'),
    }
    for title, (what, said) in beside.items():
        for place in ('before', 'after'):
            model = {'model': {'w': weight(2, 3)}}
            whole = {'args': what, 'epoch': 3, **model} if place == 'before' else {**model, 'args': what}
            save('beside.pt', whole)
            for arguments in ((), ('--key', 'model')):
                expect(f'{title} {place}', 0, ["1 tensors, 6 numbers, from 'model'", said], 'beside.pt', '-o', 'beside.safetensors', *arguments)
        names = list(_safetensors.read('beside.safetensors'))
        if names != ['w']:
            failures.append(title)
            print(title, names)
    save('unusual.pt', {'generator': {'w': weight(2)}, 'args': path})
    expect('under an unusual name', 0, "from 'generator'", 'unusual.pt', '-o', 'beside.safetensors')
    save('two.pt', {'generator': {'w': weight(2)}, 'critic': {'w': weight(2)}, 'args': path})
    expect('under two of them', 1, ["say which with --key", "'args' (an object of 'pathlib.PosixPath')"], 'two.pt', '-o', 'hostile1.safetensors')
    save('class.pt', {'model': Opaque('mmengine', 'StateDict', items=[('w', weight(2))])})
    expect('in a kind of dict', 0, '1 tensors', 'class.pt', '-o', 'beside.safetensors')
    save('state.pt', {'w': Opaque('torch._utils', '_rebuild_parameter_with_state', weight(2), True, Opaque('collections', 'OrderedDict'), {'a': 1})})
    expect('a parameter with a state', 0, '1 tensors', 'state.pt', '-o', 'beside.safetensors')
    kind = Opaque('torch._tensor', '_rebuild_from_type_v2', b'ctorch._utils\n_rebuild_tensor_v2\n', b'ctrain\nMine\n', weight(2).parts[2], {})
    save('type.pt', {'w': kind})
    expect('a tensor of a class of its own', 0, '1 tensors, 2 numbers', 'type.pt', '-o', 'beside.safetensors')
    pickled('dropped.pt', b'\x80\2N0(NN1' + value({'w': weight(2)}) + b'20.', STORAGES)
    expect('values that are thrown away', 0, '1 tensors', 'dropped.pt', '-o', 'beside.safetensors')


def weights_that_are_not_read():
    """A weight is never left out quietly."""
    for title, what in (('sparse', Opaque('torch._utils', '_rebuild_sparse_tensor', 1, ())), ('quantised', Opaque('torch._utils', '_rebuild_qtensor', 1)),
                        ('complex', weight(2, storage='ComplexFloatStorage', key='9')), ('float8', weight(2, storage='Float8_e4m3fnStorage', key='9'))):
        save('other.pt', {'w': weight(2), 'v': what})
        expect(title, 1, "'v' is an object of 'torch", 'other.pt', '-o', 'hostile1.safetensors')
        save('other.pt', {'v': what})
        expect(title + ' alone', 1, 'only dense tensors of plain numbers are read', 'other.pt', '-o', 'hostile1.safetensors')
    save('other.pt', {'w': weight(2), '__metadata__': weight(2)})
    expect('a name that the format has taken', 1, "a tensor cannot be called '__metadata__'", 'other.pt', '-o', 'hostile1.safetensors')
    for name in ('os\nsystem', 'subprocess\nPopen', 'builtins\neval', '__builtin__\nexec', 'nt\nsystem', 'pty\nspawn'):
        pickled('evil.pt', b'\x80\2' + value({'w': weight(2), 'x': f'c{name}\n'.encode()}) + b'.', STORAGES)
        expect(name, 1, 'runs programs or code', 'evil.pt', '-o', 'hostile1.safetensors')


def prefixes():
    with open('net.nd', 'w') as file:
        file.write('network main(classes = 3, H = 4, W = 4, channels = 3) on x { return x | stem: conv(3, 1) | global_avg_pool | classifier: linear(classes) }\n')
    names = {'stem.weight': weight(3, 3, 1, 1), 'classifier.weight': weight(3, 3), 'classifier.bias': weight(3)}
    stray = {'n_averaged': weight(1)}
    def under(prefix):
        return {prefix + name: tensor for name, tensor in names.items()}
    # Whatever the prefix, what fits the network is found; without a network, usual wrappers are.
    for prefix, usual in (('', True), ('module.', True), ('model.', True), ('net.', True), ('module._orig_mod.', True), ('_orig_mod.module.', True),
                          ('model.model.', True), ('backbone.', True), ('ema_model.module.', True), ('student.encoder.', False), ('a.b.c.d.', False)):
        save('prefix.pt', {'state_dict': under(prefix)})
        said = f"prefix '{prefix}' stripped" if prefix else '3 tensors'
        expect(f'{prefix} with a network', 0, [said, 'all weights of net.nd are there'], 'prefix.pt', '-o', 'prefix.safetensors', '--net', 'net.nd')
        expect(f'{prefix} by itself', 0, said if usual else '3 tensors', 'prefix.pt', '-o', 'itself.safetensors')
        if list(_safetensors.read('prefix.safetensors')) != sorted(names) and set(_safetensors.read('prefix.safetensors')) != set(names):
            failures.append(prefix)
            print(prefix, list(_safetensors.read('prefix.safetensors')))
        if prefix:
            expect(f'{prefix} as said', 0, said, 'prefix.pt', '-o', 'itself.safetensors', '--strip', prefix)
            expect(f'{prefix} without its dot', 0, said, 'prefix.pt', '-o', 'itself.safetensors', '--strip', prefix[:-1])
            expect(f'{prefix} kept', 0, '3 tensors', 'prefix.pt', '-o', 'itself.safetensors', '--strip', '')
            if prefix + 'stem.weight' not in _safetensors.read('itself.safetensors'):
                failures.append(f'{prefix} kept')
    save('swa.pt', {**stray, **under('module.')})
    expect('averaged weights', 0, ["prefix 'module.' stripped", 'without the prefix, left out: n_averaged'], 'swa.pt', '-o', 'prefix.safetensors')
    save('lightning.pt', {'state_dict': {**under('model.'), 'criterion.weight': weight(3), 'val_acc.total': weight(1)}})
    expect('beside the model', 0, ['left out: criterion.weight, val_acc.total', 'all weights'], 'lightning.pt', '-o', 'prefix.safetensors', '--net', 'net.nd')
    save('both.pt', {**under('model.'), **under('ema.')})
    expect('two that fit', 0, ["prefix 'model.' stripped", 'left out: ema.stem.weight'], 'both.pt', '-o', 'prefix.safetensors', '--net', 'net.nd')
    expect('the other one', 0, "prefix 'ema.' stripped", 'both.pt', '-o', 'prefix.safetensors', '--net', 'net.nd', '--strip', 'ema')
    expect('a prefix that is not there', 1, "no weight's name begins with 'nte'; the first is 'model.stem.weight'", 'both.pt', '-o', 'hostile1.safetensors', '--strip', 'nte')
    missing = under('model.')
    del missing['model.classifier.bias']
    save('missing.pt', missing)
    expect('one is missing', 1, ['missing: classifier.bias [3]', "prefix 'model.' stripped"], 'missing.pt', '-o', 'hostile1.safetensors', '--net', 'net.nd')
    # Names that are the network's own are not taken for a wrapper's.
    with open('own.nd', 'w') as file:
        file.write('network main(classes = 3, H = 4, W = 4, channels = 3) on x { return x | model { conv(3, 1) } | global_avg_pool | model { c: linear(classes) } }\n')
    own = {'model.weight': weight(3, 3, 1, 1), 'model.c.weight': weight(3, 3), 'model.c.bias': weight(3)}
    save('own.pt', own)
    expect('a network with such names', 0, 'all weights of own.nd', 'own.pt', '-o', 'own.safetensors', '--net', 'own.nd')
    # Files of weights with prefixes are taken as they are, when all of the network is there.
    save('prefix.pt', under('module.model.'))
    expect('kept', 0, '3 tensors', 'prefix.pt', '-o', 'kept.safetensors', '--strip', '')
    done = subprocess.run([RUN, 'export', 'net.nd', '--weights', 'kept.safetensors', '-o', 'exported.safetensors'], stderr=subprocess.PIPE, text=True)
    if done.returncode or "begin with 'module.model.', which is left off" not in done.stderr or set(_safetensors.read('exported.safetensors')) != set(names):
        failures.append('export of prefixed weights')
        print(done.stderr)
    expect('safetensors', 0, "prefix 'module.model.' stripped", 'kept.safetensors', '-o', 'again.safetensors', '--net', 'net.nd')


def networks():
    for shape, code, said in (('6', 1, ['left over: transposed [6, 4]', '11 left over']), ('7', 1, ['row: expected [7], found [6]', '1 of another shape'])):
        with open('net.ir', 'w') as file:
            file.write(NET.replace('SHAPE', shape))
        expect(f'network {shape}', code, said, os.path.join(DATA, 'bare_zip.pt'), '--net', 'net.ir', '-o', 'net.safetensors')
    pickled('fits.pt', tensor(48, 0, (4, 3, 2, 2), (12, 4, 2, 1)).replace(b'X\1\0\0\0w', b'X\x0d\0\0\0stem.0.weight'), [('x/data/0', bytes(192))])
    with open('net.ir', 'w') as file:
        file.write(NET.replace('  %4 = param {name="row", kind="weight", init="uniform", scale=0.5} : f32[SHAPE]\n  %5 = reduce_sum %4 {axes=[0]}\n  %6 = mul %3, %5\n', '').replace('%6', '%3'))
    expect('a network that fits', 0, 'all weights of net.ir are there', 'fits.pt', '--net', 'net.ir', '-o', 'fits.safetensors')


def names_of_others():
    _safetensors.write('arch.safetensors', {'arch_parameters': ((1, 2), [1, 2]), 'stem.0.weight': ((2,), [3, 4])})
    expect('names of others', 0, "'arch_parameters' becomes 'alphas_normal'", 'arch.safetensors', '-o', 'ours.safetensors')
    if sorted(_safetensors.read('ours.safetensors')) != ['alphas_normal', 'stem.0.weight']:
        failures.append('names of others')


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        good_files()
        refused_files()
        hostile_files()
        objects_beside_the_weights()
        weights_that_are_not_read()
        prefixes()
        networks()
        names_of_others()
        left = [name for name in os.listdir('.') if 'refused' in name or 'hostile1' in name or 'executed' in name or name == 'net.safetensors']
        if left:
            failures.append('nothing is left behind')
            print('left behind:', left)
        os.chdir('/')
    sys.exit(1 if failures else 0)


main()
