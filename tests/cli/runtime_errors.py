#!/usr/bin/env python3
"""ndarts-run with bad input (exit 1) and failing machines (exit 2): what is said, and that nothing half-written stays behind."""
import glob
import json
import os
import resource
import stat
import struct
import subprocess
import sys
import tempfile

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

BUILD = os.environ['NDARTS_BUILD']
RUN, TOOL = os.path.join(BUILD, 'bin', 'ndarts-run'), os.path.join(BUILD, 'tests', 'ref_tool')
TEXT = '''set kind = "network"
set classes = 4
graph @forward(%input: f32[N,8,8,3]) {
  %1 = param {name="stem.weight", kind="weight", init="uniform", scale=0.5} : f32[4,3,1,1]
  %2 = conv2d %input, %1 {stride=[1,1], pad=[0,0,0,0], dilation=[1,1], groups=1}
  %3 = batch_norm %2 {name="bn", eps=1e-5, momentum=0.1, affine=false}
  %4 = reduce_sum %3 {axes=[1,2]}
  return "logits" = %4
}
'''
failures = []


def run(*arguments, limit=None, **environment):
    def prepare():
        if limit:
            resource.setrlimit(limit[0], (limit[1], limit[1]))
    done = subprocess.run([RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **environment}, preexec_fn=prepare)
    return done.returncode, done.stdout


def expect(title, code, said, arguments, **more):
    found, output = run(*arguments, **more)
    if found != code or said not in output:
        failures.append(title)
        print(f'{title}: expected exit {code} and "{said}", found exit {found}:\n{output}')


def tensors(path, *specs):
    subprocess.run([TOOL, 'tensors', path, *specs], check=True)


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def npy(path, shape, dtype='<f4', count=None):
    header = repr({'descr': dtype, 'fortran_order': False, 'shape': shape})
    header = header.ljust(117) + '\n'
    elements = 1
    for extent in shape:
        elements *= extent
    size = int(dtype[2:])
    write(path, b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + bytes(size * (elements if count is None else count)))


WEIGHTS = ('stem.weight=unit:4,3,1,1', 'bn.running_mean=unit:4', 'bn.running_var=uniform:4')
FEED = ('input=input:2,3,8,8', 'labels=label/4:2')


def trace(feed='feed.safetensors', weights='weights.safetensors', out='out.safetensors', text='text.ir'):
    return 'trace', text, '--weights', weights, '--feed', feed, '-o', out


def infer(net='text.ir', weights='weights.safetensors', x='x.npy', y='y.npy'):
    return 'infer', net, '--weights', weights, '--input', x, '--output', y


def make_files():
    write('text.ir', TEXT.encode())
    tensors('weights.safetensors', *WEIGHTS)
    tensors('feed.safetensors', *FEED)
    npy('x.npy', (3, 3, 8, 8))


def test_command_line():
    expect('no command', 1, 'usage: ndarts-run', ())
    expect('unknown command', 1, "error: unknown command 'trac'; did you mean 'trace'?", ('trac',))
    expect('unknown option', 1, "error: unknown option '--wieghts' of trace; did you mean '--weights'?", ('trace', '--wieghts', 'x'))
    expect('missing value', 1, 'error: --feed needs a value', ('trace', 'text.ir', '--feed'))
    expect('no feed', 1, 'error: trace needs a text, --feed', ('trace', 'text.ir'))
    expect('bad number', 1, 'error: --threads many: expected an integer from 1 to 1024', (*trace(), '--threads', 'many'))
    expect('bad precision', 1, 'error: --precision tf32 is for GPUs (--device=cuda, .cubin); the CPU has f32, f64 and bf16', (*trace(), '--precision=tf32'))
    expect('two operands', 1, "error: one text at a time, not 'text.ir' and 'other'", (*trace(), 'other'))
    expect('info takes nothing', 1, "error: unexpected argument 'x'", ('info', 'x'))
    expect('no text', 1, 'absent.ir', trace(text='absent.ir'))


def test_weights():
    expect('weights absent', 1, 'absent.safetensors', trace(weights='absent.safetensors'))
    whole = read('weights.safetensors')
    for name, cut in (('empty', 0), ('header', 20), ('data', len(whole) - 5)):
        write('cut.safetensors', whole[:cut])
        expect(f'weights cut: {name}', 1, 'cut.safetensors', trace(weights='cut.safetensors'))
    tensors('part.safetensors', WEIGHTS[0])
    expect('weights missing', 1, 'error: part.safetensors: does not fit the network: 2 missing, 0 of another shape, 0 left over; nothing was loaded', trace(weights='part.safetensors'))
    tensors('shape.safetensors', 'stem.weight=unit:4,3,3,3', *WEIGHTS[1:])
    expect('weights of another shape', 1, '  stem.weight: expected [4, 3, 1, 1], found [4, 3, 3, 3]',
           trace(weights='shape.safetensors'))
    tensors('more.safetensors', 'cells.0.weight=unit:4', *WEIGHTS)
    expect('weights of another network', 1, '  left over: cells.0.weight [4]', trace(weights='more.safetensors'))


def test_feed():
    tensors('bad.safetensors', FEED[1])
    expect('no input', 1, 'bad.safetensors: missing: input', trace(feed='bad.safetensors'))
    tensors('bad.safetensors', 'input=input:2,3,9,9', FEED[1])
    expect('input of another shape', 1, 'input: expected shape [N, 3, 8, 8], found [2, 3, 9, 9]', trace(feed='bad.safetensors'))
    tensors('bad.safetensors', FEED[0], 'labels=label/4:3')
    expect('other number of labels', 1, 'labels holds 3 images, expected 2', trace(feed='bad.safetensors'))
    tensors('bad.safetensors', FEED[0], 'labels=label/400:2')
    expect('label out of range', 1, 'expected 0 to 3', trace(feed='bad.safetensors'))
    tensors('bad.safetensors', *FEED, 'noise.cells.0._ops.0.step0=noise:2,3,8,8')
    expect('unknown stream', 1, "the text draws nothing called 'noise.cells.0._ops.0'", trace(feed='bad.safetensors'))


def test_infer():
    expect('infer', 0, '', infer())
    logits = read('y.npy')
    expect('infer, small batches', 0, '', (*infer(), '--batch', '2', '--threads', '1'))
    assert read('y.npy') == logits, 'logits depend on batch or threads'
    npy('bad.npy', (3, 3, 9, 9))
    expect('picture of another size', 1, 'bad.npy: expected shape [N, 3, 8, 8], found [3, 3, 9, 9]', infer(x='bad.npy'))
    npy('bad.npy', (3, 3, 8, 8), '<f8')
    expect('picture of another type', 1, 'bad.npy: expected float32, found F64', infer(x='bad.npy'))
    npy('bad.npy', (3, 3, 8, 8), count=100)
    expect('picture cut short', 1, 'bad.npy', infer(x='bad.npy'))
    for shape in ((0, 3, 8, 8), (0, 9223372036854775807, 1, 1), (0, 3, 9, 9)):
        npy('bad.npy', shape, count=0)
        expect(f'no pictures of shape {shape}', 1, 'bad.npy: there are no images in it', infer(x='bad.npy', y='none.npy'))
        assert not os.path.exists('none.npy')
    expect('no weights', 1, 'text.ir holds no weights, so --weights W.safetensors is needed', ('infer', 'text.ir', '--input', 'x.npy', '--output', 'y.npy'))
    expect('cubin without a GPU', 2, 'CUDA runtime', infer(net='net.cubin'))
    write('net.so', b'\x7fELF' + bytes(100))
    expect('broken module', 1, 'net.so is not a module', infer(net='net.so'))


def test_no_number():
    """What is no number in a picture is none in its logits, and in no others."""
    write('relu.ir', TEXT.replace('%4 = reduce_sum %3', '%9 = relu %3\n  %4 = reduce_sum %9').encode())
    npy('x_nan.npy', (3, 3, 8, 8))
    data = bytearray(read('x_nan.npy'))
    data[-4 * 300:-4 * 299] = struct.pack('<f', float('nan'))  # of 192 numbers a picture: in the second
    write('x_nan.npy', bytes(data))
    for options in ((), ('--vector', '0'), ('--plain',), ('--precision', 'f64')):
        expect(f'a picture with NaN {options}', 0, '', (*infer(net='relu.ir', x='x_nan.npy'), *options))
        logits = [value for value, in struct.iter_unpack('<f', read('y.npy')[-4 * 12:])]
        assert [value != value for value in logits] == 4 * [False] + 4 * [True] + 4 * [False], logits


def cache_files():
    return sorted(glob.glob(os.path.join(os.environ['XDG_CACHE_HOME'], 'ndarts', '*')))


def cache_entries():
    """The modules; beside them lie their functions and the names under which texts find them."""
    return [path for path in cache_files() if path.endswith('.so')]


def test_module():
    """A cache entry is a module: it runs without a compiler, and is built again when it is damaged."""
    for entry in cache_files():
        os.unlink(entry)
    expect('infer', 0, '', infer())
    logits, entries = read('y.npy'), cache_entries()
    assert len(entries) == 1, entries
    expect('module', 0, '', infer(net=entries[0]), PATH='', CC='/none')
    assert read('y.npy') == logits
    whole = read(entries[0])
    for cut in (0, 50, len(whole) // 2, len(whole) - 1):
        write('cut.so', whole[:cut])
        if cut < len(whole) // 2 + 1:
            expect('module cut short', 1, 'cut.so is not a module' if cut else 'cut.so: an empty file', infer(net='cut.so'))
        os.replace('cut.so', entries[0])
        expect('damaged cache entry', 0, '', infer())
        assert read('y.npy') == logits and cache_entries() == entries
    write('flip.so', whole[:300] + bytes([whole[300] ^ 255]) + whole[301:])
    os.replace('flip.so', entries[0])
    expect('altered cache entry', 0, '', infer())
    assert read('y.npy') == logits and read(entries[0])[:len(whole) - 80] == whole[:len(whole) - 80]


def fresh():
    """Options that make a module which is not in the cache."""
    fresh.count += 1
    return '--batch', str(fresh.count)


fresh.count = 20


def test_compilers():
    expect('compiler absent', 2, "error: the C compiler '/none/cc' (from $CC) is not there", (*infer(), *fresh()), CC='/none/cc')
    expect('no compiler', 2, 'error: no C compiler: looked for cc, gcc and clang in $PATH', (*infer(), *fresh()), PATH='/none', CC='')
    with open('failing-cc', 'w') as file:
        file.write('#!/bin/sh\n[ "$1" = --version ] && echo failing 1.0 && exit 0\necho "x.c:1: error: no luck" >&2\nexit 3\n')
    os.chmod('failing-cc', stat.S_IRWXU)
    expect('compiler fails', 2, 'failing-cc failed with status 3\nx.c:1: error: no luck', (*infer(), *fresh()), CC='./failing-cc')
    expect('compiler does not run', 2, "'/bin/false' does not run (tried --version): /bin/false failed with status 1", (*infer(), *fresh()), CC='/bin/false')
    expect('compiler may not write', 2, 'no file may have more than 0 bytes (ulimit -f)', (*infer(), *fresh()), limit=(resource.RLIMIT_FSIZE, 0))
    batch = fresh()
    expect('words of $CC', 0, '', (*infer(), *batch), CC='gcc')
    expect('other words of $CC', 2, 'fno-such-flag', (*infer(), *batch), CC='gcc -fno-such-flag=1')
    left = [entry for entry in cache_entries() if not entry.endswith('.so')]
    assert not left, left


def test_stdout():
    """Results that do not arrive are a failure, however long they are."""
    bin_folder = os.path.dirname(RUN)
    with open('/dev/full', 'wb') as full:
        for command in (['ndartsc', 'text.ir', '--emit=c'], ['ndartsc', 'text.ir', '--emit=ir'], ['ndartsc', '--list-passes'], ['ndarts-opt', 'text.ir'],
                        ['ndarts-run', 'info']):
            done = subprocess.run([os.path.join(bin_folder, command[0]), *command[1:]], stdout=full, stderr=subprocess.PIPE, text=True)
            if done.returncode != 2 or done.stderr != 'error: cannot write to stdout\n':
                failures.append(f'stdout: {command}')
                print(f'{command} > /dev/full: expected exit 2 and a message, found exit {done.returncode}:\n{done.stderr}')


def test_disk():
    expect('output on a full disk', 2, '/dev/full', trace(out='/dev/full'))
    write('file', b'')
    expect('no cache folder', 2, 'error: cannot make the cache folder', (*infer(), *fresh()), XDG_CACHE_HOME='file/cache')
    # files may not grow beyond 4 kB: what a full disk does to the compiler, and to our own output
    expect('no room for the module', 2, 'error: ', (*infer(), *fresh()), limit=(resource.RLIMIT_FSIZE, 4096), XDG_CACHE_HOME=os.path.abspath('small'))
    left = glob.glob('small/ndarts/*')
    assert not left, left


def test_memory():
    """A parameter of 3.6 GB where 1 GiB may be mapped."""
    big = '  %5 = param {name="big.weight", kind="weight", init="ones"} : f32[30000,30000]\n  %6 = reduce_sum %5 {axes=[0,1]}\n  %7 = add %4, %6\n'
    write('big.ir', TEXT.replace('  return "logits" = %4', big + '  return "logits" = %7').encode())
    expect('no memory', 2, 'error: out of memory: 3600', infer(net='big.ir'), limit=(resource.RLIMIT_AS, 1 << 30))


def test_same_bits():
    """Repeated runs, one thread and three, and the file that is written."""
    expect('trace', 0, '', (*trace(), '--threads', '1'))
    first = read('out.safetensors')
    size = struct.unpack('<Q', first[:8])[0]
    names = json.loads(first[8:8 + size])
    for name in ('eval/logits', 'train/logits', 'train/loss', 'train/grad/stem.weight', 'train/after/bn.running_var', 'train/grad_norm',
                 'train/update/stem.weight', 'train/logits_after_step'):
        assert name in names, name
    for threads in ('1', '2', '3'):
        expect('trace', 0, '', (*trace(), '--threads', threads))
        assert read('out.safetensors') == first, f'other bits with {threads} threads'


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ['XDG_CACHE_HOME'] = os.path.join(folder, 'cache')
        make_files()
        for test in (test_command_line, test_weights, test_feed, test_infer, test_no_number, test_module, test_compilers, test_stdout, test_disk, test_memory, test_same_bits):
            test()
        os.chdir('/')
    assert not failures, failures
    print('all as expected')


if __name__ == '__main__':
    main()
