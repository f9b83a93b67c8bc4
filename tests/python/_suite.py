"""What the package does, call by call. It is run by package.py in an environment that has the wheel, numpy and nothing of the source tree."""
import copy
import multiprocessing
import os
import pathlib
import pickle
import signal
import sys
import threading

import ndarts
import numpy as np

NETWORK = '''network main(classes ?= 5, H = 8, W = 8, channels = 3) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
TWO = NETWORK.replace('main', 'other').replace('conv(6', 'conv(7') + NETWORK


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def expect_error(kind, words, call):
    try:
        call()
    except kind as error:
        expect(all(word in str(error) for word in words), f'{words} are not in: {error}')
        return
    raise Failure(f'no {kind.__name__} with {words}')


def by_hand(state, x):
    """The same network, computed by numpy in double precision."""
    x = x.astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    y = np.einsum('nchwij,ocij->nohw', windows, state['conv.weight'])
    column = lambda name: state[name].astype(np.float64)[None, :, None, None]
    y = (y - column('1.running_mean')) / np.sqrt(column('1.running_var') + 1e-5) * column('1.weight') + column('1.bias')
    return np.maximum(y, 0).mean(axis=(2, 3)) @ state['classifier.weight'].T + state['classifier.bias']


def draw_state(net, seed):
    draw = np.random.default_rng(seed)
    return {t.name: draw.uniform(0.2, 1, t.shape).astype(np.float32) for t in net.parameters}


X = np.random.default_rng(3).normal(size=(11, 3, 8, 8)).astype(np.float32)


def test_net():
    with ndarts.compile(NETWORK, batch=4, threads=1) as net:
        expect(repr(net) == '<ndarts.Net input [-1, 3, 8, 8] -> logits [-1, 5]>' and net.batch == 4, repr(net))
        first = net(X)
        expect(first.shape == (11, 5) and first.dtype == np.float32, first)
        expect(np.array_equal(first, ndarts.compile(NETWORK, batch=4)(X)), 'another net of the same seed gives other logits')
        expect(not np.array_equal(first, ndarts.compile(NETWORK, batch=4, seed=1)(X)), 'another seed gives the same logits')
        expect(np.abs(first - by_hand(net.state_dict(), X)).max() < 1e-6, 'logits of drawn weights')
        state = draw_state(net, 5)
        expect(np.abs(net.load_state_dict(state)(X) - by_hand(state, X)).max() < 1e-5, 'logits of given weights')
        for name, value in net.state_dict().items():
            expect(np.array_equal(value, state[name]), f'{name} comes back otherwise')


def test_types():
    """Any float goes in; strides and byte order do not matter."""
    net = ndarts.compile(NETWORK, precision='f64')
    state = draw_state(net, 6)
    expect(net.load_state_dict(state)(X).dtype == np.float64, 'f64 gives f64')
    expect(np.abs(net(X) - by_hand(state, X)).max() < 1e-13, 'logits in double')
    turned = np.ascontiguousarray(X.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    expect(np.array_equal(net(X), net(turned)) and np.array_equal(net(X), net(X.astype('>f4'))), 'the same images otherwise in memory')
    expect(np.abs(net(X.astype(np.float16)) - by_hand(state, X.astype(np.float16))).max() < 1e-13, 'half floats')
    whole = np.random.default_rng(4).integers(0, 100, X.shape)
    for dtype in (bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64):
        expect(np.array_equal(net(whole.astype(dtype)), net(whole.astype(dtype).astype(np.float64))), f'images of {dtype}')
    expect_error(ndarts.InputError, ['numbers of type uint64 cannot be taken'], lambda: net(whole.astype(np.uint64)))
    halves = {name: value.astype(np.float16) for name, value in state.items()}
    expect(np.abs(net.load_state_dict(halves)(X) - by_hand(halves, X)).max() < 1e-13, 'weights as half floats')


def write_safetensors(path, state):
    import json
    import struct
    header, offset = {}, 0
    for name, value in state.items():
        header[name] = {'dtype': 'F32', 'shape': list(value.shape), 'data_offsets': [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(value.tobytes() for value in state.values()))


def test_files():
    net = ndarts.compile(NETWORK)
    state = draw_state(net, 7)
    write_safetensors('w.safetensors', state)
    with open('net.nd', 'w', encoding='utf-8') as file:
        file.write(NETWORK)
    from_file = ndarts.compile('net.nd', weights='w.safetensors')
    expect(np.array_equal(from_file(X), net.load_state_dict(state)(X)), 'a text and weights in files')
    wrapped = {f'module.{name}': value for name, value in state.items()}
    wrapped['module.1.num_batches_tracked'] = np.array(3)
    expect(np.array_equal(ndarts.compile(NETWORK, weights=wrapped)(X), from_file(X)), 'names as wrappers make them')
    for place in (ndarts.library_folder(), '.'):
        expect(ndarts.stats(os.path.join(place, 'genotypes/darts_v2.nd') if place != '.' else 'genotypes/darts_v2.nd')['parameters'] == 3349342,
               'the definitions that come with the package')


PYTHON = ("Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), "
          "('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
          "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
          "('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])")


def test_paths():
    """What is there is a path, whatever it is called; what is not is a text when it looks like one."""
    with open('braces {1}.nd', 'w', encoding='utf-8') as file:
        file.write(NETWORK)
    wanted = ndarts.stats(NETWORK)
    expect(ndarts.stats('braces {1}.nd') == ndarts.stats(pathlib.Path('braces {1}.nd')) == wanted, 'a path with braces')
    expect(ndarts.stats(' '.join(NETWORK.split())) == wanted, 'a text in one line')
    expect(ndarts.stats(PYTHON)['parameters'] == ndarts.stats(PYTHON + '\n')['parameters'] > 1000000, 'a genotype of Python in one line')
    for call in (lambda: ndarts.compile('net.nd\0'), lambda: ndarts.compile(NETWORK + '\0'), lambda: ndarts.compile(NETWORK, device='cpu\0'),
                 lambda: ndarts.compile(NETWORK, set={'classes\0': 3}), lambda: ndarts.compile(NETWORK).load_state_dict('w\0'),
                 lambda: ndarts.search(NETWORK, out='a\0')):
        expect_error(ndarts.InputError, ['a zero byte in'], call)


def test_ranges():
    """Numbers that C would cut off, or that mean nothing."""
    net = ndarts.compile(NETWORK, seed=2**64 - 1)
    for name, call in (('seed is -1', lambda: ndarts.compile(NETWORK, seed=-1)), ('seed is 18446744073709551616', lambda: ndarts.compile(NETWORK, seed=2**64)),
                       ('seed is -2', lambda: ndarts.search(NETWORK, seed=-2)), ('threads is 4294967296', lambda: ndarts.compile(NETWORK, threads=2**32)),
                       ('threads is -1', lambda: ndarts.cost(NETWORK, threads=-1)), ('batch is -1', lambda: ndarts.evaluate(NETWORK, net, batch=-1)),
                       ('keep_ops is 0', lambda: ndarts.derive({}, keep_ops=0)), ('epoch is -2', lambda: ndarts.derive({}, epoch=-2)),
                       ('step is -1', lambda: net.run_pass('gradients', {}, {}, step=-1)), ('epoch is -1', lambda: net.run_pass('gradients', {}, {}, epoch=-1))):
        expect_error(ndarts.InputError, [name, 'it should be'], call)
    expect_error(TypeError, ['integer'], lambda: ndarts.compile(NETWORK, seed=2.5))


def test_settings():
    net = ndarts.compile(NETWORK, set={'classes': 7})
    expect(net(X).shape == (11, 7), 'set')
    expect(ndarts.compile(TWO, network='other').parameters[0].shape[0] == 7, 'network')
    expect_error(ndarts.InputError, ['nothing'], lambda: ndarts.compile(NETWORK, set={'nothing': True}))
    expect_error(ndarts.InputError, ['tpu'], lambda: ndarts.compile(NETWORK, device='tpu'))
    expect_error(ndarts.InputError, ['f8'], lambda: ndarts.compile(NETWORK, precision='f8'))


def test_mistakes():
    wrong = NETWORK.replace('relu', 'rlu').replace('linear(', 'liner(')
    expect_error(ndarts.InputError, ["text:2:57: error: unknown operation 'rlu'; did you mean 'relu'?", '^~~\n', "'liner'", '2 mistakes'],
                 lambda: ndarts.compile(wrong))
    expect_error(ValueError, ['absent.nd'], lambda: ndarts.compile('absent.nd'))
    net = ndarts.compile(NETWORK)
    before = net(X)
    state = {**draw_state(net, 1), 'strange': np.zeros(1)}
    del state['1.bias']
    expect_error(ndarts.InputError, ['missing: 1.bias [6]', 'left over: strange [1]'], lambda: net.load_state_dict(state))
    expect_error(ndarts.InputError, ['absent.safetensors'], lambda: net.load_state_dict('absent.safetensors'))
    expect_error(ndarts.InputError, ['expected shape [N, 3, 8, 8], found [2, 3, 8, 7]'], lambda: net(np.zeros((2, 3, 8, 7))))
    expect_error(ndarts.InputError, ['0 images'], lambda: net(X[:0]))
    expect_error(ndarts.InputError, ['complex'], lambda: net(X.astype(complex)))
    expect_error(ndarts.InputError, ['1 arrays: input'], net)
    expect(np.array_equal(net(X), before), 'mistakes leave the net as it was')


def test_arguments():
    """What the programs call by options has the names of arguments here."""
    expect_error(ndarts.InputError, ["set nothing=1: there is no parameter 'nothing'"], lambda: ndarts.stats(NETWORK, set={'nothing': 1}))
    expect_error(ndarts.InputError, ['; recipe NAME says how to train it'], lambda: ndarts.train(NETWORK, out='untrained'))
    expect_error(ndarts.InputError, ['device tpu: expected cpu'], lambda: ndarts.compile(NETWORK, device='tpu'))


def test_close():
    """After it, and after the calls that go on, nothing computes; what is no copy is none."""
    net = ndarts.compile(NETWORK, threads=1)
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        expect_error(TypeError, ['cannot be copied or pickled', 'state_dict()'], lambda: make(net))
    wanted, found = net(X), []

    def use():
        try:
            while True:
                found.append(np.array_equal(net(X), wanted))
        except ndarts.InputError as error:
            found.append('the net is closed' in str(error))

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(found) < 20:
        pass
    net.close()
    for thread in threads:
        thread.join()
    expect(all(found), found)
    net.close()
    for call in (lambda: net(X), net.state_dict, lambda: net.load_state_dict({}), lambda: net.inputs, lambda: net.batch,
                 lambda: net.run_pass('gradients', {}, {}), lambda: ndarts.evaluate(NETWORK, net)):
        expect_error(ndarts.InputError, ['the net is closed'], call)
    expect(repr(net) == '<ndarts.Net closed>', repr(net))


def test_passes():
    """What a pass takes and gives has the names of its graph, and only what may be written is."""
    net, kept = ndarts.compile(NETWORK, kind='train', threads=1), np.zeros((11, 5), np.float32)
    run = lambda inputs, outputs: net.run_pass('train-forward', inputs, outputs)
    run({'input': X}, {'logits': kept})
    expect(kept.any() and np.isfinite(kept).all(), kept)
    frozen = np.zeros((11, 5), np.float32)
    frozen.flags.writeable = False
    for wrong in (frozen, kept.astype('>f4'), np.zeros((5, 11), np.float32).T, kept.tolist()):
        expect_error(ndarts.InputError, ["the output 'logits' should be a C-contiguous array"], lambda: run({'input': X}, {'logits': wrong}))
    expect(not frozen.any(), 'what cannot be written was')
    expect_error(ndarts.InputError, ['f32 or f64'], lambda: run({'input': X}, {'logits': kept.astype(int)}))
    expect_error(ndarts.InputError, ["no input 'image'"], lambda: run({'input': X, 'image': X}, {'logits': kept}))
    expect_error(ndarts.InputError, ["no output 'logit'"], lambda: run({'input': X}, {'logit': kept}))
    expect_error(ndarts.InputError, ["there is room for 50"], lambda: run({'input': X}, {'logits': kept[:10]}))


def in_child(body):
    """Whether a forked child that runs it ends well; one that hangs is killed."""
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            body()
        except BaseException: # whatever it is, no more of the suite is run here
            os._exit(1)
        sys.exit(0) # as a program ends
    return os.waitpid(child, 0)[1] == 0


def call_shared(number):
    return shared(X[number:])


def test_forks():
    """A child has the nets, but not their threads."""
    global shared
    shared = ndarts.compile(NETWORK, threads=3)
    wanted = shared(X)
    same = lambda: expect(np.array_equal(shared(X), wanted), 'logits in a child')
    for body in (lambda: None, same, lambda: shared.close(), lambda: (shared.load_state_dict(shared.state_dict()), same())):
        expect(in_child(body), 'a forked child')
    with multiprocessing.get_context('fork').Pool(2) as pool:
        expect(all(np.array_equal(logits, wanted[i:]) for i, logits in enumerate(pool.map_async(call_shared, range(4)).get(60))), 'a pool')
    same()


def test_moment():
    """Weights are those of one moment, whoever loads others."""
    net, going_on = ndarts.compile(NETWORK, threads=1), [True]
    states = [{name: np.full_like(value, fill) for name, value in net.state_dict().items()} for fill in (1, 2)]

    def load():
        while going_on:
            for state in states:
                net.load_state_dict(state)

    net.load_state_dict(states[0])
    thread = threading.Thread(target=load)
    thread.start()
    found = [{float(value.flat[0]) for value in net.state_dict().values()} for _ in range(300)]
    going_on.clear()
    thread.join()
    expect(all(len(fills) == 1 for fills in found), 'weights of two moments')


def test_forms():
    expect('NETWORK'.lower() in ndarts.ir(NETWORK, form='ast') and 'graph @forward' in ndarts.ir(NETWORK), 'the tree, the graph')
    expect(ndarts.ir(ndarts.ir(NETWORK)) == ndarts.ir(NETWORK), 'IR is a text too')
    for form, words in (('stages', 'stage'), ('plan', '"kernels"'), ('c', 'static'), ('cu', '__global__'), ('dot', 'digraph')):
        expect(words in ndarts.ir(NETWORK, form=form), f'{form}: {ndarts.ir(NETWORK, form=form)[:500]}')
    expect(ndarts.ir(NETWORK, after='fold-batch-norm').startswith('# ---- @infer after fold-batch-norm ----\n'), 'after')
    search = os.path.join(ndarts.library_folder(), 'specs', 'fashion_quick.nd')
    small = {'C': 2, 'layers': 3}
    expect('graph @search-weights' in ndarts.ir(search, graph='search-weights', after='differentiate', set=small), 'a graph of a step')
    expect_error(ndarts.InputError, ["unknown pass 'fose'; did you mean 'fuse'?"], lambda: ndarts.ir(NETWORK, after='fose'))
    expect_error(ndarts.InputError, ["unknown form 'ptx'"], lambda: ndarts.ir(NETWORK, form='ptx'))
    expect_error(ndarts.InputError, ["unknown graph 'fly'"], lambda: ndarts.ir(NETWORK, graph='fly'))
    expect_error(ndarts.InputError, ['not c'], lambda: ndarts.ir(NETWORK, form='c', after='fuse'))
    expect(ndarts.stats(NETWORK)['macs'] == 10398, ndarts.stats(NETWORK))
    table = ndarts.cost(NETWORK, batch=2)
    expect(table['batch'] == 2 and table['whole_ms'] > 0 and table['rest_ms'] >= 0, table)


def test_genotypes():
    values = np.zeros((14, 8))
    values[:, 4] = 1 # sep_conv_3x3
    text = ndarts.derive({'alphas_normal': values, 'alphas_reduce': values}, name='mine')
    expect('genotype mine {' in text and text.count('sep_conv_3x3(') == 16, text)
    kept = ndarts.derive({'alphas_normal': values[:, :7], 'alphas_reduce': values[:, :7]}, spec='specs/fashion_quick.nd', keep_ops=2, name='few')
    expect('space few {' in kept, kept)
    expect_error(ndarts.InputError, ["no architecture parameters 'alphas_reduce'"], lambda: ndarts.derive({'alphas_normal': values}))
    try:
        svg = ndarts.draw(text)
        expect(svg.startswith('<svg') and svg._repr_svg_() == str(svg), svg[:100])
    except ndarts.MachineError as error:
        print(f'skipped: {error}')
    expect_error(ndarts.InputError, ['no network of a genotype'], lambda: ndarts.draw(NETWORK))


def test_threads():
    """Several at once, of one net and of their own."""
    net, found = ndarts.compile(NETWORK, threads=2), []

    def use(own):
        mine = ndarts.compile(NETWORK, threads=1, batch=2) if own else net
        for _ in range(3):
            found.append(np.array_equal(mine(X), wanted))

    wanted = net(X)
    threads = [threading.Thread(target=use, args=(i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(found == [True] * 12, found)


def main():
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith('test_'):
            continue
        try:
            test()
            print(f'  ok      {name}')
        except Exception as failure: # whatever it is, the others are run too
            failed += 1
            print(f'  FAILED  {name}: {type(failure).__name__}: {failure}')
    return failed


if __name__ == '__main__':
    raise SystemExit(main())
