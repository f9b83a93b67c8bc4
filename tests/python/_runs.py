"""Searches, trainings and evaluations of the package: run by package.py in an environment that has the wheel, numpy and nothing of the source
tree. RUN is ndarts-run, whose results must be the same bytes."""
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import ndarts
import numpy as np

RUN = os.environ['NDARTS_TEST_RUN']
SPEC = '''import "darts.nd"
space small {
    candidates = [max_pool_3x3, skip_connect, sep_conv_3x3]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space small   network cifar_search(C = 2, layers = 3)
    noise on skip_connect { gaussian additive std = 0.2 mean = 0 }
    data synthetic(limit = 64, H = 8, W = 8, classes = 4, crop = 1, flip = true)
    epochs 3  batch 8  frozen_epochs 1  seed 5
    weights sgd(lr = cosine(0.05, 0.001), momentum = 0.9, decay = 3e-4, clip = 5)
    alphas adam(lr = 1e-2, betas = (0.5, 0.999), decay = 1e-3)
}
'''
TRAIN = '''network main(classes ?= 4, H = 8, W = 8, channels = 3) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data synthetic(limit = 256, H = 8, W = 8, classes = 4)
    epochs 3  batch 16  seed 2
    weights sgd(lr = cosine(0.1, 0.001), momentum = 0.9)
}
'''
RESULTS = ('checkpoint.safetensors', 'metrics.jsonl', 'alphas.jsonl', 'genotypes.jsonl', 'genotype.nd')


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


def read(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def expect_same(out, names=RESULTS, whole='whole'):
    for name in names:
        expect(read(out, name) == read(whole, name), f'{name} of {out} and {whole} differ')


def test_search():
    """The files of the shell's search, byte by byte; its words too, but for times."""
    with open('tiny.nd', 'w', encoding='utf-8') as file:
        file.write(SPEC)
    done = subprocess.run([RUN, 'search', 'tiny.nd', '--out', 'whole', '--threads', '1'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    epochs, steps, said = [], [], []
    run = ndarts.search('tiny.nd', out='ours', on_epoch=epochs.append, on_step=steps.append, on_message=said.append, threads=1)
    expect_same('ours')
    expect(done.stdout == run.genotype, 'the genotype')
    varies = lambda line: line.startswith(('compiled', 'results')) or line.endswith((' left', ' idle cores', ' idle core'))
    begin = lambda text: [line[:30] for line in text.splitlines() if not varies(line)]
    expect(begin(done.stderr) == begin(''.join(said)), f'{done.stderr}\nand\n{"".join(said)}')
    expect([e.epoch for e in epochs] == [0, 1, 2] and all(e.epochs == 3 and e.seconds > 0 for e in epochs), epochs)
    expect([dict(e) for e in epochs] == run.metrics and epochs[0].accuracy == epochs[0]['valid_accuracy'], 'metrics')
    expect(epochs[2].genotype in run.genotype and ndarts.stats(epochs[0].genotype)['parameters'] > 0, epochs[2].genotype)
    expect([(s.epoch, s.step) for s in steps] == [(e, s + 1) for e in range(3) for s in range(4)] and steps[0].steps == 4, steps)
    expect({name: value.shape for name, value in run.alphas.items()} == {'alphas_normal': (5, 3), 'alphas_reduce': (5, 3)}, run.alphas)
    derived = ndarts.derive(run.alphas, spec='tiny.nd', name='tiny')
    expect(derived == ndarts.derive('ours', name='tiny') and derived in run.genotype, derived)
    expect(len(run.alphas_by_epoch) == 3 and repr(run) == '<ndarts.SearchRun ours, 3 epochs>', repr(run))


def search(text, **others):
    return ndarts.search(text, threads=1, **others)


def stop_by_false(_step):
    return False


def stop_by_raising(_step):
    raise ZeroDivisionError('mine')


def stop_by_signal(_step):
    os.kill(os.getpid(), signal.SIGINT) # what Ctrl-C does


def test_interruption():
    """However it is asked for: saved, and resumed to the same bytes; signals are as they were."""
    for stop, kind, words in ((stop_by_false, ndarts.Interrupted, ['interrupted in epoch 2 after 1 of 4 steps', 'resume=True goes on']),
                              (stop_by_raising, ZeroDivisionError, ['mine']), (stop_by_signal, KeyboardInterrupt, ['epoch 2'])):
        out = stop.__name__
        expect_error(kind, words, lambda: search('tiny.nd', out=out, on_step=lambda s: stop(s) if s.epoch == 1 else None))
        expect(signal.getsignal(signal.SIGINT) is signal.default_int_handler, 'the handler of Ctrl-C')
        run = search('tiny.nd', out=out, resume=True)
        expect(len(run.metrics) == 3, run.metrics)
        expect_same(out)
    expect_error(ndarts.Interrupted, ['interrupted in epoch 2 after 0 of 4 steps'], lambda: search('tiny.nd', out='epoch', on_epoch=lambda e: False))
    expect(len(search('tiny.nd', out='epoch', resume=True).metrics) == 3, 'ended by a callback of an epoch, and resumed')
    expect_same('epoch')


class Late(Exception):
    pass


def say_late(_number, _frame):
    raise Late('a signal')


def test_signals():
    """What the handler of a signal raises, wherever the run is, comes out of it, saved; the handlers are as they were."""
    for number in (signal.SIGINT, signal.SIGUSR1):
        before, out = signal.signal(number, say_late), f'signal{int(number)}'
        thread = threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getpid(), number)))
        try:
            search('tiny.nd', out=out, set={'search.epochs': 10000}, on_step=lambda s: thread.start() if (s.epoch, s.step) == (1, 1) else None)
            raise Failure('the run went on')
        except Late as late:
            expect('resume=True goes on' in str(late.__cause__), late.__cause__)
        expect(signal.getsignal(number) is say_late, 'the handler')
        signal.signal(number, before)
        expect(os.path.exists(f'{out}/checkpoint.safetensors'), 'saved')


def test_compiling():
    """Asked to end before the C compiler runs, it does not run."""
    usual, own = os.environ['XDG_CACHE_HOME'], os.path.abspath('own')  # which no other test fills
    os.environ['XDG_CACHE_HOME'] = own
    expect_error(ndarts.Interrupted, ['before the first step'],
                 lambda: search(SPEC.replace('C = 2', 'C = 3'), out='compiling', on_message=lambda text: not text.startswith('compiling')))
    os.environ['XDG_CACHE_HOME'] = usual
    added = [name for name in os.listdir(os.path.join(own, 'ndarts')) if name.endswith(('.o', '.so'))]
    expect(not added and not os.path.exists('compiling/checkpoint.safetensors'), added)


def test_texts():
    """From memory, in another thread, and one at a time."""
    found = []

    def second(step):
        if not found:
            expect_error(ndarts.InputError, ['one at a time'], lambda: search(SPEC, out='second'))
        found.append(step)

    thread = threading.Thread(target=lambda: search(SPEC, out='memory', on_step=second, set={'search.epochs': 3}))
    thread.start()
    thread.join()
    expect(len(found) == 12, found)
    expect_same('memory', ('metrics.jsonl', 'alphas.jsonl'))
    expect_error(ndarts.InputError, ["text:7:27: error: unknown operation 'cifer_search'", '^~~~~~~~~~~~\n', '1 mistake'],
                 lambda: search(SPEC.replace('cifar_search', 'cifer_search'), out='no'))
    expect_error(ndarts.InputError, ['nothing to resume'], lambda: search(SPEC, out='none', resume=True))
    expect(not os.path.exists('no'), 'a text with mistakes made a folder')


def test_train():
    epochs = []
    run = ndarts.train(TRAIN, out='trained', on_epoch=epochs.append, threads=1)
    with open('train.nd', 'w', encoding='utf-8') as file:
        file.write(TRAIN)
    subprocess.run([RUN, 'train', 'train.nd', '--out', 'shell', '--threads', '1'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    expect_same('trained', ('metrics.jsonl', 'weights.safetensors', 'result.json'), 'shell')
    expect([dict(e) for e in epochs] == run.metrics and len(epochs) == 3 and epochs[0].genotype is None, epochs)
    net = ndarts.compile(TRAIN, weights=run.weights, network='main')
    result = ndarts.evaluate(TRAIN, net, threads=1)
    expect(result['accuracy'] == run.accuracy == run.result['last']['accuracy'] == epochs[2].accuracy, result)
    expect(result == {**ndarts.evaluate(TRAIN, run.weights, threads=1), 'images_per_second': result['images_per_second']}, 'weights in a file')
    expect(ndarts.evaluate(TRAIN, net.state_dict(), part='train', threads=1)['part'] == 'train', 'part')
    diverged = ndarts.Epoch(ndarts._library.RunEpoch(metrics=b'{"valid_accuracy": 0.5, "valid_loss": null}'))
    expect(math.isnan(diverged.loss) and diverged['valid_loss'] is None, 'a loss that is no number')
    recipe = pathlib.Path(ndarts.library_folder()) / 'specs' / 'recipes' / 'quick.nd'
    expect_error(ndarts.InputError, ['nothing'], lambda: ndarts.train(TRAIN, out='x', recipe=recipe, set={'nothing': 1}))
    expect_error(ndarts.InputError, ['takes test or train'], lambda: ndarts.evaluate(TRAIN, net, part='all'))
    expect_error(ndarts.InputError, ['holds no weights'], lambda: ndarts.evaluate(TRAIN))
    expect_error(ndarts.InputError, ['batch'], lambda: ndarts.train(TRAIN, out='x', set={'train.batch': 0}, threads=1))
    expect_error(ndarts.InputError, ['no_such'], lambda: ndarts.train(TRAIN, out='x', recipe='no_such'))


def test_cost():
    """A table goes from one call to the other."""
    text = SPEC.replace('epochs 3', 'objective latency(target = 1)  epochs 1')
    table = ndarts.cost(text)
    for item in table['items']:
        item['ms'] = 0.0
    table['rest_ms'] = 2.5
    with open('cost.json', 'w', encoding='ascii') as file:
        json.dump(table, file)
    run = ndarts.search(text, out='priced', cost='cost.json')
    expect(abs(run.metrics[-1]['latency_ms'] - 2.5) < 1e-6, run.metrics)


def test_silence():
    """The library prints nothing: what it says goes to the caller."""
    program = f'import ndarts\nndarts.search({SPEC!r}, out="silent", set={{"search.epochs": 1}}, threads=1)\n'
    done = subprocess.run([sys.executable, '-c', program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    expect(done.stdout == '', done.stdout)


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
