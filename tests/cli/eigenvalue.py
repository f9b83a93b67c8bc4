#!/usr/bin/env python3
"""A search that is watched takes the same steps; its eigenvalues are those that `hessian` finds; it ends early where a rule says so, with
the genotype of the right epoch, resumed or not; the genotype of every epoch is kept."""
import json
import re
import sys

from _run import RUN, expect, lines_of, main, read, run, write

TEXT = '''op thin(C, stride) = conv(C, 1, stride) | tanh
op wide(C, stride) = conv(C, 3, stride, 1) | tanh
op skip_connect(C, stride) = if stride == 1 then identity else conv(C, 1, stride)
space small { candidates = [thin, wide, skip_connect]  cells = [normal]  cell { inputs 1  nodes 2  output s2  keep 1 per node } }
network net(space, C = 4, classes ?= 10, H ?= 8, W ?= 8, channels ?= 3) on x {
    return x | stem: conv(C, 1) | c0: space.normal | c1: space.normal | global_avg_pool | classifier: linear(classes)
}
search {
    space small  network net(small)  %s
    data synthetic(classes = 3, H = 8, W = 8, limit = 64)
    epochs 6  batch 8
    alphas adam(lr = 0.1)
}
'''


def search(name, words, *options):
    write(f'{name}.nd', TEXT % words)
    return run(RUN, 'search', f'{name}.nd', '--out', name, *options)


def eigenvalues(folder):
    return {line['epoch']: line['eigenvalue'] for line in lines_of(folder, 'metrics.jsonl') if 'eigenvalue' in line}


def numbers(text):
    return {line.split()[0]: [float(word) for word in line.split()[1:]] for line in text.splitlines()}


def test_watched():
    """Every second epoch and the last; the same bits as without."""
    search('plain', '')
    printed = search('watched', 'eigenvalue every 2')[1]
    expect(read('plain/alphas.jsonl') == read('watched/alphas.jsonl'), 'watching changes the search')
    found = eigenvalues('watched')
    expect(list(found) == [0, 2, 4, 5] and not eigenvalues('plain'), f'eigenvalues of the epochs {list(found)}')
    expect(len(re.findall(r'eigenvalue \d', printed)) == 4, f'not four eigenvalues are printed:\n{printed}')
    again = numbers(run(RUN, 'hessian', 'watched', '--spectrum', '-o', 'h.safetensors')[0])
    expect(abs(again['dominant'][0] / found[5] - 1) < 1e-6, f'{again["dominant"]} of the folder, {found[5]} of the search')
    values = again['eigenvalues']
    expect(len(values) == 9 and values == sorted(values), f'eigenvalues {values}')
    expect(abs(values[-1] / found[5] - 1) < 1e-3, f'{values[-1]} of the spectrum, {found[5]} of the search')
    expect(abs(sum(values) - again['trace'][0]) < 1e-6 and abs(sum(x * x for x in values) ** 0.5 - again['norm'][0]) < 1e-6, 'trace or norm')
    expect(again['largest_absolute'][0] in (values[0], values[-1]), f'largest absolute value {again["largest_absolute"]}')


def test_batch():
    """Of as many images as are asked for, as where the text says so."""
    found, said = run(RUN, 'hessian', 'watched', '--batch', '3')
    expect(' 3 images' in said and found == run(RUN, 'hessian', 'watched', '--batch=3')[0], said)
    expect(numbers(found) != numbers(run(RUN, 'hessian', 'watched')[0]), 'the same of other images')


def test_precisions_agree():
    single, double = (numbers(run(RUN, 'hessian', 'watched', f'--precision={p}')[0])['dominant'][0] for p in ('f32', 'f64'))
    expect(abs(single / double - 1) < 1e-2, f'{single} in f32, {double} in f64')


def test_genotypes():
    """Of every epoch, as `derive --epoch` gives them."""
    lines = lines_of('watched', 'genotypes.jsonl')
    expect([line['epoch'] for line in lines] == list(range(6)), 'genotypes.jsonl lacks epochs')
    for line in lines:
        text = run(RUN, 'derive', 'watched', '--epoch', str(line['epoch']))[0]
        edges = [[op, int(state), int(source)] for state, op, source in re.findall(r's(\d) = (\w+)\(s(\d)\)', text)]
        expect(line['cells'] == {'normal': edges}, f'{line} is not\n{text}')
    expect(read('watched/genotype.nd').decode().startswith(run(RUN, 'derive', 'watched')[0]), 'derive has not the last genotype')
    run(RUN, 'derive', 'watched', '--epoch', '6', code=1, says='no line of epoch 6')


def test_stop_by_eigenvalue():
    """A factor of 0 ends it as soon as it may: in epoch 4 (from 1), with the genotype of epoch 3."""
    words = 'early_stop eigenvalue(every = 1, window = 1, delta = 1, factor = 0, start = 2)'
    result, printed = search('stopped', words)[:2]
    last = lines_of('stopped', 'metrics.jsonl')[-1]
    expect((last['epoch'], last['stopped_by'], last['genotype_of']) == (3, 'eigenvalue', 2), f'the last epoch is {last}')
    says = 'the search ended early, after epoch 4 of 6; its genotype is that of epoch 3'
    expect(says in printed, f'not said:\n{printed}')
    note, text = result.split('\n', 1)
    expect(note == '# Of epoch 3; the search ended early, after epoch 4 of 6.', f'the result begins with {note}')
    expect(text.startswith(run(RUN, 'derive', 'stopped', '--epoch', '2')[0]), 'the genotype is of another epoch')
    expect(read('stopped/genotype.nd').decode() == result, 'genotype.nd is not what was printed')
    again = run(RUN, 'search', 'stopped.nd', '--out', 'stopped', '--resume')
    expect(again[0] == result and says in again[1] and len(lines_of('stopped', 'metrics.jsonl')) == 4, 'resuming goes on')


def test_stop_by_skips():
    printed = search('skips', 'early_stop skips(1)  frozen_epochs 2')[1]
    lines = lines_of('skips', 'genotypes.jsonl')
    count = [json.dumps(line['cells']).count('skip_connect') for line in lines]
    last = lines_of('skips', 'metrics.jsonl')[-1]
    expect(len(lines) > 2 and count[-1] >= 1 and not any(count[2:-1]), f'skips of the epochs: {count}')
    expect(last.get('stopped_by') == 'skips' and last['genotype_of'] == last['epoch'] == len(lines) - 1, f'the last epoch is {last}')
    expect('the search ended early' in printed, 'not said')


def test_mistakes():
    for words, says in (('eigenvalue 2', "'eigenvalue' says how often"), ('early_stop skips', 'a search stops early by'),
                        ('early_stop eigenvalue(windows = 3)', "'eigenvalue' has no parameter 'windows'"),
                        ('eigenvalue every 3  early_stop eigenvalue(every = 2)', 'the eigenvalue is asked for every 3 epochs elsewhere')):
        write('wrong.nd', TEXT % words)
        run(RUN, 'search', 'wrong.nd', '--out', 'wrong', code=1, says=says)
    write('network.nd', TEXT.split('search {')[0] + 'genotype g { normal { s1 = thin(s0)  s2 = wide(s1)  return s2 } }\nnetwork main = net(g)\n')
    run(RUN, 'hessian', 'network.nd', code=1, says='not a search')


sys.exit(main([test_watched, test_batch, test_precisions_agree, test_genotypes, test_stop_by_eigenvalue, test_stop_by_skips, test_mistakes]))
