#!/usr/bin/env python3
"""Several processes do one run together, under mpirun: the same bits from 1, 2 and 4 of them, in f32 and f64, of a search, a
training and an evaluation; interrupted and resumed by another number; and what is refused, and a rank that dies."""
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import _safetensors
from folders import png
from _run import BUILD, COMPILER, RUN, SOURCE, expect, expect_same, interrupt, main, read, run, write

SEARCH = '''import "methods.nd"
space two {
    candidates = [skip_connect, sep_conv_3x3, max_pool_3x3]
    cell { inputs 2  nodes 1  output concat(nodes)  keep 2 per node }
}
search {
    space two   network cifar_search(C=2, layers=3)
    noise on skip_connect { gaussian additive std=0.2 mean=0 }
    data synthetic(classes = 3, H = 8, W = 8, limit = 44) split 0.5
    epochs 2  batch 8  seed 5
    weights sgd(lr=0.05, momentum=0.9, decay=3e-4, clip=5)
    alphas adam(lr=3e-3)
}
'''
TRAIN = '''import "noisy_darts_a.nd"
train {
    network cifar(noisy_darts_a, C=2, layers=2, classes=3, H=8, W=8)
    data synthetic(classes = 3, H = 8, W = 8, limit = 53)
    epochs 2  batch 16  seed 5  hold_out 0.2  mixup 0.2
    weights sgd(lr=0.05, momentum=0.9, clip=5)
}
'''
TINY = '''network tiny(classes ?= 2, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | c: conv(4, 3, pad = 1) | bn: batch_norm | relu | global_avg_pool | classifier: linear(classes)
}
train {
    network tiny
    data image_folder("pictures", classes = 2, H = 8, W = 8, flip = false, cutout = 4)
    epochs 1  batch 4  seed 5
    weights sgd(lr=0.05, momentum=0.9, clip=5)
}
'''
SUMMARY = ('summary.json', 'seed-1/checkpoint.safetensors', 'seed-2/checkpoint.safetensors')
SEARCHED = ('checkpoint.safetensors', 'alphas.jsonl', 'metrics.jsonl', 'genotypes.jsonl', 'genotype.nd')
TRAINED = ('checkpoint.safetensors', 'metrics.jsonl', 'best.safetensors', 'weights.safetensors', 'result.json')
MPIRUN = ('mpirun', '--oversubscribe', '--bind-to', 'none')


def on(ranks, *arguments, code=0, says=''):
    """A command of ndarts-run by so many processes; by one without a launcher."""
    line = (RUN, *arguments, '--threads', '1')
    return run(*(MPIRUN + ('-n', str(ranks)) if ranks > 1 else ()), *line, code=code, says=says)


def apart(first, second, *arguments, code=1, says='', folders=('.', '.')):
    """A command by two ranks, with options of its own for each, or in folders of their own."""
    line = lambda folder, options: ('-n', '1', '-wdir', os.path.abspath(folder), RUN, *arguments, '--threads', '1', *options)
    return run(*MPIRUN, *line(folders[0], first), ':', *line(folders[1], second), code=code, says=says)


# ---- the same bits ----

def count_messages(text, batch_norm):
    """Of a step of the weights, of two ranks."""
    said = run(COMPILER, text, '--ranks', '2', '--mem-report', '--graph=search-weights', '--set', f'batch_norm={batch_norm}', '--emit=plan', '-o', 'plan')[1]
    return int(re.search(r'exchanged \d+ values in (\d+) message', said)[1])


def check_search(text, *options, counts=(1, 2)):
    write('search.nd', text)
    for ranks in counts:
        on(ranks, 'search', 'search.nd', '--out', f'ranks{ranks}', '--log-steps', *options)
        if ranks > 1:
            expect_same('ranks1', f'ranks{ranks}', (*SEARCHED, 'steps.jsonl'))
    for ranks in counts:
        shutil.rmtree(f'ranks{ranks}')


def test_search():
    check_search(SEARCH, counts=(1, 2, 4))


def test_second_order_in_f64():
    check_search(SEARCH.replace('adam(lr=3e-3)', 'adam(lr=3e-3)  order second'), '--precision', 'f64')


def test_only_the_chosen_run():
    """What is exchanged changes from step to step."""
    check_search(SEARCH.replace('layers=3)', 'layers=3)  method gdas').replace('noise on skip_connect { gaussian additive std=0.2 mean=0 }', ''))


def test_gradients_leave_early():
    """Of many channels they are enough for messages that go while the backward pass goes on; what comes of them is the same."""
    text = SEARCH.replace('C=2', 'C=16').replace('epochs 2', 'epochs 1')
    write('few.nd', SEARCH)
    write('many.nd', text)
    few, many = (count_messages(name, 'global') for name in ('few.nd', 'many.nd'))
    expect(few + 1 < many < 2 * few, f'{few}, {many}')
    check_search(text, counts=(1, 2))


def test_budget_of_memory():
    """Of each rank; the bits are those of one process without."""
    write('search.nd', SEARCH)
    on(1, 'search', 'search.nd', '--out', 'free')
    on(2, 'search', 'search.nd', '--out', 'kept', '--mem-budget', '100M')
    expect_same('free', 'kept', SEARCHED)
    on(2, 'search', 'search.nd', '--out', 'refused', '--mem-budget', '100K', code=1, says='are needed for a batch of 8:')
    on(2, 'search', 'search.nd', '--out', 'refused', '--mem-budget', '100M', '--precision', 'bf16', code=1, says='2 ranks: --mem-budget is for processors, and not for bf16')


def test_training_and_evaluation():
    """The last batch of an epoch is smaller, 11 images, and its chunks are not what a rank would make of its 5 or 6; an image's partner is another rank's."""
    write('train.nd', TRAIN)
    said = {}
    for ranks in (1, 2, 4):
        said[ranks] = on(ranks, 'train', 'train.nd', '--out', f'train{ranks}', '--precision', 'f64', '--log-steps')[0]
        expect_same('train1', f'train{ranks}', (*TRAINED, 'steps.jsonl'))
    expect(said[1] == said[2] == said[4], f'{said}')
    found = []
    for ranks in (1, 4):
        line = ('eval', 'train.nd', '--weights', 'train1/weights.safetensors', '--batch', '24', '--json')
        found.append({**json.loads(on(ranks, *line)[0]), 'images_per_second': 0})
    expect(found[0] == found[1], f'{found}')


def test_seeds():
    """By all ranks together, one after the other; or spread, each rank its own. What an earlier run left is set aside once, and
    three go on where two began."""
    write('seeds.nd', TRAIN.replace('epochs 2', 'epochs 1').replace('limit = 53', 'limit = 29'))
    line = ('train', 'seeds.nd', '--seeds', '1..3', '--out')
    alone = on(1, *line, 'seeds1')[0]
    for options in ((), ('--spread=seeds',)):
        said = on(2, *line, 'seeds2', *options)[0]
        expect(said == alone, f'{alone}{said}')
        expect_same('seeds1', 'seeds2', SUMMARY + tuple(f'seed-3/{name}' for name in TRAINED))
    expect(len([name for name in os.listdir('seeds2') if name.startswith('earlier-')]) == 1, f'{os.listdir("seeds2")}')
    shutil.rmtree('seeds2/seed-2')
    on(3, *line, 'seeds2', '--spread=seeds', '--resume')
    expect_same('seeds1', 'seeds2', SUMMARY)


def test_seeds_cannot_be_spread():
    """What one of the ranks meets ends all, and has its number."""
    write('seeds.nd', TRAIN)
    os.mkdir('failed')
    write('failed/seed-4', 'no folder')
    on(2, 'train', 'seeds.nd', '--out', 'failed', '--seeds', '3,4', '--spread=seeds', '--resume', code=1, says="rank 1 of 2: error: 'failed/seed-4' is not a folder")
    on(2, 'train', 'seeds.nd', '--seeds', '3', '--spread=seeds', code=1, says='2 ranks for 1 seeds; some would have nothing to do')
    on(1, 'train', 'seeds.nd', '--spread=seeds', code=1, says='--spread=seeds is for --seeds')


def test_reference_values():
    """A trace of two ranks has the numbers of PyTorch, as that of one."""
    case = (sys.executable, os.path.join(SOURCE, 'tests', 'reference', 'spaces_f64.py'), 'nb201/softmax_no_bias')
    run(*case, env={**os.environ, 'NDARTS_TEST_LAUNCHER': ' '.join((*MPIRUN, '-n', '2'))})


def test_measured_costs():
    """What one process has measured is kept, and several go on with it; they cannot measure themselves."""
    write('latency.nd', SEARCH.replace('epochs 2', 'epochs 12  objective latency(target = 0.01)'))
    on(2, 'search', 'latency.nd', '--out', 'latency1', code=1, says='several ranks take what the candidates cost from a table: give --cost FILE')
    interrupt('epoch 1/12', 0, RUN, 'search', 'latency.nd', '--out', 'latency1', '--threads', '1')
    for name in ('latency2', 'latency3'):
        shutil.copytree('latency1', name)
    line = ('search', 'latency.nd', '--resume', '--out')
    on(1, *line, 'latency1')
    on(2, *line, 'latency2')
    on(2, *line, 'latency3', '--cost', 'latency3/cost.json')
    for name in ('latency2', 'latency3'):
        expect_same('latency1', name, (*SEARCHED, 'cost.json'))
    table = json.loads(read('latency1', 'cost.json'))
    for host, rest in (('here', 0), ('there', 1)):
        os.makedirs(host, exist_ok=True)
        write(f'{host}/latency.nd', open('latency.nd', encoding='utf-8').read())
        write(f'{host}/cost.json', json.dumps({**table, 'rest_ms': rest}))
    apart((), (), 'search', 'latency.nd', '--out', 'costs', '--cost', 'cost.json', folders=('here', 'there'), says='rank 1 has other costs of the candidates than rank 0')


# ---- statistics of each rank ----

def test_local_batch_norm():
    """Each rank normalises by its own images: the gradients are the means of those that two processes have of a half of the images
    each; running statistics are of all of them. Another number of ranks would be another run, and is refused."""
    write('local.nd', TRAIN.replace('epochs 2', 'epochs 2  batch_norm local').replace('mixup 0.2', ''))
    pixels, traced = [math.sin(7 * i * i % 101) for i in range(8 * 3 * 64)], []
    for ranks, first, end in ((2, 0, 8), (1, 0, 8), (1, 0, 4), (1, 4, 8)):
        images = pixels[first * 3 * 64:end * 3 * 64]
        _safetensors.write('feed.safetensors', {'input': ((end - first, 3, 8, 8), images), 'labels': ((end - first,), [i % 3 for i in range(first, end)])}, {'labels': 'I64'})
        on(ranks, 'trace', 'local.nd', '--feed', 'feed.safetensors', '--seed', '3', '--precision', 'f64', '-o', 'out.safetensors')
        traced.append(_safetensors.numbers('out.safetensors'))
    both, alone, *halves = traced
    names = [key for key in both if key.startswith('train/grad/')]
    expect(len(names) > 30, f'{names}')
    for key in names:
        for found, *parts in zip(both[key], halves[0][key], halves[1][key]):
            expect(abs(found - sum(parts) / 2) < 1e-9, f'{key}: {found}, of the halves {parts}')
    expect(max(abs(x - y) for key in names for x, y in zip(both[key], alone[key])) > 1e-4, 'as with statistics of all images')
    first = next(key for key in both if key.startswith('train/after/') and 'running_var' in key)
    expect(all(abs(x - y) < 1e-9 for x, y in zip(both[first], alone[first])), f'{first}: {both[first]}')


def test_local_runs():
    write('local.nd', SEARCH.replace('epochs 2', 'epochs 2  batch_norm local'))
    on(2, 'search', 'local.nd', '--out', 'local')
    on(1, 'search', 'local.nd', '--out', 'local', '--resume', code=1, says="is of another build: 'batch norm of each of 1 ranks")
    messages = [count_messages('local.nd', name) for name in ('global', 'local')]
    expect(35 < messages[0] < 45 and messages[1] < 10, f'{messages}')  # 47 if candidates did not share theirs


# ---- interruptions ----

def start(out, epochs=8):
    """Two ranks, when two epochs are written down."""
    write('long.nd', SEARCH.replace('epochs 2', f'epochs {epochs}').replace('limit = 44', 'limit = 28'))
    process = subprocess.Popen((*MPIRUN, '-n', '2', RUN, 'search', 'long.nd', '--out', out, '--threads', '1'),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    lines, until = f'{out}/metrics.jsonl', time.time() + 300
    while process.poll() is None and time.time() < until:
        if os.path.exists(lines) and open(lines, encoding='utf-8').read().count('\n') >= 2:
            return process
        time.sleep(0.01)
    raise AssertionError(f'the search did not get far: {process.communicate()[0]}')


def finish(out, ranks):
    on(ranks, 'search', 'long.nd', '--out', out, '--resume', says='resuming in epoch')
    if not os.path.exists('whole'):
        on(1, 'search', 'long.nd', '--out', 'whole')
    expect_same('whole', out, SEARCHED)


def children(parent):
    return [int(pid) for pid in subprocess.run(('pgrep', '-P', str(parent)), capture_output=True, text=True, check=False).stdout.split()]


def test_interrupted():
    """A signal to one rank: all end behind the same step, and it is saved. Four go on where two ended."""
    process = start('interrupted')
    os.kill(max(children(process.pid)), signal.SIGTERM)
    said = process.communicate(timeout=300)[0]
    expect('saved in interrupted; --resume goes on' in said and process.returncode, said)
    finish('interrupted', 4)


def test_mpirun_is_interrupted():
    """It passes the signal on, and does not wait long: what was saved last is whole in any case. There are more epochs than could
    end before the signal is there."""
    process = start('all', epochs=100000)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    expect(process.returncode and 'results are in' not in said, said)
    with subprocess.Popen((RUN, 'search', 'long.nd', '--out', 'all', '--resume', '--threads', '1'), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace') as resumed:
        lines = iter(resumed.stdout.readline, '')
        expect(any('resuming in epoch' in line for line in lines) and any('train loss' in line for line in lines), 'it does not go on')
        resumed.send_signal(signal.SIGTERM)
        said = resumed.communicate(timeout=60)[0]
        expect('saved in all; --resume goes on' in said and resumed.returncode, said)


def test_a_rank_dies():
    process = start('died')
    ranks = children(process.pid)
    expect(len(ranks) == 2, f'{ranks}')
    os.kill(max(ranks), signal.SIGKILL)
    said = process.communicate(timeout=30)[0]
    expect('process rank 1' in said and 'signal 9' in said and process.returncode, said)
    finish('died', 1)


def test_a_rank_computes_wrongly():
    """After the epoch the run ends, and says which rank it was; what is saved is of before."""
    write('search.nd', SEARCH)
    one = (RUN, 'search', 'search.nd', '--out', 'wrong', '--threads', '1')
    preload = ('-x', f'LD_PRELOAD={os.path.join(BUILD, "tests", "libwrong_rank.so")}')
    says = 'rank 1 has other parameters than rank 0 after epoch 1: one of the two computes wrongly'
    run(*MPIRUN, '-n', '1', *one, ':', '-n', '1', *preload, *one, code=2, says=says)
    on(1, 'search', 'search.nd', '--out', 'wrong', '--resume', says='resuming in epoch 1 after 0 steps')


# ---- what is refused ----

def test_numbers_of_ranks():
    write('search.nd', SEARCH)
    on(3, 'search', 'search.nd', '--out', 'three', code=1, says='the number of ranks must divide 8')
    write('small.nd', SEARCH.replace('batch 8', 'batch 2'))
    on(4, 'search', 'small.nd', '--out', 'small', code=1, says='a batch of 2 images is smaller than the number of ranks, 4')
    expect(not os.path.exists('small/checkpoint.safetensors'), 'a refused search began')


def test_different_compilers():
    write('search.nd', SEARCH)
    one = (RUN, 'search', 'search.nd', '--out', 'different', '--threads', '1')
    says = 'rank 1 has another text, other options, another build of ndarts or another compiler or processor than rank 0'
    # As another compiler or another width of vectors, other options of the compiler are in the module's key.
    run(*MPIRUN, '-n', '1', *one, ':', '-n', '1', '-x', 'NDARTS_CFLAGS=-O1', *one, code=1, says=says)


def test_different_options():
    """Before anything is done: what is in the folder stays there."""
    for folder in ('options/pictures/train/a', 'options/pictures/train/b', 'options/pictures/val/a', 'options/pictures/val/b'):
        pictures(folder, 4)
    write('options/tiny.nd', TINY)
    here = ('options', 'options')
    run(RUN, 'train', 'tiny.nd', '--out', 'one', '--threads', '1', cwd='options')
    kept = {name: read('options', 'one', name) for name in TRAINED}
    for first, second, name in (((), ('--seed', '3'), '--seed'), ((), ('--resume',), '--resume'), (('--resume',), (), '--resume'),
                                ((), ('--init', 'one/weights.safetensors'), '--init'), ((), ('--data', 'synthetic(classes = 2)'), '--data'),
                                (('--seeds', '0..3'), ('--seeds', '0..5'), '--seeds'), (('--seeds', '0,1'), ('--seeds', '0,1', '--spread=seeds'), '--spread')):
        apart(first, second, 'train', 'tiny.nd', '--out', 'one', folders=here, says=f'rank 1 has another {name} than rank 0; all must have the same')
    apart(('--out', 'one'), ('--out', 'two'), 'train', 'tiny.nd', folders=here, says='rank 1 has another --out than rank 0')
    expect(kept == {name: read('options', 'one', name) for name in TRAINED} and sorted(os.listdir('options')) == ['one', 'pictures', 'tiny.nd'],
           os.listdir('options'))
    run(*MPIRUN, '-n', '1', RUN, 'train', 'options/tiny.nd', ':', '-n', '1', RUN, 'eval', 'options/tiny.nd', code=1, says='rank 1 has another command than rank 0')


def pictures(folder, count):
    os.makedirs(folder)
    for i in range(count):
        png(f'{folder}/{i}.png', [bytes([40 * i + len(folder)] * 24)] * 8)


def make_hosts():
    """Two folders, as two hosts may have them, with the same names and not the same files."""
    for host in ('here', 'there'):
        for part in ('train', 'val'):
            for name in 'ab':
                pictures(f'{host}/pictures/{part}/{name}', 4)
        write(f'{host}/tiny.nd', TINY)
        seed = '5' if host == 'here' else '6'
        run(RUN, 'train', 'tiny.nd', '--out', 'run', '--seed', seed, '--threads', '1', cwd=host)


def test_different_files():
    make_hosts()
    hosts, kept = ('here', 'there'), read('here', 'run', 'checkpoint.safetensors')
    check = lambda what, *arguments: apart((), (), *arguments, folders=hosts, says=f'rank 1 has {what} than rank 0; all must have the same')
    check('another checkpoint', 'train', 'tiny.nd', '--out', 'run', '--resume')
    check('other weights to begin with', 'train', 'tiny.nd', '--out', 'run', '--init', 'run/weights.safetensors')
    check('other weights', 'eval', 'tiny.nd', '--weights', 'run/weights.safetensors')
    for host in hosts:
        _safetensors.write(f'{host}/feed.safetensors', {'input': ((4, 3, 8, 8), [0.1 * len(host)] * 768), 'labels': ((4,), [0, 1, 0, 1])}, {'labels': 'I64'})
    check('another feed', 'trace', 'tiny.nd', '--feed', 'feed.safetensors', '-o', 'out.safetensors')
    shutil.copy('here/feed.safetensors', 'there')
    check('other weights', 'trace', 'tiny.nd', '--feed', 'feed.safetensors', '--weights', 'run/weights.safetensors', '-o', 'out.safetensors')
    shutil.copy('here/run/weights.safetensors', 'there/run')
    png('there/pictures/val/a/more.png', [bytes(24)] * 8)
    check('other images to test with', 'train', 'tiny.nd', '--out', 'run')
    check('other images', 'eval', 'tiny.nd', '--weights', 'run/weights.safetensors')
    png('there/pictures/train/a/more.png', [bytes(24)] * 8)
    check('other images', 'train', 'tiny.nd', '--out', 'run')
    expect(read('here', 'run', 'checkpoint.safetensors') == kept, 'a refused training began')
    write('there/tiny.nd', TINY.replace('seed 5', 'seed 5  label_smoothing 0.1'))
    check('another text', 'train', 'tiny.nd', '--out', 'seeds', '--seeds', '0,1', '--spread=seeds')
    check('another text, other options, another build of ndarts or another compiler or processor', 'eval', 'tiny.nd', '--weights', 'run/weights.safetensors')
    expect(not os.path.exists('here/seeds'), 'a refused training began')


def test_no_plugin():
    """Without the plugin a program of one process runs, and says what it lacks when it is to be one of several."""
    os.mkdir('alone')
    shutil.copy(RUN, 'alone')
    write('search.nd', SEARCH)
    line = (os.path.abspath('alone/ndarts-run'), 'search', 'search.nd', '--out', 'plugin', '--threads', '1')
    environment = {**os.environ, 'NDARTS_LIBRARY': os.path.join(os.environ['NDARTS_SOURCE'], 'genotypes')}
    run(*line, env={**environment, 'PMI_SIZE': '2'}, code=1, says='mpirun started 2 processes, and this one cannot join the others: the plugin')
    slurm = {'PMI_SIZE': '2', 'SLURM_STEP_NUM_TASKS': '2', 'SLURM_LOCALID': '1', 'SLURM_GTIDS': '0,1'}
    run(*line, env={**environment, **slurm}, code=1, says='srun started 2 processes')
    run(*line, env=environment)


if __name__ == '__main__':
    if not shutil.which('mpirun') or not os.path.exists(os.path.join(BUILD, 'bin', 'libndarts_mpi.so')):
        print('skipped: no mpirun, or no MPI when ndarts was built (libopenmpi-dev, openmpi-bin)')
        sys.exit(77)
    # The C compiler's optimisation would take longer than what is tested. Only this machine is asked for.
    os.environ.update(NDARTS_CFLAGS='-O0', OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1', OMPI_MCA_btl='self,vader')
    sys.exit(main([test_search, test_gradients_leave_early, test_training_and_evaluation, test_seeds, test_seeds_cannot_be_spread, test_reference_values,
                   test_local_batch_norm, test_a_rank_dies, test_a_rank_computes_wrongly, test_numbers_of_ranks,
                   test_different_compilers, test_different_options, test_no_plugin],
                  thorough=[test_budget_of_memory, test_second_order_in_f64, test_only_the_chosen_run, test_different_files, test_measured_costs,
                            test_local_runs, test_interrupted, test_mpirun_is_interrupted]))
