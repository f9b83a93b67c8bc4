#!/usr/bin/env python3
"""ndarts-run search and derive as a user runs them, on a tiny supernet and synthetic images: the same bits for any number of
threads and for interrupted + resumed runs; broken checkpoints and data files are refused by name; a full disk keeps the
checkpoint before it."""
import json
import math
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import _metadata
import _safetensors

BUILD = os.environ['NDARTS_BUILD']
RUN = os.path.join(BUILD, 'bin', 'ndarts-run')
COMPILER = os.path.join(BUILD, 'bin', 'ndartsc')

SPEC = '''import "darts.nd"
search {
    space darts
    network cifar_search(C=2, layers=3)
    noise on skip_connect { gaussian additive std=0.2 mean=0 }
    drop_path on skip_connect { probability=0.3 }
    data synthetic(limit=512, H=8, W=8, classes=4, crop=1, flip=true, cutout=3)
    epochs 3  batch 8  frozen_epochs 1  seed 5
    weights sgd(lr=cosine(0.05, 0.001), momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
RESULTS = ('checkpoint.safetensors', 'metrics.jsonl', 'alphas.jsonl', 'genotype.nd', 'normal.dot', 'reduce.dot')


class Failure(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Failure(message)


def run(*arguments, code=0, says='', **options):
    """Runs a program to its end; returns stdout and stderr."""
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=500, check=False,
                          **options)
    shown = f'{" ".join(arguments)}\nexit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}'
    expect(done.returncode == code, shown)
    expect(says in done.stderr, f'{shown}\nexpected in stderr: {says}')
    return done.stdout, done.stderr


def read(*path):
    with open(os.path.join(*path), 'rb') as file:
        return file.read()


def search(out, *options, **more):
    threads = [] if any(option.startswith('--threads') for option in options) else ['--threads', '1']
    return run(RUN, 'search', 'tiny.nd', '--out', out, *threads, *options, **more)


def interrupt(out, line, delay, *options):
    """Starts a search, sends SIGINT `delay` seconds after `line` was printed; returns what it said."""
    process = subprocess.Popen([RUN, 'search', 'tiny.nd', '--out', out, *options], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    said = ''
    for text in process.stderr:
        said += text
        if line in text:
            break
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    said += process.stderr.read()
    expect(process.wait(timeout=300) == 130, f'interrupted search: exit code {process.returncode}\n{said}')
    expect('--resume goes on' in said, said)
    return said


def expect_same(first, second, names=RESULTS):
    for name in names:
        expect(read(first, name) == read(second, name), f'{first}/{name} and {second}/{name} differ')


def lines_of(*path):
    return [json.loads(line) for line in read(*path).decode().splitlines()]


def test_threads_do_not_matter():
    stdout, _ = search('one')
    search('two', '--threads=2')
    expect_same('one', 'two')
    expect(stdout == read('one', 'genotype.nd').decode(), 'stdout is not the genotype')
    metrics = lines_of('one', 'metrics.jsonl')
    expect([m['epoch'] for m in metrics] == [0, 1, 2], 'epochs')
    expect([m['frozen'] for m in metrics] == [True, False, False], 'frozen epochs')
    expect([m['alphas_updates'] for m in metrics] == [0, 32, 64], 'updates of the alphas')
    expect(metrics[0]['alphas_loss'] is None and metrics[1]['alphas_loss'] > 0, 'loss of the alphas')
    expect(metrics[2]['train_loss'] < metrics[0]['train_loss'], 'the loss does not fall')
    alphas = lines_of('one', 'alphas.jsonl')
    expect(alphas[0]['alphas_normal'] != alphas[2]['alphas_normal'], 'the alphas did not move')
    expect(all(abs(sum(row) - 1) < 1e-9 for row in alphas[2]['alphas_reduce']), 'softmax weights do not sum to 1')


def test_seed_matters():
    search('seeded', '--seed', '6')
    expect(read('one', 'metrics.jsonl') != read('seeded', 'metrics.jsonl'), '--seed changes nothing')
    stderr = search('seeded', '--seed', '6')[1]
    expect('what earlier runs left in seeded is now in seeded/earlier-' in stderr, 'the earlier search is not set aside')


def test_interrupted_and_resumed():
    # In the first epoch, then in a later one; between them another number of threads.
    said = interrupt('halves', 'steps per epoch', 0.05, '--threads', '1')
    expect('interrupted in epoch 1 after ' in said, said)
    interrupt('halves', 'epoch 1/3:', 0.02, '--resume', '--threads', '2')
    search('halves', '--resume')
    expect_same('one', 'halves')


def test_finished_search_resumes_to_nothing():
    before = read('one', 'checkpoint.safetensors')
    stdout, _ = search('one', '--resume')
    expect(stdout == read('one', 'genotype.nd').decode(), 'stdout is not the genotype')
    expect(before == read('one', 'checkpoint.safetensors'), 'the checkpoint of a finished search changed')


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))


def test_full_disk_keeps_the_checkpoint():
    interrupt('full', 'epoch 1/3:', 0.0, '--threads', '1')
    before = read('full', 'checkpoint.safetensors')
    search('full', '--resume', code=2, says='checkpoint.safetensors', preexec_fn=limit_file_size)
    expect(before == read('full', 'checkpoint.safetensors'), 'the checkpoint is not as before')
    left = [name for name in os.listdir('full') if 'tmp' in name]
    expect(not left, f'left behind: {left}')
    search('full', '--resume')
    expect_same('one', 'full')


def broken(change):
    """A folder with the checkpoint of 'one', changed."""
    shutil.rmtree('broken', ignore_errors=True)
    os.mkdir('broken')
    data = bytearray(read('one', 'checkpoint.safetensors'))
    with open('broken/checkpoint.safetensors', 'wb') as file:
        file.write(change(data))


def flipped(data):
    data[-1000] ^= 1
    return data


def test_broken_checkpoints():
    search('nothing', '--resume', code=1, says="nothing to resume: there is no folder 'nothing'")
    broken(flipped)
    search('broken', '--resume', code=1, says='broken/checkpoint.safetensors: corrupted checkpoint: its contents have the checksum')
    run(RUN, 'derive', 'broken/checkpoint.safetensors', code=1, says='corrupted checkpoint')
    broken(lambda data: data[:len(data) // 2])
    search('broken', '--resume', code=1, says='broken/checkpoint.safetensors')
    broken(lambda data: data[:5])
    search('broken', '--resume', code=1, says='broken/checkpoint.safetensors')
    broken(lambda data: data)
    search('broken', '--resume', '--set', 'search.batch=4', code=1,
           says='of another search: search.batch is 4 here, 8 in the checkpoint')
    search('broken', '--resume', '--seed', '7', code=1, says='began with seed 5, not 7')


def test_another_build_is_refused():
    broken(lambda data: data)
    _metadata.change('broken/checkpoint.safetensors', identity='another compiler')
    search('broken', '--resume', code=1, says="'another compiler' in the checkpoint; --allow-different-build goes on anyway")
    search('broken', '--resume', '--allow-different-build')


def test_init():
    search('begun', '--init', 'one/checkpoint.safetensors', '--set', 'search.epochs=1')
    loss = lines_of('begun', 'metrics.jsonl')[0]['train_loss']
    expect(loss < lines_of('one', 'metrics.jsonl')[0]['train_loss'], 'the given weights are not used')
    kept = {name: values for name, values in _safetensors.floats('one/checkpoint.safetensors').items() if '/' not in name}
    expect(len(kept) < len(_safetensors.floats('one/checkpoint.safetensors')), 'the checkpoint has no momenta')
    _safetensors.write('weights.safetensors', kept)
    metrics = lines_of('begun', 'metrics.jsonl')
    search('begun', '--init', 'weights.safetensors', '--set', 'search.epochs=1')
    expect(lines_of('begun', 'metrics.jsonl') == metrics, 'the momenta of the checkpoint are used')
    search('begun', '--init', 'missing.safetensors', code=1, says='missing.safetensors')
    with open('empty.safetensors', 'wb') as file:
        file.write(struct.pack('<Q', 8) + b'{}      ')
    search('begun', '--init', 'empty.safetensors', '--set', 'search.epochs=1', code=1, says='error: empty.safetensors: does not fit the network: ')


def test_data_mistakes():
    os.makedirs('cifar', exist_ok=True)
    spec = SPEC.replace('synthetic(limit=512, H=8, W=8, classes=4, crop=1, flip=true, cutout=3)', 'cifar10("cifar") split 0.5')
    expect(spec != SPEC, 'the text was not changed')
    with open('cifar.nd', 'w', encoding='utf-8') as file:
        file.write(spec)
    run(RUN, 'search', 'cifar.nd', '--out', 'c', code=1, says='cifar/data_batch_1.bin: No such file')
    for number in range(1, 6):
        with open(f'cifar/data_batch_{number}.bin', 'wb') as file:
            file.write(bytes(3073 * 4 - (number == 4)))
    run(RUN, 'search', 'cifar.nd', '--out', 'c', code=1,
        says='cifar/data_batch_4.bin: truncated or no CIFAR file: expected a multiple of 3073 bytes, found 12291 bytes')


def test_command_line():
    run(RUN, 'search', code=1, says='search needs a text')
    run(RUN, 'search', 'tiny.nd', '--reusme', code=1, says="unknown option '--reusme' of search; did you mean '--resume'?")
    run(RUN, 'search', 'tiny.nd', '--threads', 'two', code=1, says='--threads two: expected an integer from 0 to 1024')
    run(RUN, 'search', 'tiny.nd', '--threads', '2000', code=1, says='--threads 2000: expected an integer from 0 to 1024')
    run(RUN, 'search', 'missing.nd', code=1, says='missing.nd')
    run(RUN, 'search', 'tiny.nd', '--out', 'tiny.nd/folder', code=1, says='tiny.nd')
    search('order', '--set', 'search.epochs=0', code=1, says='epochs')
    run(RUN, 'derive', code=1, says='derive needs a checkpoint')


def test_missing_kind_of_cell():
    """Said before anything is compiled, where the text says that it is a search."""
    for option in ('layers=1', 'layers=2', 'network.layers=1'):
        _, said = search('lacking', '--set', option, code=1, says='tiny.nd:2:1: error: the network has no normal cell')
        expect('compiling' not in said and not os.path.exists('lacking'), said)


def body(genotype):
    """A genotype without its name."""
    return genotype.split('{', 1)[1].split('\n}', 1)[0]


def test_derive():
    found = body(read('one', 'genotype.nd').decode())
    with open('marked.jsonl', 'wb') as file:
        file.write(b'\xef\xbb\xbf' + read('one', 'alphas.jsonl').replace(b'\n', b'\r\n'))
    for source in ('one/checkpoint.safetensors', 'one/alphas.jsonl', 'marked.jsonl'):
        stdout, _ = run(RUN, 'derive', source)
        expect(body(stdout) == found, f'{source}: another genotype\n{stdout}')
    run(RUN, 'derive', 'one/checkpoint.safetensors', '--name', 'mine', '-o', 'mine.nd', '--draw', '.')
    expect(b'genotype mine {' in read('mine.nd') and b'digraph "reduce"' in read('reduce.dot'), 'derive -o --draw')
    if shutil.which('dot'):
        expect(b'<svg' in read('one', 'normal.svg') and b'<svg' in read('reduce.svg'), 'no drawings')
    run(RUN, 'derive', 'one/alphas.jsonl', '--epoch', '9', code=1, says='no line of epoch 9')
    run(COMPILER, 'mine.nd', '--emit=stats')


RAGGED = '''import "darts.nd"
op mine(C, stride) = relu | conv(C, 1, stride) | batch_norm
space ragged {
    candidates = [none, skip_connect, mine]
    edge normal(0, 2) = [skip_connect, mine]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 1 per node }
}
search {
    space ragged   network cifar_search(C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4)
    epochs 1  batch 8
}
'''


def test_space_of_its_own():
    """Edges with different candidates, and an operation of the text: all results speak of the candidates that there are."""
    with open('ragged.nd', 'w', encoding='utf-8') as file:
        file.write(RAGGED)
    stdout, _ = run(RUN, 'search', 'ragged.nd', '--out', 'own', '--threads', '1')
    alphas = lines_of('own', 'alphas.jsonl')[0]
    expect([len(row) for row in alphas['alphas_normal']] == [2, 3, 3, 3, 3], f'rows of alphas_normal: {alphas}')
    expect(all(abs(sum(row) - 1) < 1e-9 for row in alphas['alphas_normal']), f'softmax weights do not sum to 1: {alphas}')
    entropy, uniform = lines_of('own', 'metrics.jsonl')[0]['alphas_entropy'], (9 * math.log(3) + math.log(2)) / 10
    expect(abs(entropy - uniform) < 1e-4, f'entropy {entropy}, at first near {uniform}')
    run(COMPILER, 'own/genotype.nd', '--emit=stats')
    for file in ('own/alphas.jsonl', 'own/checkpoint.safetensors'):
        derived, _ = run(RUN, 'derive', file, '--spec', 'ragged.nd')
        expect(body(derived) == body(stdout), f'{file}: another genotype\n{derived}')
    for name in ('darts', 'conv', 'main', 'if'):  # taken: by the library's space, the language, the text, a word
        run(RUN, 'derive', 'own/alphas.jsonl', '--spec', 'ragged.nd', '--name', name, '-o', 'taken.nd')
        run(COMPILER, 'taken.nd', '--emit=stats')
    os.remove('ragged.nd')
    derived, _ = run(RUN, 'derive', 'own/checkpoint.safetensors', '-o', 'alone.nd')
    run(COMPILER, 'alone.nd', '--emit=stats')


def main():
    folder = tempfile.mkdtemp(prefix='ndarts-search-')
    os.chdir(folder)
    with open('tiny.nd', 'w', encoding='utf-8') as file:
        file.write(SPEC)
    tests = [test_command_line, test_threads_do_not_matter, test_seed_matters, test_interrupted_and_resumed,
             test_finished_search_resumes_to_nothing, test_full_disk_keeps_the_checkpoint, test_broken_checkpoints,
             test_another_build_is_refused, test_init, test_data_mistakes, test_missing_kind_of_cell, test_derive, test_space_of_its_own]
    chosen = sys.argv[1:]
    failed = 0
    for test in tests:
        if chosen and test.__name__ not in chosen:
            continue
        started = time.time()
        try:
            test()
            print(f'ok      {test.__name__} ({time.time() - started:.1f} s)', flush=True)
        except (Failure, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as failure:
            failed += 1
            print(f'FAILED  {test.__name__}: {failure}', flush=True)
    os.chdir('/')
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
