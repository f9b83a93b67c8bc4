#!/usr/bin/env python3
"""A file given in place of another is called by what it is, with what takes it: every kind of file to every option that reads
one; exit code 1, nothing written."""
import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile

from _run import BUILD, COMPILER, RUN, SOURCE, expect, main, read, run, write

CHECKPOINTS = os.path.join(SOURCE, 'tests', 'data', 'checkpoints')
IMAGES = os.path.join(SOURCE, 'tests', 'data', 'images')
NET = 'network main(classes = 3, H = 4, W = 4, channels = 3) on x { return x | global_avg_pool | classifier: linear(classes) }\n'


def zipped(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for name in names:
            archive.writestr(name, b'12345678')
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        archive.addfile(tarfile.TarInfo('model.pt'), io.BytesIO(b''))
    return out.getvalue()


def elf(machine):
    return b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HH', 3, machine) + bytes(44)


def npy():
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 4, 4), }"
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(header) + 1) + header + b'\n' + bytes(192)


GENOTYPE = "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], reduce=None, reduce_concat=None)\n"
KINDS = {  # what is in the file, and what it is called; None: by whoever reads it
    'pt': (read(CHECKPOINTS, 'bare_zip.pt'), 'a PyTorch checkpoint'),
    'pth.tar': (read(CHECKPOINTS, 'bare_legacy.pt'), 'a PyTorch checkpoint'),
    'pkl': (b'\x80\4\x95\x0b\0\0\0\0\0\0\0}\x94\x8c\1a\x94K\1s.', 'a Python pickle'),
    'safetensors': (read(CHECKPOINTS, 'expected.safetensors'), 'a safetensors file'),
    'npy': (npy(), 'an array of numpy'),
    'npz': (zipped('arr_0.npy'), 'an archive of numpy arrays'),
    'zip': (zipped('readme.txt'), 'a zip archive'),
    'keras': (zipped('metadata.json', 'config.json'), 'a Keras model'),
    'h5': (b'\x89HDF\r\n\x1a\n' + bytes(100), 'an HDF5 file'),
    'onnx': (b'\x08\x08\x12\x07pytorch\x1a\x052.0.0:\x10' + bytes(20), 'an ONNX model'),
    'gguf': (b'GGUF\3\0\0\0' + bytes(20), 'a GGUF file'),
    'tflite': (b'\x1c\0\0\0TFL3' + bytes(20), 'a TensorFlow Lite model'),
    'jpg': (read(IMAGES, 'baseline.jpg'), 'a JPEG picture'),
    'png': (read(IMAGES, 'palette.png'), 'a PNG picture'),
    'gif': (b'GIF89a\1\0\1\0\0\0\0;', 'a GIF picture'),
    'webp': (b'RIFF\x1a\0\0\0WEBPVP8L' + bytes(20), 'a WebP picture'),
    'bmp': (b'BM\x3a\0\0\0\0\0\0\0\x36\0\0\0' + bytes(40), 'a BMP picture'),
    'tif': (b'II*\0\x08\0\0\0' + bytes(20), 'a TIFF picture'),
    'pdf': (b'%PDF-1.5\n%\xd0\xd4\n', 'a PDF document'),
    'svg': (b'<svg xmlns="http://www.w3.org/2000/svg"/>\n', 'an SVG, XML or HTML text'),
    'idx': (b'\0\0\x08\3\0\0\0\1\0\0\0\2\0\0\0\2' + bytes(4), 'an IDX file'),
    'gz': (gzip.compress(b'12345678'), 'a file compressed by gzip'),
    'tar': (tarred(), 'a tar archive'),
    'xz': (b'\xfd7zXZ\0' + bytes(20), 'a compressed archive'),
    'so': (elf(62), 'a shared object or program'),
    'cubin': (elf(190), 'a CUDA module'),
    'json': (b'{"epoch": 3}\n', 'a JSON text'),
    'py': (b'import torch\nfrom torch import nn\nclass Net(nn.Module):\n    pass\n', 'Python source'),
    'ir': (b'set kind = "network"\ngraph @forward(%input: f32[N,4,4,3]) {\n  return %input\n}\n', 'a printed graph'),
    'nd': (NET.encode(), 'a text in the ndarts language'),
    'genotype': (GENOTYPE.encode(), 'a genotype of another program'),
    'log': (b'it did not work at all today\n', None),
    'empty': (b'', None),
    'noise': (bytes(range(255, 200, -1)) * 3, None),
    'utf16': ('network main'.encode('utf-16'), None),
}
# What each command takes itself. The last operand is the file.
OPTIONS = {
    'infer --weights': (('safetensors',), RUN, 'infer', 'net.nd', '--input', 'x.npy', '--output', 'no.npy', '--weights'),
    'eval --weights': (('safetensors',), RUN, 'eval', 'net.nd', '--data', 'synthetic()', '--weights'),
    'export --weights': (('safetensors',), RUN, 'export', 'net.nd', '-o', 'no.onnx', '--weights'),
    'ndartsc --weights': (('safetensors',), COMPILER, 'net.nd', '--emit=c', '-o', 'no.c', '--weights'),
    'train --init': (('safetensors',), RUN, 'train', 'train.nd', '--out', 'no', '--init'),
    'trace --feed': (('safetensors',), RUN, 'trace', 'net.nd', '-o', 'no.st', '--feed'),
    'derive': (('safetensors',), RUN, 'derive'),
    'infer --input': (('npy',), RUN, 'infer', 'net.nd', '--weights', 'w.st', '--output', 'no.npy', '--input'),
    'import': (('pt', 'pth.tar', 'safetensors'), RUN, 'import', '-o', 'no.st'),
    'ndartsc': (('nd', 'genotype', 'ir'), COMPILER, '--emit=stats'),
    'train': (('nd', 'genotype', 'ir'), RUN, 'train', '--recipe', 'fashion_quick', '--out', 'no'),
    'search': (('nd', 'genotype', 'ir'), RUN, 'search', '--out', 'no'),
    'infer NET': (('nd', 'genotype', 'ir', 'so', 'cubin'), RUN, 'infer', '--weights', 'w.st', '--input', 'x.npy', '--output', 'no.npy'),
    'genotype': (('nd', 'genotype'), RUN, 'genotype'),
    'infer PICTURE': (('jpg', 'png', 'gif', 'webp', 'bmp', 'tif'), RUN, 'infer', 'net.nd', '--weights', 'w.st'),
    'infer --classes': (('svg', 'json', 'py', 'ir', 'nd', 'genotype', 'log', 'empty', 'noise', 'utf16'), RUN, 'infer', 'net.nd', '--weights', 'w.st',
                        'picture.png', '--classes'),
    'ndarts-opt': (('ir', 'empty'), os.path.join(BUILD, 'bin', 'ndarts-opt')),
}
UNDER_OTHER_NAMES = {  # the end of the name says how it is read
    'infer NET.so': (('so',), 'other.so', RUN, 'infer', '--weights', 'w.st', '--input', 'x.npy', '--output', 'no.npy'),
    'infer NET.ir': (('ir',), 'other.ir', RUN, 'infer', '--weights', 'w.st', '--input', 'x.npy', '--output', 'no.npy'),
    'ndartsc NET.ir': (('ir',), 'other.ir', COMPILER, '--emit=stats'),
    'import in a text': (('nd',), 'other.nd', COMPILER, 'imports.nd', '--emit=stats', '--set'),
}


def prepare():
    write('net.nd', NET)
    write('train.nd', 'network small(classes = 3, H = 4, W = 4, channels = 3) on x { return x | global_avg_pool | linear(classes) }\n'
          'train { network small  data synthetic(classes = 3, H = 4, W = 4)  epochs 1  batch 2 }\n')
    write('imports.nd', 'import "other.nd"\nnetwork main = single(skip_connect, C = 4, H = 4, W = 4)\n')
    with open('x.npy', 'wb') as file:
        file.write(npy())
    header = (b'{"classifier.weight":{"dtype":"F32","shape":[3,3],"data_offsets":[0,36]},'
              b'"classifier.bias":{"dtype":"F32","shape":[3],"data_offsets":[36,48]}}')
    with open('picture.png', 'wb') as file:
        file.write(KINDS['png'][0])
    with open('w.st', 'wb') as file:
        file.write(struct.pack('<Q', len(header)) + header + bytes(48))
    for kind, (data, _) in KINDS.items():
        with open(f'file.{kind}', 'wb') as file:
            file.write(data)


def refused(title, kind, path, *command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=100, check=False)
    said, what = done.stderr.decode(errors='replace'), KINDS[kind][1]
    expect(done.returncode == 1, f'{title} of {kind}: exit code {done.returncode}\n{said}')
    expect(path in said and (not what or what in said), f'{title} of {kind}: expected {path} and "{what}"\n{said}')
    expect(len(said) < 4000, f'{title} of {kind}: {len(said)} bytes of messages')


def every_kind_to_every_option():
    prepare()
    for title, (taken, *command) in OPTIONS.items():
        for kind in KINDS:
            if kind not in taken:
                refused(title, kind, f'file.{kind}', *command, f'file.{kind}')
    left = [name for name in os.listdir('.') if name.startswith('no') and not (os.path.isdir(name) and os.listdir(name) == ['.lock'])]
    expect(not left, f'left behind: {left}')


def by_the_end_of_their_names():
    prepare()
    for title, (taken, name, *command) in UNDER_OTHER_NAMES.items():
        for kind, (data, _) in KINDS.items():
            if kind in taken or (title == 'import in a text' and kind in ('genotype', 'log', 'empty', 'noise', 'utf16')):
                continue
            with open(name, 'wb') as file:
                file.write(data)
            refused(title, kind, name, *command, 'C=4' if command[-1] == '--set' else name)


def what_to_do():
    prepare()
    write('graph.txt', KINDS['ir'][0].decode())
    run(COMPILER, 'graph.txt', '--emit=stats', code=1, says='a printed graph, not a text in the ndarts language; it is read as one under')
    for kind, option, says in (('pt', 'infer --weights', '; `ndarts-run import FILE -o W.safetensors` makes weights of it'),
                               ('pt', 'derive', 'not weights in safetensors; `ndarts-run import FILE'),
                               ('safetensors', 'ndartsc', 'not a text in the ndarts language; --weights and --init take it'),
                               ('png', 'infer --input', 'not an array of numpy (.npy); `ndarts-run infer` takes pictures')):
        _, *command = OPTIONS[option]
        run(*command, f'file.{kind}', code=1, says=says)


def folders():
    prepare()
    os.mkdir('folder')
    for title, (_, *command) in OPTIONS.items():
        run(*command, 'folder', code=1, says='folder')
    run(COMPILER, 'folder', '--emit=stats', code=1, says='folder: a folder, not a text in the ndarts language')
    run(RUN, 'report', 'net.nd', code=1, says='net.nd: a text in the ndarts language, not the folder of a run')


if __name__ == '__main__':
    sys.exit(main([every_kind_to_every_option, by_the_end_of_their_names, what_to_do, folders]))
