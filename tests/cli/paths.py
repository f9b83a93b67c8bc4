#!/usr/bin/env python3
"""Names that are no UTF-8, as file systems have them: the text, its data, the folder of results, weights, classes, checkpoints. A
search and a training of such go on, and what is written about them is JSON; so do names with quotes, backslashes and line ends. What is there and cannot be read is not taken for missing."""
import glob
import gzip
import json
import os
import struct
import subprocess
import sys
import zlib

from _run import COMPILER, RUN, Failure, expect, interrupt, main, read

E = b'caf\xe9 \xff'  # no UTF-8
SEARCH = b'''import "darts.nd"
space tiny {
    candidates = [max_pool_3x3, skip_connect]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space tiny  network cifar_search(C = 1, layers = 3, classes = 2)
    data DATA split 0.5
    epochs 2  batch 4
    weights sgd(lr = 0.1)
    alphas adam(lr = 1e-2)
}
'''
TRAIN = b'''network main(classes ?= 2, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | conv(2, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network main
    data DATA
    epochs 2  batch 4
    weights sgd(lr = 0.1)
}
'''


def run(*arguments, code=0, says=b''):
    """As _run.run, but of bytes; returns stdout."""
    done = subprocess.run([os.fsencode(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
    shown = f'{arguments}\nexit code {done.returncode}\n{done.stdout!r}\n{done.stderr.decode(errors="replace")}'
    if done.returncode != code or says not in done.stderr:
        raise Failure(shown)
    return done.stdout


def put(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def png(path, level):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + bytes([level, x * 9, 7]) * 8 for x in range(8))
    put(path, b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 8, 8, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(rows)) +
        chunk(b'IEND', b''))


def folder_of_pictures(name, classes):
    for part in (b'train', b'val'):
        for label, one in enumerate(classes):
            os.makedirs(os.path.join(name, part, one))
            for i in range(8 if part == b'train' else 2):
                png(os.path.join(name, part, one, b'%d %s.png' % (i, E)), 40 + 90 * label + i)


def data_of(name):
    """A data source of the language, with the name in it as it is: only what a string cannot hold is escaped."""
    quoted = name.replace(b'\\', b'\\\\').replace(b'"', b'\\"').replace(b'\n', b'\\n').replace(b'\x01', b'\\x01')
    return b'image_folder("%s", classes = 2, H = 8, W = 8, resize = 8)' % quoted


def jsons(path):
    """Every JSON in a file, which must be UTF-8."""
    text = read(path).decode('utf-8')
    return [json.loads(line) for line in text.splitlines()] if path.endswith(b'.jsonl') else json.loads(text)


def checkpoint_metadata(path):
    data = read(path)
    return json.loads(data[8:8 + struct.unpack('<Q', data[:8])[0]].decode('utf-8'))['__metadata__']


def go_through(name):
    """Everything that search and train do, with `name` in the place of every name."""
    os.mkdir(name)
    os.chdir(name)
    kind = name.replace(b'\n', b'').replace(b'\r', b'')  # a line break is refused in the name of a class
    folder_of_pictures(name, (b'a' + kind, b'b' + kind))
    put(name + b's.nd', SEARCH.replace(b'DATA', data_of(name)))
    put(name + b't.nd', TRAIN.replace(b'DATA', data_of(name)))
    out = b'o' + name
    for command, text in ((b'search', b's.nd'), (b'train', b't.nd')):
        interrupt('epoch 1/2:', 0, os.fsencode(RUN), command, name + text, b'--out', out + text, b'--threads', b'1')
        expect('settings' in checkpoint_metadata(out + text + b'/checkpoint.safetensors'), 'the settings are in the checkpoint')
        run(RUN, command, name + text, '--out', out + text, '--threads', '1', '--resume')
        described = jsons(out + text + b'/run.json')
        expect(described['text'] == escaped(name + text) and described['settings']['data.path'] == escaped(name), f'{described}')
        expect(len(jsons(out + text + b'/metrics.jsonl')) == 2, 'lines of metrics.jsonl')
    run(RUN, 'derive', out + b's.nd/checkpoint.safetensors', '-o', name + b'd.nd', '--name', 'derived')
    expect(read(name + b'd.nd').count(b'genotype derived') == 1, 'derived')
    run(COMPILER, out + b't.nd/network.ir', '--emit=stats')
    run(RUN, 'report', out + b's.nd', out + b't.nd', '-o', name + b'.html')
    read(name + b'.html').decode('utf-8')
    weights = out + b't.nd/weights.safetensors'
    os.rename(weights, name + b'.safetensors')
    for net in (name + b't.nd', out + b't.nd/network.ir'):
        found = json.loads(run(RUN, 'eval', net, '--weights', name + b'.safetensors', '--json').decode('utf-8'))
        expect(found['images'] == 4, f'{found}')
    found = json.loads(run(RUN, 'eval', name + b't.nd', '--weights', name + b'.safetensors', '--json', '--data', b'image_folder:' + name))
    expect(found['images'] == 4, f'{found}')
    picture = glob.glob(name + b'/val/a*/0*.png')[0]
    line = json.loads(run(RUN, 'infer', name + b't.nd', '--weights', name + b'.safetensors', '--json', '--classes', out + b't.nd/classes.txt',
                          picture).decode('utf-8'))
    expect(line['image'] == escaped(picture) and {best['name'] for best in line['best']} == {escaped(b'a' + kind), escaped(b'b' + kind)}, f'{line}')
    os.chdir('..')


def escaped(name):
    """Bytes as JSON has them: those that are no UTF-8, and a backslash before an x, as \\xHH."""
    text = name.decode('utf-8', 'surrogateescape').replace('\\x', '\\x5cx')
    return ''.join(f'\\x{ord(c) - 0xdc00:02x}' if 0xdc80 <= ord(c) < 0xdd00 else c for c in text)


def test_latin1():
    go_through(E)


def test_cut_off_utf8_and_escapes():
    go_through(b'\xe2\x82 \\xe9 \\"')


def test_line_ends():
    go_through(b'a\n\rb\t\x01')


def test_utf8():
    go_through('größe 日本 \u0301'.encode())


def test_idx_in_such_a_folder():
    """The other kind of source."""
    os.mkdir(b'idx' + E)
    for part, count in (('train', 16), ('t10k', 4)):
        with gzip.open(os.path.join(b'idx' + E, os.fsencode(f'{part}-images-idx3-ubyte.gz')), 'wb') as file:
            file.write(struct.pack('>IIII', 0x803, count, 8, 8) + bytes(i % 251 for i in range(count * 64)))
        put(os.path.join(b'idx' + E, os.fsencode(f'{part}-labels-idx1-ubyte')), struct.pack('>II', 0x801, count) + bytes(i % 2 for i in range(count)))
    put(b'idx.nd', TRAIN.replace(b'DATA', b'mnist("idx%s")' % E).replace(b'channels ?= 3', b'channels ?= 1'))
    interrupt('epoch 1/2:', 0, RUN, 'train', 'idx.nd', '--out', 'idx-out', '--threads', '1')
    run(RUN, 'train', 'idx.nd', '--out', 'idx-out', '--threads', '1', '--resume')


def test_there_but_not_to_be_read():
    """Only what is not there is taken for missing: a link that leads to itself, a folder in the place of a file are not."""
    os.mkdir('there')
    put('there/s.nd', SEARCH.replace(b'DATA', b'synthetic()'))
    os.symlink('darts.nd', 'there/darts.nd')
    run(COMPILER, 'there/s.nd', '--emit=stats', code=1, says=b"cannot open 'there/darts.nd'")
    os.remove('there/darts.nd')
    os.mkdir('there/darts.nd')
    run(COMPILER, 'there/s.nd', '--emit=stats', code=1, says=b'there/darts.nd: a folder, not a text')
    os.symlink('r.nd', 'there/r.nd')
    run(RUN, 'train', 'idx.nd', '--recipe', 'there/r.nd', '--out', 'x', code=1, says=b"cannot open 'there/r.nd': Too many levels of symbolic links")
    run(RUN, 'train', 'idx.nd', '--recipe', 'none.nd', '--out', 'x', code=1, says=b"there is no recipe 'none.nd'")
    again = (RUN, 'train', 'idx.nd', '--out', 'o', '--threads', '1', '--set', 'train.epochs=1')
    run(*again)
    for name in ('metrics.jsonl', 'timing.jsonl', 'result.json'):
        os.rename('o/' + name, 'kept')
        os.symlink(name, 'o/' + name)
        run(*again, '--resume', code=1, says=b"cannot open 'o/%s': Too many levels of symbolic links" % name.encode())
        os.rename('kept', 'o/' + name)
    run(*again, '--resume')


if __name__ == '__main__':
    sys.exit(main([test_latin1, test_cut_off_utf8_and_escapes, test_line_ends, test_utf8, test_idx_in_such_a_folder, test_there_but_not_to_be_read]))
