#!/usr/bin/env python3
"""--tensorboard of search and train: the event file is read back record by record, checksums included, and holds the numbers of
metrics.jsonl and timing.jsonl; interrupted and resumed too. When NDARTS_PEERS names a virtual environment with the package
tensorboard, that reads it as well."""
import json
import os
import struct
import subprocess
import sys

from _run import RUN, expect, interrupt, lines_of, main, read, run, write

FILE = 'events.out.tfevents.ndarts'
PEERS = os.environ.get('NDARTS_PEERS') and os.path.join(os.environ['NDARTS_PEERS'], 'bin', 'python')
TRAIN = '''network main(classes ?= 6, H = 8, W = 8, channels = 3) on x {
    return x | conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data synthetic(limit = 64, H = 8, W = 8, classes = 6)
    epochs 3  batch 8
    weights sgd(lr = cosine(0.1, 0), momentum = 0.9, decay = 3e-4, clip = 5)
}
'''
SEARCH = '''import "darts.nd"
search {
    space darts   network cifar_search(C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4)
    epochs 2  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
PEER = '''
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'tensors': 0, 'scalars': 0})
events.Reload()
tags = events.Tags()
found = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags['scalars']}
if not found:
    from tensorboard.util import tensor_util
    found = {tag: [[e.step, float(tensor_util.make_ndarray(e.tensor_proto))] for e in events.Tensors(tag)] for tag in tags['tensors']}
print(json.dumps(found))
'''


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def records(data):
    while data:
        size, = struct.unpack('<Q', data[:8])
        expect(masked(data[:8]) == struct.unpack('<I', data[8:12])[0], 'checksum of a length')
        body = data[12:12 + size]
        expect(len(body) == size and masked(body) == struct.unpack('<I', data[12 + size:16 + size])[0], 'checksum of an event')
        yield body
        data = data[16 + size:]


def fields(data):
    """(number, value) of a protobuf message: integers, raw bytes."""
    def varint():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while data:
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[:size]
            data = data[size:]


def curves(path):
    """{tag: [(step, value)]} and the times."""
    found, times, first = {}, [], None
    for record in records(read(path)):
        event = dict(fields(record))
        times.append(struct.unpack('<d', event[1])[0])
        first = first or event
        for number, value in fields(event.get(5, b'')):
            expect(number == 1, number)
            value = dict(fields(value))
            found.setdefault(value[1].decode(), []).append((event.get(2, 0), struct.unpack('<f', value[2])[0]))
    expect(first and first[3] == b'brain.Event:2', first)
    expect(times == sorted(times) and times[0] > 1.7e9, times)
    return found, times


def expected(folder):
    """The same out of the lines."""
    def tag(key):
        for suffix, section in (('_loss', 'loss'), ('_accuracy', 'accuracy'), ('_accuracy5', 'accuracy5'), ('_lr', 'rate')):
            if key.endswith(suffix):
                return f'{section}/{key[:-len(suffix)]}'
        return 'rate/weights' if key == 'lr' else f'training/{key}'
    curve = {}
    for name in ('metrics.jsonl', 'timing.jsonl'):
        for line in lines_of(folder, name):
            for key, value in line.items():
                if isinstance(value, float) and key != 'seconds':
                    curve.setdefault(tag(key), []).append((line['epoch'], struct.unpack('<f', struct.pack('<f', value))[0]))
    return curve


def check(folder, epochs, tags):
    found, _ = curves(f'{folder}/{FILE}')
    wanted = expected(folder)
    expect(found == wanted, f'{found}\n{wanted}')
    expect(tags <= set(found) and all([step for step, _ in curve] == list(range(epochs)) for curve in found.values()), found)
    if PEERS and subprocess.run([PEERS, '-c', 'import tensorboard'], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        stdout, _ = run(PEERS, '-c', PEER, folder)
        expect({tag: [tuple(pair) for pair in curve] for tag, curve in json.loads(stdout).items()} == found, stdout)
    elif PEERS:
        print('the package tensorboard is not there')


def prepare():
    write('train.nd', TRAIN)
    write('search.nd', SEARCH)


def test_train():
    run(RUN, 'train', 'train.nd', '--out', 'whole', '--tensorboard')
    check('whole', 3, {'loss/train', 'loss/valid', 'accuracy/valid', 'accuracy5/valid', 'accuracy/best', 'rate/weights',
                       'training/grad_norm', 'training/drop_path', 'training/images_per_second'})
    # Anew, without: what is there of the earlier one goes.
    run(RUN, 'train', 'train.nd', '--out', 'whole')
    expect(not os.path.exists(f'whole/{FILE}'), 'an old event file is left')


def test_search():
    run(RUN, 'search', 'search.nd', '--out', 'found', '--tensorboard')
    check('found', 2, {'loss/alphas', 'accuracy/alphas', 'rate/alphas', 'training/alphas_entropy'})


def test_resume():
    """Begun without, resumed with; resumed again, where the file makes it go on."""
    run(RUN, 'train', 'train.nd', '--out', 'part', '--set', 'train.epochs=1')
    for more in (['--tensorboard'], []):
        interrupt('epoch 1/', 0, RUN, 'train', 'train.nd', '--out', 'cut', '--set', 'train.epochs=20000', *more)
        count = len(lines_of('cut', 'metrics.jsonl'))
        interrupt('resuming', 0.3, RUN, 'train', 'train.nd', '--out', 'cut', '--set', 'train.epochs=20000', '--resume', '--tensorboard')
        with open(f'cut/{FILE}', 'ab') as file:
            file.write(b'cut off in the middle')
        interrupt('resuming', 0.3, RUN, 'train', 'train.nd', '--out', 'cut', '--set', 'train.epochs=20000', '--resume')
        epochs = len(lines_of('cut', 'metrics.jsonl'))
        expect(epochs > count, epochs)
        check('cut', epochs, {'loss/train'})


def test_cannot_be_written():
    run(RUN, 'train', 'train.nd', '--out', 'full')
    os.makedirs(f'full/{FILE}') # a folder cannot be written to
    run(RUN, 'train', 'train.nd', '--out', 'full', '--resume', '--tensorboard', code=1, says=FILE)


if __name__ == '__main__':
    sys.exit(main([prepare, test_train, test_search, test_resume, test_cannot_be_written]))
