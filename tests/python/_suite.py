"""What the package does, call by call. It is run by package.py in an environment that has the wheel, numpy and nothing of the source tree."""
import os
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
