#!/usr/bin/env python3
"""--resume knows what it goes on with: the same images, wherever they lie; the number of the batch, whether or not those before it
could be read; results that are missing; checkpoints of earlier versions. A disk that is full is known at once."""
import glob
import gzip
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

import _metadata
from _run import RUN, expect, expect_same, lines_of, main, read, run, write
from _safetensors import floats, write as write_tensors

PICTURES = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=2, H=8, W=8)
    data image_folder("pictures", classes=3, H=8, W=8)
    epochs 2  batch 4  seed 5
    weights sgd(lr = 0.01)
}
'''
NUMBERS = PICTURES.replace('image_folder("pictures", classes=3, H=8, W=8)', 'SOURCE').replace(', H=8, W=8)', ', CHANNELS)')
SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data image_folder("broken", classes=3, H=8, W=8) split 0.6
    epochs 3  batch 4  seed 5  frozen_epochs 1
    weights sgd(lr=0.05)
}
'''
TRAIN = SEARCH.replace('search {\n    space darts   network cifar_search(C=2, layers=3)',
                       'train {\n    network cifar(noisy_darts_a, C=2, layers=2)').replace(
                           '"darts.nd"', '"noisy_darts_a.nd"').replace(' split 0.6', '').replace('frozen_epochs 1', 'hold_out 0.3')


def png(path, value, side=8):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + bytes((value * 7 + x * 13 + y * 29 + x * y * value) % 256 for x in range(3 * side)) for y in range(side))
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)) +
                   chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def pictures(folder, per=8):
    shutil.rmtree(folder, ignore_errors=True)
    for part in ('train', 'val'):
        for label, name in enumerate('abc'):
            os.makedirs(f'{folder}/{part}/{name}')
            for i in range(per):
                png(f'{folder}/{part}/{name}/{i}.png', label * 50 + i)


def go(command, text, out, *options, **more):
    return run(RUN, command, text, '--out', out, '--threads', '1', *options, **more)


# ---- the same images ----

def refused(change, says, text='pictures.nd'):
    """A training of one of two epochs goes on only where nothing has changed."""
    go('train', text, 'same', '--resume')
    change()
    said = go('train', text, 'same', '--resume', code=1, says=says)[1]
    expect('--allow-different-data goes on with these' in said and 'compiling' not in said, said)


def test_other_pictures_are_refused():
    pictures('pictures')
    go('train', 'pictures.nd', 'same')
    changes = (
        (lambda: png('pictures/train/a/x.png', 9), 'the training images were 24 in 3 classes, now 25 in 3 classes'),
        (lambda: os.remove('pictures/train/b/3.png'), 'the training images were 24 in 3 classes, now 23'),
        (lambda: os.rename('pictures/train/b/3.png', 'pictures/train/b/03.png'), 'now they are as many, but not the same ones'),
        (lambda: os.rename('pictures/train/b/3.png', 'pictures/train/c/b.png'), 'now they are as many, but not the same ones'),
        (lambda: png('pictures/train/a/3.png', 9, 16), 'now they are as many, but not the same ones'),
        (lambda: os.rename('pictures/train/a', 'pictures/train/d'), 'now they are as many, but not the same ones'),
        (lambda: os.remove('pictures/val/c/0.png'), 'the test images were 24 in 3 classes, now 23'),
        (lambda: png('pictures/val/c/0.png', 9, 16), 'the test images were 24 in 3 classes; now they are as many'),
    )
    for change, says in changes:
        if 'd' in os.listdir('pictures/train'):
            os.rename('pictures/train/d', 'pictures/train/a')
        pictures('pictures')

        def both(change=change):
            change()
            if os.path.exists('pictures/train/d'):
                os.rename('pictures/val/a', 'pictures/val/d')
        refused(both, says)
    said = go('train', 'pictures.nd', 'same', '--resume', '--allow-different-data')[1]
    expect('warning: same began with other images: the test images were 24' in said, said)


def test_moved_pictures_are_the_same():
    pictures('pictures')
    go('train', 'pictures.nd', 'moved')
    os.makedirs('far/away', exist_ok=True)
    shutil.rmtree('far/away/pictures', ignore_errors=True)
    os.rename('pictures', 'far/away/pictures')
    for path in ('far/away/pictures', 'far//away/./pictures/', os.path.abspath('far/away/pictures')):
        go('train', 'pictures.nd', 'moved', '--resume', '--set', f'data.path="{path}"')


def idx(path, magic, extents, data):
    with gzip.open(path, 'wb') if path.endswith('.gz') else open(path, 'wb') as file:
        file.write(struct.pack('>I', magic) + b''.join(struct.pack('>I', e) for e in extents) + bytes(data))


def numbers(folder, change=None, suffix=''):
    os.makedirs(folder, exist_ok=True)
    for part in ('train', 't10k'):
        for name in glob.glob(f'{folder}/{part}*'):
            os.remove(name)
        pixels, labels = [(i * i + 3 * i) % 251 for i in range(12 * 64)], [i % 10 for i in range(12)]
        if change:
            change(part, pixels, labels)
        idx(f'{folder}/{part}-images-idx3-ubyte{suffix}', 0x803, (12, 8, 8), pixels)
        idx(f'{folder}/{part}-labels-idx1-ubyte{suffix}', 0x801, (12,), labels)


def cifar(folder, change=None):
    os.makedirs(folder, exist_ok=True)
    for number in range(1, 7):
        name = f'data_batch_{number}.bin' if number < 6 else 'test_batch.bin'
        data = bytearray((number + i * i) % 251 for i in range(2 * 3073))
        data[0], data[3073] = number, 9 - number
        if change:
            change(number, data)
        with open(f'{folder}/{name}', 'wb') as file:
            file.write(data)


def test_other_numbers_are_refused():
    """Arrays are hashed as a whole, one pixel and one label count; gzipped or not, they are the same."""
    def pixel(of):
        def change(part, pixels, _):
            pixels[333] += part == of
        return change

    def swap(part, _, labels):
        if part == 'train':
            labels[3], labels[4] = labels[4], labels[3]
    write('idx.nd', NUMBERS.replace('SOURCE', 'mnist("numbers")').replace('CHANNELS', 'channels=1'))
    numbers('numbers')
    go('train', 'idx.nd', 'numbered')
    numbers('numbers', suffix='.gz')
    go('train', 'idx.nd', 'numbered', '--resume')
    for change, which in ((pixel('train'), 'training'), (pixel('t10k'), 'test'), (swap, 'training')):
        numbers('numbers', change)
        go('train', 'idx.nd', 'numbered', '--resume', code=1, says=f'the {which} images were 12 in 10 classes; now they are as many')

    def record(part, data):
        data[3000] ^= part == 4
    for size in ('H=32, W=32', 'H=16, W=16'):  # as they are, and made to size
        write('cifar.nd', NUMBERS.replace('SOURCE', f'cifar10("records", {size})').replace('CHANNELS', size))
        cifar('records')
        out = f'records-{size[2:4]}'
        go('train', 'cifar.nd', out)
        go('train', 'cifar.nd', out, '--resume')
        cifar('records', record)
        go('train', 'cifar.nd', out, '--resume', code=1, says='the training images were 10 in 10 classes; now they are as many')


# ---- batches that cannot be read ----

def break_pictures(folder, every):
    pictures(folder, 20)
    for i, path in enumerate(sorted(glob.glob(f'{folder}/train/*/*.png'))):
        if i % every:
            write(path, '')


def interrupted_often(command, text, out):
    """Interrupts a run again and again, wherever it is; how often it stopped within an epoch."""
    inside = 0
    for attempt in range(25):
        resume = ['--resume'] if os.path.exists(f'{out}/checkpoint.safetensors') else []
        process = subprocess.Popen([RUN, command, text, '--out', out, '--threads', '1', *resume], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if 'steps per epoch' in line:
                break
        time.sleep(0.001 * (attempt % 4))
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        code = process.wait(timeout=100)
        if code == 0:
            return inside
        expect(code in (130, -signal.SIGINT), f'exit code {code}')
        state = _metadata.read(f'{out}/checkpoint.safetensors')
        inside += int(state['batch']) > int(state['step']) > 0
    go(command, text, out, '--resume')
    return inside


def test_unreadable_batches():
    found = 0
    for command, text, every, same in (('search', SEARCH, 3, ('alphas.jsonl', 'genotype.nd')),
                                       ('train', TRAIN, 4, ('result.json', 'best.safetensors'))):
        break_pictures('broken', every)
        write(f'{command}-broken.nd', text)
        go(command, f'{command}-broken.nd', f'{command}-whole')
        found += interrupted_often(command, f'{command}-broken.nd', f'{command}-parts')
        expect_same(f'{command}-whole', f'{command}-parts', ('checkpoint.safetensors', 'metrics.jsonl', *same))
    expect(found > 0, 'never stopped after a batch that could not be read')


# ---- results that are missing, and older checkpoints ----

def test_missing_results_are_noticed():
    pictures('pictures')
    go('train', 'pictures.nd', 'complete')

    def resumed(change, *says):
        shutil.rmtree('partly', ignore_errors=True)
        shutil.copytree('complete', 'partly')
        change()
        said = go('train', 'pictures.nd', 'partly', '--resume')[1]
        for text in says:
            expect(text in said, f'no "{text}" in {said}')
        expect(says or 'warning' not in said, said)
    resumed(lambda: None)
    resumed(lambda: os.remove('partly/metrics.jsonl'), 'warning: partly/metrics.jsonl has lines of 0 of the 2 epochs that are done')
    resumed(lambda: write('partly/metrics.jsonl', read('complete', 'metrics.jsonl').decode().splitlines()[1] + '\n'),
            'warning: partly/metrics.jsonl has lines of 1 of the 2 epochs')
    resumed(lambda: write('partly/timing.jsonl', '{"epoch": 1}\n{"epoch": 1}\nx\n'), 'warning: partly/timing.jsonl has lines of 1 of the 2')
    for name in ('run.json', 'network.ir', 'classes.txt'):
        resumed(lambda name=name: os.remove(f'partly/{name}'))
        expect(read('partly', name) == read('complete', name), f'{name} is not as before')


def test_lost_best_weights():
    pictures('pictures')
    process = subprocess.Popen([RUN, 'train', 'pictures.nd', '--out', 'lost', '--threads', '1', '--set', 'epochs=10000'],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith('epoch 3/'):
            break
    process.kill()
    process.wait()
    process.stderr.close()
    os.remove('lost/best.safetensors')
    state = _metadata.read('lost/checkpoint.safetensors')
    done, epochs = int(state['epoch']), str(int(state['epoch']) + 2)
    _metadata.change('lost/checkpoint.safetensors', settings=state['settings'].replace('10000', epochs))
    said = go('train', 'pictures.nd', 'lost', '--resume', '--set', f'epochs={epochs}')[1]
    expect("warning: there is no file 'lost/best.safetensors'" in said, said)
    expect(os.path.exists('lost/best.safetensors') and int(_metadata.read('lost/checkpoint.safetensors')['best.epoch']) >= done, said)


LATER = {name: None for name in ('batch', 'alphas_batch', 'data__images', 'data__classes', 'data__hash', 'test__images',
                                 'test__classes', 'test__hash')}


def test_checkpoints_of_earlier_versions():
    pictures('pictures')
    write('long.nd', PICTURES.replace('epochs 2', 'epochs 40').replace('batch 4', 'batch 1'))
    go('train', 'long.nd', 'never')
    process = subprocess.Popen([RUN, 'train', 'long.nd', '--out', 'older', '--threads', '1'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith('epoch 2/'):
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    expect(process.wait(timeout=100) == 130, said)
    _metadata.change('older/checkpoint.safetensors', **LATER)
    go('train', 'long.nd', 'older', '--resume', says='of an earlier version and does not say which images it is of')
    expect_same('never', 'older', ('checkpoint.safetensors', 'metrics.jsonl', 'result.json'))


# ---- a full disk ----

def small_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_full_disk_is_known_at_once():
    pictures('pictures')
    go('train', 'pictures.nd', 'full')
    before = {name: read('full', name) for name in os.listdir('full') if name != '.lock'}
    for options in ((), ('--seed', '6')):  # in a new folder and where there are results
        for out in ('fresh', 'full'):
            said = go('train', 'pictures.nd', out, *options, code=2, preexec_fn=small_files(20000))[1]
            expect('File too large' in said and 'epoch 1/' not in said, said)
    now = {name: read('full', name) for name in os.listdir('full') if name != '.lock'}
    expect(now == before, f'changed: {sorted(now)}')
    # Full later: the checkpoint of before is whole, and that is said.
    process = subprocess.Popen([RUN, 'train', 'pictures.nd', '--out', 'later', '--threads', '1', '--set', 'epochs=1000000'],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith('epoch 1/'):
            break
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    said = process.stderr.read()
    expect(process.wait(timeout=100) == 2 and 'the state before it is in later: when that is mended, --resume goes on' in said, said)
    run(RUN, 'derive', 'later/checkpoint.safetensors', code=1)
    expect(len(lines_of('later', 'metrics.jsonl')) >= int(_metadata.read('later/checkpoint.safetensors')['epoch']), said)


def test_no_room_for_a_second_checkpoint():
    """What the system says is free is a warning only: with quotas and compression it may be wrong."""
    write('full.c', '#include <sys/statvfs.h>\nint statvfs(const char *p, struct statvfs *s) {\n'
          '    (void)p; *s = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_bavail = BLOCKS}; return 0;\n}\n')
    pictures('pictures')
    for blocks, says in (('1', 'warning: the next checkpoint will not fit: it takes 0.'), ('100000', '')):
        run('cc', '-shared', '-fPIC', f'-DBLOCKS={blocks}', 'full.c', '-o', 'full.so')
        said = go('train', 'pictures.nd', f'room-{blocks}', says=says, env={**os.environ, 'LD_PRELOAD': os.path.abspath('full.so')})[1]
        expect(says or 'warning' not in said, said)


def test_checkpoint_before_the_first_step():
    pictures('pictures', 200)
    process = subprocess.Popen([RUN, 'train', 'pictures.nd', '--out', 'first', '--threads', '1', '--set', 'batch=1'],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if 'steps per epoch' in line:
            break
    process.kill()
    process.wait()
    process.stderr.close()
    state = _metadata.read('first/checkpoint.safetensors')
    expect((state['epoch'], state['step'], state['batch'], state['data.images']) == ('0', '0', '0', '600'), state)
    go('train', 'pictures.nd', 'first', '--resume', '--set', 'batch=1')
    go('train', 'pictures.nd', 'second', '--set', 'batch=1')
    expect_same('first', 'second', ('checkpoint.safetensors', 'result.json'))


def test_what_cannot_be_gone_on_with():
    """Fewer epochs than are done, other sizes, a folder that is not there: nothing is touched."""
    pictures('pictures')
    go('train', 'pictures.nd', 'done')
    before = read('done/result.json')
    go('train', 'pictures.nd', 'done', '--resume', '--set', 'epochs=1', '--allow-different-build', code=1,
       says='1 epochs are asked for, and the training is in epoch 2 already')
    go('train', 'pictures.nd', 'done', '--resume', '--set', 'C=3', code=1, says='another program than the one it was written by')
    expect(read('done/result.json') == before, 'a refused --resume changed the result')
    go('train', 'pictures.nd', 'mistyped', '--resume', code=1, says="nothing to resume: there is no folder 'mistyped'")
    expect(not os.path.exists('mistyped'), 'a refused --resume made a folder')
    for seeds in ('1,1', '0..2,1', '3,1..5'):
        go('train', 'pictures.nd', 'mistyped', '--seeds', seeds, code=1, says='is there twice')


def test_not_a_number():
    """What the last step of an epoch spoils is not kept."""
    pictures('pictures')
    go('train', 'pictures.nd', 'fine', '--set', 'epochs=1')
    weights = {name: tensor for name, tensor in floats('fine/checkpoint.safetensors').items() if '/' not in name}
    shape, _ = weights['classifier.bias']
    write_tensors('large.safetensors', {**weights, 'classifier.bias': (shape, [1e37] * shape[0])})
    go('train', 'pictures.nd', 'spoilt', '--init', 'large.safetensors', '--set', 'batch=24', '--set', 'weights.lr=1000',
       '--set', 'weights.decay=1000', code=1, says='in epoch 1; the last checkpoint is of before')
    kept, given = floats('spoilt/checkpoint.safetensors'), floats('large.safetensors')
    expect(all(kept[name] == given[name] for name in given), 'the checkpoint is not that of before')


def prepare():
    write('pictures.nd', PICTURES)


if __name__ == '__main__':
    os.environ['NDARTS_CFLAGS'] = '-Og'  # compiled in half of the time, which is more than running it takes
    sys.exit(main([prepare, test_other_pictures_are_refused, test_moved_pictures_are_the_same, test_other_numbers_are_refused,
                   test_missing_results_are_noticed, test_lost_best_weights,
                   test_checkpoints_of_earlier_versions, test_full_disk_is_known_at_once,
                   test_no_room_for_a_second_checkpoint, test_checkpoint_before_the_first_step,
                   test_what_cannot_be_gone_on_with, test_not_a_number],
                  thorough=[test_unreadable_batches]))
