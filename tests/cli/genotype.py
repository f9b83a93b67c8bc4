#!/usr/bin/env python3
"""ndarts-run genotype, and genotypes of other programs wherever a text is taken: Python, JSON, logs, NAS-Bench-201 and 301;
every genotype of the library is the same after a round trip."""
import glob
import json
import os
import subprocess
import sys

from _run import COMPILER, RUN, SOURCE, expect, main, run, write

CELLS = {
    'normal': [('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)],
    'normal_concat': [2, 3],
    'reduce': [('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1)],
    'reduce_concat': [3],
}
PYTHON = ("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 4), "
          "reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(3, 4))")
BENCH = '|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|'


def convert(text, *arguments, code=0, says=''):
    """The genotype of a text on standard input, in Python unless told otherwise."""
    done = subprocess.run([RUN, 'genotype', '-', *(arguments or ('--format', 'python'))], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    expect(done.returncode == code and says in done.stderr,
           f'{text}\n{arguments}: exit code {done.returncode}, expected {code} and "{says}"\n{done.stdout}{done.stderr}')
    return done.stdout


def literal():
    return f'Genotype(normal={CELLS["normal"]}, normal_concat=range(2, 4), reduce={CELLS["reduce"]}, reduce_concat=[3])'


def nested():
    pairs = {name: [CELLS[name][i:i + 2] for i in (0, 2)] for name in ('normal', 'reduce')}
    return f'Genotype(normal={pairs["normal"]}, normal_concat=range(2, 4), reduce={pairs["reduce"]}, reduce_concat=range(3, 4))'


def ways_of_writing():
    flat = literal()
    ways = {
        'flat': flat,
        'nested': nested(),
        'tuples': flat.replace('[(', '((').replace(')]', '))'),
        'nested tuples': nested().replace('[', '(').replace(']', ',)'),
        'lists': flat.replace('(\'', '[\'').replace('), [', '], [').replace(')]', ']]'),
        'double quotes': flat.replace("'", '"'),
        'trailing commas': flat.replace(')]', '),]').replace('])', '],)'),
        'lines and comments': flat.replace(', ', ',  # next, [(\n    '),
        'Windows lines': 'DARTS = ' + flat.replace(', ', ',\r\n  ') + '\r\n',
        'assigned': f'from x import y\nPRIMITIVES = ["none"]\nDARTS = genotypes.Genotype{flat[8:]}\n',
        'spaced': flat.replace('Genotype(', 'Genotype (\n').replace('=', ' = '),
        'by position': f'Genotype({CELLS["normal"]}, range(2, 4), {CELLS["reduce"]}, [3])',
        'state first': flat.replace("('sep_conv_3x3', 1)", "(1, 'sep_conv_3x3')"),
        'wrapped': flat.replace('range(2, 4)', 'list(range(2, 4))').replace('[3]', 'array([np.int64(3)])'),
        'other names': flat.replace('sep_conv_3x3', 'SepConv3x3').replace('skip_connect', 'Identity').replace('dil_conv', 'dil-conv'),
        'logged': f'2019-01-01 01:02:03,456 genotype = {flat}\n2019-01-01 01:02:04,456 train 001 1.2e-01\n',
        'in a string': f'{{"genotype": "{flat}"}}',
        'JSON': json.dumps(CELLS),
        'JSON inside': json.dumps({'epoch': 3, 'genotype': CELLS}, indent=1),
        'dict': repr(CELLS),
        'more fields': flat.replace('Genotype(', 'Genotype(connectN=None, '),
        'without concat': json.dumps({k: v for k, v in CELLS.items() if k != 'normal_concat'}),
    }
    for title, text in ways.items():
        found = convert(text)
        expect(found.split(' = ')[1] == PYTHON + '\n', f'{title}:\n{text}\nfound {found}expected {PYTHON}')


def more_edges():
    odd = "Genotype(normal=[[('none', 0)], [('skip_connect', 0), ('skip_connect', 1), ('sep_conv_5x5', 2)]], normal_concat=range(2, 4))"
    expect(convert(odd) == 'found = ' + odd + '\n', convert(odd))
    many = ', '.join(f'("skip_connect", {i % 2})' for i in range(130))
    convert(f'Genotype(normal=[{many}])', code=1, says='more than 64 nodes')
    convert(f'Genotype(normal=[[{many}]])', code=1, says='more than 64 edges')
    convert('Genotype(normal=[' + '(1, 2), ' * 5000 + '])', code=1, says='more than 4096 values')


def names():
    for text, name in (('DARTS_V2 = ', 'DARTS_V2'), ('genotype = ', 'found'), ('', 'found'), ('darts = ', 'darts_found'), ('x.y = ', 'y'),
                       ('relu = ', 'relu_found'), ('main = ', 'main_found'), ('3d = ', 'g3d')):
        expect(f'genotype {name} {{' in convert(text + PYTHON, '--format', 'nd'), f'{text}: not called {name}')
    expect('genotype a_b {' in convert(PYTHON, '--as', 'a b'), 'not called as wished')
    write('my search.log', 'genotype = ' + PYTHON)
    expect('genotype my_search {' in run(RUN, 'genotype', 'my search.log')[0], 'not called like its file')


def changed(operation):
    return PYTHON.replace('dil_conv_3x3', operation)


def files_with_many():
    log = ''.join(f'2020 epoch {i} lr 1e-2\n2020 genotype = {changed(name)}\n2020 train_acc 50\n' for i, name in
                  enumerate(('dil_conv_5x5', 'sep_conv_5x5', 'none')))
    for arguments, name in (((), 'none'), (('--epoch', '1'), 'sep_conv_5x5'), (('--line', '2'), 'dil_conv_5x5'), (('--line', '8'), 'none')):
        expect(f"'{name}', 2" in convert(log, '--format', 'python', *arguments), f'{arguments}: not the one with {name}')
    convert(log, '--epoch', '7', code=1, says='no genotype is of epoch 7; there are: line 2 genotype (epoch 0)')
    convert(log, '--line', '3', code=1, says='no genotype begins on line 3')
    brackets = log.replace('epoch 1 lr', '[Epoch: [1/50] lr')
    expect("'sep_conv_5x5', 2" in convert(brackets, '--format', 'python', '--epoch', '1'), 'Epoch: [1/50]')
    module = f'# OLD = {changed("x")}\nA = {changed("none")}\nB = {changed("sep_conv_5x5")}\n\nBEST = A\n'
    write('genotypes.py', module)
    for name, operation in (('A', 'none'), ('B', 'sep_conv_5x5'), ('BEST', 'none')):
        expect(f"'{operation}', 2" in convert(module, '--format', 'python', '--name', name), name)
        one, _ = run(COMPILER, 'genotypes.py', '--emit=stats', '--set', f'genotype={name}', '--set', 'C=4', '--set', 'layers=3')
        write('one.py', changed(operation))
        expect(one == run(COMPILER, 'one.py', '--emit=stats', '--set', 'C=4', '--set', 'layers=3')[0], f'--set genotype={name}')
    convert(module, '--name', 'OLD', code=1, says="no genotype is called 'OLD'; there are: line 2 A, line 3 B")


def benchmarks():
    expect(convert(BENCH, '--format', 'nb201') == BENCH + '\n', 'NAS-Bench-201')
    expect(convert(f'  {BENCH.replace("+", " +  ")} 93.9\n', '--format', 'nb201') == BENCH + '\n', 'blanks around +')
    text = convert(f'arch 5: Structure(4 nodes with {BENCH}) 90.1', '--format', 'nd')
    expect('network main = nas_bench_201_network(found, C = 16, cells_per_stage = 5, classes = 10)' in text, text)
    expect('s3 = none_201(s0) + avg_pool_3x3_201(s1) + nor_conv_3x3(s2)' in text, text)
    convert(BENCH, '--format', 'python', code=1, says='--format nb201 writes this one')
    convert(PYTHON, '--format', 'nb201', code=1, says='--format python writes others')
    compact = '(((0, 3), (1, 3), (0, 2), (2, 5), (0, 2), (1, 2), (0, 6), (1, 4)),\n ((0, 0), (1, 1)) * 0)'
    cell = '((0, 3), (1, 3), (0, 2), (2, 5), (0, 2), (1, 2), (0, 6), (1, 4))'
    found = convert(f'data = ({cell},\n {cell})')
    expect("[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2), ('skip_connect', 0), ('skip_connect', 1), "
           "('dil_conv_5x5', 0), ('sep_conv_5x5', 1)], normal_concat=range(2, 6)" in found, found)
    convert(compact, code=1, says='unexpected')
    expect(convert(f'[[{cell[1:-1]}], [{cell[1:-1]}]]'.replace('(', '[').replace(')', ']')) == found.replace('data', 'found'), 'lists of numbers')
    prefix = 'NetworkSelectorDatasetInfo:darts:'
    edges = {'edge_{}_0': 'sep_conv_3x3', 'edge_{}_1': 'sep_conv_3x3', 'edge_{}_2': 'skip_connect', 'edge_{}_4': 'dil_conv_3x3',
             'edge_{}_5': 'skip_connect', 'edge_{}_6': 'skip_connect', 'edge_{}_9': 'dil_conv_5x5', 'edge_{}_10': 'sep_conv_5x5',
             'inputs_node_{}_3': '0_2', 'inputs_node_{}_4': '0_1', 'inputs_node_{}_5': '0_1'}
    configuration = {prefix + key.format(kind): value for kind in ('normal', 'reduce') for key, value in edges.items()}
    for text in (json.dumps({'seed': 1, 'config': dict(configuration, lr=0.1)}), repr(configuration)):
        expect(convert(text) == found.replace('data', 'found'), f'{text}\n{convert(text)}')


def networks():
    for arguments, line in (((), 'cifar(found, C = 36, layers = 20, classes = 10, auxiliary = 0.4)'),
                            (('-C', '8', '--layers', '5', '--classes', '3', '--auxiliary', '0'), 'cifar(found, C = 8, layers = 5, classes = 3)'),
                            (('--network', 'imagenet'), 'imagenet(found, C = 48, layers = 14, classes = 1000, auxiliary = 0.4)')):
        expect('network main = ' + line in convert(PYTHON, '--format', 'nd', *arguments), line)
    convert(PYTHON, '--network', 'imagnet', code=1, says="did you mean 'imagenet'")
    convert(PYTHON, '--format', 'pyton', code=1, says="unknown format 'pyton'; did you mean 'python'")
    convert(PYTHON, '--auxiliary', 'x', code=1, says='weight of the auxiliary head')


def everywhere():
    """A file of another program is a text to every command, with --set as usual."""
    small = ('--set', 'C=4', '--set', 'layers=3', '--set', 'auxiliary=0', '--set', 'H=8', '--set', 'W=8')
    write('cell.txt', 'best: ' + PYTHON)
    write('arch.txt', BENCH)
    run(RUN, 'genotype', 'cell.txt', '-o', 'cell.nd')
    expect(run(COMPILER, 'cell.txt', '--emit=ir')[0] == run(COMPILER, 'cell.nd', '--emit=ir')[0], 'not the same network')
    expect(run(COMPILER, 'cell.txt', '--emit=ast')[0] == run(RUN, 'genotype', 'cell.nd')[0], 'not the same text')
    expect('digraph' in run(COMPILER, 'cell.txt', '--emit=dot')[0], 'no drawing')
    run(COMPILER, 'arch.txt', '--emit=stats', '--set', 'cells_per_stage=1')
    train = ('--recipe', 'fashion_quick', '--set', 'data.source=synthetic', '--set', 'data.limit=16', '--set', 'batch=8', '--set', 'epochs=1',
             '--set', 'channels=3', '--set', 'C=2', '--set', 'layers=3', '--set', 'auxiliary=0')
    run(RUN, 'train', 'cell.txt', '--out', 'run', *train)
    expect(os.path.exists('run/weights.safetensors'), 'nothing was trained')
    trained = ('--set', 'C=2', '--set', 'layers=3', '--set', 'auxiliary=0', '--set', 'H=32', '--set', 'W=32')
    run(RUN, 'export', 'run/network.ir', '--weights', 'run/weights.safetensors', '-o', 'w.safetensors')
    run(RUN, 'export', 'cell.txt', '--weights', 'w.safetensors', '-o', 'net.onnx', *trained)
    run(RUN, 'genotype', 'nothing.txt', code=1, says="cannot open 'nothing.txt'")
    write('bad.txt', PYTHON.replace('max_pool_3x3', 'maxpool_33'))
    for program in ((COMPILER, 'bad.txt', '--emit=stats'), (RUN, 'train', 'bad.txt', '--recipe', 'cifar', '--out', 'no'),
                    (RUN, 'export', 'bad.txt', '--weights', 'w.safetensors', '-o', 'net.onnx')):
        run(*program, code=1, says="bad.txt:1:139: error: unknown operation 'maxpool_33'; did you mean 'max_pool_3x3'?")
    # A text in the language is one, whatever its comments say; small pieces of Python are no genotype.
    write('own.nd', f'# {PYTHON}\nimport "darts.nd"\nnetwork main = single(skip_connect, C = 4, H = 4, W = 4) # Genotype(normal=[])\n')
    run(COMPILER, 'own.nd', '--emit=stats')
    run(COMPILER, 'cell.txt', '--emit=stats', *small)


def round_trips():
    texts = [path for path in sorted(glob.glob(os.path.join(SOURCE, 'genotypes', '*.nd'))) if '\ngenotype ' in open(path, encoding='utf-8').read()]
    count = 0
    for path in texts:
        text = open(path, encoding='utf-8').read()
        for name in [line.split()[1] for line in text.splitlines() if line.startswith('genotype ')]:
            form = 'nb201' if 'nas_bench_201' in path else 'python'
            arguments = ('--format', form, '--name', name)
            written, _ = run(RUN, 'genotype', path, *arguments)
            again = convert(written, '--format', 'nd', '--as', name)
            back = convert(again, '--format', form)
            body = text[text.index(f'genotype {name} {{'):]
            cells = body[:body.index('\n}\n') + 3]
            called = again.split()[3]  # another name where the library itself has the genotype
            expect(cells == again[again.index('genotype '):again.index('\n}\n') + 3].replace(called, name), f'{path} {name}: {again}')
            expect(back.replace(called, name) == written, f'{path} {name}: {back}')
            count += 1
    expect(count >= 116, f'only {count} genotypes')


if __name__ == '__main__':
    sys.exit(main([ways_of_writing, more_edges, names, files_with_many, benchmarks, networks, everywhere, round_trips]))
