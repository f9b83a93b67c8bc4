#!/usr/bin/env python3
"""Pictures: ndarts-run infer on them (the best classes, by texts and modules, normalised as the network's data; names of classes;
broken pictures; mistakes); folders of them through eval, with a broken one among them; the recipe imagenet on them."""
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import zlib

from _run import COMPILER, RUN, SOURCE, expect, expect_same, interrupt, lines_of, main, read, run, write

SIDE, CLASSES = 12, 7
NETWORK = '''network main(classes ?= 7, H ?= 12, W ?= 12, channels ?= 3) on x {
    return x | conv: conv(6, 3, pad = 1) | batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
'''
TRAIN = NETWORK + '''train {
    network main
    data image_folder("tree", classes = 7, H = 12, W = 12, resize = 12, mean = 0.5, std = 0.25, area = (0.5, 1), brightness = 0.4)
    epochs 1  batch 4
    weights sgd(lr = 0.1)
}
'''
PIXELS = {}


def png(path, pixels, side=SIDE):
    """An RGB picture, whose pixels are bytes."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + pixels[3 * side * y:3 * side * (y + 1)] for y in range(side))
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)) +
                   chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def write_npy(path, shape, numbers):
    header = str({'descr': '<f4', 'fortran_order': False, 'shape': tuple(shape)}).encode()
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    with open(path, 'wb') as file:
        file.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + struct.pack(f'<{len(numbers)}f', *numbers))


def read_npy(path, count):
    return struct.unpack(f'<{count}f', read(path)[-4 * count:])


def prepare():
    draw = random.Random(5)
    for part in ('train', 'val'):
        for label in range(CLASSES):
            os.makedirs(f'tree/{part}/{label}')
            for i in range(2):
                # Every class has a colour of its own.
                PIXELS[f'tree/{part}/{label}/{i}.png'] = bytes(
                    min(255, max(0, int(draw.gauss((40 * label, 250 - 30 * label, 128)[k % 3], 20)))) for k in range(3 * SIDE * SIDE))
    for path, pixels in PIXELS.items():
        png(path, pixels)
    write('net.nd', NETWORK)
    write('train.nd', TRAIN)
    write('names.txt', '\ufeff' + ''.join(f'the {i}th "class"\r\n' for i in range(CLASSES)) + '\n')
    run(RUN, 'train', 'train.nd', '--out', 'run')


def infer(*arguments, net='train.nd', **more):
    return run(RUN, 'infer', net, '--weights', 'run/weights.safetensors', *arguments, **more)


def pictures(part='val'):
    return sorted(path for path in PIXELS if f'/{part}/' in path)


def test_the_logits_are_those_of_the_pixels():
    paths = pictures()
    planes = [(PIXELS[path][3 * i + c] / 255 - 0.5) / 0.25 for path in paths for c in range(3) for i in range(SIDE * SIDE)]
    write_npy('x.npy', (len(paths), 3, SIDE, SIDE), planes)
    infer('--input', 'x.npy', '--output', 'y.npy')
    # Three ways to say what the pictures are; with a module there is no text. 14 pictures in batches of 4 and of 3.
    run(COMPILER, 'net.nd', '--batch', '3', '-o', 'net.so')
    data = ('--data', 'image_folder(mean = 0.5, std = 0.25, resize = 12)')
    for net, options in (('train.nd', ()), ('run/network.ir', ()), ('net.nd', data), ('net.so', data)):
        infer(*paths, '--output', 'p.npy', *options, net=net)
        expect(read_npy('p.npy', len(paths) * CLASSES) == read_npy('y.npy', len(paths) * CLASSES), f'{net}: other logits')
    # Without a word about them they are normalised as ImageNet's pictures.
    infer(*paths, '--output', 'p.npy', net='net.so')
    expect(read_npy('p.npy', len(paths) * CLASSES) != read_npy('y.npy', len(paths) * CLASSES), 'default normalisation')


def test_best_classes():
    paths = pictures()[:5]
    stdout, _ = infer(*paths, '--json', '--classes', 'names.txt', '--output', 'y.npy')
    logits = read_npy('y.npy', len(paths) * CLASSES)
    lines = [json.loads(line) for line in stdout.splitlines()]
    expect([line['image'] for line in lines] == paths, stdout)
    for n, line in enumerate(lines):
        row = logits[n * CLASSES:(n + 1) * CLASSES]
        total = sum(math.exp(value) for value in row)
        order = sorted(range(CLASSES), key=lambda i: -row[i])[:5]
        expect([best['class'] for best in line['best']] == order, f'{line}, expected {order}')
        for best in line['best']:
            expect(abs(best['probability'] - math.exp(row[best['class']]) / total) < 1e-9, f'{best}')
            expect(best['name'] == f'the {best["class"]}th "class"', f'{best}')
    with open('marked.txt', 'wb') as file: # as Windows editors write it
        file.write(b'\xef\xbb\xbf' + read('names.txt'))
    expect(infer(*paths, '--json', '--classes', 'marked.txt')[0] == stdout, 'a byte order mark before the names')
    text, _ = infer(paths[0], '--classes', 'names.txt')
    first = lines[0]['best'][0]
    expect(text.splitlines()[0] == paths[0] and len(text.splitlines()) == 6, text)
    expect(text.splitlines()[1] == f'  {100 * first["probability"]:6.2f} %  {first["name"]}', text)
    text, _ = infer(paths[0])
    expect(text.splitlines()[1].endswith(f' %  class {first["class"]}'), text)


def test_broken_pictures():
    broken = os.path.join(SOURCE, 'tests', 'data', 'images', 'truncated.jpg')
    good = pictures()[:2]
    stdout, stderr = infer(good[0], broken, good[1], '--output', 'y.npy')
    expect([line for line in stdout.splitlines() if not line.startswith('  ')] == good, stdout)
    expect(f'skipped: {broken}: a broken JPEG file' in stderr, stderr)
    expect('1 of 3 pictures were broken and skipped' in stderr, stderr)
    infer(broken, code=1, says='none of the pictures can be read')
    # One that cannot be opened is not broken: nothing is known about it.
    infer(good[0], 'missing.png', good[1], code=1, says="cannot open 'missing.png': No such file or directory")


def test_grey_pictures():
    """A network of the MNIST family: 28 x 28 in the middle of zeros."""
    write('grey.nd', NETWORK.replace('H ?= 12, W ?= 12, channels ?= 3', 'H = 32, W = 32, channels = 1'))
    grey = bytes(random.Random(1).randrange(256) for _ in range(28 * 28))
    png('grey.png', bytes(v for v in grey for _ in range(3)), 28)
    padded = [grey[28 * (y - 2) + x - 2] if 2 <= y < 30 and 2 <= x < 30 else 0 for y in range(32) for x in range(32)]
    write_npy('x.npy', (1, 1, 32, 32), [(p / 255 - 0.5) / 0.25 for p in padded])
    run(RUN, 'train', 'grey.nd', '--recipe', './grey_recipe.nd', '--out', 'grey', code=1, says='grey_recipe.nd')
    write('grey_recipe.nd', 'import "networks.nd"\ntrain {\n    network cifar(genotype, C = 2, layers = 2)\n'
          '    data synthetic(limit = 8, H = 32, W = 32, channels = 1, classes = 7)\n    epochs 1\n    weights sgd(lr = 0.1)\n}\n')
    run(RUN, 'train', 'grey.nd', '--recipe', './grey_recipe.nd', '--out', 'grey')
    weights = ('--weights', 'grey/weights.safetensors')
    run(RUN, 'infer', 'grey.nd', *weights, '--input', 'x.npy', '--output', 'y.npy')
    run(RUN, 'infer', 'grey.nd', *weights, 'grey.png', '--data', 'fashion_mnist(mean = 0.5, std = 0.25)', '--output', 'p.npy')
    expect(read_npy('p.npy', CLASSES) == read_npy('y.npy', CLASSES), 'a grey picture')


def test_eval_skips_broken_pictures():
    options = ('--weights', 'run/weights.safetensors', '--json')
    whole = json.loads(run(RUN, 'eval', 'train.nd', *options)[0])
    expect(whole['images'] == 14 and whole['skipped'] == 0, f'{whole}')
    with open('tree/val/3/broken.png', 'wb') as file:
        file.write(b'no picture')
    stdout, stderr = run(RUN, 'eval', 'train.nd', *options)
    found = json.loads(stdout)
    expect(found['images'] == 14 and found['skipped'] == 1, f'{found}')
    expect(all(found[key] == whole[key] for key in ('accuracy', 'accuracy5')) and abs(found['loss'] - whole['loss']) < 1e-6, f'{found}')
    expect('skipped: tree/val/3/broken.png: a text, no picture: read are JPEG, PNG' in stderr and
           '1 of 15 images were broken and skipped' in stderr, stderr)
    stdout, _ = run(RUN, 'train', 'train.nd', '--out', 'again')
    expect('of the 14 test images' in stdout, stdout)
    expect(read('again', 'classes.txt').decode().split() == [str(i) for i in range(CLASSES)], 'names of the classes')
    shutil.copytree('tree', 'ruined')
    for path in PIXELS:
        if '/val/' in path:
            os.remove(path.replace('tree', 'ruined'))
    run(RUN, 'eval', 'train.nd', *options, '--set', 'data.path="ruined"', code=1, says='none of the images can be read')
    os.remove('tree/val/3/broken.png')


SEARCH = '''import "darts.nd"
space tiny {
    candidates = [max_pool_3x3, skip_connect]
    cell { inputs 2  nodes 2  output concat(nodes)  keep 2 per node }
}
search {
    space tiny  network cifar_search(C = 2, layers = 3)
    data image_folder("nothing", classes = 7, H = 12, W = 12, resize = 12) split 0.5
    epochs 1  batch 4
    weights sgd(lr = 0.1)
    alphas adam(lr = 1e-2)
}
'''


def empty(folder, keep):
    """A copy of the tree in which only the pictures `keep` (of those named by the data's order) can be read."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree('tree', folder)
    for path in PIXELS:
        if not keep(path):
            write(path.replace('tree', folder), '')


def test_nothing_to_learn_from():
    """Parts of the data of which no picture can be read: an error with its reason, no result."""
    data = ('--set', 'data.path="nothing"')
    empty('nothing', lambda path: '/val/' in path)
    _, stderr = run(RUN, 'train', 'train.nd', *data, '--set', 'data.limit=7', '--out', 'none', code=1,
                    says='epoch 1 has nothing to learn from: none of its images can be read')
    first = re.findall('skipped: nothing/(.*png):', stderr)  # of the order that the pictures have
    expect(len(first) == 7, stderr)
    write('search.nd', SEARCH)
    run(RUN, 'search', 'search.nd', '--out', 'none-s', code=1, says='epoch 1 has nothing to learn from')
    empty('nothing', lambda path: path[5:] in first)
    run(RUN, 'search', 'search.nd', '--out', 'none-s', code=1, says='none of the 7 images for the alphas can be read')
    # With frozen alphas their half is only looked at.
    run(RUN, 'search', 'search.nd', '--out', 'none-s', '--set', 'search.frozen_epochs=1', code=1, says='there is nothing to evaluate')
    empty('nothing', lambda path: '/train/' in path)
    run(RUN, 'train', 'train.nd', *data, '--out', 'none', code=1, says='there is nothing to evaluate: none of the images can be read')
    for folder in ('none', 'none-s'):
        expect(not set(os.listdir(folder)) & {'result.json', 'weights.safetensors', 'genotype.nd', 'metrics.jsonl'}, os.listdir(folder))


def test_pictures_that_cannot_be_opened():
    """A link to nowhere, a folder called a picture: nothing is known about the picture, so it is not left out."""
    empty('gone', lambda path: True)
    os.remove('gone/train/3/1.png')
    os.symlink('nowhere', 'gone/train/3/1.png')
    run(RUN, 'train', 'train.nd', '--set', 'data.path="gone"', '--out', 'gone-run', code=1, says="gone/train/3/1.png'")
    infer('gone/train/3/0.png', 'gone/train/3', code=1, says="cannot read 'gone/train/3': Is a directory")


def test_enlarged_cifar():
    """CIFAR for a network of larger images: resized and cut as pictures of that size are, evaluated the same."""
    draw = random.Random(9)
    images = [bytes(draw.randrange(256) for _ in range(3 * 32 * 32)) for _ in range(6)]
    labels = [draw.randrange(CLASSES) for _ in images]
    os.makedirs('cifar')
    with open('cifar/test_batch.bin', 'wb') as file:
        for label, image in zip(labels, images):
            file.write(bytes([label]) + bytes(image[3 * i + c] for c in range(3) for i in range(32 * 32)))
    for n, image in enumerate(images):
        png(f'cifar{n}.png', image, 32)
    size = ('--set', 'H=40', '--set', 'W=40')
    normal = 'resize = 44, interpolation = bicubic, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225])'
    infer(*(f'cifar{n}.png' for n in range(6)), '--data', f'image_folder({normal}', *size, '--output', 'y.npy', net='net.nd')
    logits = read_npy('y.npy', 6 * CLASSES)
    loss = sum(math.log(sum(math.exp(v) for v in logits[n * CLASSES:(n + 1) * CLASSES])) - logits[n * CLASSES + label]
               for n, label in enumerate(labels)) / 6
    options = ('net.nd', '--weights', 'run/weights.safetensors', *size, '--json', '--data')
    found = json.loads(run(RUN, 'eval', *options, f'cifar10("cifar", {normal}')[0])
    expect(found['images'] == 6 and abs(found['loss'] - loss) < 1e-5, f'{found}, expected {loss}')
    other = json.loads(run(RUN, 'eval', *options, f'cifar10("cifar", {normal}'.replace('bicubic', 'bilinear'))[0])
    expect(abs(other['loss'] - loss) > 1e-6, f'{other}')


def memory_of(*arguments):
    """Runs a program; the most memory it had, in MB."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, f'{" ".join(arguments)}: {process.returncode}')
    return usage.ru_maxrss / 1024


def test_memory_is_bounded():
    """Ten times as many pictures, which would take 90 MB as bytes and 360 MB as numbers, take no more memory."""
    write('pool.nd', 'network main(classes = 2, H = 224, W = 224, channels = 3) on x {\n'
          '    return x | global_avg_pool | classifier: linear(classes)\n}\n')
    run(COMPILER, 'pool.nd', '--batch', '4', '-o', 'pool.so')
    write('pool_recipe.nd', 'train {\n    network main\n    data synthetic(limit = 2, H = 224, W = 224, classes = 2)\n    epochs 1\n'
          '    weights sgd(lr = 0.1)\n}\n')
    run(RUN, 'train', 'pool.nd', '--recipe', './pool_recipe.nd', '--out', 'pool')
    used = {}
    for count in (66, 660):
        for i in range(count):
            os.makedirs(f'many{count}/{i % 2}', exist_ok=True)
            os.link(pictures()[i % 14], f'many{count}/{i % 2}/{i}.png')
        used[count] = memory_of(RUN, 'eval', 'pool.so', '--weights', 'pool/weights.safetensors', '--data', f'image_folder:many{count}',
                                '--threads', '2')
    expect(used[660] < used[66] + 10, f'{used} MB')


RECIPE = ('--recipe', 'imagenet', '--set', 'data.path="tree"', '--set', f'classes={CLASSES}', '--set', 'C=2', '--set', 'layers=3',
          '--set', 'batch=4', '--set', 'epochs=3', '--set', 'warm_up=3')
RESULTS = ('weights.safetensors', 'metrics.jsonl', 'result.json', 'classes.txt')


def test_imagenet_recipe():
    """Crops, colours and all else are the same for any number of threads, and when the training is interrupted and resumed."""
    genotype = os.path.join(SOURCE, 'genotypes', 'noisy_darts_a.nd')
    os.environ['NDARTS_CFLAGS'] = '-O0'  # it is compiled in a third of the time
    run(RUN, 'train', genotype, *RECIPE, '--out', 'one', '--threads', '1')
    interrupt('epoch 1/3:', 0.05, RUN, 'train', genotype, *RECIPE, '--out', 'two')
    run(RUN, 'train', genotype, *RECIPE, '--out', 'two', '--threads', '3', '--resume')
    expect_same('one', 'two', RESULTS)
    rates = [line['lr'] for line in lines_of('one', 'metrics.jsonl')]
    expect(all(abs(rate - 0.1 * (1 - e / 3) * (e + 1) / 3) < 1e-12 for e, rate in enumerate(rates)), f'{rates}')  # three epochs of warm-up
    run(RUN, 'train', genotype, *RECIPE, '--out', 'plain', '--set', 'hue=0')
    expect(lines_of('plain', 'metrics.jsonl')[0]['train_loss'] != lines_of('one', 'metrics.jsonl')[0]['train_loss'], 'hue')
    settings = json.loads(read('one', 'run.json'))['settings']
    wanted = {'train.label_smoothing': 0.1, 'data.area.0': 0.08, 'data.brightness': 0.4, 'data.contrast': 0.4, 'data.saturation': 0.4,
              'data.hue': 0.2, 'data.flip': True, 'train.weights.schedule': 'linear'}
    expect(all(settings[key] == value for key, value in wanted.items()), f'{settings}')
    del os.environ['NDARTS_CFLAGS']


def test_mistakes():
    picture = pictures()[0]
    run(RUN, 'infer', 'train.nd', code=1, says='--input x.npy --output y.npy, or files of pictures')
    run(RUN, 'infer', 'train.nd', picture, code=1, says='--weights')
    infer(picture, '--input', 'x.npy', code=1, says='--input or pictures, not both')
    infer('--input', 'x.npy', code=1, says='needs --output')
    infer('--input', 'x.npy', '--output', 'y.npy', '--json', code=1, says='are for pictures')
    write('few.txt', 'one\ntwo\n')
    infer(picture, '--classes', 'few.txt', code=1, says='few.txt names 2 classes, one a line; train.nd has 7')
    infer(picture, '--classes', 'none.txt', code=1, says='none.txt')
    infer(picture, '--data', 'image_fodler', code=1, says='image_fodler')
    infer(picture, '--recipe', 'cifar', net='net.so', code=1, says='--recipe is for texts')


if __name__ == '__main__':
    sys.exit(main([prepare, test_the_logits_are_those_of_the_pixels, test_best_classes, test_broken_pictures, test_grey_pictures,
                   test_eval_skips_broken_pictures, test_nothing_to_learn_from, test_pictures_that_cannot_be_opened, test_enlarged_cifar,
                   test_memory_is_bounded, test_imagenet_recipe, test_mistakes]))
