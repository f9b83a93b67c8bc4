#!/usr/bin/env python3
"""`ndarts-run trace|infer|search|train|eval --device=cuda`, unmodified, on stand-ins for the CUDA libraries: the results are the CPU's, and
what can be missing on a machine is named. With NDARTS_REAL_GPU=1 on the libraries and the GPU that are there.

    end_to_end.py [TITLE...]      all checks, or those with these titles"""
import glob
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

from _programs import BUILD, COMPILER, FAKE, HERE, REAL, RUN, Trace, call, check, compare, failures, npy, same_metrics, write_images

if not __debug__:
    sys.exit('python3 -O leaves out what this file asserts')

NETWORK, SEARCH = os.path.join(HERE, 'network.nd'), os.path.join(HERE, 'search.nd')
SHAPE = '4,3,16,16'
C_COMPILER = os.environ.get('CC') or shutil.which('cc') or 'gcc'


def infer(folder, weights):
    """A text, a .cubin with its plan inside, and one with its weights too; 10 images in batches of 4, the last one smaller."""
    images, cubin = os.path.join(folder, 'x.npy'), os.path.join(folder, 'net.cubin')
    write_images(images, 10)
    call([COMPILER, NETWORK, '--graph=infer', '--batch=4', '-o', cubin])
    whole = os.path.join(folder, 'whole.cubin')
    call([COMPILER, NETWORK, '--graph=infer', '--batch=4', '--weights', weights, '-o', whole])
    results = []
    for name, net, options in (('cpu', NETWORK, []), ('text', NETWORK, ['--device=cuda']), ('cubin', cubin, []),
                               ('cubin', cubin, ['--device=auto']), ('whole', whole, [])):
        out = os.path.join(folder, name + '.npy')
        given = [] if name == 'whole' else ['--weights', weights]
        call([RUN, 'infer', net, *given, '--input', images, '--output', out, '--batch', '4', *options])
        results.append(npy(out))
    expected = results[0]
    assert len(expected) == 100
    size = math.sqrt(sum(x * x for x in expected))
    for found in results[1:]:
        error = math.sqrt(sum((x - y) ** 2 for x, y in zip(found, expected))) / size
        assert error < 1e-5, f'relative error {error}'
    assert results[1] == results[2] == results[3] == results[4], 'the module file gives other numbers than the text'


def pictures(folder, weights):
    """The best classes of pictures, and eval of a data set, by a .cubin: those of the text on the CPU."""
    folder_of_pictures = os.path.join(HERE, '..', 'data', 'images')
    names = [os.path.join(folder_of_pictures, name) for name in ('rgb.png', 'truncated.jpg', 'grey.jpg')]
    cubin = os.path.join(folder, 'whole.cubin')
    found = []
    for command in ([RUN, 'infer', NETWORK, '--weights', weights], [RUN, 'infer', cubin]):
        lines = call([*command, *names, '--json', '--data', 'image_folder']).splitlines()
        assert 'warning: 1 of 3 pictures were broken and skipped' in lines, lines
        found.append([json.loads(line) for line in lines if line[0] == '{'])
    assert [line['image'] for line in found[1]] == [names[0], names[2]], found[1]
    for expected, got in zip(*found):
        for a, b in zip(expected['best'], got['best']):
            assert a['class'] == b['class'] and abs(a['probability'] - b['probability']) < 1e-4, f'{got}, expected {expected}'
    results = []
    for command in ([RUN, 'eval', NETWORK, '--weights', weights], [RUN, 'eval', cubin]):
        results.append(json.loads(call([*command, '--data', 'synthetic(limit = 12)', '--json']).splitlines()[-1]))
    for key in ('images', 'accuracy', 'accuracy5', 'loss'):
        assert abs(results[0][key] - results[1][key]) < 1e-4, f'{key}: {results}'


def precisions(folder, weights):
    """Images stored in two bytes, products on tensor cores, through the runtime; tf32, which only a tensor core has, the CPU refuses."""
    images, out = os.path.join(folder, 'x.npy'), os.path.join(folder, 'rounded.npy')
    expected = npy(os.path.join(folder, 'cpu.npy'))
    size = math.sqrt(sum(x * x for x in expected))
    command = [RUN, 'infer', NETWORK, '--weights', weights, '--input', images, '--output', out, '--batch', '4']
    for precision, tolerance in (('tf32', 2e-3), ('bf16', 2e-2)):
        call([*command, '--device=cuda', f'--precision={precision}'])
        error = math.sqrt(sum((x - y) ** 2 for x, y in zip(npy(out), expected))) / size
        assert 1e-6 < error < tolerance, f'{precision}: relative error {error}'
    assert 'is for GPUs' in call([*command, '--precision=tf32'], code=1)


def runtime_library():
    """libcudart.so: the stand-in, or the first in LD_LIBRARY_PATH."""
    folders = os.environ.get('LD_LIBRARY_PATH', '').split(':') if REAL else [FAKE]
    return next(path for folder in folders for path in sorted(glob.glob(os.path.join(folder, 'libcudart.so.1[23]'))))


def example(folder):
    """docs/examples/classify.c: the first image of those above, with nothing but the CUDA runtime."""
    program, image = os.path.join(folder, 'classify'), os.path.join(folder, 'image.f32')
    source = os.path.join(HERE, '..', '..', 'docs', 'examples', 'classify.c')
    call([C_COMPILER, '-O1', '-Wall', '-Wextra', '-Werror', source, '-o', program, runtime_library()])
    with open(os.path.join(folder, 'x.npy'), 'rb') as file, open(image, 'wb') as out:
        out.write(file.read()[-10 * 3072:][:3072])
    said = call([program, os.path.join(folder, 'whole.cubin'), image])
    logits = [float(line.split()[1]) for line in said.splitlines() if not line.startswith('class')]
    expected = npy(os.path.join(folder, 'cpu.npy'))[:10]
    assert len(logits) == 10 and all(abs(a - b) < 1e-4 for a, b in zip(logits, expected)), f'{logits} instead of {expected}'
    assert said.splitlines()[-1] == f'class {max(range(10), key=lambda i: expected[i])}'


def library(folder, weights):
    """docs/examples/predict.c: the C library runs a .cubin, with weights in it or beside it."""
    program, source = os.path.join(folder, 'predict'), os.path.join(HERE, '..', '..')
    call([C_COMPILER, '-O1', f'-I{source}/lib', f'{source}/docs/examples/predict.c', '-o', program, f'-L{BUILD}', '-lndarts'])
    with open(os.path.join(folder, 'x.npy'), 'rb') as file:
        numbers = file.read()[-10 * 3072:]
    paths = os.pathsep.join([BUILD] if REAL else [BUILD, FAKE])
    expected = npy(os.path.join(folder, 'cpu.npy'))
    rows = [expected[i:i + 10] for i in range(0, 100, 10)]
    for arguments in ([os.path.join(folder, 'whole.cubin')], [os.path.join(folder, 'net.cubin'), weights]):
        done = subprocess.run([program, *arguments], input=numbers, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, 'LD_LIBRARY_PATH': os.pathsep.join([paths, os.environ.get('LD_LIBRARY_PATH', '')])})
        assert done.returncode == 0 and not done.stderr, done.stderr.decode()
        lines = [line.split() for line in done.stdout.decode().splitlines()]
        assert len(lines) == 10
        for (best, logit), row in zip(lines, rows):
            assert row[int(best)] > max(row) - 1e-4 and abs(float(logit) - max(row)) < 1e-4, f'{lines} instead of {rows}'


def search(folder):
    same_metrics(folder, 'search', SEARCH, ('train_loss', 'alphas_loss', 'valid_loss', 'grad_norm', 'alphas_entropy'))


def train(folder):
    same_metrics(folder, 'train', NETWORK, ('train_loss', 'valid_loss', 'grad_norm'), '--set', 'data.limit=12')
    weights = os.path.join(folder, 'train-cuda', 'weights.safetensors')
    losses = [json.loads(call([RUN, 'eval', NETWORK, '--weights', weights, '--json', f'--device={device}']).splitlines()[-1])['loss']
              for device in ('cpu', 'cuda')]
    assert abs(losses[0] - losses[1]) < 1e-4 * losses[0], losses


def profile(folder, weights):
    """Every launch is timed, and the result stays the same."""
    images, out, trace = (os.path.join(folder, name) for name in ('x.npy', 'profiled.npy', 'trace.json'))
    command = [RUN, 'infer', NETWORK, '--weights', weights, '--input', images, '--output', out, '--batch', '4', '--device=cuda', '--no-cudnn']
    call(command)
    expected = npy(out)
    said = call([*command, f'--profile={trace}'])
    assert npy(out) == expected, 'other numbers than without a profile'
    assert re.search(r'profile of infer: 3 runs of .*\n(.*\n)*.*conv2d', said) and ' nd_k' in said, said
    with open(trace) as file:
        kernels = [event for event in json.load(file)['traceEvents'] if ' nd_k' in event['name']]
    assert kernels and all(event['dur'] >= 0 for event in kernels), kernels
    if not REAL:  # what a launch takes by itself is no kernel's
        said = call([*command, '--profile'], SIMT_LAUNCH_MS='400')
        seconds = [float(line.split()[0]) for line in said.splitlines() if ' nd_k' in line]
        assert 'nan' not in said and 'inf ' not in said and seconds and max(seconds) < 0.4 and re.search(r'empty kernel takes, 4\d{5}\.', said), said


def said(code, expected, arguments, **environment):
    output = call([RUN, *arguments], code=code, **environment)
    assert expected in output, f'expected "{expected}":\n{output}'


def messages(folder):
    images, out = os.path.join(folder, 'x.npy'), os.path.join(folder, 'y.npy')
    weights = os.path.join(folder, 'network.nd.weights.safetensors')
    infer_with = ['infer', NETWORK, '--weights', weights, '--input', images, '--output', out, '--batch', '4']
    with open(weights + '.cubin', 'wb') as file:
        file.write(b'\x7fELF\x02' + b'\0' * 200)
    said(1, "--device gpu: expected cpu, cuda, cuda:N or auto", [*infer_with, '--device=gpu'])
    said(1, 'is not a module', ['infer', weights + '.cubin', '--weights', weights, '--input', images, '--output', out])
    said(2, 'no GPU number 99; this machine has ', [*infer_with, '--device=cuda:99'])
    said(0, f'device: cuda:0, {"" if REAL else "emulated device"}', [*infer_with, '--device=auto'])
    if REAL:
        return
    said(2, 'nd_k', [*infer_with, '--device=cuda'], CUDA_MODULE_LOADING='LAZY')  # as the user wants: on the stand-in it cannot be captured then
    cubin = os.path.join(folder, 'net.cubin')
    said(2, f'{cubin} was compiled for other GPUs than this one, which is an sm_80',
         ['infer', cubin, '--weights', weights, '--input', images, '--output', out], SIMT_OTHER_ARCH='1')
    said(2, 'no GPU was found', [*infer_with, '--device=cuda'], SIMT_NO_DEVICE='1')
    said(0, 'device: cpu (no GPU was found', [*infer_with, '--device=auto'], SIMT_NO_DEVICE='1')
    said(2, 'not even a batch of 1 would fit', [*infer_with, '--device=cuda'], SIMT_MEMORY='30000')
    said(0, '', [*infer_with, '--device=cuda'], SIMT_MEMORY='700000')  # values share memory over time, then it fits
    said(2, 'a batch of about ', [*infer_with, '--device=cuda'], SIMT_MEMORY='120000')
    said(2, 'MB, tables of calls 0.0', [*infer_with, '--device=cuda'], SIMT_MEMORY='120000')
    said(2, 'the CUDA runtime 12.4 is too old: it lacks cudaLibraryLoadData; install the CUDA toolkit 12.8 or later',
         [*infer_with, '--device=cuda'], fake=os.path.join(FAKE, 'old'))


def main():
    with tempfile.TemporaryDirectory() as folder:
        network = Trace(folder, NETWORK, [f'input=input:{SHAPE}', 'labels=label/10:4'], '--epoch', '1')
        supernet = Trace(folder, SEARCH, [f'input=input:{SHAPE}', 'labels=label/10:4', f'input_valid=input:{SHAPE}',
                                          'labels_valid=label/10:4', 'alphas_normal=unit:14,7', 'alphas_reduce=unit:14,7'],
                         '--steps', '1')
        check('trace of a network', network.compare)
        if not REAL:  # values then share memory over time, and the backward recomputes
            check('trace of a network in little memory', lambda: compare(
                network.run('small', '--device=cuda', SIMT_KEEP_POISON='1', SIMT_MEMORY='1400000'), network.path('cpu')))
        check('trace of a supernet', supernet.compare)
        check('infer', infer, folder, network.path('weights'))
        check('pictures', pictures, folder, network.path('weights'))
        check('precisions', precisions, folder, network.path('weights'))
        check('profile', profile, folder, network.path('weights'))
        if not REAL:  # a portable build has no shared library
            check('library', library, folder, network.path('weights'))
        if REAL:  # the stand-ins run a search from PTX (tests/ptx/end_to_end.py)
            check('search', search, folder)
        check('train', train, folder)
        check('example', example, folder)
        check('messages', messages, folder)
    sys.exit(1 if failures else 0)


main()
