#!/usr/bin/env python3
"""ndarts-run train as a user runs it, on a tiny network and synthetic images: the same bits for any number of threads and for
interrupted + resumed runs, hold-out, several seeds, recipes, and what it says about mistakes."""
import json
import math
import os
import shutil
import struct
import sys

from _run import BUILD, COMPILER, RUN, Failure, expect, expect_same, interrupt, lines_of, main, read, run, write
from _safetensors import read as read_safetensors

TOOL = os.path.join(BUILD, 'tests', 'ref_tool')
SPEC = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=3)
    data synthetic(limit=6000, H=8, W=8, classes=4, crop=1, flip=true, cutout=3)
    epochs 3  batch 8  seed 5  drop_path 0.3
    weights sgd(lr=cosine(0.1, 0), momentum=0.9, decay=3e-4, clip=5)
}
'''
RECIPE = '''import "networks.nd"
train {
    network cifar(genotype, C=2, layers=3)
    data synthetic(limit=200, H=8, W=8, classes=4)
    epochs 2  batch 8  seed 1  hold_out 0.25  warm_up 1  label_smoothing 0.1
    weights sgd(lr=linear(0.1, 0.01), momentum=0.9, decay=3e-4, clip=5, every=step)
}
'''
SEARCH = '''import "darts.nd"
search {
    space darts
    network cifar_search(C=2, layers=3)
    data synthetic(limit=64, H=8, W=8, classes=4, flip=true, area=(0.5, 1), hue=0.1, interpolation=bicubic)
    epochs 1  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=1e-2, betas=(0.5, 0.999), decay=1e-3)
}
'''
RESULTS = ('checkpoint.safetensors', 'metrics.jsonl', 'result.json', 'weights.safetensors', 'best.safetensors', 'network.ir')


def train(out, *options, text='tiny.nd', **more):
    threads = [] if any(option.startswith('--threads') for option in options) else ['--threads', '1']
    return run(RUN, 'train', text, '--out', out, *threads, *options, **more)


def result_of(folder):
    return json.loads(read(folder, 'result.json'))


def test_threads_do_not_matter():
    stdout, _ = train('one')
    train('two', '--threads=2')
    expect_same('one', 'two', RESULTS)
    metrics = lines_of('one', 'metrics.jsonl')
    expect([m['epoch'] for m in metrics] == [0, 1, 2] and [m['steps'] for m in metrics] == [750, 1500, 2250], 'epochs')
    expect([round(m['drop_path'], 6) for m in metrics] == [0, 0.1, 0.2], 'drop path rises linearly with the epoch')
    expect([round(m['lr'], 6) for m in metrics] == [0.1, 0.075, 0.025], 'cosine rate')
    expect(metrics[2]['train_loss'] < metrics[0]['train_loss'], 'the loss does not fall')
    result = result_of('one')
    best = max(range(3), key=lambda i: (metrics[i]['valid_accuracy'], -i))
    expect(result['data'] == 'test' and result['best'] == {'epoch': best, 'accuracy': metrics[best]['valid_accuracy']}, result)
    expect(result['last']['accuracy'] == metrics[2]['valid_accuracy'], result)
    expect('last epoch (3)' in stdout and 'of the 6000 test images, which also chose it' in stdout, stdout)


def test_interrupted_and_resumed():
    # In the first epoch, then in a later one; between them another number of threads.
    said = interrupt('steps per epoch', 0.02, RUN, 'train', 'tiny.nd', '--out', 'halves', '--threads', '1')
    expect('interrupted in epoch 1 after ' in said, said)
    interrupt('epoch 1/3:', 0.02, RUN, 'train', 'tiny.nd', '--out', 'halves', '--resume', '--threads', '2')
    train('halves', '--resume')
    expect_same('one', 'halves', RESULTS)


def test_finished_training_resumes_to_nothing():
    stdout, stderr = train('one', '--resume')
    expect('epoch 1/3' not in stderr and '6000 test images' in stdout, stderr)
    expect_same('one', 'two', RESULTS)
    os.remove('one/result.json')
    train('one', '--resume')
    expect_same('one', 'two', RESULTS)


def test_hold_out():
    stdout, _ = train('held', '--set', 'train.hold_out=0.25')
    metrics, result = lines_of('held', 'metrics.jsonl'), result_of('held')
    expect(metrics[0]['valid_data'] == 'hold_out' and metrics[0]['steps'] == 563, metrics[0])
    expect(result['images'] == 1500 and result['test']['images'] == 6000, result)
    expect(result['test']['epoch'] == result['best']['epoch'], result)
    expect('of the 1500 held-out training images' in stdout and 'looked at once' in stdout, stdout)


def test_best_weights_are_kept():
    # A rate that ruins what a good one had learnt: the best epoch is not the last.
    train('ruined', '--set', 'train.hold_out=0.25', '--set', 'weights.lr=0.1', '--set', 'weights.schedule=linear', '--set',
          'weights.lr_min=9', '--set', 'clip=1')
    result = result_of('ruined')
    expect(result['best']['epoch'] < 2 and result['best']['accuracy'] > result['last']['accuracy'], result)
    for weights, accuracy in (('best', result['test']['accuracy']), ('best', None), ('weights', None)):
        stdout, _ = run(RUN, 'eval', 'ruined/network.ir', '--weights', f'ruined/{weights}.safetensors', '--json')
        found = json.loads(stdout)['accuracy']
        expect(accuracy is None or found == accuracy, f'{weights}: {found}, expected {accuracy}')


def test_weights_have_their_names():
    tensors = read_safetensors('one/weights.safetensors')
    expect('stem.0.weight' in tensors and 'cells.0._ops.0.op.1.weight' in tensors, sorted(tensors))
    expect('classifier.weight' in tensors and 'stem.1.running_mean' in tensors, sorted(tensors))
    expect(not [name for name in tensors if name.startswith('momentum')], 'the optimiser is not part of the weights')
    train('begun', '--init', 'one/weights.safetensors', '--set', 'train.epochs=1', '--set', 'weights.lr=0.001')
    first = lines_of('one', 'metrics.jsonl')[0]['train_loss']
    expect(lines_of('begun', 'metrics.jsonl')[0]['train_loss'] < first, 'the given weights are not used')


def test_part_of_the_weights():
    """A network for other classes goes on from all weights but the classifier's."""
    options = ('--set', 'classes=3', '--set', 'train.epochs=1', '--set', 'data.limit=8', '--set', 'weights.lr=0')
    given = ('--init', 'one/weights.safetensors')
    train('other', *given, *options, code=1, says='classifier.weight: expected [3, 32], found [4, 32]')
    train('other', *given, *options, '--init-except', 'classifier.')
    before, after = read_safetensors('one/weights.safetensors'), read_safetensors('other/weights.safetensors')
    same = {name for name in after if before[name] == after[name] and 'running' not in name}
    expect(same == {name for name in after if 'running' not in name and not name.startswith('classifier')}, f'{same}')
    expect(after['classifier.weight'][1] == [3, 32], after['classifier.weight'][1])
    train('other', *given, *options, '--init-except', 'head', code=1, says='--init-except head: the network has no weights')
    train('other', *options, '--init-except', 'head', code=1, says='is for --init')


def test_auxiliary_head():
    # The head needs 32 x 32 images.
    train('auxiliary', '--set', 'auxiliary=0.4', '--set', 'network.H=32', '--set', 'network.W=32', '--set', 'data.limit=16',
          '--set', 'train.epochs=1')
    tensors = read_safetensors('auxiliary/weights.safetensors')
    expect(any(name.startswith('auxiliary_head.') for name in tensors), sorted(tensors))
    run(RUN, 'eval', 'auxiliary/network.ir', '--weights', 'auxiliary/weights.safetensors')


def test_seeds():
    stdout, _ = train('seeds', '--seeds', '0..1', '--set', 'train.epochs=1')
    expect('deviation' in stdout, stdout)
    summary = json.loads(read('seeds', 'summary.json'))
    last = [seed['last']['accuracy'] for seed in summary['seeds']]
    expect([seed['seed'] for seed in summary['seeds']] == [0, 1], summary)
    mean = sum(last) / 2
    expect(abs(summary['last']['mean'] - mean) < 1e-12, summary)
    expect(abs(summary['last']['deviation'] - (2 * (last[0] - mean) ** 2) ** 0.5) < 1e-12, summary)
    train('alone', '--seed', '1', '--set', 'train.epochs=1')
    expect_same('alone', 'seeds/seed-1', RESULTS)
    # One more seed: the finished ones are not done again.
    again, stderr = train('seeds', '--seeds', '0..2', '--resume', '--set', 'train.epochs=1')
    expect(stderr.count('epoch 1/1:') == 1 and again.splitlines()[2:4] == stdout.splitlines()[2:4], stderr + again)


def test_interrupted_seeds():
    train('whole', '--seeds', '3,7')
    interrupt('epoch 1/3:', 0.02, RUN, 'train', 'tiny.nd', '--out', 'parts', '--seeds', '3,7', '--threads', '1')
    train('parts', '--seeds', '3,7', '--resume')
    for seed in (3, 7):
        expect_same(f'whole/seed-{seed}', f'parts/seed-{seed}', RESULTS)
    expect_same('whole', 'parts', ['summary.json'])


def test_recipe():
    genotype = os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes', 'noisy_darts_b.nd')
    train('recipe', '--recipe', './recipe.nd', text=genotype)
    metrics = lines_of('recipe', 'metrics.jsonl')
    # 150 images are trained on in 19 steps; the rate falls with every step, after it rose for an epoch.
    expect(abs(metrics[0]['lr'] - (0.1 - 0.09 * 18 / 38)) < 1e-12, metrics[0])
    expect(abs(metrics[1]['lr'] - (0.1 - 0.09 * 37 / 38)) < 1e-12, metrics[1])

    train('recipe', '--recipe', 'cifra', text=genotype, code=1, says="unknown recipe 'cifra'; did you mean 'cifar'?")
    train('recipe', '--recipe', './recipe.nd', '--set', 'genotype=noisy_darts_c', text=genotype)
    nb201 = os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes', 'nas_bench_201.nd')
    for name in sorted(os.listdir(os.path.join(os.environ['NDARTS_SOURCE'], 'specs', 'recipes'))):
        path = os.path.join(os.environ['NDARTS_SOURCE'], 'specs', 'recipes', name)
        other = ('--data', 'image_folder:nowhere') if 'data own' in read(path).decode() else ('--set', 'data.path="nowhere"')
        fitting = nb201 if name == 'nb201.nd' else genotype
        train('none', '--recipe', path, *other, text=fitting, code=1, says='nowhere')
    transferred = os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes', 'noisy_darts_A_imagenet.nd')
    train('none', '--recipe', 'cifar_transfer', '--set', 'network=transfer', '--set', 'data.path="nowhere"', text=transferred, code=1,
          says='nowhere/data_batch_1.bin')


def published(name, *lines):
    text = read(os.environ['NDARTS_SOURCE'], 'specs', 'recipes', f'{name}.nd').decode()
    for line in lines:
        expect(line in text, f'{name}: no "{line}"')


def test_recipes_are_as_published():
    """What the small training below replaces, by the text; all else, as the run had it."""
    published('cifar', 'C = 36, layers = 20, auxiliary = 0.4', 'epochs 600  batch 96', 'cifar10("data/cifar-10-batches-bin"')
    published('imagenet', 'C = 48, layers = 14, auxiliary = 0.4', 'epochs 250  batch 128', 'image_folder("data/imagenet"')
    genotype = os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes', 'noisy_darts_b.nd')
    train('cifar', '--recipe', 'cifar', '--set', 'C=2', '--set', 'layers=2', '--set', 'auxiliary=0', '--set', 'epochs=1', '--set', 'batch=8',
          '--set', 'data.source=synthetic', '--set', 'data.limit=8', text=genotype)
    settings = json.loads(read('cifar', 'run.json'))['settings']
    wanted = {'train.weights.lr': 0.025, 'train.weights.lr_min': 0, 'train.weights.schedule': 'cosine', 'train.weights.momentum': 0.9,
              'train.weights.decay': 3e-4, 'train.weights.clip': 5, 'train.drop_path': 0.2, 'data.crop': 4, 'data.flip': True,
              'data.cutout': 16}
    expect({key: settings[key] for key in wanted} == wanted, settings)


def test_recipe_of_a_network():
    write('plain.nd', 'network main(H = 8, W = 8, channels = 3) on x {\n'
          '    return x | conv: conv(4, 3, pad = 1) | relu | global_avg_pool | classifier: linear(4)\n}\n')
    train('plain', '--recipe', './recipe.nd', text='plain.nd')
    expect('classifier.weight' in read_safetensors('plain/weights.safetensors'), 'the network of the text is not trained')


def test_genotype_of_a_search():
    write('search.nd', SEARCH)
    run(RUN, 'search', 'search.nd', '--out', 'found')
    train('trained', '--set', 'C=2', '--set', 'layers=3', '--set', 'train.epochs=1', text='found/genotype.nd')
    expect(result_of('trained')['images'] == 512, result_of('trained'))
    settings = json.loads(read('trained', 'run.json'))['settings']
    expect(settings['train.drop_path'] == 0.2 and settings['data.flip'] and settings['classes'] == 4, settings)
    expect((settings['data.area.0'], settings['data.hue'], settings['data.interpolation']) == (0.5, 0.1, 'bicubic'), settings)
    train('trained', '--recipe', './recipe.nd', text='found/genotype.nd')
    run(COMPILER, 'found/genotype.nd', '--emit=stats')


def test_label_smoothing():
    """In training each of K classes is wanted with e / K, the image's own with 1 - e more; in evaluation nothing is smoothed."""
    smoothing, classes, images = 0.3, 4, 6
    write('smooth.nd', 'network main(H = 8, W = 8, channels = 3) on x {\n    return x | conv: conv(4, 3, pad = 1) | global_avg_pool '
          f'| classifier: linear({classes})\n}}\ntrain {{\n    network main\n    data synthetic(H = 8, W = 8, classes = {classes})\n'
          f'    epochs 1\n    label_smoothing {smoothing}\n    weights sgd(lr = 0.1)\n}}\n')
    run(TOOL, 'weights', 'smooth.safetensors', 'smooth.nd', '', '1')
    run(TOOL, 'tensors', 'feed.safetensors', f'input=input:{images},3,8,8', f'labels=label/{classes}:{images}')
    run(RUN, 'trace', 'smooth.nd', '--weights', 'smooth.safetensors', '--feed', 'feed.safetensors', '--precision=f64', '-o', 'out.safetensors')
    out = {name: struct.unpack(f'<{len(data) // 8}d', data) for name, (_, _, data) in read_safetensors('out.safetensors').items()}
    labels = struct.unpack(f'<{images}q', read_safetensors('feed.safetensors')['labels'][2])
    loss, bias = 0.0, [0.0] * classes
    for n, label in enumerate(labels):
        row = out['train/logits'][n * classes:(n + 1) * classes]
        total = sum(math.exp(v) for v in row)
        for c, value in enumerate(row):
            wanted = smoothing / classes + (1 - smoothing) * (c == label)
            loss -= wanted * (value - math.log(total)) / images
            bias[c] += (math.exp(value) / total - wanted) / images
    expect(abs(out['train/loss'][0] - loss) < 1e-9, f'{out["train/loss"]}, expected {loss}')
    expect(all(abs(a - b) < 1e-9 for a, b in zip(out['train/grad/classifier.bias'], bias)), f'{bias}')


def test_mistakes():
    run(RUN, 'train', code=1, says='train needs a text')
    train('m', '--sedes', '0..1', code=1, says="unknown option '--sedes' of train; did you mean '--seeds'?")
    train('m', '--seeds', '3..1', code=1, says='--seeds 3..1: expected FIRST..LAST')
    train('m', '--seeds', '0..1', '--seed', '1', code=1, says='exclude each other')
    train('m', '--set', 'train.hold_out=1', code=1, says="--set:1:16: error: 'train.hold_out' is 1; expected at least 0 and below 1")
    train('m', '--set', 'train.epochs=0', code=1, says="'train.epochs' is 0; expected 1 to 1000000")
    write('network.nd', 'import "noisy_darts_a.nd"\nnetwork main = cifar(noisy_darts_a)\n')
    train('m', text='network.nd', code=1, says="describes a network and has no 'train { ... }'; --recipe NAME")
    train('one', '--resume', '--set', 'train.batch=4', code=1, says='is of another training: train.batch is 4 here, 8 in the')
    train('nothing', '--resume', code=1, says="nothing to resume: there is no folder 'nothing'")
    shutil.copytree('one', 'broken')
    data = bytearray(read('broken', 'checkpoint.safetensors'))
    data[-100] ^= 1
    with open('broken/checkpoint.safetensors', 'wb') as file:
        file.write(data)
    train('broken', '--resume', code=1, says='corrupted checkpoint')


def prepare():
    write('tiny.nd', SPEC)
    write('recipe.nd', RECIPE)


if __name__ == '__main__':
    sys.exit(main([prepare, test_threads_do_not_matter, test_interrupted_and_resumed, test_finished_training_resumes_to_nothing,
                   test_hold_out, test_best_weights_are_kept, test_weights_have_their_names,
                   test_part_of_the_weights, test_auxiliary_head, test_seeds,
                   test_interrupted_seeds, test_recipe, test_recipes_are_as_published, test_recipe_of_a_network,
                   test_genotype_of_a_search, test_label_smoothing, test_mistakes]))
